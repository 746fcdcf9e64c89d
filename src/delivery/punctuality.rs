//! The objective of delivery: what falls due is accepted within [`ON_TIME`]. Each submission that falls
//! due is counted once, also if it is never delivered.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;

/// How soon after it fell due a submission is to be accepted.
pub(super) const ON_TIME: Duration = Duration::from_secs(300);

/// Which due times were counted as missed while their submissions still waited, so that those are not
/// counted again when they are settled.
#[derive(Default)]
pub(super) struct Punctuality {
    counted: Cell<Option<Span>>,
}

/// Due times after `after`, until `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub after: Timestamp,
    pub until: Timestamp,
}

impl Punctuality {
    /// The due times whose deadline has passed since the last ones were counted; `None` if there are
    /// none. The first call starts at `now`: earlier ones count when they are settled.
    pub fn passed(&self, now: Timestamp) -> Option<Span> {
        let until = now - ON_TIME;
        match self.counted.get() {
            Some(counted) if counted.until < until => Some(Span { after: counted.until, until }),
            // A clock that was put back starts again.
            Some(counted) if counted.until <= until + ON_TIME => None,
            _ => {
                self.counted.set(Some(Span { after: until, until }));
                None
            }
        }
    }

    /// What waits with these due times was counted.
    pub fn counted(&self, span: Span) {
        let after = self.counted.get().map_or(span.after, |counted| counted.after);
        self.counted.set(Some(Span { after, ..span }));
    }

    /// Whether a submission was delivered on time. `None` if it was counted as missed before;
    /// `accepted_at` is `None` if it never will be.
    pub fn of(&self, due_since: Timestamp, accepted_at: Option<Timestamp>) -> Option<bool> {
        let counted = self.counted.get();
        let is_on_time = accepted_at.is_some_and(|at| at <= due_since + ON_TIME);
        let was_counted =
            counted.is_some_and(|span| span.after < due_since && due_since <= span.until);
        if was_counted { None } else { Some(is_on_time) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn span(after: i64, until: i64) -> Option<Span> {
        Some(Span { after: at(after), until: at(until) })
    }

    #[test]
    fn each_due_time_is_in_one_span_once_its_deadline_has_passed() {
        let punctuality = Punctuality::default();
        assert_eq!(punctuality.passed(at(1000)), None);
        assert_eq!(punctuality.passed(at(1005)), span(700, 705));
        assert_eq!(punctuality.passed(at(1010)), span(700, 710), "the store did not answer");
        punctuality.counted(span(700, 710).unwrap());
        assert_eq!(punctuality.passed(at(1010)), None);
        assert_eq!(punctuality.passed(at(1015)), span(710, 715));
    }

    #[test]
    fn a_delivery_is_on_time_until_its_deadline() {
        let punctuality = Punctuality::default();
        assert_eq!(punctuality.of(at(100), Some(at(400))), Some(true));
        assert_eq!(punctuality.of(at(100), Some(at(401))), Some(false));
        assert_eq!(punctuality.of(at(100), None), Some(false));
    }

    #[test]
    fn a_late_delivery_that_was_counted_while_it_waited_is_not_counted_again() {
        let punctuality = Punctuality::default();
        punctuality.passed(at(1000));
        punctuality.counted(span(700, 800).unwrap());
        assert_eq!(punctuality.of(at(750), Some(at(1200))), None);
        assert_eq!(punctuality.of(at(750), None), None);
        assert_eq!(punctuality.of(at(700), Some(at(1200))), Some(false), "before this process");
        assert_eq!(punctuality.of(at(801), Some(at(1200))), Some(false), "not counted yet");
    }

    #[test]
    fn a_clock_that_was_put_back_starts_again() {
        let punctuality = Punctuality::default();
        punctuality.passed(at(100_000));
        assert_eq!(punctuality.passed(at(50_000)), None);
        assert_eq!(punctuality.passed(at(50_005)), span(49_700, 49_705));
    }
}
