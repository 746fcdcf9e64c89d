use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::admin::{StateName, SubmissionQuery, reason_labels};
use crate::domain::{CallUuid, Name};
use crate::submission::State;

/// Which submissions are meant: every condition that is given has to hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which")]
pub(super) struct Search {
    /// Only those in this state
    #[arg(long, value_parser = states())]
    pub state: Option<StateName>,
    /// Only what is ignored or dead for this reason, such as refused
    #[arg(long, value_parser = PossibleValuesParser::new(reason_labels()))]
    pub reason: Option<String>,
    /// Only those of this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<Name>,
    /// Only those of this survey
    #[arg(long, value_name = "NAME")]
    pub survey: Option<Name>,
    /// Only those of which a webhook came from this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<Name>,
    /// Only those about this call
    #[arg(long, value_name = "ID")]
    pub call: Option<CallUuid>,
    /// Only those accepted then or later: 2026-11-20 (in UTC), 2026-11-20T08:00:00Z, or 24h for so
    /// long ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Timestamp>,
    /// Only those accepted before
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<Timestamp>,
}

impl Search {
    pub fn query(&self) -> SubmissionQuery {
        SubmissionQuery {
            state: self.state,
            reason: self.reason.clone(),
            account: self.account.as_ref().map(ToString::to_string),
            survey: self.survey.as_ref().map(ToString::to_string),
            source: self.source.as_ref().map(ToString::to_string),
            call: self.call.as_ref().map(ToString::to_string),
            since: self.since.map(|time| time.to_string()),
            until: self.until.map(|time| time.to_string()),
        }
    }

    /// As [`query`](Self::query); dead submissions, if neither a state nor a reason says otherwise.
    pub fn query_of_dead(&self) -> SubmissionQuery {
        let is_of =
            |state: StateName| State::from_labels(state.label(), self.reason.as_deref()).is_ok();
        let state = match is_of(StateName::Ignored) && !is_of(StateName::Dead) {
            true => StateName::Ignored,
            false => StateName::Dead,
        };
        SubmissionQuery { state: self.state.or(Some(state)), ..self.query() }
    }
}

fn states() -> impl TypedValueParser<Value = StateName> {
    let labels = StateName::ALL.map(StateName::label);
    PossibleValuesParser::new(labels).map(|label| {
        let named = StateName::ALL.into_iter().find(|state| state.label() == label);
        named.expect("only labels are taken")
    })
}

/// A time, a day (which begins at midnight, UTC), or how long ago.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    day(text)
        .or_else(|| Timestamp::now().checked_sub(age(text)?).ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_again_is_dead_unless_a_state_or_a_reason_says_more() {
        let state = |state, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            Search { state, reason, ..Search::default() }.query_of_dead().state
        };
        assert_eq!(state(None, None), Some(StateName::Dead));
        assert_eq!(state(None, Some("rejected")), Some(StateName::Dead));
        assert_eq!(state(None, Some("incomplete")), Some(StateName::Dead));
        assert_eq!(state(None, Some("no_answer")), Some(StateName::Ignored));
        assert_eq!(state(Some(StateName::Delivered), None), Some(StateName::Delivered));
    }

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
}
