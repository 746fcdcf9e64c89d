use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Environment;
use super::located::Origin;

/// One thing that is wrong with the settings: its place, and what would be right. What is written
/// where a secret belongs is never repeated, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// `None` if what is wrong comes from no file.
    pub location: Option<Location>,
    /// Such as `surveys.quality.questions[0].answers`, or the name of a variable.
    pub path: String,
    pub message: String,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// As it was named; `None` for a text that has no name.
    pub file: Option<PathBuf>,
    /// That of the key or item, or of the nearest above it if it is missing.
    pub line: usize,
}

/// What all cursors over one tree share: where secrets come from, and everything that was found
/// wrong so far. Reading goes on after a fault, so that an operator reads of all of them at once.
#[derive(Default)]
pub(crate) struct Context {
    file: Option<PathBuf>,
    pub(super) environment: Arc<Environment>,
    found: RefCell<Vec<Diagnostic>>,
}

impl Context {
    pub(crate) fn of(file: Option<PathBuf>, environment: Environment) -> Self {
        Self { file, environment: Arc::new(environment), found: RefCell::default() }
    }

    /// Another one over the same tree, in which nothing was found.
    pub(super) fn empty(&self) -> Self {
        let environment = Arc::clone(&self.environment);
        Self { file: self.file.clone(), environment, found: RefCell::default() }
    }

    pub(super) fn add(&self, origin: &Origin, path: impl Into<String>, message: impl Into<String>) {
        let (path, mut message) = (path.into(), message.into());
        let location = match origin {
            Origin::Embedded => None,
            Origin::Line(line) => Some(Location { file: self.file.clone(), line: *line }),
            Origin::Variable(name) => {
                message.push_str(&format!(" (set by {name})"));
                None
            }
        };
        self.found.borrow_mut().push(Diagnostic { location, path, message });
    }

    /// Whether there is a fault at `path`, below it or above.
    pub(super) fn touch(&self, path: &str) -> bool {
        self.found.borrow().iter().any(|it| is_at(path, &it.path) || is_at(&it.path, path))
    }

    /// Each once: first what comes from no file, by path, then in the order of the file.
    pub(crate) fn into_sorted(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort();
        found.dedup();
        found
    }
}

/// The path of a key in the table at `above`; empty is the root. A key that is no plain word is
/// quoted: `"public.listen"` at the root is not the `listen` of `public`.
pub(super) fn path_to(above: &str, key: &str) -> String {
    let is_plain = key.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    let key = if is_plain { key.to_owned() } else { format!("{key:?}") };
    if above.is_empty() { key } else { format!("{above}.{key}") }
}

/// Whether `path` is `above` or below it.
fn is_at(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl fmt::Display for Diagnostic {
    /// In one line, such as `postcall.yaml:12: delivery.delay: expected a duration`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(Location { file: Some(file), line }) => write!(f, "{}:{line}: ", file.display())?,
            Some(Location { file: None, line }) => write!(f, "line {line}: ")?,
            None => {}
        }
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        write!(f, "{path}: {}", self.message)
    }
}
