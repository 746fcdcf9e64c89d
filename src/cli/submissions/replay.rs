use std::io::{self, Write};

use clap::{ArgGroup, Args};

use super::named::{Named, find_all, named};
use super::one_by_one::{Outcome, one_by_one};
use super::output::{Output, note, to_json};
use super::search::Search;
use super::show::feedback;
use super::walk::walk;
use crate::admin::{AdminApi, After, BulkReplayRequest, Difference, ReplayPayload, ReplayRequest};
use crate::cli::admin_api::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::table::Table;

#[derive(Debug, Args)]
#[command(
    after_help = "Look first: --dry-run shows what would be offered instead of what was. Ctrl-C stops \
between two pages, and prints how to continue."
)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["ids", "state", "reason", "account", "survey", "source", "call", "since", "until"]))]
#[command(group = ArgGroup::new("found").multiple(true).conflicts_with("ids")
    .args(["state", "reason", "account", "survey", "source", "call", "since", "until"]))]
pub(super) struct Replay {
    /// These, each by its id, the beginning of its id, or the id of its call; or else all that are found, of the dead ones where nothing else is said
    #[arg(value_name = "ID", value_parser = named)]
    ids: Vec<Named>,
    /// Change nothing: show what would be offered with today's rules, and what was
    #[arg(long)]
    dry_run: bool,
    /// Offer what the last attempt offered, word for word, instead of mapping again
    #[arg(long)]
    same_payload: bool,
    /// Also offer again what Plivo has accepted; it then hears about those calls twice
    #[arg(long)]
    include_delivered: bool,
    /// Only what would come to something else than it did
    #[arg(long, conflicts_with = "ids")]
    only_changed: bool,
    /// Continue where a replay was stopped
    #[arg(long, value_name = "CURSOR", conflicts_with = "ids")]
    cursor: Option<String>,
    /// How to print it; json is one difference a line, and the sum as the last
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Replay {
    pub async fn run(self) -> Result<(), Failure> {
        let api = match self.dry_run {
            true => self.admin.open_read_with_settings()?,
            false => self.admin.open_write()?,
        };
        if self.ids.is_empty() { self.all_found(&*api).await } else { self.these(&*api).await }
    }

    async fn these(&self, api: &dyn AdminApi) -> Result<(), Failure> {
        let (payload, dry_run) = (self.payload(), self.dry_run);
        let options = ReplayRequest { payload, include_delivered: self.include_delivered, dry_run };
        let replay = async |id| api.replay_one(id, options).await;
        let ids = find_all(&self.ids, api).await?;
        one_by_one(&ids, self.output, self.outcome(), replay, |replayed| {
            self.print_differences(&replayed.differences).map(|_| ())
        })
        .await
    }

    async fn all_found(&self, api: &dyn AdminApi) -> Result<(), Failure> {
        let request = BulkReplayRequest {
            search: self.search.query(),
            payload: self.payload(),
            include_delivered: self.include_delivered,
            only_changed: self.only_changed,
            dry_run: self.dry_run,
            cursor: None,
            limit: None,
        };
        let replay =
            async |cursor| api.replay(&BulkReplayRequest { cursor, ..request.clone() }).await;
        let mut changed = 0;
        let tally = walk(self.outcome(), self.cursor.clone(), replay, |replayed| {
            changed += self.print_differences(&replayed.differences)?;
            Ok(())
        })
        .await?;
        let ended = tally.end(self.output, self.dry_run.then_some(changed));
        if tally.skipped.contains_key("accepted") && !self.include_delivered {
            note("what Plivo has accepted is left out; --include-delivered offers it again too");
        }
        ended
    }

    fn outcome(&self) -> Outcome {
        match self.dry_run {
            true => ("would be offered again", "would_be_replayed"),
            false => ("due again", "replayed"),
        }
    }

    fn payload(&self) -> ReplayPayload {
        if self.same_payload { ReplayPayload::Last } else { ReplayPayload::Remapped }
    }

    /// How many are there that would come to something else.
    fn print_differences(&self, differences: &[Difference]) -> Result<u64, Failure> {
        let changed = differences.iter().filter(|it| it.changed);
        let mut out = io::stdout().lock();
        match self.output {
            Output::Json => {
                for difference in differences {
                    writeln!(out, "{}", to_json(difference)?)?;
                }
            }
            Output::Table => {
                let mut table = Table::with_head(["CALL", "SURVEY", "WAS", "WOULD BE"]);
                changed.clone().for_each(|difference| table.add(line(difference)));
                if changed.clone().count() > 0 {
                    write!(out, "{table}")?;
                }
            }
        }
        Ok(changed.count() as u64)
    }
}

fn line(difference: &Difference) -> Vec<String> {
    let state = difference.before.state.label();
    let reason = difference.before.reason.as_ref().map(|reason| format!(" ({reason})"));
    let offered = difference.before.feedback.as_ref().map(|last| format!(", {}", feedback(last)));
    let was = [Some(state.to_owned()), reason, offered].into_iter().flatten().collect();
    let would_be = match &difference.after {
        After::Feedback { feedback: last } => feedback(last),
        After::Ignored { ignored, detail } => ended("ignored", ignored, detail.as_deref()),
        After::Dead { dead, detail } => ended("dead", dead, detail.as_deref()),
    };
    vec![difference.call.clone(), difference.survey.clone(), was, would_be]
}

fn ended(state: &str, reason: &str, detail: Option<&str>) -> String {
    let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{state} ({reason}){detail}")
}
