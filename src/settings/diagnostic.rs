use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::Environment;
use super::located::{Located, NotYaml, Origin, Position, without_bom};
use super::scalar_part::ScalarPart;
use super::source_line::SourceLine;
use crate::domain::Advice;

/// One thing that is wrong with the settings: its place, and what would be right. What is written
/// where a secret belongs is never repeated, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// `None` if what is wrong comes from no file.
    pub location: Option<Location>,
    /// Such as `surveys.quality.questions[0].answers`, or the name of a variable.
    pub path: String,
    pub message: String,
    /// What to write instead of a misspelt name.
    pub suggestion: Option<String>,
    /// Without what may be a secret; `None` if what is wrong is on no line of a file, or beyond the
    /// first 200.
    pub source: Option<SourceLine>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// As it was named; `None` for a text that has no name.
    pub file: Option<PathBuf>,
    /// That of the key or item, or of the nearest above it if it is missing; the first is 1.
    pub line: usize,
    /// In characters; the first is 1.
    pub column: usize,
}

/// What all cursors over one tree share: where secrets come from, and everything that was found
/// wrong so far. Reading continues after a fault, so that an operator sees all of them at once.
#[derive(Default)]
pub(crate) struct Context {
    file: Option<PathBuf>,
    /// What the file says, or nothing if no line of it is to be shown.
    text: Arc<str>,
    pub(super) environment: Arc<Environment>,
    found: RefCell<Vec<Diagnostic>>,
    unknown: RefCell<Vec<UnknownKey>>,
    /// Paths of tables with a key that is no name.
    misnamed: RefCell<Vec<String>>,
    /// Paths of entries that are referred to and not defined.
    undefined: RefCell<BTreeSet<String>>,
    /// Secrets that are not set, where a placeholder replaces them.
    missing_secrets: RefCell<Vec<Diagnostic>>,
    /// How many parts of scalars were looked for in the file.
    parts: Cell<usize>,
}

/// Most diagnostics that have the line of the file, each of which has to be looked for in it.
const SHOWN_MAX: usize = 200;

/// A key that is not known where it is.
struct UnknownKey {
    path: String,
    /// The path of the key that was probably meant.
    meant: Option<String>,
}

/// Which of a key and its value is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

impl Context {
    pub(crate) fn of(file: Option<PathBuf>, environment: Environment) -> Self {
        Self { file, environment: Arc::new(environment), ..Self::default() }
    }

    /// Shows the lines of this text, which is that of the file.
    pub(crate) fn showing(self, text: &str) -> Self {
        Self { text: without_bom(text).into(), ..self }
    }

    /// Another one over the same tree, in which nothing was found.
    pub(super) fn empty(&self) -> Self {
        let (text, environment) = (Arc::clone(&self.text), Arc::clone(&self.environment));
        Self { file: self.file.clone(), text, environment, ..Self::default() }
    }

    /// The tree of a text; `None` if it is not YAML, which is noted.
    pub(crate) fn parse(&self, text: &str) -> Option<Located> {
        Located::parse(text).map_err(|error| self.add_not_yaml(error)).ok()
    }

    /// Notes why the text is not YAML.
    pub(super) fn add_not_yaml(&self, NotYaml { line, column, message }: NotYaml) {
        self.add(&Origin::File(Position::new(line, column)), Part::Key, String::new(), message);
    }

    pub(super) fn add(
        &self,
        origin: &Origin,
        part: Part,
        path: impl Into<String>,
        advice: impl Into<Advice>,
    ) {
        self.found.borrow_mut().push(self.diagnostic(origin, part, path, advice));
    }

    /// As [`add`](Self::add), for a scalar that says `value`: at the part that the advice is about, if its
    /// place in the file can be found.
    pub(super) fn add_to_scalar(
        &self,
        value: &str,
        origin: &Origin,
        path: impl Into<String>,
        advice: Advice,
    ) {
        let found = advice.part.as_ref().and_then(|part| self.locate(value, origin, part));
        let mut diagnostic = self.diagnostic(origin, Part::Value, path, advice);
        if let (Some(location), Some(ScalarPart { line, column, length })) =
            (&mut diagnostic.location, found)
        {
            (location.line, location.column) = (line, column);
            diagnostic.source = SourceLine::of_part(&self.text, line, column, length);
        }
        self.found.borrow_mut().push(diagnostic);
    }

    fn locate(&self, value: &str, origin: &Origin, part: &Range<usize>) -> Option<ScalarPart> {
        let Origin::File(Position { value_at, .. }) = origin else { return None };
        self.parts.set(self.parts.get() + 1);
        if self.parts.get() > SHOWN_MAX {
            return None;
        }
        ScalarPart::locate(&self.text, *value_at, value, part)
    }

    /// Notes a secret that is not set and replaced by a placeholder.
    pub(super) fn add_missing_secret(&self, origin: &Origin, path: impl Into<String>) {
        let message =
            "this secret is not set: a placeholder is used, which matches no real signature";
        self.missing_secrets.borrow_mut().push(self.diagnostic(origin, Part::Value, path, message));
    }

    /// In the order of the file.
    pub(super) fn missing_secrets(&self) -> Vec<Diagnostic> {
        let mut missing = self.missing_secrets.borrow().clone();
        missing.sort();
        missing
    }

    fn diagnostic(
        &self,
        origin: &Origin,
        part: Part,
        path: impl Into<String>,
        advice: impl Into<Advice>,
    ) -> Diagnostic {
        let Advice { mut message, suggestion, .. } = advice.into();
        let location = match origin {
            Origin::Embedded => None,
            Origin::File(Position { line, column, value_column, .. }) => {
                let of_value = value_column.filter(|_| part == Part::Value);
                let (line, column) = (*line, of_value.unwrap_or(*column));
                Some(Location { file: self.file.clone(), line, column })
            }
            Origin::Variable(name) => {
                message.push_str(&format!(" (set by {name})"));
                None
            }
        };
        Diagnostic { location, path: path.into(), message, suggestion, source: None }
    }

    /// Remembers a key that is not known, so that what follows from it is not reported.
    pub(super) fn note_unknown(&self, path: String, meant: Option<String>) {
        self.unknown.borrow_mut().push(UnknownKey { path, meant });
    }

    /// Remembers that a table has a key that is no name.
    pub(super) fn note_misnamed(&self, table: &str) {
        self.misnamed.borrow_mut().push(table.to_owned());
    }

    /// Remembers that an entry is not defined, and returns whether that is new.
    pub(super) fn note_undefined(&self, path: String) -> bool {
        self.undefined.borrow_mut().insert(path)
    }

    /// Whether a misspelt key was probably meant to be the one at `path`.
    pub(super) fn is_meant(&self, path: &str) -> bool {
        self.unknown.borrow().iter().any(|key| key.meant.as_deref() == Some(path))
    }

    /// Whether a key below `path` is not known.
    pub(super) fn has_unknown_below(&self, path: &str) -> bool {
        self.unknown.borrow().iter().any(|key| is_at(&key.path, path))
    }

    /// Whether an entry of a table is missing because its key, or that of the table, is misspelt.
    pub(super) fn may_lack_entries(&self, table: &str) -> bool {
        self.is_meant(table) || self.misnamed.borrow().iter().any(|misnamed| misnamed == table)
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
        for diagnostic in found.iter_mut().take(SHOWN_MAX) {
            if let (None, Some(location)) = (&diagnostic.source, &diagnostic.location) {
                diagnostic.source = SourceLine::of(&self.text, location.line, location.column);
            }
        }
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
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl fmt::Display for Diagnostic {
    /// In one line, such as `postcall.yaml:12: delivery.delay: expected a duration`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(Location { file: Some(file), line, .. }) => {
                write!(f, "{}:{line}: ", file.display())?
            }
            Some(Location { file: None, line, .. }) => write!(f, "line {line}: ")?,
            None => {}
        }
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        write!(f, "{path}: {}", self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}
