use std::io::Read;
use std::path::Path;
use std::{fmt, fs};

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::diagnostic::Context;
use super::error::SettingsError;
use super::located::{Located, Node, NotYaml, Origin, Position};
use super::spec::Kind;
use super::variables;

/// Every fixed key with its default, embedded. It is also the page an operator reads.
const BASE: &str = include_str!("../../config/base.yaml");

/// Longest file of settings that is read, in bytes: a wrong path should not fill the memory.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Lays the file over the base and the variables over both. What a variable may not reach is a
/// fault and left out.
///
/// # Errors
/// The text is not a table in YAML.
pub(super) fn lay(text: &str, kind: &'static Kind, context: &Context) -> Result<Located, NotYaml> {
    let mut file = Located::parse(text)?;
    if file.as_table().is_none() {
        let message = "expected a table of sections such as `public:` and `accounts:`".to_owned();
        return Err(NotYaml { line: 1, column: 1, message });
    }
    let base = base();
    file.fill_blanks(&base);
    let variables = variables::layers(&merge(&base, &file, &[]), kind, context);
    Ok(merge(&base, &file, &variables))
}

/// What is in force where nothing is written.
pub(super) fn base() -> Located {
    Located::embedded(BASE)
}

/// # Errors
/// The file cannot be read as text of a bearable length.
pub(super) fn read_file(path: &Path) -> Result<String, SettingsError> {
    let mut text = String::new();
    let read = fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|source| SettingsError::ParseError { file: path.to_owned(), source })?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(SettingsError::TooLong { file: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    Ok(text)
}

/// Merges the layers, each over the one before: table by table, key by key.
fn merge(base: &Located, file: &Located, variables: &[Located]) -> Located {
    let merged = [base, file]
        .into_iter()
        .chain(variables)
        .fold(Config::builder(), |builder, layer| builder.add_source(Layer(to_config(layer))))
        .build()
        .and_then(|config| config.get_table(ROOT))
        .expect("tables merge into a table");
    let written: Vec<&Located> = [file, base].into_iter().chain(variables).collect();
    from_config(Value::new(None, merged), &written)
}

/// The one key under which each layer has its settings: `config` takes keys at the root for paths,
/// such as `store.url`, but not the keys below.
const ROOT: &str = "settings";

/// One source of settings, ready for `config`.
#[derive(Clone)]
struct Layer(Value);

impl fmt::Debug for Layer {
    /// `config` requires it; there may be secrets inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer(…)")
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(Map::from_iter([(ROOT.to_owned(), self.0.clone())]))
    }
}

/// Scalars keep their text, because `04` and `1.50` are more than their numbers. The origin says where
/// a value was written, and whether it means more than its text.
fn to_config(located: &Located) -> Value {
    let (style, kind) = match &located.node {
        Node::Scalar { text, value } => {
            (if value.is_string() { "text" } else { "plain" }, text.as_str().into())
        }
        Node::List(items) => ("list", ValueKind::Array(items.iter().map(to_config).collect())),
        Node::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.clone(), to_config(value)));
            ("table", ValueKind::Table(entries.collect()))
        }
    };
    let origin = match &located.origin {
        Origin::Embedded => format!("{style} embedded"),
        Origin::File(Position { line, column, value_column, value_at }) => {
            let value_column = value_column.unwrap_or_default();
            let (value_line, of_value) = value_at;
            format!("{style} line {line} {column} {value_column} {value_line} {of_value}")
        }
        Origin::Variable(name) => format!("{style} variable {name}"),
    };
    Value::new(Some(&origin), kind)
}

/// `config` drops the origin of a table that it merges, so that is taken from the first of `written`:
/// the layers that have a value at this place.
fn from_config(value: Value, written: &[&Located]) -> Located {
    let (style, origin) = match value.origin().and_then(|origin| origin.split_once(' ')) {
        Some((style, place)) => (style, parse_origin(place)),
        None => ("table", written.first().map_or(Origin::Embedded, |it| it.origin.clone())),
    };
    let is_plain = style == "plain";
    let node = match value.kind {
        ValueKind::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let below: Vec<_> = written.iter().filter_map(|it| it.get(&key)).collect();
                let located = from_config(value, &below);
                (key, located)
            });
            Node::Table(entries.collect())
        }
        ValueKind::Array(items) => {
            Node::List(items.into_iter().map(|item| from_config(item, &[])).collect())
        }
        scalar => Node::scalar(scalar.to_string(), is_plain),
    };
    Located { origin, node }
}

fn parse_origin(place: &str) -> Origin {
    let line = place.strip_prefix("line ").and_then(parse_place).map(Origin::File);
    let variable = place.strip_prefix("variable ").map(|name| Origin::Variable(name.to_owned()));
    line.or(variable).unwrap_or(Origin::Embedded)
}

/// Five numbers, the third of which is 0 if there is none.
fn parse_place(text: &str) -> Option<Position> {
    let mut numbers = text.split(' ').map(|number| number.parse().ok());
    let (line, column) = (numbers.next()??, numbers.next()??);
    let value_column = numbers.next()?.filter(|column| *column > 0);
    let value_at = (numbers.next()??, numbers.next()??);
    Some(Position { line, column, value_column, value_at })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Environment;

    fn merged(base: &str, file: &str) -> Located {
        let base = Located::embedded(base);
        let mut file = Located::parse(file).unwrap();
        file.fill_blanks(&base);
        merge(&base, &file, &[])
    }

    fn line(located: &Located, keys: &[&str]) -> Option<usize> {
        let found = keys.iter().fold(located, |located, key| located.get(key).unwrap());
        match &found.origin {
            Origin::File(place) => Some(place.line),
            _ => None,
        }
    }

    #[test]
    fn a_blank_keeps_its_default_and_a_table_keeps_the_keys_that_it_does_not_name() {
        let tree =
            merged("a: { b: 1, c: [2] }\nd: 3\ne:\n", "a:\n  b:\n  c: [4, 5]\nd: { f: 6 }\n");
        assert_eq!(tree.json(), json!({"a": {"b": 1, "c": [4, 5]}, "d": {"f": 6}, "e": null}));
    }

    #[test]
    fn a_merged_value_keeps_its_line_and_its_text() {
        let file = "a:\n  b: 04\n  c: '5'\n  d:\ng:\n  h: [{ i: 1.50 }]\n";
        let tree = merged("a: { b: 1, d: 2, e: 3 }\nf: 4\n", file);
        assert_eq!(
            tree.json(),
            json!({"a": {"b": 4, "c": "5", "d": 2, "e": 3}, "f": 4, "g": {"h": [{"i": 1.5}]}})
        );
        let Node::Scalar { text, .. } = &tree.get("a").unwrap().get("b").unwrap().node else {
            panic!("b is no scalar");
        };
        assert_eq!(text, "04");
        for (keys, expected) in [
            (&["a"][..], Some(1)),
            (&["a", "b"], Some(2)),
            (&["a", "d"], Some(4)),
            (&["a", "e"], None),
            (&["f"], None),
            (&["g"], Some(5)),
            (&["g", "h"], Some(6)),
        ] {
            assert_eq!(line(&tree, keys), expected, "{keys:?}");
        }
    }

    #[test]
    fn a_key_with_a_dot_is_no_path() {
        let tree = merged("a: { b: 1 }\n", "a.b: 2\n'c[0]': 3\n");
        assert_eq!(tree.json(), json!({"a": {"b": 1}, "a.b": 2, "c[0]": 3}));
    }

    #[test]
    fn a_variable_is_the_origin_of_what_it_sets_and_of_nothing_above() {
        let name = "POSTCALL__STORE__URL";
        let environment = Environment::from_iter([(name, "sqlite:x.db")]);
        let tree = lay("", &Kind::Anything, &Context::of(None, environment)).expect("it is YAML");
        let store = tree.get("store").unwrap();
        assert!(matches!(store.origin, Origin::Embedded));
        let url = store.get("url").unwrap();
        assert!(matches!(&url.origin, Origin::Variable(of) if of == name));
    }
}
