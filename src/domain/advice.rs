use std::fmt;
use std::ops::Range;

/// What is wrong with a text that an operator wrote, and the known name that was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// One line: what is wrong, and what would be right.
    pub message: String,
    /// The known name to write instead, if one is close.
    pub suggestion: Option<String>,
    /// The name that is used and not defined, if that is what is wrong.
    pub undefined: Option<String>,
    /// The part of the text that is wrong, in bytes; `None` for the whole of it.
    pub part: Option<Range<usize>>,
}

/// Longest name that is compared with known names, in characters.
const COMPARED_MAX: usize = 64;

/// Fewest characters of a name that is taken for a part of a known name.
const PART_MIN: usize = 4;

impl Advice {
    /// Advice about a name that is not among those that are known: the closest of them, or all.
    pub fn unknown_name(message: impl Into<String>, name: &str, known: &[&str]) -> Self {
        let message = message.into();
        match closest(name, known) {
            Some(closest) => Self::from(message).suggest(closest),
            None if known.is_empty() => format!("{message}: none is defined").into(),
            None => format!("{message}; known: {}", known.join(", ")).into(),
        }
    }

    pub fn suggest(self, name: impl Into<String>) -> Self {
        Self { suggestion: Some(name.into()), ..self }
    }

    pub fn undefined(self, name: impl Into<String>) -> Self {
        Self { undefined: Some(name.into()), ..self }
    }

    /// Advice about this part of the text, unless it is about a smaller one already.
    pub fn at(self, part: impl Into<Option<Range<usize>>>) -> Self {
        Self { part: self.part.or(part.into()), ..self }
    }

    /// The same advice for a text that has so many more bytes before the first.
    pub fn behind(self, bytes: usize) -> Self {
        Self { part: self.part.map(|part| part.start + bytes..part.end + bytes), ..self }
    }
}

impl<T: Into<String>> From<T> for Advice {
    fn from(message: T) -> Self {
        Self { message: message.into(), suggestion: None, undefined: None, part: None }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

/// The known name that is closest to a misspelt one: at most a third of its letters differ, or it is
/// the only one that the misspelt name is a part of.
pub fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.chars().take(COMPARED_MAX + 1).count() > COMPARED_MAX {
        return None;
    }
    let name = plain(name);
    let distances = known.iter().filter_map(|known| {
        let other = plain(known);
        let longer = name.chars().count().max(other.chars().count());
        let distance = strsim::osa_distance(&name, &other);
        (distance * 3 <= longer).then_some((distance, *known))
    });
    if let Some((_, closest)) = distances.min_by_key(|(distance, _)| *distance) {
        return Some(closest);
    }
    let mut parts = known.iter().filter(|known| is_part(&name, &plain(known)));
    parts.next().filter(|_| parts.next().is_none()).copied()
}

/// Whether one name is the beginning of the other, or one of its words.
fn is_part(name: &str, known: &str) -> bool {
    name.chars().count() >= PART_MIN
        && (known.starts_with(name)
            || known.split('_').any(|word| word == name)
            || (known.len() >= PART_MIN && name.starts_with(known)))
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_has_the_closest_known_name_as_its_suggestion() {
        let keys = ["delay", "timeout", "connect_timeout", "max_concurrency", "write_queue"];
        for (name, expected) in [
            ("delays", Some("delay")),
            ("Delay", Some("delay")),
            ("dealy", Some("delay")),
            ("max-concurency", Some("max_concurrency")),
            ("queue", Some("write_queue")),
            ("connect", Some("connect_timeout")),
            ("lease", None),
            ("d", None),
            ("", None),
            (&"timeout".repeat(100), None),
        ] {
            assert_eq!(closest(name, &keys), expected, "{name}");
        }
        assert_eq!(closest("backoff", &["initial_backoff", "max_backoff"]), None);
        assert_eq!(closest("ONE_WAY", &["ONE_WAY_AUDIO", "ECHO"]), Some("ONE_WAY_AUDIO"));
    }

    #[test]
    fn advice_lists_the_known_names_only_if_none_is_close() {
        let said = |name| Advice::unknown_name("unknown key", name, &["url", "listen"]).to_string();
        assert_eq!(said("listn"), "unknown key; did you mean `listen`?");
        assert_eq!(said("port"), "unknown key; known: url, listen");
    }
}
