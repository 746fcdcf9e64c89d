use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use jiff::Timestamp;

use crate::admin::{StateName, SubmissionQuery, reason_labels};
use crate::cli::time::time;
use crate::domain::{CallUuid, Name};

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
}

fn states() -> impl TypedValueParser<Value = StateName> {
    let labels = StateName::ALL.map(StateName::label);
    PossibleValuesParser::new(labels).map(|label| {
        let named = StateName::ALL.into_iter().find(|state| state.label() == label);
        named.expect("only labels are taken")
    })
}
