use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Verdict on one delivery attempt, by which the dispatcher decides. The table that makes
/// verdicts of a destination's responses is in the destination's module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Accepted,
    /// Our credentials or our address are wrong: the account pauses, and the attempt does not count.
    AccountRejected,
    /// The destination does not know the call, or not yet.
    UnknownCall,
    /// It asks us to come back.
    Throttled {
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// No connection came about.
    Unreachable,
    /// No connection was tried, because the process could not open a socket, or its claim had ended. It
    /// says nothing of the destination.
    LocalError,
    /// The connection was there and no whole reply came: it may have been accepted.
    UnknownResult,
    /// It will never take this.
    Rejected,
}

/// What the destination said, as far as it said anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptResponse {
    pub status: Option<u16>,
    /// The destination's name for the request, which its support asks for.
    pub request_id: Option<String>,
    /// Its own word for what is wrong.
    pub error: Option<String>,
    /// The reply's body or the transport's error, cut at [`AttemptResponse::TEXT_MAX`].
    pub text: String,
}

/// One try to hand a submission over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub verdict: Verdict,
    pub reply: AttemptResponse,
    pub finished_at: Timestamp,
}

impl Verdict {
    /// Every verdict, without a time to wait.
    pub const ALL: [Verdict; 8] = [
        Verdict::Accepted,
        Verdict::AccountRejected,
        Verdict::UnknownCall,
        Verdict::Throttled { retry_after: None },
        Verdict::Unreachable,
        Verdict::LocalError,
        Verdict::UnknownResult,
        Verdict::Rejected,
    ];

    pub const LABELS: [&'static str; 8] = [
        "accepted",
        "account_rejected",
        "unknown_call",
        "throttled",
        "unreachable",
        "local_error",
        "unknown_result",
        "rejected",
    ];

    /// Whether a connection to the destination came about.
    pub fn is_connected(self) -> bool {
        !matches!(self, Verdict::Unreachable | Verdict::LocalError)
    }

    pub fn label(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::AccountRejected => "account_rejected",
            Verdict::UnknownCall => "unknown_call",
            Verdict::Throttled { .. } => "throttled",
            Verdict::Unreachable => "unreachable",
            Verdict::LocalError => "local_error",
            Verdict::UnknownResult => "unknown_result",
            Verdict::Rejected => "rejected",
        }
    }
}

/// As its label: how long the destination asked to wait is not kept.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let known = Verdict::ALL.into_iter().find(|verdict| verdict.label() == label);
        known.ok_or_else(|| serde::de::Error::unknown_variant(&label, &Verdict::LABELS))
    }
}

impl AttemptResponse {
    /// Longest text that is kept, in bytes.
    pub const TEXT_MAX: usize = 4096;

    /// A reply of which only the text is known; it is cut to its bound.
    pub fn of_text(text: &str) -> Self {
        let text = text[..text.floor_char_boundary(Self::TEXT_MAX)].to_owned();
        Self { text, ..Self::default() }
    }
}

impl Attempt {
    /// One that this process did not begin, so that nothing was sent.
    pub fn not_begun(why: &str, at: Timestamp) -> Self {
        let reply = AttemptResponse::of_text(why);
        Self { verdict: Verdict::LocalError, reply, finished_at: at }
    }

    /// Whether the destination may have taken the feedback to heart. Only an attempt that surely
    /// did not leaves a submission open to further answers.
    pub fn may_have_reached(&self) -> bool {
        !matches!(
            (self.verdict, self.reply.status),
            (Verdict::Unreachable | Verdict::LocalError, _)
                | (Verdict::AccountRejected, Some(401 | 403) | None)
                | (Verdict::Throttled { .. }, Some(429 | 503))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_cut_at_a_character() {
        assert_eq!(
            AttemptResponse::of_text(&"é".repeat(AttemptResponse::TEXT_MAX)).text.len(),
            AttemptResponse::TEXT_MAX
        );
    }

    #[test]
    fn only_what_surely_did_not_arrive_leaves_a_submission_open() {
        let reached = |verdict, status| {
            Attempt {
                verdict,
                reply: AttemptResponse { status, ..AttemptResponse::default() },
                finished_at: Timestamp::UNIX_EPOCH,
            }
            .may_have_reached()
        };
        let busy = Verdict::Throttled { retry_after: None };
        for (verdict, status) in [
            (Verdict::Unreachable, None),
            (Verdict::LocalError, None),
            (Verdict::AccountRejected, Some(401)),
            (Verdict::AccountRejected, Some(403)),
            (Verdict::AccountRejected, None),
            (busy, Some(429)),
            (busy, Some(503)),
        ] {
            assert!(!reached(verdict, status), "{verdict:?} {status:?}");
        }
        for (verdict, status) in [
            (Verdict::Accepted, Some(201)),
            (Verdict::UnknownResult, None),
            (Verdict::UnknownCall, Some(404)),
            (Verdict::AccountRejected, Some(405)),
            (busy, Some(500)),
            (busy, Some(408)),
            (Verdict::Rejected, Some(422)),
        ] {
            assert!(reached(verdict, status), "{verdict:?} {status:?}");
        }
    }
}
