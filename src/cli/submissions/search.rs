use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use jiff::Timestamp;

use crate::admin::{StateName, SubmissionQuery, reason_labels};
use crate::cli::time::time;
use crate::domain::{CallUuid, Name};
use crate::submission::State;

/// Which submissions are meant: every condition that is given has to hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which")]
pub(super) struct Search {
    /// Only those in this state
    #[arg(long, value_parser = states())]
    pub state: Option<StateName>,
    /// Only what is ignored or dead for this reason, such as rejected
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
            ..SubmissionQuery::default()
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
}
