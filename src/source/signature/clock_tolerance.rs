use std::time::Duration;

use jiff::Timestamp;

use super::error::SignatureError;

/// How far the time at which a webhook was signed may lie from that of its arrival, either end
/// included. What is older was found by someone and sent again; what is newer was made by a clock
/// that cannot be trusted to age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTolerance {
    pub max_age: Duration,
    pub max_skew: Duration,
}

impl Default for ClockTolerance {
    /// Five minutes, as most senders advise, and one.
    fn default() -> Self {
        Self { max_age: Duration::from_secs(5 * 60), max_skew: Duration::from_secs(60) }
    }
}

impl ClockTolerance {
    /// Longest age and skew together. By a day less than ids are remembered, for clocks that differ and
    /// webhooks that wait.
    pub const LONGEST: Duration = Duration::from_secs(6 * 24 * 3600);

    pub(super) fn check(self, signed_at: Timestamp, now: Timestamp) -> Result<(), SignatureError> {
        let age = now.duration_since(signed_at);
        let limit = if age.is_negative() { self.max_skew } else { self.max_age };
        match (age.unsigned_abs() <= limit, age.is_negative()) {
            (true, _) => Ok(()),
            (false, false) => Err(SignatureError::Old),
            (false, true) => Err(SignatureError::Future),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_end_of_the_window_is_inside() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let checked = |seconds: i64| {
            let signed_at = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
            ClockTolerance::default().check(signed_at, now)
        };
        for inside in [-300, -1, 0, 1, 60] {
            assert_eq!(checked(inside), Ok(()), "{inside}");
        }
        assert_eq!(checked(-301), Err(SignatureError::Old));
        assert_eq!(checked(61), Err(SignatureError::Future));
    }
}
