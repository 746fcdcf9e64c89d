use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::search::Search;
use crate::cli::desk::{Desk, DeskArgs};
use crate::cli::failure::Failure;
use crate::triage::Format;

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
    desk: DeskArgs,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum GivenFormat {
    /// One submission as JSON a line
    #[default]
    Jsonl,
    /// With a head, for a spreadsheet
    Csv,
}

impl Export {
    pub async fn run(self) -> Result<(), Failure> {
        let desk = self.desk.to_read()?;
        match &self.to {
            None => self.write(&desk, &mut BufWriter::new(io::stdout().lock())).await,
            Some(file) => {
                let opened = File::options().write(true).create_new(true).mode(0o600).open(file);
                let opened = opened.with_context(|| format!("creating {}", file.display()))?;
                let written = self.write(&desk, &mut BufWriter::new(opened)).await;
                if written.is_err() {
                    // A part looks like the whole; that it failed is what is told.
                    let _ = std::fs::remove_file(file);
                }
                written
            }
        }
    }

    async fn write(&self, desk: &Desk, out: &mut impl Write) -> Result<(), Failure> {
        let format = match self.format {
            GivenFormat::Jsonl => Format::Jsonl,
            GivenFormat::Csv => Format::Csv,
        };
        desk.export(&self.search.sought(), format, out).await?;
        out.flush()?;
        Ok(())
    }
}
