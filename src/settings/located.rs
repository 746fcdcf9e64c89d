//! YAML as a tree that knows where each value was written: the settings and the files of cases.
//!
//! Not read with serde, which forgets lines, stops at the first error and quotes the value that it
//! fails on, which may be a secret.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::Value;
use yaml_rust2::Yaml;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::brackets::innermost_open;

/// A value, and where it was written.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

/// Where a value comes from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A text of ours: a default or a preset.
    Embedded,
    /// A place in the operator's file.
    File(Position),
    /// The environment variable of this name.
    Variable(String),
}

/// Where a value is in the operator's file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The line of its key, or of itself if it is the item of a list.
    pub(crate) line: usize,
    pub(super) column: usize,
    /// The column of the value, if it begins on that line.
    pub(super) value_column: Option<usize>,
    /// The line and the column of the value, or of its anchor if it is an alias.
    pub(super) value_at: (usize, usize),
}

impl Position {
    pub(super) fn new(line: usize, column: usize) -> Self {
        Self { line, column, value_column: Some(column), value_at: (line, column) }
    }

    fn at(mark: &Marker) -> Self {
        Self::new(mark.line(), mark.col() + 1)
    }

    /// The place of a key, with that of its value.
    fn with_value(self, value: Position) -> Self {
        let value_column = value.value_column.filter(|_| value.line == self.line);
        Self { value_column, value_at: value.value_at, ..self }
    }
}

#[derive(Clone)]
pub(crate) enum Node {
    /// As it was written, and what YAML takes it for.
    Scalar {
        text: String,
        value: Value,
    },
    List(Vec<Located>),
    /// In the order of the file.
    Table(Table),
}

pub(crate) type Table = IndexMap<String, Located>;

/// Why a text cannot be read as YAML, without any of the text: a secret may stand where it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub(crate) struct NotYaml {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// Bounds for a file that someone else wrote: aliases can stand for much.
const DEPTH_MAX: usize = 200;
const NODES_MAX: usize = 200_000;

impl Located {
    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// The text is not one document of YAML whose keys are plain words.
    pub(crate) fn parse(text: &str) -> Result<Self, NotYaml> {
        TreeBuilder::new(|mark| Origin::File(Position::at(mark))).document(without_bom(text))
    }

    /// Reads a text of ours.
    pub(super) fn embedded(text: &str) -> Self {
        TreeBuilder::new(|_| Origin::Embedded).document(text).expect("what is embedded is tested")
    }

    pub(super) fn text(text: String, origin: Origin) -> Self {
        Self { origin, node: Node::scalar(text, false) }
    }

    pub(super) fn table(table: Table) -> Self {
        Self { origin: Origin::Embedded, node: Node::Table(table) }
    }

    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.node {
            Node::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Located> {
        self.as_table()?.get(key)
    }

    pub(super) fn is_blank(&self) -> bool {
        matches!(self.node, Node::Scalar { value: Value::Null, .. })
    }

    /// Puts the default in place of every blank that has one.
    pub(super) fn fill_blanks(&mut self, defaults: &Located) {
        match (&mut self.node, &defaults.node) {
            (Node::Scalar { value: Value::Null, .. }, default) => self.node = default.clone(),
            (Node::Table(table), Node::Table(defaults)) => {
                for (key, value) in table {
                    if let Some(default) = defaults.get(key) {
                        value.fill_blanks(default);
                    }
                }
            }
            _ => {}
        }
    }

    /// As JSON has it: plain words that mean a number, a truth or nothing become that.
    pub(crate) fn json(&self) -> Value {
        match &self.node {
            Node::Scalar { value, .. } => value.clone(),
            Node::List(items) => items.iter().map(Located::json).collect(),
            Node::Table(table) => {
                table.iter().map(|(key, value)| (key.clone(), value.json())).collect()
            }
        }
    }

    fn size(&self) -> usize {
        1 + match &self.node {
            Node::Scalar { .. } => 0,
            Node::List(items) => items.iter().map(Located::size).sum(),
            Node::Table(table) => table.values().map(Located::size).sum(),
        }
    }
}

impl Node {
    /// A plain scalar may mean a number, a truth or nothing; a quoted one is text.
    pub(super) fn scalar(text: String, is_plain: bool) -> Self {
        let value = if is_plain { plain(&text) } else { text.clone().into() };
        Node::Scalar { text, value }
    }
}

/// The text behind the byte order mark that some editors put before the first line.
pub(super) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn plain(text: &str) -> Value {
    match Yaml::from_str(text) {
        Yaml::Integer(number) => number.into(),
        Yaml::Real(_) => text.parse::<f64>().map_or_else(|_| text.into(), Value::from),
        Yaml::Boolean(truth) => truth.into(),
        Yaml::Null => Value::Null,
        _ => text.into(),
    }
}

/// Puts the events of the parser together.
struct TreeBuilder {
    origin: fn(&Marker) -> Origin,
    open: Vec<Open>,
    anchors: HashMap<usize, Located>,
    nodes: usize,
}

/// A list or a table that is being read.
struct Open {
    anchor: usize,
    located: Located,
    /// Of a table, the key whose value is read next, and its origin.
    key: Option<(String, Origin)>,
}

impl TreeBuilder {
    fn new(origin: fn(&Marker) -> Origin) -> Self {
        Self { origin, open: Vec::new(), anchors: HashMap::new(), nodes: 0 }
    }

    fn document(mut self, text: &str) -> Result<Located, NotYaml> {
        let mut parser = Parser::new_from_str(text);
        let mut root = None;
        loop {
            let (event, mark) = parser
                .next_token()
                .map_err(|error| unreadable(text, error.marker(), error.info()))?;
            if event == Event::StreamEnd {
                break;
            }
            if event == Event::DocumentStart && root.is_some() {
                return Err(not_yaml(
                    &mark,
                    "expected one document: leave out the `---` before this one",
                ));
            }
            root = self.read(event, &mark)?.or(root);
        }
        Ok(root.unwrap_or(Located::table(Table::new())))
    }

    /// The document, once it is complete.
    fn read(&mut self, event: Event, mark: &Marker) -> Result<Option<Located>, NotYaml> {
        let origin = (self.origin)(mark);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                if let Some(Open { located: Located { origin: begin, node }, key, .. }) =
                    self.open.last_mut()
                    && let Node::Table(table) = node
                    && key.is_none()
                {
                    if let Some(first) = table.get(&text) {
                        return Err(not_yaml(mark, &duplicate_key(&first.origin)));
                    }
                    if let (Origin::File(begin), Origin::File(first)) = (begin, &origin)
                        && begin.line == first.line
                        && begin.column > first.column
                    {
                        // Without brackets a table is found behind its first key.
                        *begin = *first;
                    }
                    *key = Some((text, origin));
                    return Ok(None);
                }
                self.count(1, mark)?;
                let is_plain = style == TScalarStyle::Plain;
                let located = Located { origin, node: Node::scalar(text, is_plain) };
                Ok(self.complete(anchor, located))
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(located) => {
                    self.count(located.size(), mark)?;
                    Ok(self.complete(0, located))
                }
                None => Err(not_yaml(
                    mark,
                    "an alias refers to an anchor that is not defined before it",
                )),
            },
            Event::SequenceStart(anchor, _) => self.begin(anchor, Node::List(Vec::new()), mark),
            Event::MappingStart(anchor, _) => self.begin(anchor, Node::Table(Table::new()), mark),
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { anchor, located, .. } = self.open.pop().expect("it was begun");
                Ok(self.complete(anchor, located))
            }
            _ => Ok(None),
        }
    }

    fn begin(
        &mut self,
        anchor: usize,
        node: Node,
        mark: &Marker,
    ) -> Result<Option<Located>, NotYaml> {
        let awaits_a_key =
            |open: &Open| matches!(open.located.node, Node::Table(_)) && open.key.is_none();
        if self.open.last().is_some_and(awaits_a_key) {
            return Err(not_yaml(
                mark,
                "expected a plain word as a key (is a `{{ … }}` left over from a template?)",
            ));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(not_yaml(mark, "nested deeper than any setting is: check the indentation"));
        }
        self.count(1, mark)?;
        let located = Located { origin: (self.origin)(mark), node };
        self.open.push(Open { anchor, located, key: None });
        Ok(None)
    }

    fn count(&mut self, nodes: usize, mark: &Marker) -> Result<(), NotYaml> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(not_yaml(mark, "more than any settings or cases have"));
        }
        Ok(())
    }

    /// Puts a value where it belongs; gives it back if it is the whole document.
    fn complete(&mut self, anchor: usize, mut located: Located) -> Option<Located> {
        if anchor > 0 {
            self.anchors.insert(anchor, located.clone());
        }
        let Some(Open { located: Located { node, .. }, key, .. }) = self.open.last_mut() else {
            return Some(located);
        };
        match node {
            Node::List(items) => items.push(located),
            Node::Table(table) => {
                let (key, origin) = key.take().expect("a value follows its key");
                located.origin = match (origin, &located.origin) {
                    (Origin::File(key), Origin::File(value)) => {
                        Origin::File(key.with_value(*value))
                    }
                    (origin, _) => origin,
                };
                table.insert(key, located);
            }
            Node::Scalar { .. } => unreachable!("a scalar is never open"),
        }
        None
    }
}

/// What the parser says of a text that is no YAML. If a bracket is open there, its place says more.
fn unreadable(text: &str, mark: &Marker, info: &str) -> NotYaml {
    match innermost_open(text, mark.line()) {
        Some((line, column)) if !info.contains("quoted scalar") => {
            let message = "not valid YAML: this bracket is not closed".to_owned();
            NotYaml { line, column, message }
        }
        _ => not_yaml(mark, &explained(info)),
    }
}

/// Does not repeat the key: it may be a secret in the wrong place.
fn duplicate_key(first: &Origin) -> String {
    match first {
        Origin::File(Position { line, .. }) => {
            format!("duplicate key: it is set on line {line} already; keep one of them")
        }
        Origin::Embedded | Origin::Variable(_) => "duplicate key".to_owned(),
    }
}

/// What the parser says, and what would be right.
fn explained(info: &str) -> String {
    let advice = if info.contains("tab") {
        "a tab is not allowed here; indent with spaces"
    } else if info.contains("expected ',' or") {
        "expected a comma or the end of the bracket"
    } else if ["quoted scalar, found unexpected", "indentation in quoted scalar"]
        .iter()
        .any(|open| info.contains(open))
    {
        "a quoted text is not closed"
    } else if info.contains("mapping values are not allowed") {
        "`: ` within a value, or a wrong indentation; quote the value, or indent it as its siblings"
    } else if info.contains("recursion limit") {
        "nested too deep; close the brackets"
    } else if info.contains("expected node content") {
        "expected a value here; quote it if it begins with a special character"
    } else if info == "invalid indentation" {
        "invalid indentation; indent as the siblings are"
    } else if info.contains("expected key") || info.contains("simple key expected") {
        "expected `key: value`, indented as its siblings"
    } else {
        info
    };
    format!("not valid YAML: {advice}")
}

fn not_yaml(mark: &Marker, message: &str) -> NotYaml {
    NotYaml { line: mark.line(), column: mark.col() + 1, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Located {
        Located::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_scalar_keeps_its_text_and_json_means_what_it_says() {
        let root = parse("a: 04\nb: '5'\nc: 1.50\nd: [~, true, -3, x]\n");
        let text = |key: &str| match &root.get(key).unwrap().node {
            Node::Scalar { text, .. } => text.clone(),
            _ => panic!("{key} is no scalar"),
        };
        assert_eq!([text("a"), text("c")], ["04", "1.50"]);
        assert_eq!(root.json(), json!({"a": 4, "b": "5", "c": 1.5, "d": [null, true, -3, "x"]}));
    }

    #[test]
    fn an_alias_stands_for_what_its_anchor_names() {
        let root = parse("a: &a { x: 1 }\nb: *a\n");
        assert_eq!(root.json(), json!({"a": {"x": 1}, "b": {"x": 1}}));
    }

    #[test]
    fn a_text_that_is_no_yaml_is_refused_with_its_line() {
        let deep = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
        let bomb = (1..30).fold("a0: &a0 [1]\n".to_owned(), |text, at| {
            format!("{text}a{at}: &a{at} [*a{0}, *a{0}]\n", at - 1)
        });
        for (text, line) in [
            ("a: 1\na: 2\n", 2),
            ("a: [\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("? [a]\n: b\n", 1),
            ("a: &a [*a]\n", 1),
            (&deep, 201),
            (&bomb, 17),
        ] {
            let error = Located::parse(text).err().expect(text);
            assert_eq!(error.line, line, "{error}");
        }
    }
}
