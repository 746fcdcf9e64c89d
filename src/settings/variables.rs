use super::cursor::unknown_key;
use super::diagnostic::{Context, path_to};
use super::located::{Located, Node, Origin, Table};

const PREFIX: &str = "POSTCALL__";
/// Sections whose keys are names that the operator chose.
const NAMED: [&str; 3] = ["accounts", "sources", "surveys"];

/// The `POSTCALL__SECTION__KEY` variables, each as a layer of its own. A variable that may not
/// override anything is a fault; each is checked against the tree as the files have it.
pub(super) fn layers(tree: &Located, context: &Context) -> Vec<Located> {
    let mut layers = Vec::new();
    for (name, text) in context.environment.iter() {
        let Some(segments) = name.strip_prefix(PREFIX) else { continue };
        match Target::find(segments, tree) {
            Ok(target) => layers.push(target.layer(name, text)),
            Err(message) => context.add(&Origin::Embedded, name, message),
        }
    }
    layers
}

/// The place that a variable means.
#[derive(Default)]
struct Target {
    keys: Vec<String>,
    path: String,
}

impl Target {
    fn find(segments: &str, tree: &Located) -> Result<Self, String> {
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
        }
        match here.map(|here| &here.node) {
            Some(Node::Table(_)) => {
                Err(format!("{} is a table: name one of its keys", target.path))
            }
            Some(Node::List(_)) => {
                Err(format!("{} is a list: lists come from files only", target.path))
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

    /// The key that the next segment stands for, where `here` is what stands at the path so far.
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
    fn may_create(&self, key: &str, tree: &Located) -> Result<(), String> {
        match &self.keys[..] {
            [] => {
                let sections = tree.as_table().into_iter().flat_map(Table::keys);
                Err(unknown_key(&sections.map(String::as_str).collect::<Vec<_>>()))
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
