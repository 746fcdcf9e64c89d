use std::io::{self, Write};

use clap::{Args, Command, ValueEnum};
use clap_complete::aot::{Bash, Fish, Zsh, generate};

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    /// Prints the script for this command line.
    pub(super) fn run(self, mut command: Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        // Into memory, for it panics if a write fails.
        match self.shell {
            Shell::Bash => generate(Bash, &mut command, "postcall", &mut script),
            Shell::Zsh => generate(Zsh, &mut command, "postcall", &mut script),
            Shell::Fish => generate(Fish, &mut command, "postcall", &mut script),
        }
        Ok(io::stdout().write_all(&script)?)
    }
}
