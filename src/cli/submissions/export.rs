use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::search::Search;
use crate::admin::{self, AdminApi, ExportFormat};
use crate::cli::admin_api::AdminArgs;
use crate::cli::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Export {
    /// In which form
    #[arg(long, value_enum, default_value_t)]
    format: GivenFormat,
    /// Into this new file, which its owner alone may read; without it, to the standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum GivenFormat {
    /// One submission as JSON a line
    #[default]
    Jsonl,
    /// With a head, for a spreadsheet
    Csv,
}

fn not_created(file: &Path, error: io::Error) -> Failure {
    let name = file.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            anyhow!(
                "{name} exists, and is not overwritten: remove it, or name another file with --to"
            )
        }
        _ => anyhow!("cannot create {name}: {error}"),
    }
    .into()
}

impl Export {
    pub async fn run(self) -> Result<(), Failure> {
        let api = self.admin.open_read()?;
        match &self.to {
            None => self.write(&*api, &mut BufWriter::new(io::stdout().lock())).await,
            Some(file) => {
                let opened = File::options().write(true).create_new(true).mode(0o600).open(file);
                let opened = opened.map_err(|error| not_created(file, error))?;
                let written = self.write(&*api, &mut BufWriter::new(opened)).await;
                if written.is_err() {
                    // A part looks like the whole; the failure is what is printed.
                    let _ = std::fs::remove_file(file);
                }
                written
            }
        }
    }

    async fn write(&self, api: &dyn AdminApi, out: &mut impl Write) -> Result<(), Failure> {
        let format = match self.format {
            GivenFormat::Jsonl => ExportFormat::Jsonl,
            GivenFormat::Csv => ExportFormat::Csv,
        };
        let mut export = admin::Export::new(format, self.search.query());
        while let Some(part) = export.next(api).await? {
            out.write_all(&part)?;
        }
        out.flush()?;
        Ok(())
    }
}
