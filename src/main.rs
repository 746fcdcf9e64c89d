//! Parses the command line, runs the verb, says what went wrong and sets the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use postcall::cli::{Cli, Failure};

/// Webhooks are allocated by the listener's threads and freed by the store's, which this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure @ (Failure::OutputClosed | Failure::Told)) => failure.exit_code(),
        Err(failure) => {
            // Where no one reads it, the exit code tells.
            let _ = writeln!(io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}
