//! The tree as an operator wrote it, read place by place.
//!
//! Not derived with serde: its errors quote the value they stumble over, which may be a secret,
//! and it stops at the first. Here every place knows its path, every fault is noted and reading
//! goes on; `None` means that the fault is noted already.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fault::{Faults, path_to};
use super::shape::Kind;
use crate::domain::Name;

/// The longest duration that a setting may have.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Which question is meant, where one is named.
pub(super) const QUESTION: &str = "the name of a question";

/// What a caller keys, as it is written.
pub(super) const ANSWER: &str = "a key such as 1, or text such as \"#\"";

/// One place in the tree.
#[derive(Clone)]
pub(super) struct Place<'a> {
    path: String,
    value: &'a Value,
    /// What may stand here.
    kind: &'static Kind,
    faults: &'a Faults,
}

/// A place with keys, all of them known.
pub(super) struct Table<'a> {
    path: String,
    kind: &'static Kind,
    entries: &'a Map<String, Value>,
    faults: &'a Faults,
}

impl<'a> Place<'a> {
    pub(super) fn root(value: &'a Value, kind: &'static Kind, faults: &'a Faults) -> Self {
        Self { path: String::new(), value, kind, faults }
    }

    /// The same place, as if this stood there.
    pub(super) fn holding<'b>(&self, value: &'b Value) -> Place<'b>
    where
        'a: 'b,
    {
        Place { path: self.path.clone(), value, kind: self.kind, faults: self.faults }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The last part of the path.
    pub(super) fn key(&self) -> &str {
        self.path.rsplit_once('.').map_or(&self.path, |(_, key)| key)
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn fault<T>(&self, message: impl Into<String>) -> Option<T> {
        self.faults.add(self.path.clone(), message);
        None
    }

    /// For what stands below, where its key must not be walked into.
    pub(super) fn fault_at<T>(&self, path: &str, message: impl Into<String>) -> Option<T> {
        self.faults.add(path, message);
        None
    }

    /// Notes what stands here, by its kind only.
    pub(super) fn expected<T>(&self, what: &str) -> Option<T> {
        self.fault(format!("expected {what}, found {}", kind(self.value)))
    }

    /// Notes whatever a constructor has to say.
    pub(super) fn check<T, E: ToString>(&self, result: Result<T, E>) -> Option<T> {
        result.map_or_else(|error| self.fault(error.to_string()), Some)
    }

    /// With no keys but those that its kind names.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        let known = self.kind.keys().expect("it is described as a table");
        let Value::Object(entries) = self.value else {
            return self.expected(&format!("a table with {}", known.join(", ")));
        };
        let table = self.table_of(entries);
        for key in entries.keys().filter(|key| !known.contains(&key.as_str())) {
            table.faults.add(table.path_of(key), unknown_key(&known));
        }
        Some(table)
    }

    fn table_of(&self, entries: &'a Map<String, Value>) -> Table<'a> {
        Table { path: self.path.clone(), kind: self.kind, entries, faults: self.faults }
    }

    /// Blank, or a table without keys.
    pub(super) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::Object(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// A table whose keys are names; blank is empty.
    pub(super) fn entries(&self) -> Vec<(Name, Place<'a>)> {
        let entries = match self.value {
            Value::Object(entries) => entries,
            Value::Null => return Vec::new(),
            _ => {
                self.expected::<()>("a table of names");
                return Vec::new();
            }
        };
        let table = self.table_of(entries);
        entries
            .keys()
            .filter_map(|key| {
                let place = table.get(key)?;
                place.check(key.parse()).map(|name| (name, place))
            })
            .collect()
    }

    pub(super) fn list(&self, of: &str) -> Option<Vec<Place<'a>>> {
        let Value::Array(items) = self.value else {
            return self.expected(&format!("a list of {of}"));
        };
        let place = |(index, value)| Place {
            path: format!("{}[{index}]", self.path),
            value,
            kind: self.kind.item(),
            faults: self.faults,
        };
        Some(items.iter().enumerate().map(place).collect())
    }

    /// Not empty. `what` completes "expected …".
    pub(super) fn text(&self, what: &str) -> Option<&'a str> {
        match self.value {
            Value::String(text) if !text.is_empty() => Some(text),
            Value::String(_) => self.fault(format!("expected {what}, found empty text")),
            Value::Number(_) | Value::Bool(_) => {
                self.fault(format!("expected {what}, found {}: quote it", kind(self.value)))
            }
            _ => self.expected(what),
        }
    }

    pub(super) fn name(&self, what: &str) -> Option<Name> {
        let text = self.text(what)?;
        self.check(text.parse())
    }

    /// What a caller keys, as text: a whole number stands for its decimal digits. Nothing else
    /// does, because YAML would have changed it: `1.0`, `yes`, `~`.
    pub(super) fn answer(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if number.is_u64() => Some(number.to_string()),
            Value::Number(number) if number.is_f64() => self.unquoted("a fraction"),
            Value::Number(_) => self.unquoted("a negative number"),
            Value::Bool(_) | Value::Null => self.unquoted(kind(self.value)),
            Value::Array(_) | Value::Object(_) => self.expected(ANSWER),
        }
    }

    fn unquoted<T>(&self, found: &str) -> Option<T> {
        self.fault(format!("expected {ANSWER}, found {found}: quote it"))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        if let Some(described) = self.kind.words() {
            assert_eq!(all, described, "{} is described by other words", self.path);
        }
        let what = match all[..] {
            [only] => only.to_owned(),
            _ => format!("one of {}", all.join(", ")),
        };
        let text = self.text(&what)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Some(*meaning),
            None => self.fault(format!("expected {what}")),
        }
    }

    /// A whole number in the range that its kind names.
    /// Text is read too, because a variable has nothing else.
    pub(super) fn whole(&self) -> Option<u64> {
        let (least, most) = self.kind.range().expect("it is described as a whole number");
        let what = format!("a whole number from {least} to {most}");
        let number = match self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => return self.expected(&what),
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => self.fault(format!("expected {what}")),
        }
    }

    /// `what` completes "expected …".
    pub(super) fn number(&self, what: &str) -> Option<f64> {
        match self.value {
            Value::Number(number) => number.as_f64(),
            _ => self.expected(what),
        }
    }

    /// Two whole numbers. `what` completes "expected …".
    pub(super) fn two_whole(&self, what: &str) -> Option<(i64, i64)> {
        match self.value.as_array().map(Vec::as_slice) {
            Some([one, other]) => match (one.as_i64(), other.as_i64()) {
                (Some(one), Some(other)) => Some((one, other)),
                _ => self.fault(format!("expected {what}, both whole numbers")),
            },
            Some(_) => self.fault(format!("expected {what}")),
            None => self.expected(what),
        }
    }

    /// `true` or `false`, the words as text too.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => self.expected("true or false"),
        }
    }

    /// `<integer><ms|s|m|h|d>`, as long as its kind wants and at most [`LONGEST`].
    pub(super) fn duration(&self) -> Option<Duration> {
        const WHAT: &str = "a duration such as 500ms, 30s, 10m, 72h or 7d";
        let shortest = self.kind.shortest().expect("it is described as a duration");
        let Value::String(text) = self.value else {
            return self.expected(WHAT);
        };
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
    pub(super) fn get(&self, key: &str) -> Option<Place<'a>> {
        let value = self.entries.get(key)?;
        let kind = self.kind.under(key);
        Some(Place { path: self.path_of(key), value, kind, faults: self.faults })
    }

    /// As [`get`](Self::get), for what an operator may leave blank in the base.
    pub(super) fn get_filled(&self, key: &str) -> Option<Place<'a>> {
        self.get(key).filter(|place| !place.value.is_null())
    }

    /// The place under the only key there is.
    pub(super) fn only(&self) -> Option<Place<'a>> {
        let mut keys = self.entries.keys();
        match (keys.next(), keys.next()) {
            (Some(key), None) => self.get(key),
            _ => None,
        }
    }

    /// Notes it if there is none.
    pub(super) fn need(&self, key: &str, what: &str) -> Option<Place<'a>> {
        let place = self.get(key);
        if place.is_none() {
            self.faults.add(self.path_of(key), format!("missing: expected {what}"));
        }
        place
    }

    /// The default where the key is absent, `None` where it is there and wrong.
    pub(super) fn or<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(Place<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).map_or(Some(default), read)
    }

    pub(super) fn fault_at<T>(&self, key: &str, message: impl Into<String>) -> Option<T> {
        self.faults.add(self.path_of(key), message);
        None
    }

    /// What follows from another fault, at this path or below or above, is not worth saying.
    pub(super) fn fault_unless_noted(&self, below: &str, message: impl Into<String>) {
        let path = format!("{}.{below}", self.path);
        if !self.faults.touch(&path) {
            self.faults.add(path, message);
        }
    }

    fn path_of(&self, key: &str) -> String {
        path_to(&self.path, key)
    }
}

pub(super) fn unknown_key(known: &[&str]) -> String {
    format!("unknown key; known here: {}", known.join(", "))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
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
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::settings::shape::{Shape, key};

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
        let tree = json!({ "listen": 5, "lists": [true], "odd": 1 });
        static KIND: Kind = Kind::Table(&Shape::of(&[
            key("listen", Kind::Text, "Where."),
            key("lists", Kind::List(&Kind::Text), "What."),
            key("url", Kind::Text, "Whence."),
        ]));
        let faults = Faults::default();
        let table = Place::root(&tree, &KIND, &faults).table().unwrap();
        assert_eq!(table.get("listen").unwrap().text("an address"), None);
        assert_eq!(table.get("lists").unwrap().list("words").unwrap()[0].text("a word"), None);
        assert!(table.need("url", "an address").is_none());
        let mut said: Vec<String> = faults.into_vec().iter().map(ToString::to_string).collect();
        said.sort();
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

    proptest! {
        #[test]
        fn no_text_is_too_strange_for_a_duration(text in ".*") {
            let _ = parse_duration(&text);
        }
    }
}
