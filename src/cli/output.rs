use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;

/// How to print what there is to say.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Output {
    /// Plain text
    #[default]
    Text,
    /// One JSON document, for a script
    Json,
}

/// Writes a warning on standard error.
pub(super) fn warn(words: impl fmt::Display) {
    // Without a reader, the results are all that is asked for.
    let _ = writeln!(io::stderr(), "WARNING: {words}");
}
