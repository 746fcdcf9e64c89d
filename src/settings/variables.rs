use serde_json::{Map, Value};

use super::Environment;
use super::fault::{Faults, path_to};
use super::written::unknown_key;

const PREFIX: &str = "POSTCALL__";
/// Sections whose keys are names that the operator chose.
const NAMED: [&str; 3] = ["accounts", "sources", "surveys"];

/// The `POSTCALL__SECTION__KEY` variables that may override something.
///
/// `config` has a reader for these, but it would create entries, replace lists and tables by text
/// and give numbers back altered; so they are checked against the tree first.
pub(super) struct Variables(Vec<Variable>);

struct Variable {
    name: String,
    target: Target,
    text: String,
}

/// The place that a variable means.
#[derive(Default)]
struct Target {
    keys: Vec<String>,
    path: String,
    /// The path itself and, above it, the tables that are not there without the variable.
    written: Vec<String>,
}

impl Variables {
    pub(super) fn read(environment: &Environment, tree: &Value, faults: &Faults) -> Self {
        let mut variables = Vec::new();
        for (name, text) in environment.iter() {
            let Some(segments) = name.strip_prefix(PREFIX) else { continue };
            match Target::find(segments, tree) {
                Ok(target) => {
                    let (name, text) = (name.to_owned(), text.to_owned());
                    variables.push(Variable { name, target, text });
                }
                Err(message) => faults.add(name, message),
            }
        }
        Self(variables)
    }

    /// Paths of at least two keys, and the text to stand there.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (&[String], &str)> {
        self.0.iter().map(|variable| (variable.target.keys.as_slice(), variable.text.as_str()))
    }

    /// The name of the variable that set what stands at `path`.
    pub(super) fn setter(&self, path: &str) -> Option<&str> {
        let sets = |variable: &&Variable| variable.target.written.iter().any(|set| set == path);
        self.0.iter().find(sets).map(|variable| variable.name.as_str())
    }
}

impl Target {
    fn find(segments: &str, tree: &Value) -> Result<Self, String> {
        let segments: Vec<&str> = segments.split("__").collect();
        if segments.len() < 2 || segments.contains(&"") {
            return Err("names no setting: write POSTCALL__SECTION__KEY".to_owned());
        }
        let mut target = Self::default();
        let mut here = Some(tree);
        for segment in segments {
            let key = target.key_below(here, segment)?;
            here = here.and_then(|here| here.get(&key));
            if here.is_none() {
                target.may_create(&key, tree)?;
            }
            target.path = path_to(&target.path, &key);
            target.keys.push(key);
            if here.is_none() {
                target.written.push(target.path.clone());
            }
        }
        match here {
            Some(Value::Object(_)) => {
                Err(format!("{} is a table: name one of its keys", target.path))
            }
            Some(Value::Array(_)) => {
                Err(format!("{} is a list: lists come from files only", target.path))
            }
            Some(_) => {
                target.written.push(target.path.clone());
                Ok(target)
            }
            None => Ok(target),
        }
    }

    /// The key that the next segment stands for, where `here` is what stands at the path so far.
    fn key_below(&self, here: Option<&Value>, segment: &str) -> Result<String, String> {
        let segment = segment.to_lowercase();
        match here {
            None | Some(Value::Null) => Ok(segment),
            Some(Value::Object(table)) => key_of(table, segment),
            Some(Value::Array(_)) => {
                Err(format!("reaches into the list {}: lists come from files only", self.path))
            }
            Some(_) => Err(format!("{} is a value, not a table", self.path)),
        }
    }

    /// Entries and sections cannot be made by a variable: a slip in its name would make another.
    fn may_create(&self, key: &str, tree: &Value) -> Result<(), String> {
        match &self.keys[..] {
            [] => {
                let sections = tree.as_object().into_iter().flatten();
                Err(unknown_key(&sections.map(|(section, _)| section.as_str()).collect::<Vec<_>>()))
            }
            [section] if NAMED.contains(&section.as_str()) => Err(format!(
                "there is no {}: a variable overrides what an entry of the file says, it cannot \
                 create one",
                path_to(section, key)
            )),
            _ => Ok(()),
        }
    }
}

/// Names may have hyphens, which most shells do not allow in a variable, and issues are written in
/// capitals: whatever is alike in all else is meant.
fn key_of(table: &Map<String, Value>, segment: String) -> Result<String, String> {
    if table.contains_key(&segment) {
        return Ok(segment);
    }
    let mut alike = table.keys().filter(|key| key.to_lowercase().replace('-', "_") == segment);
    match (alike.next(), alike.next()) {
        (None, _) => Ok(segment),
        (Some(key), None) => Ok(key.clone()),
        (Some(one), Some(other)) => Err(format!("may mean {one} or {other}")),
    }
}
