//! What the reader of the standard output is: a terminal, whose width, colours and time of day count, or
//! a file or a script, which gets everything in full.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::Args;
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

/// How times are printed.
#[derive(Debug, Args)]
pub(super) struct TimeArgs {
    /// Print times in UTC, not how long ago they were; always so if the output is not a terminal
    #[arg(long)]
    utc: bool,
}

impl TimeArgs {
    pub fn terminal(&self) -> Terminal {
        Terminal::of_stdout(self.utc)
    }
}

/// A colour of the eight that each terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
}

/// Whether the environment allows colours.
pub(super) fn is_colour_wanted() -> bool {
    allows_colour(env::var_os("NO_COLOR"))
}

/// As <https://no-color.org> has it: any value but an empty one means no.
fn allows_colour(no_color: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty())
}

impl Terminal {
    /// Of the standard output.
    pub fn of_stdout(in_utc: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns.into());
        Self {
            width: width.filter(|_| is_terminal),
            has_colours: is_terminal && is_colour_wanted(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_off_if_no_color_has_a_value() {
        for (no_color, expected) in [(None, true), (Some(""), true), (Some("1"), false)] {
            assert_eq!(allows_colour(no_color.map(OsString::from)), expected, "{no_color:?}");
        }
    }
}
