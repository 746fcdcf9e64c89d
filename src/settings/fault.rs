use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong with the settings: where it stands, and what would be right. What is
/// written where a secret belongs is never repeated, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where in the operator's file; `None` where what is wrong comes from elsewhere.
    pub written: Option<Written>,
    /// Such as `surveys.quality.questions[0].answers`, or the name of a variable.
    pub path: String,
    pub message: String,
}

/// A line of the settings file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// As it was named; `None` for a text that has no name.
    pub file: Option<PathBuf>,
    /// That of the key or item, or of the nearest above it where the fault is that it is missing.
    pub line: usize,
}

/// Everything that was found wrong so far. Reading goes on after a fault, so that an operator
/// hears of all of them at once.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    pub(super) fn add(&self, path: impl Into<String>, message: impl Into<String>) {
        self.0.borrow_mut().push(Fault {
            written: None,
            path: path.into(),
            message: message.into(),
        });
    }

    /// Whether there is a fault at `path`, below it or above.
    pub(super) fn touch(&self, path: &str) -> bool {
        self.0.borrow().iter().any(|fault| lies_at(path, &fault.path) || lies_at(&fault.path, path))
    }

    pub(super) fn into_vec(self) -> Vec<Fault> {
        self.0.into_inner()
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
fn lies_at(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl fmt::Display for Fault {
    /// In one line, such as `postcall.yaml:12: delivery.delay: expected a duration`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.written {
            Some(Written { file: Some(file), line }) => write!(f, "{}:{line}: ", file.display())?,
            Some(Written { file: None, line }) => write!(f, "line {line}: ")?,
            None => {}
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}
