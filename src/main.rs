//! Parses the command line, runs the verb, says what went wrong and sets the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use postcall::cli::{Cli, Failure};

/// Hooks are allocated by the door's threads and freed by the ledger's, which this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure @ (Failure::OutputClosed | Failure::Told)) => failure.exit_code(),
        Err(failure) => {
            // Where nobody reads it, the exit code tells.
            let _ = writeln!(io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}
