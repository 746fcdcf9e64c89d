//! Whose fault it is that submissions would die: their own, their source's, or their account's.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::failure_window::{Cause, FailureWindow};
use crate::domain::Name;
use crate::submission::SubmissionId;

/// Where most of the last submissions would die of one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Nowhere: this submission is at fault itself.
    Submission,
    /// Among what its source brings, while what another source brings is accepted.
    Source,
    /// In the account, as far as is known.
    Account,
}

/// How the last submissions of one account ended, in all and by the sources that brought them. What
/// several sources brought ended for each of them.
#[derive(Default)]
pub struct Failures {
    account: FailureWindow,
    sources: BTreeMap<Name, FailureWindow>,
}

impl Failures {
    pub fn accepted(&mut self, submission: SubmissionId, sources: &[Name], at: Timestamp) {
        self.account.accepted(submission, at);
        for source in sources {
            self.of_source(source).accepted(submission, at);
        }
    }

    /// One would die of this: where most others would, too.
    pub fn extent(
        &mut self,
        submission: SubmissionId,
        sources: &[Name],
        cause: &Cause,
        at: Timestamp,
    ) -> Extent {
        let mut is_source = false;
        for source in sources {
            is_source |= self.of_source(source).is_systemic(submission, cause.clone());
        }
        let others = self.sources.iter().filter(|(name, _)| !sources.contains(name));
        let others_pass = others.clone().any(|(_, ends)| ends.was_accepted_last(at));
        // What is known to be the fault of another source says nothing of the account.
        let is_set_aside = |id| others.clone().any(|(_, ends)| ends.is_failing() && ends.knows(id));
        self.account.ignore(is_set_aside);
        let is_account = self.account.is_systemic(submission, cause.clone());
        match (is_source, is_account) {
            (true, _) if others_pass => Extent::Source,
            (false, false) => Extent::Submission,
            _ => Extent::Account,
        }
    }

    /// Whether no one could tell by now: not since the process began.
    pub fn are_too_few_to_tell(&self) -> bool {
        self.account.are_too_few_to_tell()
    }

    fn of_source(&mut self, source: &Name) -> &mut FailureWindow {
        if !self.sources.contains_key(source) {
            self.sources.insert(source.clone(), FailureWindow::default());
        }
        self.sources.get_mut(source).expect("it was just added")
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Attempt, AttemptResponse, Verdict};
    use crate::submission::DeadReason;

    /// Each time it is another submission that ends.
    #[derive(Default)]
    struct Ends(Failures, u128, Timestamp);

    impl Ends {
        fn next(&mut self) -> SubmissionId {
            self.1 += 1;
            SubmissionId(Uuid::from_u128(self.1))
        }

        fn accepted(&mut self, sources: &[&str]) {
            let next = self.next();
            self.0.accepted(next, &names(sources), self.2);
        }

        fn fails(&mut self, sources: &[&str]) -> Extent {
            let next = self.next();
            self.0.extent(next, &names(sources), &unknown_call(), self.2)
        }
    }

    fn names(sources: &[&str]) -> Vec<Name> {
        sources.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn unknown_call() -> Cause {
        let reply = AttemptResponse { status: Some(404), ..AttemptResponse::default() };
        let finished_at = Timestamp::UNIX_EPOCH;
        let attempt = Attempt { verdict: Verdict::UnknownCall, reply, finished_at };
        Cause::of(DeadReason::UnknownCall, &attempt)
    }

    #[test]
    fn a_source_that_fails_alone_is_at_fault_and_not_its_account() {
        let mut ends = Ends::default();
        ends.accepted(&["ivr"]);
        let extents: Vec<Extent> = (0..150).map(|_| ends.fails(&["form"])).collect();
        assert_eq!(extents[..4], [Extent::Submission; 4]);
        assert!(extents[4..].iter().all(|extent| *extent == Extent::Source), "{extents:?}");
        // The other source may have such failures too.
        for _ in 0..4 {
            assert_eq!(ends.fails(&["ivr"]), Extent::Submission);
        }
    }

    #[test]
    fn where_nothing_else_is_accepted_the_account_is_at_fault() {
        let mut ends = Ends::default();
        let extents: Vec<Extent> = (0..20).map(|_| ends.fails(&["form"])).collect();
        assert!(extents[4..].iter().all(|extent| *extent == Extent::Account), "{extents:?}");
        // Its probe finds that another source gets through.
        ends.accepted(&["ivr"]);
        assert_eq!(ends.fails(&["form"]), Extent::Source);
        // And then that this does not either.
        ends.fails(&["ivr"]);
        assert_eq!(ends.fails(&["form"]), Extent::Account);
    }

    #[test]
    fn a_cause_that_all_sources_share_is_the_accounts_however_little_each_brings() {
        let mut ends = Ends::default();
        let fail = |n: usize| format!("source-{n}");
        let extents: Vec<Extent> = (0..8).map(|n| ends.fails(&[&fail(n)])).collect();
        assert_eq!(extents[..4], [Extent::Submission; 4]);
        assert!(extents[4..].iter().all(|extent| *extent == Extent::Account), "{extents:?}");
    }

    #[test]
    fn a_source_that_shares_its_hang_ups_with_another_is_told_apart() {
        let mut ends = Ends::default();
        for _ in 0..3 {
            ends.accepted(&["ivr", "hang-up"]);
        }
        let extents: Vec<Extent> = (0..20).map(|_| ends.fails(&["form", "hang-up"])).collect();
        assert!(extents[4..].iter().all(|extent| *extent == Extent::Source), "{extents:?}");
    }

    #[test]
    fn what_another_source_had_accepted_long_ago_does_not_speak_for_the_account() {
        let mut ends = Ends::default();
        ends.accepted(&["ivr"]);
        while ends.fails(&["form"]) != Extent::Source {}
        ends.2 += SignedDuration::from_hours(7 * 24);
        assert_eq!(ends.fails(&["form"]), Extent::Source);
        ends.2 += SignedDuration::from_secs(1);
        assert_eq!(ends.fails(&["form"]), Extent::Account);
        ends.accepted(&["ivr"]);
        assert_eq!(ends.fails(&["form"]), Extent::Source);
    }

    #[test]
    fn a_source_whose_submissions_are_accepted_again_fails_no_longer() {
        let mut ends = Ends::default();
        ends.accepted(&["ivr"]);
        while ends.fails(&["form"]) != Extent::Source {}
        for _ in 0..6 {
            ends.accepted(&["form"]);
        }
        assert_eq!(ends.fails(&["form"]), Extent::Submission);
    }
}
