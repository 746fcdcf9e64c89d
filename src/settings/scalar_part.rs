//! A part of a scalar, found in the text of the file: what YAML reads as `score < 5` may be written in
//! quotes, with escapes, or over several lines.

use std::ops::Range;

/// A part of a scalar in the file, on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScalarPart {
    /// The first line is 1.
    pub line: usize,
    /// In characters; the first is 1.
    pub column: usize,
    /// In characters.
    pub length: usize,
}

/// A character of a scalar as it is written.
struct Written {
    /// As YAML reads it.
    meaning: char,
    /// Its bytes in the file.
    bytes: Range<usize>,
}

impl ScalarPart {
    /// `at` is the line and the column at which the scalar begins, `value` is what YAML reads, and `part` is
    /// a part of that, in bytes. `None` if the file says something else there, or says it in a way that is
    /// not known here.
    pub fn locate(
        text: &str,
        (line, column): (usize, usize),
        value: &str,
        part: &Range<usize>,
    ) -> Option<Self> {
        let lines = text.split_inclusive('\n').take(line.checked_sub(1)?);
        let line_start: usize = lines.map(str::len).sum();
        let column = text[line_start..].char_indices().nth(column.checked_sub(1)?)?;
        let found = found(Characters::of(text, line_start + column.0), value, part)?;
        let before = &text[..found.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let on_the_line = text[found].lines().next().unwrap_or_default().trim_end();
        Some(Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            length: on_the_line.chars().count(),
        })
    }
}

/// The bytes of the file that say a part of `value`. Spaces and line breaks may differ, because YAML folds
/// them; everything else is compared.
fn found(written: Characters<'_>, value: &str, part: &Range<usize>) -> Option<Range<usize>> {
    let mut written = written.filter(|it| !it.meaning.is_whitespace());
    let (mut start, mut end) = (None, None);
    for (at, c) in value.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        if at >= part.end && start.is_some() {
            break;
        }
        let Written { meaning, bytes } = written.next()?;
        if meaning != c {
            return None;
        }
        if at >= part.start {
            start = start.or(Some(bytes.start));
        }
        end = Some(bytes.end);
    }
    // What is missing is missing at the end.
    let end = end?;
    Some(start.unwrap_or(end)..end)
}

/// The characters of a scalar, to its end if that can be seen by itself, else to the end of the file.
struct Characters<'t> {
    text: &'t str,
    at: usize,
    quote: Option<char>,
}

impl<'t> Characters<'t> {
    /// `at` is where the scalar begins.
    fn of(text: &'t str, at: usize) -> Self {
        match text[at..].chars().next() {
            Some(quote @ ('"' | '\'')) => Self { text, at: at + 1, quote: Some(quote) },
            // The text of a block begins behind the line of its head.
            Some('|' | '>') => {
                let head = text[at..].find('\n').map_or(text.len() - at, |end| end + 1);
                Self { text, at: at + head, quote: None }
            }
            _ => Self { text, at, quote: None },
        }
    }

    /// What an escape means, and its length behind the backslash.
    fn escape(&self) -> Option<(char, usize)> {
        let rest = &self.text[self.at + 1..];
        let c = rest.chars().next()?;
        let digits = match c {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            // A line break that is escaped means nothing.
            '\n' | '\r' | ' ' | 'n' | 't' | 'r' | '_' | 'N' => return Some((' ', c.len_utf8())),
            '"' | '\\' | '/' => return Some((c, 1)),
            _ => return None,
        };
        let code = u32::from_str_radix(rest.get(1..=digits)?, 16).ok()?;
        Some((char::from_u32(code)?, 1 + digits))
    }
}

impl Iterator for Characters<'_> {
    type Item = Written;

    fn next(&mut self) -> Option<Written> {
        let rest = &self.text[self.at..];
        let c = rest.chars().next()?;
        let (meaning, length) = match (self.quote, c) {
            (Some('"'), '\\') => {
                let (meaning, length) = self.escape()?;
                (meaning, 1 + length)
            }
            (Some('\''), '\'') if rest.starts_with("''") => ('\'', 2),
            (Some(quote), c) if c == quote => return None,
            (_, c) => (c, c.len_utf8()),
        };
        let bytes = self.at..self.at + length;
        self.at = bytes.end;
        Some(Written { meaning, bytes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::located::{Located, Node, Origin};

    /// The scalar `a` of a file.
    fn scalar(file: &str) -> ((usize, usize), String) {
        let root = Located::parse(file).unwrap();
        let located = root.get("a").unwrap();
        let (Origin::File(place), Node::Scalar { text, .. }) = (&located.origin, &located.node)
        else {
            panic!("{file}");
        };
        (place.value_at, text.clone())
    }

    /// The line of a part of `a`, and what is written there.
    fn shown<'f>(file: &'f str, part: &str) -> Option<(usize, &'f str)> {
        let (at, value) = scalar(file);
        let start = value.find(part).unwrap_or_else(|| panic!("{value:?} has no {part:?}"));
        let part = start..start + part.len();
        let ScalarPart { line, column, length } = ScalarPart::locate(file, at, &value, &part)?;
        let written = file.lines().nth(line - 1).unwrap();
        let byte = |character: usize| {
            let mut all = written.char_indices().map(|(at, _)| at).chain([written.len()]);
            all.nth(character).unwrap()
        };
        Some((line, &written[byte(column - 1)..byte(column - 1 + length)]))
    }

    #[test]
    fn part_of_a_scalar_is_found_as_it_is_written() {
        for (file, part, expected) in [
            ("a: score < five", "five", (1, "five")),
            ("b: 1\na: é < five # not five", "five", (2, "five")),
            ("a:\n  score <\n  five\n", "five", (3, "five")),
            ("a: 'it''s < five'", "five", (1, "five")),
            ("a: 'it''s < five'", "it's", (1, "it''s")),
            ("a: \"x \\\"q\\\" \\u00e9 five\"", "\"q\"", (1, "\\\"q\\\"")),
            ("a: \"x \\\"q\\\" \\u00e9 five\"", "é", (1, "\\u00e9")),
            ("a: \"one\\\n  two\n\n  three\"", "three", (4, "three")),
            ("a: |\n  one # two\n\n    three\n", "three", (4, "three")),
            ("a: >-  # head\n  one\n  two\n", "two", (3, "two")),
            ("a: !!str score < five", "five", (1, "five")),
            ("a: &x \"score < five\"", "five", (1, "five")),
            ("b: &x score < five\na: *x\n", "five", (1, "five")),
            ("b: { c: [1, {d: &x 'score < five'}] }\na: *x\n", "five", (1, "five")),
        ] {
            assert_eq!(shown(file, part), Some(expected), "{file}");
        }
    }

    #[test]
    fn part_at_the_end_of_a_scalar_is_behind_its_last_character() {
        let file = "a: 'score <' # more";
        let (at, value) = scalar(file);
        let end = ScalarPart::locate(file, at, &value, &(value.len()..value.len()));
        assert_eq!(end, Some(ScalarPart { line: 1, column: 12, length: 0 }));
    }

    #[test]
    fn part_of_another_text_than_that_of_the_file_is_not_found() {
        for (file, at) in
            [("a: score < 5", (1, 4)), ("a: score", (1, 4)), ("a", (7, 1)), ("", (1, 1))]
        {
            assert_eq!(ScalarPart::locate(file, at, "score > 5", &(6..7)), None, "{file}");
        }
    }

    proptest! {
        #[test]
        fn part_of_any_scalar_is_found_or_not_and_never_panics(
            text in "[a-e \\n'\"\\\\é:#|>-]{0,24}",
            (line, column) in (0..4usize, 0..8usize),
            (start, length) in (0..8usize, 0..4usize),
        ) {
            let _ = ScalarPart::locate(&text, (line, column), "a 'b\" é", &(start..start + length));
        }
    }
}
