//! Numbers with a leading zero that are not in quotes: this reader takes `010` for ten, and tools that
//! read YAML 1.1, such as Helm, for eight.

use super::located::{Located, Node, Origin};

/// Where the operator wrote such a number: paths such as `surveys.quality.questions[0].answers[2]`.
/// Keys are not looked at: no key is a number.
pub(super) fn paths(tree: &Located) -> Vec<String> {
    let mut found = Vec::new();
    walk(tree, String::new(), &mut found);
    found
}

fn walk(located: &Located, path: String, found: &mut Vec<String>) {
    match &located.node {
        Node::Scalar { text, value } => {
            let is_written = matches!(located.origin, Origin::File(_));
            if is_written && value.is_number() && has_leading_zero(text) {
                found.push(path);
            }
        }
        Node::List(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, format!("{path}[{at}]"), found);
            }
        }
        Node::Table(table) => {
            for (key, value) in table {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(value, below, found);
            }
        }
    }
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}
