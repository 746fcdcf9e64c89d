use std::fmt;

use super::terminal::{Colour, Terminal};

/// A table whose columns are as wide as their content; the last has no limit.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

const GAP: usize = 2;

impl Table {
    pub fn with_head<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// With as many cells as the head has.
    pub fn add(&mut self, row: Vec<String>) {
        self.rows.push(row.iter().map(|cell| plain(cell)).collect());
    }

    /// The head and the rows.
    pub fn into_parts(self) -> (Vec<String>, Vec<Vec<String>>) {
        (self.head, self.rows)
    }

    /// Of its longest line.
    pub fn width(&self) -> usize {
        let widths = (0..self.head.len()).map(|column| self.widest(column));
        widths.sum::<usize>() + GAP * self.head.len().saturating_sub(1)
    }

    fn widest(&self, column: usize) -> usize {
        self.lines().map(|line| line[column].chars().count()).max().unwrap_or(0)
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.head).chain(&self.rows)
    }
}

/// Removes what a terminal would take for a command, or for another order of the text beside it: a
/// stranger may have written it.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || reorders(c) {
            plain.extend(c.escape_debug());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Embeds, overrides and isolates a direction of writing.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Narrowest a column is made to fit a terminal, in characters: as much of an id as names it.
const NARROWEST: usize = 8;

impl Table {
    /// As the reader can show it: the widest columns are cut until the table fits, and cells have the
    /// colours that `colour` gives them by their column and text.
    pub fn shown(
        &self,
        terminal: &Terminal,
        colour: impl Fn(usize, &str) -> Option<Colour>,
    ) -> String {
        let mut widths: Vec<usize> = (0..self.head.len()).map(|it| self.widest(it)).collect();
        let gaps = GAP * widths.len().saturating_sub(1);
        while let Some(room) = terminal.width
            && widths.iter().sum::<usize>() + gaps > room
            && let Some(widest) = widths.iter_mut().max().filter(|it| **it > NARROWEST)
        {
            *widest -= 1;
        }
        let mut text = String::new();
        for (at, line) in self.lines().enumerate() {
            let mut cells = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let cut = cut(cell, *width);
                let padding = " ".repeat(width - cut.chars().count() + GAP);
                let colour = if at == 0 { None } else { colour(column, cell) };
                cells.push_str(&terminal.painted(&cut, colour));
                cells.push_str(&padding);
            }
            text.push_str(cells.trim_end());
            text.push('\n');
        }
        text
    }
}

fn cut(cell: &str, width: usize) -> String {
    match cell.chars().count() <= width {
        true => cell.to_owned(),
        false => cell.chars().take(width - 1).chain(['…']).collect(),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.widest(column)).collect();
        for line in self.lines() {
            let mut text = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                text.push_str(&format!("{cell:width$}{:GAP$}", ""));
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::with_head(["A", "LONG", "LAST"]);
        table.add(["wider", "é", "a long text that ends the line"].map(str::to_owned).to_vec());
        table.add(["x", "", ""].map(str::to_owned).to_vec());
        let text = "A      LONG  LAST\nwider  é     a long text that ends the line\nx\n";
        assert_eq!(table.to_string(), text);
        assert_eq!(table.width(), 5 + 2 + 4 + 2 + 30);
    }

    #[test]
    fn a_table_on_a_terminal_fits_its_width_and_has_colours() {
        let mut table = Table::with_head(["ID", "STATE", "SAID"]);
        table.add(
            ["0197aaaa-0000-7000", "dead", "a long text that does not fit"]
                .map(str::to_owned)
                .to_vec(),
        );
        let red = |column, text: &str| (column == 1 && text == "dead").then_some(Colour::Red);
        let shown = |width, colours| table.shown(&Terminal::of(width, colours, None), red);
        assert_eq!(shown(None, false), table.to_string());
        assert_eq!(
            shown(Some(40), true),
            "ID                STATE  SAID\n\
             0197aaaa-0000-7…  \u{1b}[31mdead\u{1b}[0m   a long text th…\n"
        );
        let full = shown(Some(40), false);
        assert!(full.lines().all(|line| line.chars().count() <= 40), "{full}");
        let narrow = shown(Some(10), false);
        assert!(narrow.lines().all(|line| line.chars().count() <= 25), "{narrow}");
    }

    #[test]
    fn what_a_stranger_wrote_moves_no_cursor() {
        let mut table = Table::with_head(["SAID"]);
        table.add(vec!["a\u{1b}[2Jb\nc\u{9b}é".to_owned()]);
        assert_eq!(table.to_string(), "SAID\na\\u{1b}[2Jb\\nc\\u{9b}é\n");
    }

    #[test]
    fn what_a_stranger_wrote_turns_nothing_round() {
        let mut table = Table::with_head(["SAID"]);
        table.add(vec!["5 \u{202e}1 ,shalom \u{5e9}\u{2066}".to_owned()]);
        assert_eq!(table.to_string(), "SAID\n5 \\u{202e}1 ,shalom \u{5e9}\\u{2066}\n");
    }
}
