use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, SettingsFile};
use crate::app;
use crate::settings::StoreUrl;
use crate::store::move_store;

/// Rows of one table between two lines of progress.
const PROGRESS_ROWS: u64 = 50_000;

#[derive(Debug, Args)]
#[command(
    after_help = "Stop the service before, and start it with the new settings afterwards. A move that was \
    interrupted continues if it is run again. The file is kept.\n\n\
    Exit codes: 0 everything was moved, and every row was compared; 1 it was not; 2 usage; 78 bad settings."
)]
pub(super) struct Migrate {
    /// The store to move: sqlite:PATH
    #[arg(long, value_name = "STORE", value_parser = sqlite_path)]
    from: PathBuf,
    #[command(flatten)]
    settings: SettingsFile,
}

fn sqlite_path(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err("expected sqlite:PATH such as sqlite:postcall.db".to_owned()),
    }
}

impl Migrate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let store = self.settings.load()?.store;
        if let StoreUrl::Sqlite(path) = &store.url {
            let path = path.display();
            return Err(anyhow::anyhow!(
                "store.url is sqlite:{path}: expected the database to move to, postgres://USER@HOST/DATABASE"
            )
            .into());
        }
        let address = app::postgres_address(&store).map_err(anyhow::Error::from)?;
        let moved = move_store(&self.from, &address, |table, rows| {
            if rows % PROGRESS_ROWS == 0 {
                eprintln!("{table}: {rows} rows copied");
            }
        });
        let moved = moved.map_err(anyhow::Error::from)?;
        let out = &mut std::io::stdout().lock();
        for table in &moved.tables {
            writeln!(
                out,
                "{}: {} rows, {} of them copied now",
                table.name, table.rows, table.copied
            )?;
        }
        for finding in &moved.examination.findings {
            writeln!(out, "{}: {}", finding.kind.label(), finding.words)?;
        }
        let (from, to) = (self.from.display(), address.shown());
        if !moved.examination.findings.is_empty() {
            writeln!(out, "{to} is not sound: do not serve it")?;
            return Err(Failure::Printed(1));
        }
        writeln!(out, "{from} was moved to {to}: every row was compared and is the same")?;
        Ok(())
    }
}
