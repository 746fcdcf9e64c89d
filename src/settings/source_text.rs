use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::located::Located;

/// First line of the file, before the name of the settings file; it keeps the settings of another service
/// from being taken.
const HEAD: &str = "# The settings that Postcall accepted last from ";

/// A settings file as it was read.
pub(super) struct SourceText {
    pub file: PathBuf,
    pub text: String,
}

impl SourceText {
    pub fn new(file: &Path, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned() }
    }

    /// The first line of what is kept.
    pub fn head(file: &Path) -> String {
        format!("{HEAD}{:?}\n", file.display().to_string())
    }

    /// Whether a secret is written in it.
    pub fn has_secret(&self) -> bool {
        Located::parse(&self.text).map_or(true, |tree| has_value(&tree.json()))
    }
}

impl fmt::Debug for SourceText {
    /// There may be secrets inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceText(…)")
    }
}

/// Whether there is a table `{ value: … }`, by which a secret is written out.
fn has_value(tree: &Value) -> bool {
    match tree {
        Value::Object(table) => {
            table.len() == 1 && table.contains_key("value") || table.values().any(has_value)
        }
        Value::Array(items) => items.iter().any(has_value),
        _ => false,
    }
}
