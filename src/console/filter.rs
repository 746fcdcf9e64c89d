use crate::admin::SubmissionQuery;

/// A search as its page has it: the query, and the keys that stand in its links.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// By key, as they were written: `since=24h` stays so.
    pub pairs: Vec<(String, String)>,
}

impl Filter {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A link to a page with the same search and these pairs besides.
    pub fn link(&self, path: &str, more: &[(&str, &str)]) -> String {
        let pairs = self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        link(path, pairs.chain(more.iter().copied()))
    }

    /// Whether anything is sought.
    pub(super) fn is_empty(&self) -> bool {
        !self.pairs.iter().any(|(key, _)| SubmissionQuery::KEYS.contains(&key.as_str()))
    }
}

/// A path with a query.
pub fn link<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut link = path.to_owned();
    for (at, (key, value)) in pairs.enumerate() {
        link.push(if at == 0 { '?' } else { '&' });
        link.push_str(key);
        link.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                    link.push(char::from(byte));
                }
                byte => link.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_escapes_its_values() {
        let link = link("/p", [("call", "a&b=c d"), ("since", "24h")].into_iter());
        assert_eq!(link, "/p?call=a%26b%3Dc%20d&since=24h");
    }
}
