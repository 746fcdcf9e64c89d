//! A cursor over the tree that an operator wrote: it knows its path and what may stand there.
//!
//! Every fault is noted and reading continues; `None` means that the fault is noted already.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Environment;
use super::diagnostic::{Context, Part, path_to};
use super::located::{self, Located, Node, Origin};
use super::spec::{Kind, Words};
use crate::domain::{Advice, Name, closest};

/// The longest duration that a setting may have.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Which question is meant, where one is named.
pub(super) const QUESTION: &str = "the name of a question";

/// What a caller keys, as it is written.
pub(super) const ANSWER: &str = "a key such as 1, or text such as \"#\"";

/// One place in the tree.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    path: String,
    located: &'a Located,
    /// Its own, or that of the nearest above that an operator wrote.
    origin: &'a Origin,
    /// What may stand here.
    kind: &'static Kind,
    context: &'a Context,
}

/// A place with keys, all of them known.
pub(crate) struct Table<'a> {
    cursor: Cursor<'a>,
    entries: &'a located::Table,
}

impl<'a> Cursor<'a> {
    pub(super) fn root(located: &'a Located, kind: &'static Kind, context: &'a Context) -> Self {
        Self { path: String::new(), located, origin: &located.origin, kind, context }
    }

    /// The root of a tree that is described nowhere.
    pub(crate) fn free(located: &'a Located, context: &'a Context) -> Self {
        Self::root(located, &Kind::Anything, context)
    }

    /// The same place, as if this stood there.
    pub(super) fn holding<'b>(&self, located: &'b Located) -> Cursor<'b>
    where
        'a: 'b,
    {
        Cursor { located, ..self.clone() }
    }

    fn below(&self, path: String, located: &'a Located, kind: &'static Kind) -> Self {
        let origin = match &located.origin {
            Origin::Embedded => self.origin,
            own => own,
        };
        Self { path, located, origin, kind, context: self.context }
    }

    fn under(&self, key: &str, located: &'a Located) -> Self {
        self.below(path_to(&self.path, key), located, self.kind.under(key))
    }

    pub(super) fn environment(&self) -> &'a Arc<Environment> {
        &self.context.environment
    }

    /// Notes that the secret below is not set and replaced by a placeholder.
    pub(super) fn note_missing_secret(&self, key: &str) {
        self.context.add_missing_secret(self.origin, self.path_below(key));
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn located(&self) -> &'a Located {
        self.located
    }

    /// The line on which it was written, if a file has it.
    pub(crate) fn line(&self) -> usize {
        match self.origin {
            Origin::File(place) => place.line,
            Origin::Embedded | Origin::Variable(_) => 1,
        }
    }

    pub(crate) fn fault<T>(&self, advice: impl Into<Advice>) -> Option<T> {
        self.note(self.path.clone(), advice.into());
        None
    }

    /// Notes a fault at the place of this cursor, which has this path or is the nearest to it.
    fn note(&self, path: String, advice: Advice) {
        match &self.located.node {
            Node::Scalar { text, .. } if self.part() == Part::Value => {
                self.context.add_to_scalar(text, self.origin, path, advice);
            }
            _ => self.context.add(self.origin, self.part(), path, advice),
        }
    }

    /// Notes that an entry of a section is not defined, where it is first referred to: if its own name
    /// is misspelt, all references are wrong.
    pub(super) fn undefined<T>(&self, section: &str, name: &Name, known: &[&str]) -> Option<T> {
        if self.context.may_lack_entries(section)
            || !self.context.note_undefined(format!("{section}.{name}"))
        {
            return None;
        }
        let what = section.trim_end_matches('s');
        let message = format!("there is no {what} {name}");
        self.fault(Advice::unknown_name(message, name.as_str(), known))
    }

    /// For a key that may not be here.
    pub(super) fn fault_of_key<T>(&self, advice: impl Into<Advice>) -> Option<T> {
        self.context.add(self.origin, Part::Key, self.path.clone(), advice);
        None
    }

    /// A scalar is at fault itself; a fault of a list or a table is shown at its key.
    fn part(&self) -> Part {
        let is_own = matches!(self.located.origin, Origin::File(_));
        match self.located.node {
            Node::Scalar { .. } if is_own => Part::Value,
            _ => Part::Key,
        }
    }

    /// Whether a key below here is not known, so that what it was meant to say is missing.
    pub(super) fn has_unknown_below(&self) -> bool {
        self.context.has_unknown_below(&self.path)
    }

    /// As [`has_unknown_below`](Self::has_unknown_below), of a section.
    pub(super) fn has_unknown_in(&self, section: &str) -> bool {
        self.context.has_unknown_below(section) || self.context.is_meant(section)
    }

    /// Whether an entry of a section is missing because its name, or that of the section, is
    /// misspelt.
    pub(super) fn may_lack_entries(&self, section: &str) -> bool {
        self.context.may_lack_entries(section)
    }

    /// For a value below, such as `rules[0].when`, present or missing.
    pub(crate) fn fault_below<T>(&self, below: &str, advice: impl Into<Advice>) -> Option<T> {
        let mut nearest = self.clone();
        let mut is_there = true;
        for step in below.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match (&nearest.located.node, step.strip_suffix(']')) {
                (Node::List(items), Some(index)) => {
                    index.parse::<usize>().ok().and_then(|index| items.get(index))
                }
                (Node::Table(table), None) => table.get(step),
                _ => None,
            };
            let Some(next) = next else {
                is_there = false;
                break;
            };
            nearest = nearest.below(String::new(), next, &Kind::Anything);
        }
        let path = self.path_below(below);
        match is_there {
            true => nearest.note(path, advice.into()),
            false => self.context.add(nearest.origin, Part::Key, path, advice),
        }
        None
    }

    fn path_below(&self, below: &str) -> String {
        if self.path.is_empty() { below.to_owned() } else { format!("{}.{below}", self.path) }
    }

    /// What follows from another fault, at this path or below or above, is not worth saying.
    pub(super) fn fault_below_unless_noted(&self, below: &str, advice: impl Into<Advice>) {
        if !self.context.touch(&self.path_below(below)) {
            self.fault_below::<()>(below, advice);
        }
    }

    /// Notes a value of the wrong kind, naming its kind only.
    pub(crate) fn expected<T>(&self, what: &str) -> Option<T> {
        self.fault(format!("expected {what}, found {}", self.found()))
    }

    fn found(&self) -> &'static str {
        match &self.located.node {
            Node::Scalar { value: Value::Null, .. } => "nothing",
            Node::Scalar { value: Value::Bool(_), .. } => "true or false",
            Node::Scalar { value: Value::Number(_), .. } => "a number",
            Node::Scalar { .. } => "text",
            Node::List(_) => "a list",
            Node::Table(_) => "a table",
        }
    }

    /// Notes whatever a constructor has to say.
    pub(crate) fn check<T, E: ToString>(&self, result: Result<T, E>) -> Option<T> {
        result.map_or_else(|error| self.fault(error.to_string()), Some)
    }

    pub(crate) fn is_table(&self) -> bool {
        matches!(self.located.node, Node::Table(_))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.located.node, Node::List(_))
    }

    /// With no keys but those that its kind names.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        self.table_of(&self.kind.keys().expect("it is described as a table"))
    }

    /// With no keys but these.
    pub(crate) fn table_of(&self, known: &[&str]) -> Option<Table<'a>> {
        let Node::Table(entries) = &self.located.node else {
            return self.expected(&format!("a table with {}", known.join(", ")));
        };
        for (key, located) in entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            // A key that the file has too is not meant by another one of the file.
            let is_variable = matches!(located.origin, Origin::Variable(_));
            let is_written = |known: &str| {
                let is_own = |it: &Located| !matches!(it.origin, Origin::Embedded);
                !is_variable && entries.get(known).is_some_and(is_own)
            };
            let advice = unknown_key(key, known, is_written);
            let meant = advice.suggestion.as_ref().map(|meant| path_to(&self.path, meant));
            let at = self.under(key, located);
            self.context.note_unknown(at.path.clone(), meant);
            at.fault_of_key::<()>(advice);
        }
        Some(Table { cursor: self.clone(), entries })
    }

    /// Blank, or a table without keys.
    pub(super) fn is_empty(&self) -> bool {
        self.located.is_blank() || self.located.as_table().is_some_and(located::Table::is_empty)
    }

    /// Every key with its value.
    pub(crate) fn entries(&self, what: &str) -> Option<Vec<(&'a str, Cursor<'a>)>> {
        let Some(table) = self.located.as_table() else { return self.expected(what) };
        Some(table.iter().map(|(key, value)| (key.as_str(), self.under(key, value))).collect())
    }

    /// A table whose keys are names; blank is empty.
    pub(super) fn named(&self) -> Vec<(Name, Cursor<'a>)> {
        if self.located.is_blank() {
            return Vec::new();
        }
        let entries = self.entries("a table of names").unwrap_or_default();
        let name = |(key, cursor): (&str, Cursor<'a>)| match key.parse::<Name>() {
            Ok(name) => Some((name, cursor)),
            Err(malformed) => {
                self.context.note_misnamed(&self.path);
                cursor.fault_of_key(malformed.to_string())
            }
        };
        entries.into_iter().filter_map(name).collect()
    }

    pub(crate) fn list(&self, of: &str) -> Option<Vec<Cursor<'a>>> {
        let Node::List(items) = &self.located.node else {
            return self.expected(&format!("a list of {of}"));
        };
        let item =
            |(index, item)| self.below(format!("{}[{index}]", self.path), item, self.kind.item());
        Some(items.iter().enumerate().map(item).collect())
    }

    /// One, or a list of them.
    pub(crate) fn one_or_list(&self, of: &str) -> Option<Vec<Cursor<'a>>> {
        if self.is_list() { self.list(of) } else { Some(vec![self.clone()]) }
    }

    /// As [`one_or_list`](Self::one_or_list), and one at least.
    pub(super) fn some(&self, of: &str) -> Option<Vec<Cursor<'a>>> {
        let items = self.one_or_list(of)?;
        if items.is_empty() {
            return self.fault(format!("an empty list: expected {of}"));
        }
        Some(items)
    }

    /// What YAML takes a scalar for; `None` for a list or a table.
    pub(super) fn value(&self) -> Option<&'a Value> {
        match &self.located.node {
            Node::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// A scalar as it is written, quoted or not: `04` is a 0 and a 4.
    pub(crate) fn written(&self, what: &str) -> Option<&'a str> {
        match &self.located.node {
            Node::Scalar { value: Value::Null, .. } => Some(""),
            Node::Scalar { text, .. } => Some(text),
            _ => self.expected(what),
        }
    }

    pub(crate) fn json(&self) -> Value {
        self.located.json()
    }

    /// Not empty. `what` completes "expected …".
    pub(crate) fn text(&self, what: &str) -> Option<&'a str> {
        self.text_if(what, |_| true)
    }

    /// As [`text`](Self::text); a number that would not do in quotes either is not to be quoted.
    pub(super) fn text_if(&self, what: &str, will_do: impl Fn(&str) -> bool) -> Option<&'a str> {
        match (self.value(), &self.located.node) {
            (Some(Value::String(text)), _) if !text.is_empty() => Some(text),
            (Some(Value::String(_)), _) => self.fault(format!("expected {what}, found empty text")),
            (Some(Value::Number(_) | Value::Bool(_)), Node::Scalar { text, .. })
                if will_do(text) =>
            {
                self.fault(format!("expected {what}, found {}: quote it", self.found()))
            }
            _ => self.expected(what),
        }
    }

    /// Text that means something. `what` completes "expected …".
    pub(super) fn parsed<T: FromStr<Err: ToString>>(&self, what: &str) -> Option<T> {
        self.check(self.text_if(what, |text| text.parse::<T>().is_ok())?.parse())
    }

    /// What a caller keys, as text: a whole number is its decimal digits. Nothing else
    /// does, because YAML would have changed it: `1.0`, `yes`, `~`.
    pub(super) fn answer(&self) -> Option<String> {
        match self.value() {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            Some(Value::Number(number)) if number.is_f64() => self.unquoted("a fraction"),
            Some(Value::Number(_)) => self.unquoted("a negative number"),
            Some(_) => self.unquoted(self.found()),
            None => self.expected(ANSWER),
        }
    }

    fn unquoted<T>(&self, found: &str) -> Option<T> {
        self.fault(format!("expected {ANSWER}, found {found}: quote it"))
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let what = match all[..] {
            [only] => only.to_owned(),
            _ => format!("one of {}", all.join(", ")),
        };
        let text = self.text_if(&what, |text| all.contains(&text))?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Some(*meaning),
            None => {
                let advice = Advice::from(format!("expected {what}"));
                self.fault(match closest(text, &all) {
                    Some(word) => advice.suggest(word),
                    None => advice,
                })
            }
        }
    }

    /// One of the words of an enum.
    pub(super) fn one_of<T: Words>(&self) -> Option<T> {
        self.word(T::WORDS)
    }

    /// A whole number in the range that its kind names.
    /// Text is read only from a variable, which has nothing else.
    pub(super) fn whole(&self) -> Option<u64> {
        let (least, most) = self.kind.range().expect("it is described as a whole number");
        let what = format!("a whole number from {least} to {most}");
        let number = match self.value() {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => match (self.origin, text.parse().ok()) {
                (Origin::File(_), Some(_)) => return self.quoted(&what, text),
                (_, number) => number,
            },
            _ => return self.expected(&what),
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => self.fault(format!("expected {what}")),
        }
    }

    /// `what` completes "expected …".
    pub(super) fn number(&self, what: &str) -> Option<f64> {
        match self.value() {
            Some(Value::String(text)) if text.parse::<f64>().is_ok() => self.quoted(what, text),
            value => value.and_then(Value::as_f64).or_else(|| self.expected(what)),
        }
    }

    /// Notes a number in quotes.
    fn quoted<T>(&self, what: &str, number: &str) -> Option<T> {
        self.fault(format!("expected {what}, found text: write {number} without quotes"))
    }

    /// Two whole numbers. `what` completes "expected …".
    pub(super) fn two_whole(&self, what: &str) -> Option<(i64, i64)> {
        let Node::List(items) = &self.located.node else { return self.expected(what) };
        let [one, other] = &items[..] else { return self.fault(format!("expected {what}")) };
        match (one.json().as_i64(), other.json().as_i64()) {
            (Some(one), Some(other)) => Some((one, other)),
            _ => self.fault(format!("expected {what}, both whole numbers and without quotes")),
        }
    }

    /// `true` or `false`, the words as text too.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.value() {
            Some(Value::Bool(flag)) => Some(*flag),
            Some(Value::String(text)) if text == "true" => Some(true),
            Some(Value::String(text)) if text == "false" => Some(false),
            _ => self.expected("true or false"),
        }
    }

    /// `<integer><ms|s|m|h|d>`, in the bounds of its kind and at most [`LONGEST`].
    pub(super) fn duration(&self) -> Option<Duration> {
        const WHAT: &str = "a duration such as 500ms, 30s, 10m, 72h or 7d";
        let shortest = self.kind.shortest().expect("it is described as a duration");
        let Some(Value::String(text)) = self.value() else { return self.expected(WHAT) };
        match parse_duration(text) {
            None => self.fault(format!("expected {WHAT}")),
            Some(duration) if duration > LONGEST => self.fault("must be at most 3650d"),
            Some(duration) if duration < shortest => {
                self.fault(format!("must be at least {}ms", shortest.as_millis()))
            }
            some => some,
        }
    }
}

impl<'a> Table<'a> {
    pub(crate) fn cursor(&self) -> &Cursor<'a> {
        &self.cursor
    }

    pub(crate) fn get(&self, key: &str) -> Option<Cursor<'a>> {
        Some(self.cursor.under(key, self.entries.get(key)?))
    }

    /// As [`get`](Self::get), for what an operator may leave blank in the base.
    pub(super) fn get_filled(&self, key: &str) -> Option<Cursor<'a>> {
        self.get(key).filter(|cursor| !cursor.located.is_blank())
    }

    /// The only key there is.
    pub(super) fn only(&self) -> Option<(&'a str, Cursor<'a>)> {
        let mut keys = self.entries.keys();
        let key = keys.next().filter(|_| keys.next().is_none())?;
        Some((key, self.get(key)?))
    }

    /// Notes it if there is none.
    pub(crate) fn need(&self, key: &str, what: &str) -> Option<Cursor<'a>> {
        self.get(key).or_else(|| self.fault_at(key, format!("missing: expected {what}")))
    }

    /// The default where the key is absent, `None` where it is there and wrong.
    pub(crate) fn or<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(Cursor<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).map_or(Some(default), read)
    }

    /// As if the default stood there where the key is absent.
    pub(super) fn get_or<T>(
        &self,
        key: &str,
        default: &str,
        read: impl FnOnce(&Cursor<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(cursor) => read(&cursor),
            None => read(&self.cursor.under(key, &Located::embedded(default))),
        }
    }

    /// Whether a misspelt key was probably meant to be one of these.
    pub(super) fn is_any_meant(&self, keys: &[&str]) -> bool {
        let is_meant = |key: &&str| self.cursor.context.is_meant(&path_to(&self.cursor.path, key));
        keys.iter().any(is_meant)
    }

    /// Notes nothing of a missing key that a misspelt one was meant to be.
    pub(super) fn fault_at<T>(&self, key: &str, advice: impl Into<Advice>) -> Option<T> {
        let path = path_to(&self.cursor.path, key);
        match self.get(key) {
            Some(cursor) => cursor.fault(advice),
            None if self.cursor.context.is_meant(&path) => None,
            None => Cursor { path, ..self.cursor.clone() }.fault(advice),
        }
    }
}

/// All of them, where each is right. Each is read, so that every fault is noted.
pub(crate) fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    items.collect::<Vec<_>>().into_iter().collect()
}

pub(super) fn unknown_key(key: &str, known: &[&str], is_written: impl Fn(&str) -> bool) -> Advice {
    let free: Vec<&str> = known.iter().filter(|known| !is_written(known)).copied().collect();
    match closest(key, &free) {
        Some(meant) => Advice::from("unknown key").suggest(meant),
        None => format!("unknown key; known here: {}", known.join(", ")).into(),
    }
}

/// `<integer><ms|s|m|h|d>`; `None` for any other text.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::{Spec, key};
    use proptest::prelude::*;

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("72h"), Some(Duration::from_secs(72 * 3600)));
        for bad in ["", "30", "s", "-1s", "1.5s", "1 s", "1S", "1w", "99999999999999999999s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_duration("18446744073709551615d"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn each_fault_is_noted_where_it_stands_and_reading_goes_on() {
        let tree = Located::embedded("{ listen: 5, lists: [true], odd: 1 }");
        static KIND: Kind = Kind::Table(&Spec::of(&[
            key("listen", Kind::Text, "Where."),
            key("lists", Kind::List(&Kind::Text), "What."),
            key("url", Kind::Text, "Whence."),
        ]));
        let context = Context::default();
        let table = Cursor::root(&tree, &KIND, &context).table().unwrap();
        assert_eq!(table.get("listen").unwrap().text("an address"), None);
        assert_eq!(table.get("lists").unwrap().list("words").unwrap()[0].text("a word"), None);
        assert!(table.need("url", "an address").is_none());
        let said: Vec<String> = context.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "listen: expected an address, found a number: quote it",
                "lists[0]: expected a word, found true or false: quote it",
                "odd: unknown key; known here: listen, lists, url",
                "url: missing: expected an address",
            ]
        );
    }

    const FILE: &str = r#"# a comment
store: { url: sqlite:a.db,
         write_queue: 5 }
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
delivery:
"#;

    #[test]
    fn a_fault_has_the_line_of_its_key_or_item_or_of_the_nearest_above() {
        let root = Located::parse(FILE).unwrap();
        for (path, line) in [
            ("store", 2),
            ("store.url", 2),
            ("store.write_queue", 3),
            ("surveys.quality.questions", 6),
            ("surveys.quality.questions[0]", 7),
            ("surveys.quality.questions[0].answers", 8),
            ("surveys.quality.questions[1].name", 10),
            ("surveys.quality.questions[1].answers[1]", 12),
            ("surveys.quality.notes", 13),
            ("surveys.quality.rating", 5),
            ("surveys.quality.questions[0].optional", 7),
            ("surveys.other", 16),
            ("surveys.other.questions[0].name", 7),
            ("delivery", 17),
        ] {
            let context = Context::default();
            Cursor::free(&root, &context).fault_below::<()>(path, "wrong");
            let said = context.into_sorted().remove(0);
            assert_eq!(said.location.map(|it| it.line), Some(line), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_for_a_duration(text in ".*") {
            let _ = parse_duration(&text);
        }
    }
}
