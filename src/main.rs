//! Parses the command line, runs the verb, says what went wrong and sets the exit code.

use std::process::ExitCode;

use postcall::cli::Cli;

/// Webhooks are allocated by the listener's threads and freed by the store's, which this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`, which the crate does not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How long freed memory is kept, in milliseconds. By default it is a second, and ten for large parts: each
/// page of the console would leave some megabytes, and the next one begin beside them.
const PURGED_AFTER_MS: std::ffi::c_long = 10;

fn main() -> ExitCode {
    // SAFETY: no other thread runs yet. `MIMALLOC_PURGE_DELAY` of the environment has precedence.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGED_AFTER_MS) };
    match Cli::of_process().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_that_with_the_default_of_a_second() {
        // SAFETY: any option may be read.
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, 1000);
    }
}
