use clap::{ArgGroup, Args};

use super::named::{Named, find_all, named};
use super::one_by_one::{Outcome, one_by_one};
use super::output::Output;
use super::search::Search;
use super::walk::walk;
use crate::admin::{AdminApi, BulkDiscardRequest};
use crate::cli::admin_api::AdminArgs;
use crate::cli::failure::Failure;

#[derive(Debug, Args)]
#[command(
    after_help = "What is discarded is final. `list` with the same conditions shows what is meant."
)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "state"]))]
#[command(group = ArgGroup::new("found").multiple(true).conflicts_with("ids")
    .args(["state", "reason", "account", "survey", "source", "call", "since", "until"]))]
pub(super) struct Discard {
    /// These, each by its id, the beginning of its id, or the id of its call; otherwise all that are found, which
    /// requires a --state
    #[arg(value_name = "ID", value_parser = named)]
    ids: Vec<Named>,
    /// The reason, shown in the audit entry
    #[arg(long, value_name = "TEXT")]
    comment: String,
    /// Continue where it was stopped
    #[arg(long, value_name = "CURSOR", conflicts_with = "ids")]
    cursor: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    admin: AdminArgs,
}

const OUTCOME: Outcome = ("discarded", "discarded");

impl Discard {
    pub async fn run(self) -> Result<(), Failure> {
        let api = self.admin.open_write()?;
        if self.ids.is_empty() { self.all_found(&*api).await } else { self.these(&*api).await }
    }

    async fn these(&self, api: &dyn AdminApi) -> Result<(), Failure> {
        let discard = async |id| api.discard_one(id, &self.comment).await;
        let ids = find_all(&self.ids, api).await?;
        one_by_one(&ids, self.output, OUTCOME, discard, |_| Ok(())).await
    }

    async fn all_found(&self, api: &dyn AdminApi) -> Result<(), Failure> {
        let (search, reason) = (self.search.query(), self.comment.clone());
        let request = BulkDiscardRequest { search, reason, cursor: None, limit: None };
        let discard =
            async |cursor| api.discard(&BulkDiscardRequest { cursor, ..request.clone() }).await;
        let tally = walk(OUTCOME, self.cursor.clone(), discard, |_| Ok(())).await?;
        tally.end(self.output, None)
    }
}
