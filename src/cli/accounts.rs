use clap::{Args, Subcommand};

use super::Failure;
use super::admin_api::AdminArgs;
use super::submissions::{Output, print_line, print_list};
use super::terminal::{Terminal, TimeArgs};
use crate::admin::{AccountView, ResumeResult};
use crate::domain::Name;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Accounts {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the accounts, which of them are paused, and why; the default
    List(List),
    /// Deliver nothing for an account until it is resumed; webhooks are kept all the same
    Pause(Pause),
    /// End the hold of an account, whatever its cause
    Resume(Resume),
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
struct Pause {
    /// The account's name in the settings
    #[arg(value_name = "NAME")]
    account: Name,
    /// The reason, shown in the audit entry
    #[arg(long, value_name = "TEXT")]
    comment: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
struct Resume {
    /// The account's name in the settings
    #[arg(value_name = "NAME")]
    account: Name,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Accounts {
    pub(super) fn run(self) -> Result<(), Failure> {
        actix_web::rt::System::new().block_on(async {
            match self.verb.unwrap_or(Verb::List(self.list)) {
                Verb::List(List { output, times, admin }) => {
                    let api = admin.open_read_with_settings()?;
                    print(&api.accounts().await?.accounts, output, &times.terminal())
                }
                Verb::Pause(Pause { account, comment, output, admin }) => {
                    let paused = admin.open_write()?.pause(&account, &comment).await?;
                    print(&[paused], output, &Terminal::of_stdout(false))
                }
                Verb::Resume(Resume { account, output, admin }) => {
                    print_resumed(&admin.open_write()?.resume(&account).await?, output)
                }
            }
        })
    }
}

fn print_resumed(resumed: &ResumeResult, output: Output) -> Result<(), Failure> {
    let account = &resumed.account;
    print_line(resumed, output, || match resumed.was_paused {
        true => format!("{account} is resumed"),
        false => format!("{account} was not paused"),
    })
}

fn print(accounts: &[AccountView], output: Output, terminal: &Terminal) -> Result<(), Failure> {
    let head = ["ACCOUNT", "PAUSED", "SINCE", "WAITING", "CAUSE"];
    print_list(accounts, output, terminal, head, row)
}

fn row(account: &AccountView, terminal: &Terminal) -> [String; 5] {
    let waiting = if account.waiting { "yes" } else { "no" };
    let (paused, since, why) = match &account.pause {
        None => ("no".to_owned(), String::new(), String::new()),
        Some(pause) => {
            let status = pause.status.map(|status| format!("{status} ")).unwrap_or_default();
            (
                pause.cause.label().to_owned(),
                terminal.time(pause.since),
                format!("{status}{}", pause.detail),
            )
        }
    };
    let gone = if account.in_settings { "" } else { "(not in the settings) " };
    let why = format!("{gone}{}", why.lines().next().unwrap_or_default());
    [account.account.clone(), paused, since, waiting.to_owned(), why]
}
