use std::fmt;
use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use crate::cli::failure::Failure;

/// How to print it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    /// Columns and sentences
    #[default]
    Table,
    /// JSON, for a script
    Json,
}

/// For a script, on one line.
pub(in crate::cli) fn to_json(said: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(said).context("writing JSON")?)
}

/// Prints to the operator's terminal; a closed one stops nothing.
pub(super) fn note(words: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{words}");
}
