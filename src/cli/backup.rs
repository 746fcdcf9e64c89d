use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::{Failure, SettingsFile};
use crate::clock::Clock;
use crate::settings::StoreUrl;
use crate::store::Examination;
use crate::store::sqlite;

#[derive(Debug, Args)]
#[command(
    after_help = "It may run while the service runs. The copy has what callers said, and is readable by its \
    owner alone.\n\nExit codes: 0 the copy is whole and sound; 1 it is not, or could not be made; 2 usage; \
    78 bad settings."
)]
pub(super) struct Backup {
    /// Write the copy to this new file, or to one with the time in its name in this folder
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    #[command(flatten)]
    store: StoreFile,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Stop the service before, and move what is left of the store away. A backup that is not \
    sound is not restored.\n\nExit codes: 0 the store is whole and sound; 1 it is not, or was not restored; \
    2 usage; 78 bad settings."
)]
pub(super) struct Restore {
    /// The file of the backup, which is not changed
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    store: StoreFile,
}

#[derive(Debug, Args)]
struct StoreFile {
    /// The file of the store; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsFile,
}

impl StoreFile {
    fn path(self) -> Result<PathBuf, Failure> {
        if let Some(path) = self.store {
            return Ok(path);
        }
        match self.settings.load()?.store.url {
            StoreUrl::Sqlite(path) => Ok(path),
            url @ StoreUrl::Postgres(_) => {
                let advice = "back up the database with its own tools, such as pg_dump";
                Err(anyhow::anyhow!("the store is {}: {advice}", url.shown()).into())
            }
        }
    }
}

impl Backup {
    pub(super) fn run(self) -> Result<(), Failure> {
        let store = self.store.path()?;
        let time = Clock::system().now();
        let new = sqlite::backup_path(&store, &self.to, &file_time(time));
        let examination = sqlite::backup(&store, &new).map_err(anyhow::Error::from)?;
        report(&examination, &format!("{} has a copy", new.display()), &store)
    }
}

impl Restore {
    pub(super) fn run(self) -> Result<(), Failure> {
        let store = self.store.path()?;
        let examination = sqlite::restore(&self.from, &store).map_err(anyhow::Error::from)?;
        report(&examination, &format!("{} is restored", store.display()), &self.from)
    }
}

/// Such as `20261129T170000Z`.
fn file_time(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn report(examination: &Examination, done: &str, from: &Path) -> Result<(), Failure> {
    let out = &mut std::io::stdout().lock();
    let count = examination.submissions;
    if examination.findings.is_empty() {
        writeln!(out, "{done}: {count} submissions, and the state counts balance")?;
        return Ok(());
    }
    for finding in &examination.findings {
        writeln!(out, "{}: {}", finding.kind.label(), finding.words)?;
    }
    let from = from.display();
    writeln!(out, "{from} is not sound; run: postcall doctor --store {from}")?;
    Err(Failure::Printed(1))
}
