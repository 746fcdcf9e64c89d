use std::io::Read;
use std::path::Path;
use std::{fmt, fs};

use config::{Config, ConfigError, File, FileFormat, Map, Source, ValueKind};
use serde_json::Value;

use super::Environment;
use super::error::SettingsError;
use super::fault::{Faults, path_to};
use super::not_yaml::NotYaml;
use super::variables::Variables;
use super::written::unknown_key;

/// Every fixed key with its default, embedded. It is also the page an operator reads.
const BASE: &str = include_str!("../../config/base.yaml");

/// Longest file of settings that is read, in bytes: a wrong path should not fill the memory.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The base, the file and the variables as one tree.
pub(super) struct Layered {
    pub(super) tree: Value,
    pub(super) variables: Variables,
}

/// Lays the file over the base and the variables over both. What cannot be laid, because no such
/// section exists or because a variable may not reach there, is a fault and left out.
///
/// # Errors
/// The text is not a table in YAML.
pub(super) fn lay(
    text: &str,
    environment: &Environment,
    faults: &Faults,
) -> Result<Layered, NotYaml> {
    let base = Layer::from_yaml(BASE).expect("the embedded base is tested");
    let file = Layer::from_yaml(text)?.over(&base, faults);

    let written = tree(&[base.clone(), file.clone()]);
    let variables = Variables::read(environment, &written, faults);
    let overrides = variables.overrides().map(|(path, text)| Layer::one(path, text));

    let layers: Vec<Layer> = [base, file].into_iter().chain(overrides).collect();
    Ok(Layered { tree: tree(&layers), variables })
}

/// What is in force where nothing is written.
pub(super) fn base() -> Value {
    tree(&[Layer::from_yaml(BASE).expect("the embedded base is tested")])
}

/// What a text of ours says as YAML.
pub(super) fn value(text: &str) -> Value {
    let layer = Layer::from_yaml(&format!("value: {text}")).expect("it is YAML");
    tree(&[layer])["value"].take()
}

/// A table of its own.
///
/// # Errors
/// The text is not a table in YAML.
pub(super) fn table(text: &str) -> Result<Value, NotYaml> {
    Ok(tree(&[Layer::from_yaml(text)?]))
}

/// # Errors
/// The file cannot be read as text of a bearable length.
pub(super) fn read_file(path: &Path) -> Result<String, SettingsError> {
    let mut text = String::new();
    let read = fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|source| SettingsError::Unreadable { file: path.to_owned(), source })?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(SettingsError::TooLong { file: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    Ok(text)
}

/// One source of settings, ready for `config`.
#[derive(Clone)]
struct Layer(Map<String, config::Value>);

impl Layer {
    fn from_yaml(text: &str) -> Result<Self, NotYaml> {
        if let Some(line) = text.lines().position(is_too_deep) {
            let message = format!("line {}: nested deeper than any setting is", line + 1);
            return Err(NotYaml(message));
        }
        File::from_str(text, FileFormat::Yaml).collect().map(Self).map_err(NotYaml::from)
    }

    /// A single value at the end of `path`.
    fn one(path: &[String], text: &str) -> Self {
        let mut keys = path.iter().rev().cloned();
        let last = keys.next().expect("a variable names a section and a key");
        let leaf = Map::from_iter([(last, config::Value::from(text))]);
        Self(keys.fold(leaf, |below, key| Map::from_iter([(key, config::Value::from(below))])))
    }

    /// Without the sections that the base does not have, which `config` might take for paths
    /// (`store.url: …`), and without keys left blank, which would wipe their defaults out.
    fn over(mut self, base: &Layer, faults: &Faults) -> Self {
        self.0.retain(|section, _| {
            let known = base.0.contains_key(section);
            if !known {
                let mut sections: Vec<&str> = base.0.keys().map(String::as_str).collect();
                sections.sort_unstable();
                faults.add(path_to("", section), unknown_key(&sections));
            }
            known
        });
        drop_blanks(&mut self.0, &base.0);
        self
    }
}

impl fmt::Debug for Layer {
    /// `config` asks for it; there may be secrets inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer(…)")
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, config::Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

fn tree(layers: &[Layer]) -> Value {
    layers
        .iter()
        .fold(Config::builder(), |builder, layer| builder.add_source(layer.clone()))
        .build()
        .and_then(Config::try_deserialize)
        .expect("tables under plain keys merge, and all that YAML knows is known to JSON")
}

fn drop_blanks(over: &mut Map<String, config::Value>, base: &Map<String, config::Value>) {
    over.retain(|key, value| match (&mut value.kind, base.get(key).map(|base| &base.kind)) {
        (ValueKind::Nil, Some(_)) => false,
        (ValueKind::Table(over), Some(ValueKind::Table(base))) => {
            drop_blanks(over, base);
            true
        }
        _ => true,
    });
}

/// The parser bounds the depth of `[[[` but not that of block lists and tables, and exhausts the
/// stack. Every level of those begins further to the right.
fn is_too_deep(line: &str) -> bool {
    const COLUMN_MAX: usize = 200;
    line.len() - line.trim_start_matches([' ', '-', '?']).len() > COLUMN_MAX
}
