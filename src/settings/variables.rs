use super::cursor::unknown_key;
use super::diagnostic::{Context, Part, path_to};
use super::located::{Located, Node, Origin, Table};
use super::spec::Kind;
use crate::domain::Advice;

const PREFIX: &str = "POSTCALL__";
/// Of a variable that is no setting, and that someone may take for one.
const SINGLE_PREFIX: &str = "POSTCALL_";
/// Sections whose keys are names that the operator chose.
const NAMED: [&str; 3] = ["accounts", "sources", "surveys"];

/// The `POSTCALL__SECTION__KEY` variables, each as a layer of its own. A variable that may not
/// override anything is a fault; each is checked against the tree as the files have it.
pub(super) fn layers(tree: &Located, kind: &'static Kind, context: &Context) -> Vec<Located> {
    let mut layers = Vec::new();
    let fault = |name: &str, advice| context.add(&Origin::Embedded, Part::Key, name, advice);
    for (name, text) in context.environment.iter() {
        if let Some(segments) = name.strip_prefix(PREFIX) {
            match Target::find(segments, tree) {
                Ok(target) => layers.push(target.layer(name, text)),
                Err(advice) => fault(name, advice),
            }
        } else if let Some(right) = with_double_underscores(name, kind, tree) {
            let message =
                "sets nothing: the parts of a setting's name are joined by two underscores";
            fault(name, Advice::from(message).suggest(right));
        }
    }
    layers
}

/// The variable of a setting whose name was written with single underscores.
fn with_double_underscores(name: &str, kind: &'static Kind, tree: &Located) -> Option<String> {
    let written = name.strip_prefix(SINGLE_PREFIX)?.replace("__", "_");
    let mut paths = Vec::new();
    scalars(kind, Some(tree), &mut Vec::new(), &mut paths);
    let meant = paths.into_iter().find(|path| path.len() > 1 && path.join("_") == written)?;
    Some(format!("{PREFIX}{}", meant.join("__")))
}

/// The paths of all settings that a variable can set, in capitals.
fn scalars(
    kind: &'static Kind,
    located: Option<&Located>,
    path: &mut Vec<String>,
    found: &mut Vec<Vec<String>>,
) {
    let mut below = |key: &str, kind: &'static Kind| {
        path.push(key.to_uppercase().replace('-', "_"));
        scalars(kind, located.and_then(|it| it.get(key)), path, found);
        path.pop();
    };
    match kind {
        Kind::Table(spec) => spec.keys.iter().for_each(|key| below(key.name, &key.kind)),
        Kind::Named(of) => {
            let names = located.and_then(Located::as_table).into_iter().flat_map(Table::keys);
            names.for_each(|name| below(name, of));
        }
        Kind::Text
        | Kind::MaybeEmptyText
        | Kind::Word(_)
        | Kind::Whole(..)
        | Kind::Number
        | Kind::Flag
        | Kind::Duration(_)
        | Kind::Name => found.push(path.clone()),
        _ => {}
    }
}

/// The place that a variable means.
#[derive(Default)]
struct Target {
    keys: Vec<String>,
    path: String,
}

impl Target {
    fn find(segments: &str, tree: &Located) -> Result<Self, Advice> {
        let segments: Vec<&str> = segments.split("__").collect();
        if segments.len() < 2 || segments.contains(&"") {
            return Err("names no setting: write POSTCALL__SECTION__KEY".into());
        }
        let mut target = Self::default();
        let mut here = Some(tree);
        for segment in &segments {
            let key = target.key_below(here, segment)?;
            here = here.and_then(|here| here.get(&key));
            if here.is_none() {
                target.may_create(&key, &segments, tree)?;
            }
            target.path = path_to(&target.path, &key);
            target.keys.push(key);
        }
        match here.map(|here| &here.node) {
            Some(Node::Table(_)) => {
                Err(format!("{} is a table: name one of its keys", target.path).into())
            }
            Some(Node::List(_)) => {
                Err(format!("{} is a list: lists come from files only", target.path).into())
            }
            Some(Node::Scalar { .. }) | None => Ok(target),
        }
    }

    /// The tables that lead to the value, and the value.
    fn layer(self, name: &str, text: &str) -> Located {
        let origin = Origin::Variable(name.to_owned());
        let value = Located::text(text.to_owned(), origin.clone());
        self.keys.into_iter().rev().fold(value, |below, key| Located {
            origin: origin.clone(),
            node: Node::Table(Table::from_iter([(key, below)])),
        })
    }

    /// The key that the next segment means; `here` is the value at the path so far.
    fn key_below(&self, here: Option<&Located>, segment: &str) -> Result<String, String> {
        let segment = segment.to_lowercase();
        let Some(here) = here.filter(|here| !here.is_blank()) else { return Ok(segment) };
        match &here.node {
            Node::Table(table) => key_of(table, segment),
            Node::List(_) => {
                Err(format!("reaches into the list {}: lists come from files only", self.path))
            }
            Node::Scalar { .. } => Err(format!("{} is a value, not a table", self.path)),
        }
    }

    /// Entries and sections cannot be made by a variable: a slip in its name would make another.
    fn may_create(&self, key: &str, segments: &[&str], tree: &Located) -> Result<(), Advice> {
        match &self.keys[..] {
            [] => {
                let sections = tree.as_table().into_iter().flat_map(Table::keys);
                let sections: Vec<&str> = sections.map(String::as_str).collect();
                let mut advice = unknown_key(key, &sections, |_| false);
                advice.suggestion = advice.suggestion.map(|section| {
                    format!("{PREFIX}{}__{}", section.to_uppercase(), segments[1..].join("__"))
                });
                Err(advice)
            }
            [section] if NAMED.contains(&section.as_str()) => Err(format!(
                "there is no {}: a variable overrides what an entry of the file says, it cannot \
                 create one",
                path_to(section, key)
            )
            .into()),
            _ => Ok(()),
        }
    }
}

/// Names may have hyphens, which most shells do not allow in a variable, and issues are written in
/// capitals: whatever is alike in all else is meant.
fn key_of(table: &Table, segment: String) -> Result<String, String> {
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
