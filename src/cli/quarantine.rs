use std::io::{self, Write};

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Failure;
use super::admin_api::AdminArgs;
use super::submissions::{Output, print_line, print_list, to_json};
use super::table::plain;
use super::terminal::{Terminal, TimeArgs};
use crate::admin::{
    QuarantineDrop, QuarantineRetried, QuarantineRetry, QuarantinedDetail, QuarantinedView,
};
use crate::domain::Name;

/// Webhooks of a running service that no known secret verifies. Nothing in them is believed.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Quarantine {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List them; the same as without a verb
    List(List),
    /// Print one with what it says, which anyone may have sent
    Show(Show),
    /// Verify them again now, with the secrets as they are, and receive those that a secret verifies
    Retry(Retry),
    /// Drop one, those of a source, or all of them; this is final
    Drop(Drop),
}

#[derive(Debug, Args)]
struct List {
    /// How to print them; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    times: TimeArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
struct Show {
    /// Its id, as list prints it
    #[arg(value_name = "ID")]
    id: Uuid,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
struct Retry {
    /// Only those of this source
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
    /// Also receive those whose source had another account or survey when they arrived, under its current
    /// ones
    #[arg(long)]
    current_survey: bool,
    /// How to print what became of them
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["id", "source", "all"])]
struct Drop {
    /// The id of one, as list prints it
    #[arg(value_name = "ID")]
    id: Option<Uuid>,
    /// Those of this source
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Quarantine {
    pub(super) fn run(self) -> Result<(), Failure> {
        actix_web::rt::System::new().block_on(async {
            match self.verb.unwrap_or(Verb::List(self.list)) {
                Verb::List(List { output, times, admin }) => {
                    let head =
                        ["ID", "SOURCE", "ACCOUNT", "SURVEY", "RECEIVED", "EXPIRES", "REASON"];
                    print_list(
                        &admin.open_service()?.quarantine().await?.webhooks,
                        output,
                        &times.terminal(),
                        head,
                        row,
                    )
                }
                Verb::Show(Show { id, output, admin }) => {
                    print_one(&admin.open_service()?.quarantined(id).await?, output)
                }
                Verb::Retry(Retry { source, current_survey, output, admin }) => {
                    let source = source.map(|it| it.to_string());
                    let request = QuarantineRetry { source, current_survey };
                    let retried = admin.open_service()?.retry_quarantine(&request).await?;
                    print_line(&retried, output, || retry_summary(&retried))
                }
                Verb::Drop(Drop { id, source, all: _, output, admin }) => {
                    let request = QuarantineDrop { id, source: source.map(|it| it.to_string()) };
                    let dropped = admin.open_service()?.drop_quarantine(&request).await?;
                    print_line(&dropped, output, || format!("dropped: {}", dropped.dropped))
                }
            }
        })
    }
}

fn retry_summary(retried: &QuarantineRetried) -> String {
    let QuarantineRetried { accepted, rejected, waiting, source_changed } = retried;
    let mut summary = format!(
        "accepted: {accepted}, rejected: {rejected}, waiting: {waiting}, source changed: {source_changed}"
    );
    if *source_changed > 0 {
        summary.push_str(&format!(
            "\n{source_changed} verified, but not received: their source had another account or survey \
             when they arrived (`postcall quarantine` lists them). Set it back in the settings, or add \
             --current-survey to receive them under the current ones."
        ));
    }
    summary
}

fn row(it: &QuarantinedView, terminal: &Terminal) -> [String; 7] {
    [
        it.id.to_string(),
        it.source.clone(),
        it.account.clone(),
        it.survey.clone(),
        terminal.time(it.received_at),
        terminal.time(it.expires_at),
        it.reason.clone(),
    ]
}

fn print_one(detail: &QuarantinedDetail, output: Output) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if output == Output::Json {
        return Ok(writeln!(out, "{}", to_json(detail)?)?);
    }
    let QuarantinedDetail { webhook, path, query, headers, body } = detail;
    writeln!(out, "source    {}", webhook.source)?;
    writeln!(out, "account   {}, when it arrived", webhook.account)?;
    writeln!(out, "survey    {}, when it arrived", webhook.survey)?;
    writeln!(out, "reason    {}", webhook.reason)?;
    writeln!(out, "received  {:.0}", webhook.received_at)?;
    writeln!(out, "expires   {:.0}", webhook.expires_at)?;
    writeln!(out, "request   {} {}", webhook.method, plain(path))?;
    writeln!(out, "query     {}", plain(query.as_deref().unwrap_or_default()))?;
    writeln!(out, "headers   {}", plain(&headers.join(", ")))?;
    Ok(writeln!(out, "body      {}", plain(body))?)
}
