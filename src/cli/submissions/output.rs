use std::fmt;
use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;

/// How to print it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    /// Columns and sentences
    #[default]
    Table,
    /// JSON, for a script
    Json,
}

/// Prints a table with a row for each of them, as the terminal can show it, or one JSON object a line.
pub(in crate::cli) fn print_list<T: Serialize, const CELLS: usize>(
    items: &[T],
    output: Output,
    terminal: &Terminal,
    head: [&str; CELLS],
    row: impl Fn(&T, &Terminal) -> [String; CELLS],
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if output == Output::Json {
        for item in items {
            writeln!(out, "{}", to_json(item)?)?;
        }
        return Ok(());
    }
    let mut table = Table::with_head(head);
    items.iter().for_each(|item| table.add(row(item, terminal).into()));
    Ok(write!(out, "{}", table.shown(terminal, |_, _| None))?)
}

/// Prints one line: this text, or the JSON of `value`.
pub(in crate::cli) fn print_line(
    value: &impl Serialize,
    output: Output,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let line = match output {
        Output::Json => to_json(value)?,
        Output::Table => text(),
    };
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// For a script, on one line.
pub(in crate::cli) fn to_json(said: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(said).context("writing JSON")?)
}

/// Prints to the operator's terminal; a closed one stops nothing.
pub(super) fn note(words: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{words}");
}
