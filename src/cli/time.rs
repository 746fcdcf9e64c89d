//! Times as operators write and read them.

use jiff::Timestamp;

use crate::admin;

/// A time, a day (which begins at midnight, UTC), or how long ago.
pub(super) fn time(text: &str) -> Result<Timestamp, &'static str> {
    admin::time(text, Timestamp::now())
}

/// How long ago something was, or how long it is until then, as `3m ago` or `in 2h`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let age = match seconds.unsigned_abs() {
        0 => return "now".to_owned(),
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ ..3600 => format!("{}m", seconds / 60),
        seconds @ ..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    };
    if seconds > 0 { format!("{age} ago") } else { format!("in {age}") }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_time_is_said_in_full_as_a_day_or_as_how_long_ago() {
        let written = |text| time(text).unwrap().to_string();
        assert_eq!(written("2026-11-20T08:00:00+01:00"), "2026-11-20T07:00:00Z");
        assert_eq!(written("2026-11-20"), "2026-11-20T00:00:00Z");
        let before = Timestamp::now();
        let two_days = time("2d").unwrap();
        assert!(two_days >= before - SignedDuration::from_hours(48));
        assert!(two_days <= Timestamp::now() - SignedDuration::from_hours(48));
        for wrong in ["", "yesterday", "24", "2026-13-01"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_hour_of_nobody_knows_which_zone_is_not_taken_for_its_whole_day() {
        for wrong in ["2026-11-20T22:00:00", "2026-11-20 22:00", "2026-11-20T22"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn how_long_ago_is_never_to_come() {
        for ago in ["24h", "24h ago", "-24h"] {
            assert!(time(ago).unwrap() < Timestamp::now(), "{ago}");
        }
    }

    #[test]
    fn a_relative_time_has_one_unit() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (seconds, shown) in [
            (0, "now"),
            (59, "59s ago"),
            (60, "1m ago"),
            (3599, "59m ago"),
            (7200, "2h ago"),
            (172_799, "47h ago"),
            (172_800, "2d ago"),
            (-90, "in 1m"),
        ] {
            assert_eq!(ago(now - SignedDuration::from_secs(seconds), now), shown, "{seconds}");
        }
    }
}
