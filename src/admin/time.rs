//! Times as operators write them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// A time, a day (which begins at midnight, UTC), or how long ago.
pub fn time(text: &str, now: Timestamp) -> Result<Timestamp, &'static str> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    day(text)
        .or_else(|| now.checked_sub(age(text)?).ok())
        .ok_or("expected a time such as 2026-11-20T08:00:00Z, a day in UTC such as 2026-11-20, or 24h for so long ago")
}

/// Nothing but a day: an hour that says no zone would be read as its midnight, and far more be meant
/// than was said.
fn day(text: &str) -> Option<Timestamp> {
    let day = text.parse().ok().filter(|day: &Date| day.to_string() == text)?;
    day.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// However it is said: `24h`, `24h ago`.
fn age(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    span.abs().to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}
