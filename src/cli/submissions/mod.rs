//! The operator actions on submissions; one verb, one file.

mod as_test;
mod discard;
mod erase;
mod export;
mod list;
mod named;
mod one_by_one;
mod output;
mod replay;
mod search;
mod show;
mod walk;

pub(super) use output::{Output, print_line, print_list, to_json};

use clap::{Args, Subcommand};

use super::Failure;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Submissions {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: list::List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what is found, the latest first, and the state counts; the same as without a verb
    List(list::List),
    /// Show one in full: webhooks, answers, the rules that applied, attempts, operator actions
    Show(show::Show),
    /// Offer submissions again: dead and ignored ones, and delivered ones where that is asked for
    Replay(replay::Replay),
    /// Give submissions up for good
    Discard(discard::Discard),
    /// Erase all that was said on a call, for a data subject's request
    Erase(erase::Erase),
    /// Write out what is found, as JSON lines or CSV
    Export(export::Export),
}

impl Submissions {
    pub(super) fn run(self) -> Result<(), Failure> {
        actix_web::rt::System::new().block_on(async {
            match self.verb.unwrap_or(Verb::List(self.list)) {
                Verb::List(list) => list.run().await,
                Verb::Show(show) => show.run().await,
                Verb::Replay(replay) => replay.run().await,
                Verb::Discard(discard) => discard.run().await,
                Verb::Erase(erase) => erase.run().await,
                Verb::Export(export) => export.run().await,
            }
        })
    }
}
