use crate::domain::Verdict;

/// So many attempts in a row that reach no one, and the account waits: the next would not either.
const UNREACHABLE_MAX: u32 = 5;

/// Whether the far side can be reached at all.
#[derive(Default)]
pub struct CircuitBreaker {
    /// Attempts that reached no one, since one reached someone.
    in_a_row: u32,
}

impl CircuitBreaker {
    /// An attempt ended; any answer at all proves that someone is there, and one that could not begin
    /// nothing.
    pub fn heard(&mut self, verdict: Verdict) {
        self.in_a_row = match verdict {
            Verdict::Unreachable => self.in_a_row.saturating_add(1),
            Verdict::LocalError => self.in_a_row,
            _ => 0,
        };
    }

    /// It makes no sense to go on as if someone were there.
    pub fn is_open(&self) -> bool {
        self.in_a_row >= UNREACHABLE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_a_run_and_closes_with_any_answer() {
        let mut breaker = CircuitBreaker::default();
        for n in 1..=7 {
            breaker.heard(Verdict::Unreachable);
            assert_eq!(breaker.is_open(), n >= UNREACHABLE_MAX, "{n}");
        }
        breaker.heard(Verdict::Throttled { retry_after: None });
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_local_error_neither_opens_nor_closes_it() {
        let mut breaker = CircuitBreaker::default();
        (0..100).for_each(|_| breaker.heard(Verdict::LocalError));
        assert!(!breaker.is_open());
        (0..UNREACHABLE_MAX).for_each(|_| breaker.heard(Verdict::Unreachable));
        breaker.heard(Verdict::LocalError);
        assert!(breaker.is_open());
    }

    #[test]
    fn an_answer_in_between_begins_the_run_anew() {
        let mut breaker = CircuitBreaker::default();
        for verdict in [Verdict::Accepted, Verdict::UnknownCall, Verdict::UnknownResult] {
            for _ in 1..UNREACHABLE_MAX {
                breaker.heard(Verdict::Unreachable);
            }
            assert!(!breaker.is_open());
            breaker.heard(verdict);
        }
    }
}
