use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong with the settings: where it stands, and what would be right. What is
/// written where a secret belongs is never repeated, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Such as `surveys.quality.questions[0].answers`, or the name of a variable.
    pub path: String,
    pub message: String,
}

/// Everything that was found wrong so far. Reading goes on after a fault, so that an operator
/// hears of all of them at once.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    pub(super) fn add(&self, path: impl Into<String>, message: impl Into<String>) {
        self.0.borrow_mut().push(Fault { path: path.into(), message: message.into() });
    }

    /// Whether there is a fault at `path`, below it or above.
    pub(super) fn touch(&self, path: &str) -> bool {
        self.0.borrow().iter().any(|fault| lies_at(path, &fault.path) || lies_at(&fault.path, path))
    }

    /// Sorted by path, each once.
    pub(super) fn sorted(self) -> Vec<Fault> {
        let mut faults = self.0.into_inner();
        faults.sort();
        faults.dedup();
        faults
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}
