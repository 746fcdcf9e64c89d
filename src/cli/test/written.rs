//! A file of cases as it was written, read place by place. Not by serde: a fault has to name its
//! line, every fault is told at once, and a key such as `04` must not become a 4 on the way.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value;
use yaml_rust2::Yaml;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

/// What was written at one place.
#[derive(Clone)]
pub(super) struct Node {
    line: usize,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Scalar { text: String, is_plain: bool },
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

/// Everything that is wrong with one file, each with its line and path.
pub(super) struct Faults {
    file: String,
    found: RefCell<Vec<(usize, String)>>,
}

/// One place in a file.
#[derive(Clone)]
pub(super) struct Place<'a> {
    path: String,
    node: &'a Node,
    faults: &'a Faults,
}

/// A place with keys, all of them known.
pub(super) struct Table<'a> {
    place: Place<'a>,
    entries: &'a [(String, Node)],
}

/// Bounds for a file that somebody else wrote: aliases can stand for much.
const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 100_000;

impl Node {
    /// # Errors
    /// What is wrong with the text, with its line.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut parser = Parser::new_from_str(text);
        let mut reader = Reader::default();
        let mut root = None;
        loop {
            let (event, mark) = parser
                .next_token()
                .map_err(|error| (error.marker().line(), error.info().to_owned()))?;
            if event == Event::StreamEnd {
                break;
            }
            if event == Event::DocumentStart && root.is_some() {
                return Err((mark.line(), "expected one document".to_owned()));
            }
            root = reader.read(event, mark.line())?.or(root);
        }
        Ok(root.unwrap_or(Node { line: 1, kind: Kind::Table(Vec::new()) }))
    }

    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } => 0,
            Kind::List(items) => items.iter().map(Node::size).sum(),
            Kind::Table(entries) => entries.iter().map(|(_, value)| value.size()).sum(),
        }
    }

    /// As JSON has it: plain words that mean a number, a truth or nothing become that.
    fn json(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, is_plain: false } => Value::String(text.clone()),
            Kind::Scalar { text, is_plain: true } => plain(text),
            Kind::List(items) => items.iter().map(Node::json).collect(),
            Kind::Table(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), value.json())).collect()
            }
        }
    }
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
#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

struct Open {
    anchor: usize,
    node: Node,
    key: Option<String>,
}

impl Reader {
    /// The document, once it is complete.
    fn read(&mut self, event: Event, line: usize) -> Result<Option<Node>, (usize, String)> {
        let fault = |message: &str| Err((line, message.to_owned()));
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_plain = style == TScalarStyle::Plain;
                if let Some(Open { node: Node { kind: Kind::Table(entries), .. }, key, .. }) =
                    self.open.last_mut()
                    && key.is_none()
                {
                    if entries.iter().any(|(known, _)| *known == text) {
                        return fault("a key stands twice in one table");
                    }
                    *key = Some(text);
                    return Ok(None);
                }
                self.complete(anchor, Node { line, kind: Kind::Scalar { text, is_plain } })
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.complete(0, node),
                None => fault("an alias stands within what it stands for"),
            },
            Event::SequenceStart(anchor, _) => self.begin(anchor, line, Kind::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(anchor, line, Kind::Table(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { anchor, node, .. } = self.open.pop().expect("it was begun");
                self.complete(anchor, node)
            }
            _ => Ok(None),
        }
    }

    fn begin(
        &mut self,
        anchor: usize,
        line: usize,
        kind: Kind,
    ) -> Result<Option<Node>, (usize, String)> {
        let awaits_a_key = self
            .open
            .last()
            .is_some_and(|open| matches!(open.node.kind, Kind::Table(_)) && open.key.is_none());
        if awaits_a_key {
            return Err((line, "expected a plain word as a key".to_owned()));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err((line, "nested deeper than any case is".to_owned()));
        }
        self.open.push(Open { anchor, node: Node { line, kind }, key: None });
        Ok(None)
    }

    fn complete(&mut self, anchor: usize, node: Node) -> Result<Option<Node>, (usize, String)> {
        self.nodes += node.size();
        if self.nodes > NODES_MAX {
            return Err((node.line, "more than any file of cases has".to_owned()));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => return Ok(Some(node)),
            Some(Open { node: Node { kind: Kind::List(items), .. }, .. }) => items.push(node),
            Some(Open { node: Node { kind: Kind::Table(entries), .. }, key, .. }) => {
                let key = key.take().expect("a value stands behind its key");
                entries.push((key, node));
            }
            Some(Open { node: Node { kind: Kind::Scalar { .. }, .. }, .. }) => {
                unreachable!("a scalar is never open")
            }
        }
        Ok(None)
    }
}

impl Faults {
    pub fn of(file: &str) -> Self {
        Self { file: file.to_owned(), found: RefCell::default() }
    }

    pub fn add(&self, line: usize, message: String) {
        self.found.borrow_mut().push((line, message));
    }

    /// One line for each, in the order of the file; nothing where all is well.
    pub fn into_text(self) -> Option<String> {
        let mut found = self.found.into_inner();
        found.sort();
        found.dedup();
        let lines = found.iter().map(|(line, message)| format!("{}:{line}: {message}", self.file));
        Some(lines.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
    }
}

impl<'a> Place<'a> {
    pub fn root(node: &'a Node, faults: &'a Faults) -> Self {
        Self { path: String::new(), node, faults }
    }

    pub fn line(&self) -> usize {
        self.node.line
    }

    /// Notes that this is not right; `None`, so that reading goes on.
    pub fn fault<T>(&self, message: impl std::fmt::Display) -> Option<T> {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        self.faults.add(self.node.line, format!("{path}: {message}"));
        None
    }

    /// `what` completes "expected …".
    pub fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match &self.node.kind {
            Kind::Scalar { text, is_plain: true } if text.is_empty() => "nothing",
            Kind::Scalar { .. } => "text",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        };
        self.fault(format_args!("expected {what}, found {found}"))
    }

    pub fn is_table(&self) -> bool {
        matches!(self.node.kind, Kind::Table(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    pub fn table(&self, known: &[&str]) -> Option<Table<'a>> {
        let Kind::Table(entries) = &self.node.kind else {
            return self.expected(&format!("a table with {}", known.join(", ")));
        };
        for (key, value) in entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            self.below(key, value)
                .fault::<()>(format_args!("unknown key; known here: {}", known.join(", ")));
        }
        Some(Table { place: self.clone(), entries })
    }

    /// Every key and what stands there.
    pub fn entries(&self, what: &str) -> Option<Vec<(&'a str, Place<'a>)>> {
        match &self.node.kind {
            Kind::Table(entries) => Some(
                entries.iter().map(|(key, value)| (key.as_str(), self.below(key, value))).collect(),
            ),
            _ => self.expected(what),
        }
    }

    pub fn list(&self, what: &str) -> Option<Vec<Place<'a>>> {
        let Kind::List(items) = &self.node.kind else { return self.expected(what) };
        let place = |(index, node)| Place {
            path: format!("{}[{index}]", self.path),
            node,
            faults: self.faults,
        };
        Some(items.iter().enumerate().map(place).collect())
    }

    /// As it is written, quoted or not: `04` is a 0 and a 4.
    pub fn text(&self, what: &str) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar { text, is_plain: true } if text == "~" => Some(""),
            Kind::Scalar { text, .. } => Some(text),
            _ => self.expected(what),
        }
    }

    pub fn flag(&self) -> Option<bool> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if text == "true" => Some(true),
            Kind::Scalar { text, .. } if text == "false" => Some(false),
            _ => self.expected("true or false"),
        }
    }

    /// One of a few words.
    pub fn word<'w>(&self, words: &[&'w str]) -> Option<&'w str> {
        let what = format!("one of {}", words.join(", "));
        let text = self.text(&what)?;
        let word = words.iter().find(|word| **word == text).copied();
        word.or_else(|| self.fault(format_args!("expected {what}")))
    }

    pub fn json(&self) -> Value {
        self.node.json()
    }

    /// A key that is no plain word is quoted in its path, as those of the settings are.
    fn below(&self, key: &str, node: &'a Node) -> Place<'a> {
        let is_plain = key.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
        let key = if is_plain { key.to_owned() } else { format!("{key:?}") };
        let dot = if self.path.is_empty() { "" } else { "." };
        Place { path: format!("{}{dot}{key}", self.path), node, faults: self.faults }
    }
}

impl<'a> Table<'a> {
    pub fn get(&self, key: &str) -> Option<Place<'a>> {
        let (key, node) = self.entries.iter().find(|(known, _)| known == key)?;
        Some(self.place.below(key, node))
    }

    /// Notes it if there is none.
    pub fn need(&self, key: &str, what: &str) -> Option<Place<'a>> {
        self.get(key).or_else(|| self.place.fault(format_args!("{key} is missing: {what}")))
    }

    pub fn place(&self) -> &Place<'a> {
        &self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Node {
        Node::parse(text).unwrap_or_else(|(line, message)| panic!("line {line}: {message}"))
    }

    #[test]
    fn text_stays_as_it_is_written_and_json_means_what_it_says() {
        let text = "a: 04\nb: '5'\nc: 1.50\nd: [~, true, -3, x]\n";
        let root = parse(text);
        let faults = Faults::of("f");
        let table = Place::root(&root, &faults).table(&["a", "b", "c", "d"]).unwrap();
        assert_eq!(table.get("a").and_then(|place| place.text("")), Some("04"));
        assert_eq!(table.get("c").and_then(|place| place.text("")), Some("1.50"));
        let expected = serde_json::json!({"a": 4, "b": "5", "c": 1.5, "d": [null, true, -3, "x"]});
        assert_eq!(root.json(), expected);
    }

    #[test]
    fn an_alias_stands_for_what_its_anchor_names() {
        let root = parse("a: &a { x: 1 }\nb: *a\n");
        assert_eq!(root.json(), serde_json::json!({"a": {"x": 1}, "b": {"x": 1}}));
    }

    #[test]
    fn what_is_no_file_of_cases_is_refused_with_its_line() {
        let deep = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
        let bomb = (1..30).fold("a0: &a0 [1]\n".to_owned(), |text, at| {
            format!("{text}a{at}: &a{at} [*a{0}, *a{0}]\n", at - 1)
        });
        for (text, line) in [
            ("a: 1\na: 2\n", 2),
            ("a: [\n", 2),
            ("a: 1\n---\nb: 2\n", 2),
            ("? [a]\n: b\n", 1),
            ("a: &a [*a]\n", 1),
            (&deep, 65),
            (&bomb, 14),
        ] {
            let (found, message) = Node::parse(text).err().expect(text);
            assert_eq!(found, line, "{message}");
        }
    }
}
