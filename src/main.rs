//! Parses the command line, runs the verb, says what went wrong and sets the exit code.

use std::process::ExitCode;

use postcall::cli::Cli;

/// Webhooks are allocated by the listener's threads and freed by the store's, which this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::of_process().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}
