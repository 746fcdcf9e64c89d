//! What the reader of the standard output is: a terminal, whose width, colours and time of day count, or
//! a file or a script, which gets everything in full.

use std::env;
use std::io::{self, IsTerminal};

use jiff::Timestamp;
use terminal_size::{Width, terminal_size_of};

use super::time::ago;

/// How results are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// Columns of the terminal; `None` if there is none, or if it does not say.
    pub width: Option<usize>,
    pub has_colours: bool,
    /// Show how long ago something was; `None` for the time in UTC.
    now: Option<Timestamp>,
}

/// A colour of the eight that each terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
}

impl Terminal {
    /// Of the standard output. `NO_COLOR` that is not empty means no colours (<https://no-color.org>).
    pub fn of_stdout(in_utc: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns.into());
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            width: width.filter(|_| is_terminal),
            has_colours: is_terminal && !no_color,
            now: (is_terminal && !in_utc).then(Timestamp::now),
        }
    }

    /// In the way that fits the reader.
    pub fn time(&self, at: Timestamp) -> String {
        self.now.map_or_else(|| format!("{at:.0}"), |now| ago(at, now))
    }

    /// As [`time`](Self::time), in milliseconds if no terminal reads it.
    pub fn exact_time(&self, at: Timestamp) -> String {
        self.now.map_or_else(|| format!("{at:.3}"), |now| ago(at, now))
    }

    /// What is left of it beside an indentation.
    pub fn indented(self, columns: usize) -> Self {
        Self { width: self.width.map(|width| width.saturating_sub(columns)), ..self }
    }

    /// With the time, also how long ago it was.
    pub fn time_and_age(&self, at: Timestamp) -> String {
        match self.now {
            Some(now) => format!("{at:.0} ({})", ago(at, now)),
            None => format!("{at:.0}"),
        }
    }

    pub fn painted(&self, text: &str, colour: Option<Colour>) -> String {
        match colour.filter(|_| self.has_colours) {
            Some(colour) => format!("\u{1b}[{}m{text}\u{1b}[0m", colour.code()),
            None => text.to_owned(),
        }
    }

    #[cfg(test)]
    pub fn of(width: Option<usize>, has_colours: bool, now: Option<Timestamp>) -> Self {
        Self { width, has_colours, now }
    }
}

impl Colour {
    fn code(self) -> u8 {
        match self {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        }
    }
}
