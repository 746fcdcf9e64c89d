use std::borrow::Cow;
use std::collections::BTreeMap;

use data_encoding::BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::{Answer, Feedback, Name, WebhookId};
use crate::store::{StoredWebhook, SubmissionDetail};
use crate::submission::{
    AnswerValidity, Answers, AttemptRecord, AuditEntry, CompletionPolicy, Json, RecordedAnswer,
    State, StateCounts, Submission,
};
use crate::survey::Survey;

/// A submission, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Submission)]
pub struct SubmissionView {
    #[schema(format = "uuid")]
    pub id: String,
    pub account: String,
    pub survey: String,
    /// The call that it is about; none once it was erased or dropped by age.
    pub call: Option<String>,
    /// A test (`postcall sign --test`): kept and shown, never delivered.
    pub test: bool,
    pub state: StateName,
    /// Why it is ignored or dead.
    pub reason: Option<String>,
    /// The same in words, or the reason with which it was discarded.
    pub detail: Option<String>,
    /// Which parts of the survey spoke when it was last mapped.
    #[schema(value_type = Option<Object>)]
    pub trace: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    pub accepted_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<Timestamp>,
    /// When all but its id and its outcome was dropped.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub purged_at: Option<Timestamp>,
    /// Attempts that count against the limits of `retry`.
    pub attempts: u32,
    pub last_attempt: Option<LastAttempt>,
    /// The feedback that Plivo accepted last.
    pub feedback: Option<FeedbackView>,
    /// The answer that counts, by question; only answers in their domain.
    pub answered: BTreeMap<String, String>,
    /// What senders reported beside the answers, by field.
    pub fields: BTreeMap<String, String>,
}

/// The state of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    Collecting,
    Pending,
    Delivered,
    Ignored,
    Dead,
    Discarded,
}

/// The attempt that was made last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastAttempt {
    /// None while it is under way.
    pub verdict: Option<String>,
    /// The HTTP status of Plivo's reply.
    pub status: Option<u16>,
    /// Plivo's name for the request, which its support asks for.
    pub api_id: Option<String>,
}

/// All that is known of one submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SubmissionDetail)]
pub struct SubmissionDetailView {
    #[serde(flatten)]
    pub submission: SubmissionView,
    /// In the order in which they came.
    pub webhooks: Vec<WebhookView>,
    pub answers: Vec<AnswerView>,
    /// The first first, as are the interventions.
    pub attempts_made: Vec<AttemptView>,
    /// The operator actions on it.
    pub interventions: Vec<AuditView>,
    pub truncated: Truncated,
}

/// How much there is that is not listed, where there is very much of it: the later webhooks and
/// answers, and the earlier attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Truncated {
    pub webhooks: usize,
    pub answers: usize,
    pub attempts: usize,
}

/// A webhook, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    #[schema(format = "uuid")]
    pub id: String,
    pub source: String,
    /// What it was to the submission: `created`, `updated`, `duplicate` or `late`.
    pub outcome: String,
    pub method: String,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// What it said was dropped, after the time that the settings give bodies.
    pub purged: bool,
    pub query: Option<String>,
    /// Its body, where that is text.
    pub body: Option<String>,
    /// Its body, where that is no text.
    pub body_base64: Option<String>,
    /// The trace that its span is part of, if spans are exported.
    pub trace_id: Option<String>,
}

/// One answer or field that a webhook reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerView {
    /// `answer`, `field`, `hang_up` or `opt_out`.
    pub kind: String,
    /// The question or the field; empty for the other two.
    pub name: String,
    /// None is silence, or nothing to say.
    pub value: Option<String>,
    #[schema(format = "uuid")]
    pub webhook: String,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// It came after the submission was closed and counts for nothing.
    pub late: bool,
    /// Whether an answer counts; `null` if it is late or not an `answer`, or if the survey is not in the
    /// settings.
    #[serde(default)]
    pub status: Option<AnswerStatus>,
}

/// Whether an answer counts for its question, by the survey as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    Counts,
    /// It is valid, and another answer to the question counts.
    AnotherCounts,
    /// The question does not have this answer, or the survey does not have the question.
    OutsideDomain,
    Silence,
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    pub number: u32,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// None while it is under way.
    pub verdict: Option<String>,
    pub status: Option<u16>,
    pub api_id: Option<String>,
    /// Plivo's own word for what is wrong.
    pub error: Option<String>,
    /// The reply's body or the transport's error, at most 4 KiB of it.
    pub reply: Option<String>,
    /// What was offered.
    pub feedback: Option<FeedbackView>,
    /// The trace of its span, if spans are exported.
    pub trace_id: Option<String>,
}

/// The feedback about a call that Plivo got, or would get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackView {
    /// From 1 to 5.
    #[schema(value_type = f64)]
    pub rating: Number,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// An operator's action on a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditView {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `replay`, `replay_same_payload`, `discard`, `reveal` or `erase`.
    pub action: String,
    /// The reason that was given.
    pub detail: Option<String>,
}

impl StateName {
    /// In the order of [`State::LABELS`].
    pub const ALL: [StateName; 6] = [
        StateName::Collecting,
        StateName::Pending,
        StateName::Delivered,
        StateName::Ignored,
        StateName::Dead,
        StateName::Discarded,
    ];

    pub fn label(self) -> &'static str {
        State::LABELS[self as usize]
    }
}

impl From<State> for StateName {
    fn from(state: State) -> Self {
        Self::ALL[state.index()]
    }
}

impl FeedbackView {
    /// `None` where another release wrote the payload in another form.
    pub(super) fn read(payload: &Json) -> Option<Self> {
        serde_json::from_str(payload.as_str()).ok()
    }
}

impl From<&Feedback> for FeedbackView {
    fn from(feedback: &Feedback) -> Self {
        serde_json::from_str(&feedback.to_json()).expect("feedback is written as it is read")
    }
}

impl SubmissionView {
    /// View of a submission. `policy`, that of its survey, decides which answers count; without it, none
    /// do.
    pub(super) fn of(submission: Submission, policy: Option<&Survey>) -> Self {
        let answered = policy.map(|survey| answered(&submission, survey)).unwrap_or_default();
        let fields = submission.answers().fields();
        let fields = fields.map(|(name, field)| (name.to_string(), field.value.clone())).collect();
        let last_attempt = submission.last_attempt().map(|attempt| {
            let AttemptView { verdict, status, api_id, .. } = attempt.into();
            LastAttempt { verdict, status, api_id }
        });
        let test = submission.is_test();
        let document = submission.document;
        Self {
            id: submission.id.to_string(),
            account: submission.account.to_string(),
            survey: submission.survey.to_string(),
            test,
            call: submission.call.map(|call| call.to_string()),
            state: submission.state.into(),
            reason: submission.state.reason().map(str::to_owned),
            detail: document.detail,
            // One that another release wrote in another form is still JSON.
            trace: document.trace.and_then(|trace| serde_json::from_str(trace.as_str()).ok()),
            accepted_at: submission.accepted_at,
            due_at: submission.due_at,
            settled_at: submission.settled_at,
            purged_at: submission.purged_at,
            attempts: document.attempts_used,
            last_attempt,
            feedback: document.delivered.as_ref().and_then(FeedbackView::read),
            answered,
            fields,
        }
    }
}

fn answered(submission: &Submission, survey: &Survey) -> BTreeMap<String, String> {
    let counting = |question: &Name| {
        let answer = submission.answers().counting(question.as_str(), survey)?;
        Some((question.to_string(), answer.text().to_owned()))
    };
    survey.questions().filter_map(counting).collect()
}

impl SubmissionDetailView {
    /// View of everything known of a submission, with the policy of its survey and the names of its
    /// `traces` if there are any.
    pub(super) fn of(detail: SubmissionDetail, policy: Option<&Survey>, traces: bool) -> Self {
        let SubmissionDetail { submission, webhooks, webhooks_truncated } = detail;
        let document = &submission.document;
        let mut answers = answers(&document.answers, false, policy);
        answers.extend(self::answers(&document.late, true, None));
        answers.sort_by(|a, b| {
            let order = |it: &AnswerView| (it.received_at, it.webhook.clone());
            order(a).cmp(&order(b)).then_with(|| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)))
        });
        let mut attempts_made: Vec<AttemptView> =
            document.attempts.iter().map(Into::into).collect();
        for attempt in attempts_made.iter_mut().filter(|_| traces) {
            let span = submission.id.attempt_span(attempt.number);
            attempt.trace_id = Some(span.trace.to_string());
        }
        let webhook = |webhook: StoredWebhook| {
            let span = document.span_of(webhook.id);
            let trace_id = traces.then(|| span.trace.to_string());
            WebhookView { trace_id, ..webhook.into() }
        };
        let truncated = Truncated {
            webhooks: webhooks_truncated,
            answers: document.unrecorded as usize,
            attempts: (document.attempts_made as usize).saturating_sub(attempts_made.len()),
        };
        Self {
            webhooks: webhooks.into_iter().map(webhook).collect(),
            answers,
            attempts_made,
            interventions: document.audit.iter().cloned().map(Into::into).collect(),
            truncated,
            submission: SubmissionView::of(submission, policy),
        }
    }
}

impl AnswerStatus {
    /// Of one of the answers, with the policy of their survey.
    fn of(answer: &RecordedAnswer, answers: &Answers, policy: &Survey) -> Self {
        let question: &str = &answer.question;
        match policy.validity(question, &answer.answer) {
            AnswerValidity::Silence => Self::Silence,
            AnswerValidity::OutsideDomain => Self::OutsideDomain,
            AnswerValidity::InDomain => match answers.counting(question, policy) {
                Some(counting) if *counting == answer.answer => Self::Counts,
                _ => Self::AnotherCounts,
            },
        }
    }
}

/// Answers, fields and facts, one by one. Without a `policy` it is not known which answers count.
fn answers(answers: &Answers, late: bool, policy: Option<&Survey>) -> Vec<AnswerView> {
    let view = |kind: &str, name: &str, value: Option<String>, received_at, webhook: WebhookId| {
        let (kind, name, webhook) = (kind.to_owned(), name.to_owned(), webhook.0.to_string());
        AnswerView { kind, name, value, webhook, received_at, late, status: None }
    };
    let recorded = answers.recorded().map(|it| {
        let value = match &it.answer {
            Answer::Silence => None,
            Answer::Given(text) => Some(text.clone()),
        };
        let status = policy.map(|policy| AnswerStatus::of(it, answers, policy));
        AnswerView { status, ..view("answer", &it.question, value, it.received_at, it.webhook) }
    });
    let fields = answers.fields().map(|(name, field)| {
        view("field", name.as_str(), Some(field.value.clone()), field.received_at, field.webhook)
    });
    let facts = [("hang_up", answers.hung_up()), ("opt_out", answers.opted_out())];
    let facts = facts
        .into_iter()
        .filter_map(|(kind, fact)| Some(view(kind, "", None, fact?.received_at, fact?.webhook)));
    recorded.chain(fields).chain(facts).collect()
}

impl From<StoredWebhook> for WebhookView {
    fn from(webhook: StoredWebhook) -> Self {
        let purged = webhook.content.is_none();
        let (query, body) = webhook.content.map_or((None, None), |it| (it.query, Some(it.body)));
        let (body, body_base64) = match body.map(String::from_utf8) {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(bytes)) => (None, Some(BASE64.encode(bytes.as_bytes()))),
        };
        Self {
            id: webhook.id.0.to_string(),
            source: webhook.source.to_string(),
            outcome: webhook.outcome,
            method: webhook.method,
            received_at: webhook.received_at,
            purged,
            query,
            body,
            body_base64,
            trace_id: None,
        }
    }
}

impl From<&AttemptRecord> for AttemptView {
    fn from(attempt: &AttemptRecord) -> Self {
        let response = attempt.response.as_ref();
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            finished_at: response.and_then(|it| it.finished_at),
            verdict: response.map(|it| it.verdict.label().to_owned()),
            status: response.and_then(|it| it.status),
            api_id: response.and_then(|it| it.api_id.clone()),
            error: response.and_then(|it| it.error.clone()),
            reply: response.and_then(|it| it.text.clone()),
            feedback: FeedbackView::read(&attempt.payload),
            trace_id: None,
        }
    }
}

impl From<AuditEntry> for AuditView {
    fn from(AuditEntry { at, action, detail }: AuditEntry) -> Self {
        Self { at, action: action.into_owned(), detail }
    }
}

/// The row type as it is.
impl ToSchema for StateCounts {
    fn name() -> Cow<'static, str> {
        "StateCounts".into()
    }
}

impl PartialSchema for StateCounts {
    fn schema() -> RefOr<Schema> {
        let about = "How many submissions there are: `accepted` is the sum of the states.";
        let object = ObjectBuilder::new().description(Some(about));
        let keys = ["accepted"].into_iter().chain(State::LABELS);
        keys.fold(object, |object, key| object.property(key, u64::schema()).required(key)).into()
    }
}
