//! What senders sent about calls, and what they were told.

use jiff::Timestamp;
use postcall::domain::{Headers, Method, Webhook, WebhookId};
use postcall::telemetry::WebhookOutcome;
use tokio::time::Instant;
use uuid::Uuid;

/// Calls of one history; few, so that much happens to each.
pub const CALLS: usize = 8;

/// One webhook as it was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub call: usize,
    pub question: &'static str,
    /// `None` for a hang-up.
    pub answer: Option<&'static str>,
    pub id: Uuid,
    pub received_at: Timestamp,
    /// By a clock that no one steps.
    pub sent_at: Instant,
    /// What the sender was told, and when, by a clock that no one steps.
    pub acknowledged: Option<(Instant, WebhookOutcome)>,
}

/// The name of a call: nothing else holds these bytes, other names included.
pub fn name(call: usize) -> String {
    format!("call-of-the-simulation-{call:02}")
}

/// The number of a call.
pub fn number(name: &str) -> usize {
    name.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).expect("the name of a call")
}

/// The source, and survey, of a call.
pub fn source(call: usize) -> &'static str {
    ["first", "last", "resend"][call % 3]
}

impl Sent {
    pub fn by_chance(chance: &mut fastrand::Rng, received_at: Timestamp, id: Uuid) -> Self {
        let call = chance.usize(..CALLS);
        let question = match source(call) {
            "first" if chance.u8(..3) == 0 => "problem",
            _ => "score",
        };
        let answer = match chance.u8(..20) {
            0 | 1 => None,
            2 => Some(""),
            3 => Some("9"),
            _ => Some(["1", "2", "3", "4", "5"][chance.usize(..5)]),
        };
        Self {
            call,
            question,
            answer,
            id,
            received_at,
            sent_at: Instant::now(),
            acknowledged: None,
        }
    }

    pub fn of_new_caller(call: usize, received_at: Timestamp, id: Uuid) -> Self {
        let (answer, sent_at) = (Some("4"), Instant::now());
        Self { call, question: "score", answer, id, received_at, sent_at, acknowledged: None }
    }

    /// A rating that is in its domain.
    pub fn rating(&self) -> Option<f64> {
        if self.question != "score" {
            return None;
        }
        self.answer?.parse().ok().filter(|rating| (1.0..=5.0).contains(rating))
    }

    pub fn webhook(&self) -> Webhook {
        self.webhook_of(self.answer)
    }

    /// As [`webhook`](Self::webhook), with another answer.
    pub fn webhook_with(&self, answer: &str) -> Webhook {
        self.webhook_of(Some(answer))
    }

    fn webhook_of(&self, answer: Option<&str>) -> Webhook {
        let call = name(self.call);
        let query = match answer {
            Some(digits) => format!("CallUUID={call}&Digits={digits}&question={}", self.question),
            None => format!("CallUUID={call}&HangupCause=NORMAL_CLEARING"),
        };
        Webhook {
            id: WebhookId(self.id),
            method: Method::Get,
            path: format!("/hooks/{}", source(self.call)),
            query: Some(query),
            headers: Headers::default(),
            body: Vec::new(),
            received_at: self.received_at,
        }
    }
}
