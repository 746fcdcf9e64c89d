use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser};

use super::fault::path_to;

/// On which line of the operator's file each key and item stands, by its path. `config` forgets
/// that, so the text is parsed once more by the parser that it uses.
pub(super) struct Lines(HashMap<String, usize>);

/// A table or a list that is being read.
enum Open {
    Table { path: String, key: Option<String> },
    List { path: String, index: usize },
}

impl Lines {
    /// Of a text that is known to be YAML; of any other, as far as it is.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = HashMap::new();
        let mut parser = Parser::new_from_str(text);
        let mut open: Vec<Open> = Vec::new();
        while let Ok((event, mark)) = parser.next_token() {
            match event {
                Event::StreamEnd => break,
                Event::Scalar(key, ..) if open.last().is_some_and(Open::awaits_a_key) => {
                    let table = open.last_mut().expect("it was just looked at");
                    table.begin(key);
                    lines.insert(table.here(), mark.line());
                }
                Event::Scalar(..) | Event::Alias(_) => {
                    note_item(&mut lines, &open, mark.line());
                    end_of_value(&mut open);
                }
                Event::MappingStart(..) => {
                    note_item(&mut lines, &open, mark.line());
                    let path = open.last().map(Open::here).unwrap_or_default();
                    open.push(Open::Table { path, key: None });
                }
                Event::SequenceStart(..) => {
                    note_item(&mut lines, &open, mark.line());
                    let path = open.last().map(Open::here).unwrap_or_default();
                    open.push(Open::List { path, index: 0 });
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    open.pop();
                    end_of_value(&mut open);
                }
                _ => {}
            }
        }
        Self(lines)
    }

    /// Of what stands at `path`, or else of the nearest that is written above it.
    pub(super) fn nearest(&self, path: &str) -> Option<usize> {
        std::iter::successors(Some(path), |path| above(path))
            .find_map(|path| self.0.get(path).copied())
    }
}

/// Also cuts within a quoted key; nothing is known there, and the next cut is further up.
fn above(path: &str) -> Option<&str> {
    path.rfind(['.', '[']).map(|end| &path[..end])
}

/// A key's line is known when it is read; an item has none but that of its value.
fn note_item(lines: &mut HashMap<String, usize>, open: &[Open], line: usize) {
    if let Some(list @ Open::List { .. }) = open.last() {
        lines.insert(list.here(), line);
    }
}

fn end_of_value(open: &mut [Open]) {
    match open.last_mut() {
        Some(Open::Table { key, .. }) => *key = None,
        Some(Open::List { index, .. }) => *index += 1,
        None => {}
    }
}

impl Open {
    fn awaits_a_key(&self) -> bool {
        matches!(self, Open::Table { key: None, .. })
    }

    fn begin(&mut self, begun: String) {
        if let Open::Table { key, .. } = self {
            *key = Some(begun);
        }
    }

    /// The path of what is read next.
    fn here(&self) -> String {
        match self {
            Open::Table { path, key: Some(key) } => path_to(path, key),
            Open::Table { path, key: None } => path.clone(),
            Open::List { path, index } => format!("{path}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"# a comment
store: { url: sqlite:a.db,
         queue: 5 }
surveys:
  quality: &quality
    questions:
      - name: score
        answers: 1-5
      -
        name: problem
        answers: [1,
                  2]
    notes: |
      two
      lines
  other: *quality
"a.b": { c: }
delivery:
"#;

    #[test]
    fn every_key_and_item_has_the_line_on_which_it_begins() {
        let lines = Lines::of(FILE);
        for (path, line) in [
            ("store", 2),
            ("store.url", 2),
            ("store.queue", 3),
            ("surveys.quality.questions", 6),
            ("surveys.quality.questions[0]", 7),
            ("surveys.quality.questions[0].answers", 8),
            ("surveys.quality.questions[1].name", 10),
            ("surveys.quality.questions[1].answers[1]", 12),
            ("surveys.quality.notes", 13),
            ("\"a.b\".c", 17),
            ("delivery", 18),
        ] {
            assert_eq!(lines.nearest(path), Some(line), "{path}");
        }
    }

    #[test]
    fn what_is_missing_has_the_line_of_what_stands_above() {
        let lines = Lines::of(FILE);
        for (path, line) in [
            ("surveys.quality.rating", Some(5)),
            ("surveys.quality.questions[0].optional", Some(7)),
            ("surveys.other.questions[0].name", Some(16)),
            ("\"a.b\".c.d.e", Some(17)),
            ("accounts.main", None),
        ] {
            assert_eq!(lines.nearest(path), line, "{path}");
        }
    }

    #[test]
    fn what_is_no_yaml_has_lines_as_far_as_it_is() {
        assert_eq!(Lines::of("a: 1\nb: [\n").nearest("a"), Some(1));
        assert_eq!(Lines::of("[[{ ? [a] : b }]]").nearest("a"), None);
    }
}
