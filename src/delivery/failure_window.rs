use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::domain::Attempt;
use crate::submission::{DeadReason, SubmissionId};

/// How many ends of submissions are looked back upon.
const LOOKED_BACK: usize = 20;

/// Fewer of one cause are bad luck.
const OF_ONE_CAUSE: usize = 5;

/// How long an acceptance is evidence that the account works: a source may rest for a weekend, and one that
/// left the settings must not speak for it for ever.
const ACCEPTANCE_SAYS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Most of a reply's first line that tells causes apart, in characters.
const WORDS_MAX: usize = 300;

/// How the last submissions of one account, or of one source, ended or would have: where most would die
/// of one cause, the fault is rather ours than theirs.
#[derive(Default)]
pub struct FailureWindow {
    /// The latest last; each submission has one, however often it was offered.
    ends: VecDeque<End>,
    last_accepted_at: Option<Timestamp>,
}

/// How a submission ended, or would have.
struct End {
    submission: SubmissionId,
    /// `None` was accepted.
    died_of: Option<Cause>,
}

/// Of what a submission dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    reason: DeadReason,
    status: Option<u16>,
    words: String,
}

impl FailureWindow {
    pub fn accepted(&mut self, submission: SubmissionId, at: Timestamp) {
        self.last_accepted_at = Some(at);
        self.end(End { submission, died_of: None });
    }

    /// One would die of this. Whether most of the last would have died of the same.
    pub fn is_systemic(&mut self, submission: SubmissionId, cause: Cause) -> bool {
        self.end(End { submission, died_of: Some(cause.clone()) });
        self.has_many_of(&cause)
    }

    fn has_many_of(&self, cause: &Cause) -> bool {
        let is_this = |end: &&End| end.died_of.as_ref() == Some(cause);
        let of_this = self.ends.iter().filter(is_this).count();
        of_this >= OF_ONE_CAUSE && of_this * 2 > self.ends.len()
    }

    /// Whether most of the last would have died of what the last one would have died of.
    pub fn is_failing(&self) -> bool {
        self.ends.back().and_then(|end| end.died_of.as_ref()).is_some_and(|it| self.has_many_of(it))
    }

    /// Whether the last one was accepted, and that within a week.
    pub fn was_accepted_last(&self, now: Timestamp) -> bool {
        let is_recent = |at| now.duration_since(at) <= ACCEPTANCE_SAYS;
        self.ends.back().is_some_and(|end| end.died_of.is_none())
            && self.last_accepted_at.is_some_and(is_recent)
    }

    pub fn knows(&self, submission: SubmissionId) -> bool {
        self.ends.iter().any(|end| end.submission == submission)
    }

    /// Forgets ends that say nothing of what is asked here.
    pub fn ignore(&mut self, says_nothing: impl Fn(SubmissionId) -> bool) {
        self.ends.retain(|end| end.died_of.is_none() || !says_nothing(end.submission));
    }

    /// Whether no one could tell by now: not since the process began.
    pub fn are_too_few_to_tell(&self) -> bool {
        self.ends.len() < OF_ONE_CAUSE
    }

    /// A submission that is tried again and again while its account is paused must not push out the others.
    fn end(&mut self, end: End) {
        self.ends.retain(|known| known.submission != end.submission);
        if self.ends.len() == LOOKED_BACK {
            self.ends.pop_front();
        }
        self.ends.push_back(end);
    }
}

impl Cause {
    /// The destination's error code, or else the first line of its message. A word with a digit
    /// may be the call's or the request's own, and is the same cause all the same.
    pub fn of(reason: DeadReason, attempt: &Attempt) -> Self {
        let reply = &attempt.reply;
        let said = reply.error.as_deref().or_else(|| reply.text.lines().next()).unwrap_or_default();
        let said: String = said.chars().take(WORDS_MAX).collect();
        let is_common = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
        let words: Vec<&str> = said.split_whitespace().filter(is_common).collect();
        Self { reason, status: reply.status, words: words.join(" ") }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{AttemptResponse, Verdict};

    fn cause(status: u16, error: Option<&str>, text: &str) -> Cause {
        let reply = AttemptResponse {
            status: Some(status),
            error: error.map(str::to_owned),
            text: text.to_owned(),
            ..AttemptResponse::default()
        };
        let finished_at = Timestamp::UNIX_EPOCH;
        let attempt = Attempt { verdict: Verdict::Rejected, reply, finished_at };
        Cause::of(DeadReason::Rejected, &attempt)
    }

    fn spelling() -> Cause {
        cause(422, Some("issues are wrong"), "")
    }

    /// Each time it is another submission that ends.
    #[derive(Default)]
    struct History(FailureWindow, u128);

    impl History {
        fn next(&mut self) -> SubmissionId {
            self.1 += 1;
            SubmissionId(Uuid::from_u128(self.1))
        }

        fn is_systemic(&mut self, cause: Cause) -> bool {
            let next = self.next();
            self.0.is_systemic(next, cause)
        }

        fn accepted(&mut self) {
            let next = self.next();
            self.0.accepted(next, Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn a_few_of_one_cause_die_and_then_no_more() {
        let mut refusals = History::default();
        let many: Vec<bool> = (0..30).map(|_| refusals.is_systemic(spelling())).collect();
        assert_eq!(many[..4], [false; 4]);
        assert!(many[4..].iter().all(|many| *many));
    }

    #[test]
    fn where_more_are_accepted_than_refused_the_fault_is_the_submissions() {
        let mut refusals = History::default();
        for _ in 0..100 {
            refusals.accepted();
            assert!(!refusals.is_systemic(spelling()));
        }
    }

    #[test]
    fn refusals_of_different_causes_are_not_many() {
        let mut refusals = History::default();
        for n in 0..100 {
            let other = ["too late", "no such thing", "not now"][n % 3];
            assert!(!refusals.is_systemic(cause(422, Some(other), "")));
        }
    }

    #[test]
    fn one_that_is_refused_again_and_again_is_one() {
        let mut refusals = History::default();
        for _ in 1..OF_ONE_CAUSE {
            assert!(!refusals.is_systemic(spelling()));
        }
        let probe = refusals.next();
        for _ in 0..3 * LOOKED_BACK {
            assert!(refusals.0.is_systemic(probe, spelling()));
        }
        for _ in 0..OF_ONE_CAUSE {
            refusals.accepted();
        }
        assert!(!refusals.0.is_systemic(probe, spelling()), "most are accepted");
    }

    #[test]
    fn what_is_accepted_in_the_end_is_no_refusal() {
        let mut refusals = History::default();
        let repaired = refusals.next();
        refusals.0.is_systemic(repaired, spelling());
        refusals.0.accepted(repaired, Timestamp::UNIX_EPOCH);
        for _ in 1..OF_ONE_CAUSE {
            assert!(!refusals.is_systemic(spelling()));
        }
        assert!(refusals.is_systemic(spelling()));
    }

    #[test]
    fn a_submission_is_known_as_long_as_its_end_is() {
        let mut refusals = History::default();
        let [refused, unknown] = [refusals.next(), refusals.next()];
        assert!(!refusals.0.knows(refused));
        refusals.0.is_systemic(refused, spelling());
        assert!(refusals.0.knows(refused) && !refusals.0.knows(unknown));
        refusals.0.ignore(|submission| submission == refused);
        assert!(!refusals.0.knows(refused));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut refusals = History::default();
        while !refusals.is_systemic(spelling()) {}
        for _ in 0..LOOKED_BACK {
            refusals.accepted();
        }
        assert!(!refusals.is_systemic(spelling()));
    }

    #[test]
    fn a_cause_is_told_by_status_and_words_and_not_by_the_call() {
        let words = |error| cause(422, Some(error), "");
        assert_eq!(words("call 4f2c-11 is odd"), words("call 99ab-07 is odd"));
        assert_ne!(words("call 4f2c-11 is odd"), words("call 4f2c-11 is even"));
        assert_ne!(cause(400, None, "odd"), cause(422, None, "odd"));
        assert_eq!(cause(400, None, "odd\nid: a"), cause(400, None, "odd\nid: b"));
    }
}
