use data_encoding::BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::feedback::ShownFeedback;
use crate::store::{
    AttemptRecord, Dossier, Intervention, KeptAnswer, KeptHook, LeftOut, SubmissionRow,
};
use crate::submission::State;

/// A submission as a person looks at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Submission {
    #[schema(format = "uuid")]
    pub id: String,
    pub account: String,
    pub survey: String,
    /// The call that it is about; none once it was erased or dropped by age.
    pub call: Option<String>,
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
    pub gone_at: Option<Timestamp>,
    /// Attempts spent.
    pub attempts: u32,
    pub last_attempt: Option<LastAttempt>,
    /// What Plivo was told last, once it has accepted.
    pub feedback: Option<ShownFeedback>,
}

/// Where a submission stands.
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
pub struct Shown {
    #[serde(flatten)]
    pub submission: Submission,
    /// In the order in which they came.
    pub hooks: Vec<ShownHook>,
    pub answers: Vec<ShownAnswer>,
    /// The first first, as are the interventions.
    pub attempts_made: Vec<ShownAttempt>,
    /// What was done with it by hand.
    pub interventions: Vec<ShownIntervention>,
    pub left_out: ShownLeftOut,
}

/// How much there is that is not listed, where there is very much of it: the later hooks and
/// answers, and the earlier attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownLeftOut {
    pub hooks: usize,
    pub answers: usize,
    pub attempts: usize,
}

/// A hook as it lies in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownHook {
    #[schema(format = "uuid")]
    pub id: String,
    pub source: String,
    /// What it was to the submission: `new`, `added`, `repeat` or `late`.
    pub outcome: String,
    pub method: String,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// What it said was dropped, after the time that the settings give bodies.
    pub gone: bool,
    pub query: Option<String>,
    /// Its body, where that is text.
    pub body: Option<String>,
    /// Its body, where that is no text.
    pub body_base64: Option<String>,
}

/// One thing that a hook told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownAnswer {
    /// `answer`, `field`, `hang_up` or `opt_out`.
    pub kind: String,
    /// The question or the field; empty for the other two.
    pub name: String,
    /// None is silence, or nothing to say.
    pub value: Option<String>,
    #[schema(format = "uuid")]
    pub hook: String,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// It came after the submission was closed and counts for nothing.
    pub late: bool,
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShownAttempt {
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
    pub feedback: Option<ShownFeedback>,
}

/// Something that a person did to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownIntervention {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `replay`, `replay_as_was`, `discard` or `erase`.
    pub action: String,
    /// The reason that was given.
    pub detail: Option<String>,
}

impl StateName {
    pub const ALL: [StateName; 6] = [
        StateName::Collecting,
        StateName::Pending,
        StateName::Delivered,
        StateName::Ignored,
        StateName::Dead,
        StateName::Discarded,
    ];

    pub fn label(self) -> &'static str {
        match self {
            StateName::Collecting => "collecting",
            StateName::Pending => "pending",
            StateName::Delivered => "delivered",
            StateName::Ignored => "ignored",
            StateName::Dead => "dead",
            StateName::Discarded => "discarded",
        }
    }
}

impl From<State> for StateName {
    fn from(state: State) -> Self {
        match state {
            State::Collecting => StateName::Collecting,
            State::Pending => StateName::Pending,
            State::Delivered => StateName::Delivered,
            State::Ignored(_) => StateName::Ignored,
            State::Dead(_) => StateName::Dead,
            State::Discarded => StateName::Discarded,
        }
    }
}

impl From<SubmissionRow> for Submission {
    fn from(row: SubmissionRow) -> Self {
        let call = row.gone_at.is_none().then(|| row.key.call.to_string());
        Self {
            id: row.id.to_string(),
            account: row.key.account.to_string(),
            survey: row.key.survey.to_string(),
            call,
            state: row.state.into(),
            reason: row.state.reason().map(str::to_owned),
            detail: row.detail,
            // One that another release wrote in a way of its own is still JSON.
            trace: row.trace.as_deref().and_then(|trace| serde_json::from_str(trace).ok()),
            accepted_at: row.accepted_at,
            due_at: row.due_at,
            settled_at: row.settled_at,
            gone_at: row.gone_at,
            attempts: row.attempts,
            last_attempt: row.last_attempt.map(|attempt| LastAttempt {
                verdict: attempt.verdict,
                status: attempt.status,
                api_id: attempt.api_id,
            }),
            feedback: row.feedback.as_deref().and_then(ShownFeedback::read),
        }
    }
}

impl From<Dossier> for Shown {
    fn from(dossier: Dossier) -> Self {
        Self {
            submission: dossier.row.into(),
            hooks: dossier.hooks.into_iter().map(Into::into).collect(),
            answers: dossier.answers.into_iter().map(Into::into).collect(),
            attempts_made: dossier.attempts.into_iter().map(Into::into).collect(),
            interventions: dossier.interventions.into_iter().map(Into::into).collect(),
            left_out: dossier.left_out.into(),
        }
    }
}

impl From<LeftOut> for ShownLeftOut {
    fn from(LeftOut { hooks, answers, attempts }: LeftOut) -> Self {
        Self { hooks, answers, attempts }
    }
}

impl From<KeptHook> for ShownHook {
    fn from(hook: KeptHook) -> Self {
        let gone = hook.said.is_none();
        let (query, body) = hook.said.map_or((None, None), |said| (said.query, Some(said.body)));
        let (body, body_base64) = match body.map(String::from_utf8) {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(bytes)) => (None, Some(BASE64.encode(bytes.as_bytes()))),
        };
        Self {
            id: hook.id.0.to_string(),
            source: hook.source.to_string(),
            outcome: hook.outcome,
            method: hook.method,
            received_at: hook.received_at,
            gone,
            query,
            body,
            body_base64,
        }
    }
}

impl From<KeptAnswer> for ShownAnswer {
    fn from(answer: KeptAnswer) -> Self {
        let KeptAnswer { kind, name, value, hook, received_at, late } = answer;
        Self { kind: kind.to_owned(), name, value, hook: hook.0.to_string(), received_at, late }
    }
}

impl From<AttemptRecord> for ShownAttempt {
    fn from(attempt: AttemptRecord) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            verdict: attempt.verdict,
            status: attempt.status,
            api_id: attempt.api_id,
            error: attempt.error,
            reply: attempt.reply,
            feedback: attempt.feedback.as_deref().and_then(ShownFeedback::read),
        }
    }
}

impl From<Intervention> for ShownIntervention {
    fn from(Intervention { at, action, detail }: Intervention) -> Self {
        Self { at, action, detail }
    }
}
