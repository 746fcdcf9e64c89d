use jiff::Timestamp;

/// How a sender writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole seconds since 1970.
    Unix,
    /// Whole milliseconds since 1970.
    UnixMs,
    /// ISO 8601 with its offset: `2026-11-22T10:00:00Z`.
    Iso,
}

/// Longest time as text, in bytes: nanoseconds and an offset.
const ISO_LENGTH_MAX: usize = 35;

/// In 1973; as seconds it is in the year 5138.
const MILLISECONDS_MIN: i64 = 100_000_000_000;

impl TimeFormat {
    /// Strict, as no separator may be between the time and the body: text of one that is moved into the
    /// other leaves no time, or one that is years away.
    pub(super) fn parse(self, text: &[u8]) -> Option<Timestamp> {
        let text = str::from_utf8(text).ok()?;
        match self {
            TimeFormat::Unix => Timestamp::from_second(whole(text)?).ok(),
            // Fewer are seconds: as milliseconds they would be old, which does not point to the format.
            TimeFormat::UnixMs => {
                let milliseconds = whole(text).filter(|it| *it >= MILLISECONDS_MIN)?;
                Timestamp::from_millisecond(milliseconds).ok()
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
            TimeFormat::UnixMs => at.as_millisecond().to_string(),
            TimeFormat::Iso => at.to_string(),
        }
    }

    /// What is expected, with an example.
    pub(super) fn described(self) -> &'static str {
        match self {
            TimeFormat::Unix => {
                "whole seconds since 1970, such as 1763805600 (milliseconds have three digits more)"
            }
            TimeFormat::UnixMs => "whole milliseconds since 1970, such as 1763805600000",
            TimeFormat::Iso => "a time with Z or an offset, such as 2025-11-22T10:00:00Z",
        }
    }
}

fn whole(text: &str) -> Option<i64> {
    let is_lawful =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_lawful.then(|| text.parse().ok())?
}

/// Of four digits: not `+002026-`, whose sign and zeros could be the end of a body.
fn begins_with_a_year(text: &str) -> bool {
    text.find('-') == Some(4)
}

/// `Z`, or hours and minutes: not `+02`, nor `+02:00:00`, which could be as much of a body.
fn ends_with_an_offset(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [.., b'Z'] | [.., b'+' | b'-', b'0'..=b'9', b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9']
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_to_the_letter() {
        let at = Some(Timestamp::from_second(1_763_805_600).unwrap());
        assert_eq!(TimeFormat::Unix.parse(b"1763805600"), at);
        assert_eq!(TimeFormat::UnixMs.parse(b"1763805600000"), at);
        for text in ["2025-11-22T10:00:00Z", "2025-11-22T12:00:00.000+02:00"] {
            assert_eq!(TimeFormat::Iso.parse(text.as_bytes()), at, "{text}");
        }
        for bad in ["", "-1", "+1", " 1", "1.5", "99999999999999999999", "2025-11-22T10:00:00Z"] {
            for unix in [TimeFormat::Unix, TimeFormat::UnixMs] {
                assert_eq!(unix.parse(bad.as_bytes()), None, "{bad}");
            }
        }
        for bad in ["01763805600", "00", "1763805600000"] {
            let unix = TimeFormat::Unix;
            assert_eq!(unix.parse(bad.as_bytes()), None, "{bad}");
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
            let iso = TimeFormat::Iso;
            assert_eq!(iso.parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let at = Timestamp::from_second(1_763_805_600).unwrap();
        for format in [TimeFormat::Unix, TimeFormat::UnixMs, TimeFormat::Iso] {
            assert_eq!(format.parse(format.write(at).as_bytes()), Some(at));
        }
    }
}
