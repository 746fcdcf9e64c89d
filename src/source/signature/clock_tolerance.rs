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

/// How a sender writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole seconds since 1970.
    Unix,
    /// ISO 8601 with its offset: `2026-11-22T10:00:00Z`.
    Iso,
}

/// Longest time as text, in bytes: nanoseconds and an offset.
const ISO_LENGTH_MAX: usize = 35;

impl Default for ClockTolerance {
    /// Five minutes, as most senders advise, and one.
    fn default() -> Self {
        Self { max_age: Duration::from_secs(5 * 60), max_skew: Duration::from_secs(60) }
    }
}

impl ClockTolerance {
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

impl TimeFormat {
    /// Strict, as no separator may be between the time and the body: text of one that is moved into the
    /// other leaves no time, or one that is years away.
    pub(super) fn parse(self, text: &[u8]) -> Option<Timestamp> {
        let text = str::from_utf8(text).ok()?;
        match self {
            TimeFormat::Unix => {
                let is_lawful = text.bytes().all(|b| b.is_ascii_digit())
                    && (text == "0" || !text.starts_with('0'));
                is_lawful.then(|| Timestamp::from_second(text.parse().ok()?).ok())?
            }
            TimeFormat::Iso => {
                let is_lawful = text.len() <= ISO_LENGTH_MAX
                    && text.bytes().all(|b| b.is_ascii_digit() || b"-+:.TZ".contains(&b))
                    && begins_with_a_year(text)
                    && ends_with_an_offset(text);
                is_lawful.then(|| text.parse().ok())?
            }
        }
    }

    pub(super) fn write(self, at: Timestamp) -> String {
        match self {
            TimeFormat::Unix => at.as_second().to_string(),
            TimeFormat::Iso => at.to_string(),
        }
    }
}

/// Of four digits: not `+002026-`, whose sign and zeros could be the end of a body.
fn begins_with_a_year(text: &str) -> bool {
    text.find('-') == Some(4)
}

/// `Z`, or hours and minutes: not `+02`, nor `+02:00:00`, which could be as much of a body.
fn ends_with_an_offset(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [.., b'Z']
            | [.., b'+' | b'-', b'0'..=b'9', b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9']
    )
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

    #[test]
    fn a_time_is_read_to_the_letter() {
        let at = Some(Timestamp::from_second(1_763_805_600).unwrap());
        assert_eq!(TimeFormat::Unix.parse(b"1763805600"), at);
        for text in ["2025-11-22T10:00:00Z", "2025-11-22T12:00:00.000+02:00"] {
            assert_eq!(TimeFormat::Iso.parse(text.as_bytes()), at, "{text}");
        }
        for bad in ["", "-1", "+1", " 1", "1.5", "99999999999999999999", "2025-11-22T10:00:00Z"] {
            assert_eq!(TimeFormat::Unix.parse(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["01763805600", "00"] {
            assert_eq!(TimeFormat::Unix.parse(bad.as_bytes()), None, "{bad}");
        }
        for bad in [
            "",
            "2025-11-22",
            "2025-11-22T10:00:00",
            "2025-11-22T10:00:00Z[UTC]",
            "1763805600",
            "20251122T100000Z",
            "+002025-11-22T10:00:00Z",
            "2025-11-22T12:00:00+02",
            "2025-11-22T12:00:00+0200",
            "2025-11-22T12:00:00+02:00:00",
        ] {
            assert_eq!(TimeFormat::Iso.parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let at = Timestamp::from_second(1_763_805_600).unwrap();
        for format in [TimeFormat::Unix, TimeFormat::Iso] {
            assert_eq!(format.parse(format.write(at).as_bytes()), Some(at));
        }
    }
}
