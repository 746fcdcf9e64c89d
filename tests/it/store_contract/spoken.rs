//! What callers answer in these tests, what it maps to, and what the destination responds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use postcall::domain::{
    Answer, Attempt, AttemptResponse, ExtractedAnswer, Extraction, Feedback, IdempotencyKey,
    Issues, Method, Rating, Verdict, Webhook, WebhookId,
};
use postcall::store::ReceiveRequest;
use postcall::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DeadReason, DueTime,
    IgnoredReason, Insight, IssueOrigin, Json, Mapped, Mapper, Mapping, SubmissionKey,
    UnknownResult,
};
use uuid::Uuid;

/// Seconds that an incomplete submission waits for more.
pub const AFTER: i64 = 120;
/// Seconds from the last new answer of a complete one; after a hang-up an incomplete one waits as long.
pub const DELAY: i64 = 60;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// One webhook for the account `main`; an empty answer is silence. Later made webhooks have later ids.
pub fn webhook(second: i64, call: &str, answers: &[(&str, &str)]) -> ReceiveRequest {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = WebhookId(Uuid::from_u128(NEXT.fetch_add(1, Ordering::SeqCst).into()));
    ReceiveRequest {
        webhook: Webhook {
            id,
            method: Method::Post,
            path: "/hooks/ivr".to_owned(),
            query: None,
            headers: Default::default(),
            body: format!("{call} {answers:?}").into_bytes(),
            received_at: at(second),
        },
        source: "ivr".parse().unwrap(),
        key: SubmissionKey {
            account: "main".parse().unwrap(),
            survey: "quality".parse().unwrap(),
            call: call.parse().unwrap(),
        },
        extraction: Extraction {
            answers: answers.iter().map(|(question, text)| extracted(question, text)).collect(),
            ..Extraction::default()
        },
        idempotency_key: None,
        trace: None,
        policy: Arc::new(Quality(ChangedAnswerPolicy::KeepFirst)),
    }
}

/// The caller hung up.
pub fn hang_up(second: i64, call: &str) -> ReceiveRequest {
    let mut request = webhook(second, call, &[]);
    request.extraction.hung_up = true;
    request
}

/// The caller does not want to be asked.
pub fn opt_out(second: i64, call: &str) -> ReceiveRequest {
    let mut request = webhook(second, call, &[]);
    request.extraction.opted_out = true;
    request
}

/// With the value of a field beside its answers.
pub fn with_field(field: &str, value: &str, mut request: ReceiveRequest) -> ReceiveRequest {
    request.extraction.fields.push((field.parse().unwrap(), value.to_owned()));
    request
}

/// To a survey with this policy of changed answers.
pub fn with_policy(changes: ChangedAnswerPolicy, mut request: ReceiveRequest) -> ReceiveRequest {
    request.policy = Arc::new(Quality(changes));
    request
}

/// With an idempotency key of its sender, for bytes of this digest.
pub fn with_key(id: &str, digest: u8, mut request: ReceiveRequest) -> ReceiveRequest {
    let digest = [digest; 32];
    request.idempotency_key = Some(IdempotencyKey { id: id.to_owned(), digest, expires: true });
    request
}

/// As [`with_key`], of a sender that signs no time.
pub fn with_lasting_key(id: &str, digest: u8, request: ReceiveRequest) -> ReceiveRequest {
    let mut request = with_key(id, digest, request);
    request.idempotency_key.as_mut().unwrap().expires = false;
    request
}

fn extracted(question: &str, text: &str) -> ExtractedAnswer {
    let (question, answer) = (question.to_owned(), answer(text));
    ExtractedAnswer { question, answer, reader: "form:Digits".to_owned() }
}

pub fn webhook_for(
    account: &str,
    second: i64,
    call: &str,
    answers: &[(&str, &str)],
) -> ReceiveRequest {
    let mut request = webhook(second, call, answers);
    request.key.account = account.parse().unwrap();
    request
}

/// Both questions answered: due after [`DELAY`].
pub fn complete(second: i64, call: &str) -> ReceiveRequest {
    webhook(second, call, &[("score", "4"), ("problem", "1")])
}

pub fn answer(text: &str) -> Answer {
    if text.is_empty() { Answer::Silence } else { Answer::Given(text.to_owned()) }
}

/// A survey of two questions: `score` is 1 to 5, `problem` is 1 to 3.
pub struct Quality(pub ChangedAnswerPolicy);

/// The survey in which the first answer counts.
pub const FIRST: Quality = Quality(ChangedAnswerPolicy::KeepFirst);

impl CompletionPolicy for Quality {
    fn validity(&self, question: &str, answer: &Answer) -> AnswerValidity {
        let highest = if question == "score" { '5' } else { '3' };
        match answer {
            Answer::Silence => AnswerValidity::Silence,
            Answer::Given(text)
                if text.len() == 1 && text.chars().all(|c| ('1'..=highest).contains(&c)) =>
            {
                AnswerValidity::InDomain
            }
            Answer::Given(_) => AnswerValidity::OutsideDomain,
        }
    }

    fn due(&self, answers: &Answers) -> DueTime {
        let answered = |question| answers.counting(question, self).is_some();
        let complete =
            answers.opted_out_at().is_some() || (answered("score") && answered("problem"));
        let last = answers.last_new_at().expect("there is an answer or a fact");
        let wait = if complete || answers.hung_up_at().is_some() { DELAY } else { AFTER };
        DueTime { complete, at: last + Duration::from_secs(wait as u64) }
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        self.0
    }
}

/// The answer that counts for the score.
pub fn score(answers: &Answers, changes: ChangedAnswerPolicy) -> Option<Answer> {
    let validity = |answer: &Answer| Quality(changes).validity("score", answer);
    answers.best("score", validity, changes).map(|(best, _)| best.answer.clone())
}

/// The answers, as question, answer and time in order of arrival.
pub fn pairs(answers: &Answers) -> Vec<(String, Answer, i64)> {
    answers
        .recorded()
        .map(|it| (it.question.clone(), it.answer.clone(), it.received_at.as_second()))
        .collect()
}

/// What [`TestMapper`] maps to if it is not configured otherwise, as JSON.
pub const FEEDBACK: &str = r#"{"rating":5}"#;

/// Feedback with notes that tell it from other feedback.
pub fn feedback(notes: &str) -> Feedback {
    Feedback::new(Rating::new(5.0).unwrap(), Issues::default(), notes.to_owned()).unwrap()
}

/// A mapper that maps each call as it is configured, and the others all alike. A payload that an
/// operator wants to be sent again is sent again.
#[derive(Debug)]
pub struct TestMapper {
    by_call: BTreeMap<String, Mapped>,
    otherwise: Mapped,
    on_unknown_result: UnknownResult,
    asked: Mutex<Vec<Asked>>,
}

/// What a mapper was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub key: SubmissionKey,
    pub answers: Answers,
    pub payload: Option<String>,
}

impl Default for TestMapper {
    fn default() -> Self {
        Self::to(Mapping::Feedback(feedback("")))
    }
}

impl TestMapper {
    /// Maps everything to this.
    pub fn to(mapping: Mapping) -> Self {
        Self {
            by_call: BTreeMap::new(),
            otherwise: Mapped { mapping, trace: None, insight: None },
            on_unknown_result: UnknownResult::Retry,
            asked: Mutex::default(),
        }
    }

    /// Maps a call differently.
    pub fn and(mut self, call: &str, mapping: Mapping) -> Self {
        self.by_call.insert(call.to_owned(), Mapped { mapping, trace: None, insight: None });
        self
    }

    /// With this trace, as JSON.
    pub fn traced(mut self, trace: &str) -> Self {
        let trace = Json::new(trace.to_owned()).unwrap();
        for mapped in self.by_call.values_mut().chain([&mut self.otherwise]) {
            mapped.trace = Some(trace.clone());
        }
        self
    }

    pub fn on_unknown_result(mut self, on_unknown_result: UnknownResult) -> Self {
        self.on_unknown_result = on_unknown_result;
        self
    }

    /// What it was asked since this was last called.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Mapper for TestMapper {
    fn map(&self, key: &SubmissionKey, answers: &Answers, payload: Option<&Json>) -> Mapped {
        self.asked.lock().unwrap().push(Asked {
            key: key.clone(),
            answers: answers.clone(),
            payload: payload.map(|payload| payload.as_str().to_owned()),
        });
        let mapped = self.by_call.get(key.call.as_str()).unwrap_or(&self.otherwise);
        match payload {
            Some(payload) => {
                let feedback = Feedback::from_json(payload.as_str()).unwrap();
                Mapped { mapping: Mapping::Feedback(feedback), trace: None, insight: None }
            }
            None => {
                let origin = Some(IssueOrigin::Default);
                let values = answers.field_values();
                let insight = Some(Insight { origin, values, ..Insight::default() });
                Mapped { insight, ..mapped.clone() }
            }
        }
    }

    fn on_unknown_result(&self) -> UnknownResult {
        self.on_unknown_result
    }
}

/// A mapper that finds nothing to send.
pub fn ignoring(reason: IgnoredReason) -> TestMapper {
    TestMapper::to(ignored(reason))
}

pub fn ignored(reason: IgnoredReason) -> Mapping {
    Mapping::Ignore { reason, detail: None }
}

/// A mapper for which the settings have no place for anything.
pub fn unmapping(detail: &str) -> TestMapper {
    TestMapper::to(Mapping::unmapped(detail))
}

pub fn dead(reason: DeadReason, detail: &str) -> Mapping {
    Mapping::Dead { reason, detail: detail.to_owned() }
}

pub fn attempt(verdict: Verdict, status: Option<u16>, second: i64) -> Attempt {
    let text = format!("{verdict:?}");
    Attempt {
        verdict,
        reply: AttemptResponse {
            status,
            request_id: status.map(|_| "api-1".to_owned()),
            error: None,
            text,
        },
        finished_at: at(second),
    }
}

/// An attempt whose feedback was accepted.
pub fn accepted(second: i64) -> Attempt {
    attempt(Verdict::Accepted, Some(201), second)
}

pub const BUSY: Verdict = Verdict::Throttled { retry_after: None };
