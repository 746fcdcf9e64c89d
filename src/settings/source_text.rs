use std::fmt;
use std::path::{Path, PathBuf};

use super::located::{Located, Node};
use super::spec::Kind;

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

    /// The first line of what is kept. The file is named by the path of its folder without links, and by
    /// its own name: however its path is written, it is the same file. What the file itself links to may
    /// change with each edit, as in a ConfigMap of Kubernetes.
    pub fn head(file: &Path) -> String {
        format!("{HEAD}{:?}\n", canonical(file).display().to_string())
    }

    /// Whether a secret is written in it; `kind` is that of settings.
    pub fn has_secret(&self, kind: &'static Kind) -> bool {
        Located::parse(&self.text).map_or(true, |tree| has_secret(&tree, kind))
    }
}

fn canonical(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    match (folder, file.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}

impl fmt::Debug for SourceText {
    /// There may be secrets inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceText(…)")
    }
}

/// Whether a secret, or one of a list, is written out as `{ value: … }`.
fn has_secret(tree: &Located, kind: &'static Kind) -> bool {
    match &tree.node {
        Node::Table(table) if kind.is_secret() => table.contains_key("value"),
        Node::Table(table) => table.iter().any(|(key, it)| has_secret(it, kind.under(key))),
        Node::List(items) if kind.is_secret() => items.iter().any(|it| has_secret(it, kind)),
        Node::List(items) => items.iter().any(|it| has_secret(it, kind.item())),
        Node::Scalar { .. } => false,
    }
}
