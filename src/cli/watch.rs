//! A command that runs again whenever a file that it reads has changed.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;

use super::Failure;
use super::reread::{Look, changed};
use super::stop_signal::stop_signal;

/// How often the files are looked at: an author waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs `run` now and after each change of one of the files, until Ctrl-C or SIGTERM. A failure is printed,
/// and the files are watched further: the next change may correct it.
///
/// # Errors
/// The signals cannot be listened to, or the reader of the output closed it.
pub(super) fn repeat(
    files: &[PathBuf],
    mut run: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    actix_web::rt::System::new().block_on(async {
        let mut stop = pin!(stop_signal().context("listening for signals")?);
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        loop {
            // Before they are read, so that no change is missed.
            let seen = Look::at_each(files);
            match run() {
                Err(Failure::OutputClosed) => return Err(Failure::OutputClosed),
                Err(failure) => failure.report(),
                Ok(()) => {}
            }
            note(format_args!("watching {}; Ctrl-C ends it", names.join(", ")));
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = changed(files, &seen, LOOK_EVERY) => {}
            }
            let now = Look::at_each(files);
            let changed = names.iter().zip(seen.iter().zip(&now));
            let changed: Vec<_> =
                changed.filter(|(_, (seen, now))| seen != now).map(|(name, _)| &**name).collect();
            note(format_args!("\n{} changed", changed.join(", ")));
        }
    })
}

/// On standard error, so that the standard output holds the results alone.
fn note(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{words}");
}
