use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct ManPages {
    /// Write a page for each command into this folder, such as postcall-check.1
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl ManPages {
    /// Prints or writes the pages of this command line.
    pub(super) fn run(self, command: Command) -> Result<(), Failure> {
        if let Some(folder) = &self.to {
            return clap_mangen::generate_to(command, folder)
                .with_context(|| format!("writing the pages to {}", folder.display()))
                .map_err(Failure::from);
        }
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        Ok(io::stdout().write_all(&page)?)
    }
}
