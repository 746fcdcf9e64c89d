//! What callers say in these tests, what it means, and what the far side answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use postcall::domain::{
    Answer, Attempt, ExtractedAnswer, Extraction, IdempotencyKey, Method, Reply, Verdict, Webhook,
    WebhookId,
};
use postcall::store::{Arrival, Decision};
use postcall::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DeadReason, DueTime,
    IgnoredReason, SubmissionKey,
};
use uuid::Uuid;

/// Seconds that an incomplete submission waits for more.
pub const AFTER: i64 = 120;
/// Seconds from the last word on a complete one; after a hang-up an incomplete one waits as long.
pub const DELAY: i64 = 60;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// One hook for the account `main`; an empty answer is silence. Later made hooks have later ids.
pub fn hook(second: i64, call: &str, answers: &[(&str, &str)]) -> Arrival {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = WebhookId(Uuid::from_u128(NEXT.fetch_add(1, Ordering::SeqCst).into()));
    Arrival {
        hook: Webhook {
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
        report: Extraction {
            answers: answers.iter().map(|(question, text)| reported(question, text)).collect(),
            ..Extraction::default()
        },
        identity: None,
        completion: Arc::new(Quality(ChangedAnswerPolicy::KeepFirst)),
    }
}

/// The caller hung up.
pub fn hang_up(second: i64, call: &str) -> Arrival {
    let mut arrival = hook(second, call, &[]);
    arrival.report.hung_up = true;
    arrival
}

/// The caller does not want to be asked.
pub fn opt_out(second: i64, call: &str) -> Arrival {
    let mut arrival = hook(second, call, &[]);
    arrival.report.opted_out = true;
    arrival
}

/// With the value of a field beside what it says.
pub fn telling(field: &str, value: &str, mut arrival: Arrival) -> Arrival {
    arrival.report.fields.push((field.parse().unwrap(), value.to_owned()));
    arrival
}

/// To a survey in which another answer counts than the first.
pub fn changing(changes: ChangedAnswerPolicy, mut arrival: Arrival) -> Arrival {
    arrival.completion = Arc::new(Quality(changes));
    arrival
}

/// By a name that its sender gives it, for bytes of this digest.
pub fn named(id: &str, digest: u8, mut arrival: Arrival) -> Arrival {
    arrival.identity = Some(IdempotencyKey { id: id.to_owned(), digest: [digest; 32] });
    arrival
}

fn reported(question: &str, text: &str) -> ExtractedAnswer {
    let (question, answer) = (question.to_owned(), answer(text));
    ExtractedAnswer { question, answer, reader: "form:Digits".to_owned() }
}

pub fn hook_for(account: &str, second: i64, call: &str, answers: &[(&str, &str)]) -> Arrival {
    let mut arrival = hook(second, call, answers);
    arrival.key.account = account.parse().unwrap();
    arrival
}

/// Both questions answered: due after [`DELAY`].
pub fn complete(second: i64, call: &str) -> Arrival {
    hook(second, call, &[("score", "4"), ("problem", "1")])
}

pub fn answer(text: &str) -> Answer {
    if text.is_empty() { Answer::Silence } else { Answer::Given(text.to_owned()) }
}

/// A survey of two questions: `score` is 1 to 5, `problem` is 1 to 3.
pub struct Quality(pub ChangedAnswerPolicy);

/// Where the first answer counts.
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
        let answered = |question| {
            let best = answers.best(
                question,
                |answer| self.validity(question, answer),
                self.changed_answers(),
            );
            best.is_some_and(|(_, standing)| standing == AnswerValidity::InDomain)
        };
        let complete =
            answers.opted_out_at().is_some() || (answered("score") && answered("problem"));
        let last = answers.last_new_at().expect("something was said");
        let wait = if complete || answers.hung_up_at().is_some() { DELAY } else { AFTER };
        DueTime { complete, at: last + Duration::from_secs(wait as u64) }
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        self.0
    }
}

/// What counts for the score.
pub fn score(answers: &Answers, changes: ChangedAnswerPolicy) -> Option<Answer> {
    let standing = |answer: &Answer| Quality(changes).validity("score", answer);
    answers.best("score", standing, changes).map(|(said, _)| said.answer.clone())
}

/// What was said, as pairs in order of arrival.
pub fn pairs(answers: &Answers) -> Vec<(String, Answer, i64)> {
    answers
        .recorded()
        .map(|said| (said.question.clone(), said.answer.clone(), said.received_at.as_second()))
        .collect()
}

pub fn attempt(verdict: Verdict, status: Option<u16>, second: i64) -> Attempt {
    let text = format!("{verdict:?}");
    Attempt {
        verdict,
        reply: Reply { status, request_id: status.map(|_| "api-1".to_owned()), error: None, text },
        finished_at: at(second),
    }
}

pub fn ignored(reason: IgnoredReason) -> Decision {
    Decision::Ignored { reason, detail: None }
}

pub fn unmapped(detail: &str) -> Decision {
    Decision::Unsent { reason: DeadReason::Unmapped, detail: detail.to_owned() }
}

pub const BUSY: Verdict = Verdict::Busy { retry_after: None };
