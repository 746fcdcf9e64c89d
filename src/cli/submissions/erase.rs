use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use super::output::Output;
use crate::cli::admin_api::AdminArgs;
use crate::cli::failure::Failure;
use crate::domain::CallUuid;

#[derive(Debug, Args)]
#[command(
    after_help = "Webhooks, answers, attempts and the call's id go; the submission's own id and what \
became of it stay, so that the state counts balance and a webhook sent again is recognized. It is final. \
Backups, exports, log lines (which have call ids) and feedback at Plivo are not erased."
)]
pub(super) struct Erase {
    /// The call's id, as Plivo names it
    #[arg(value_name = "CALL", required = true)]
    calls: Vec<CallUuid>,
    /// How to print it; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Erase {
    pub async fn run(self) -> Result<(), Failure> {
        let api = self.admin.open_write()?;
        let mut printed = Ok(());
        for call in &self.calls {
            let erased = api.erase(call).await?.erased;
            let line = match self.output {
                Output::Json => json!({ "call": call.as_str(), "erased": erased }).to_string(),
                Output::Table if erased == 0 => {
                    format!("{call}: nothing is known of it, or not any more")
                }
                Output::Table => format!("{call}: {erased} erased"),
            };
            // The reader may be gone: the rest is erased all the same.
            printed = printed.and_then(|()| writeln!(io::stdout(), "{line}"));
        }
        Ok(printed?)
    }
}
