//! What may stand where: read by the reader, so that it takes nothing else, and by the schema, so
//! that an editor knows the same.

use std::time::Duration;

/// An enum that an operator writes as one of a few words.
pub(super) trait Words: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

/// What may stand at a place.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Whatever YAML can say.
    Anything,
    /// No value: the key alone says that there is none.
    Blank,
    /// Not empty.
    Text,
    MaybeEmptyText,
    /// One of these.
    Word(fn() -> Vec<&'static str>),
    /// From the first to the second, both included.
    Whole(u64, u64),
    Number,
    /// Two whole numbers, such as the ends of a scale.
    TwoWhole,
    Flag,
    /// `true`, where there is nothing else to say.
    True,
    /// At least so long.
    Duration(Duration),
    /// What a caller keys: text, or a whole number as its digits.
    Answer,
    /// That an operator chose.
    Name,
    Secret,
    List(&'static Kind),
    Table(&'static Spec),
    /// A table with any of these keys, each like the one that is described.
    Alike(fn() -> Vec<&'static str>, &'static Key),
    /// A table whose keys are names.
    Named(&'static Kind),
    /// A table whose keys are languages, such as `en-US`.
    ByLanguage(&'static Kind),
    /// Any of these; of those that are read in the same way, the first is meant.
    OneOf(&'static [Kind]),
}

/// The keys that a table may have.
pub(super) struct Spec {
    pub(super) keys: &'static [Key],
    /// Of these keys there must be one and only one; empty where there is no such choice.
    pub(super) one_of: &'static [&'static str],
    /// Of these there may be one.
    pub(super) at_most_one_of: &'static [&'static str],
}

pub(super) struct Key {
    pub(super) name: &'static str,
    /// A sentence for the author of the settings.
    pub(super) about: &'static str,
    pub(super) kind: Kind,
    pub(super) is_needed: bool,
    /// As YAML, where `config/base.yaml` does not have it.
    pub(super) default: Option<&'static str>,
}

pub(super) const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, about, kind, is_needed: false, default: None }
}

impl Key {
    /// Required: it has no default.
    pub(super) const fn needed(self) -> Self {
        Self { is_needed: true, ..self }
    }

    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }
}

impl Spec {
    pub(super) const fn of(keys: &'static [Key]) -> Self {
        Self { keys, one_of: &[], at_most_one_of: &[] }
    }

    pub(super) const fn with_one_of(self, one_of: &'static [&'static str]) -> Self {
        Self { one_of, ..self }
    }

    pub(super) const fn with_at_most_one_of(self, keys: &'static [&'static str]) -> Self {
        Self { at_most_one_of: keys, ..self }
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// Of a table, all that it may have.
    pub(super) fn keys(&'static self) -> Option<Vec<&'static str>> {
        self.first(|kind| match kind {
            Kind::Table(spec) => Some(spec.keys.iter().map(|key| key.name).collect()),
            Kind::Alike(keys, _) => Some(keys()),
            _ => None,
        })
    }

    /// Under a key of a table; anything under one that it may not have.
    pub(super) fn under(&'static self, key: &str) -> &'static Kind {
        let below = match self {
            Kind::Table(spec) => spec.key(key).map(|key| &key.kind),
            Kind::Alike(_, key) => Some(&key.kind),
            Kind::Named(of) | Kind::ByLanguage(of) => Some(*of),
            Kind::OneOf(kinds) => {
                kinds.iter().find(|kind| kind.is_table()).map(|kind| kind.under(key))
            }
            _ => None,
        };
        below.unwrap_or(&Kind::Anything)
    }

    fn is_table(&self) -> bool {
        matches!(self, Kind::Table(_) | Kind::Alike(..) | Kind::Named(_) | Kind::ByLanguage(_))
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Kind::Secret)
    }

    /// Of a list.
    pub(super) fn item(&'static self) -> &'static Kind {
        let item = self.first(|kind| match kind {
            Kind::List(of) => Some(*of),
            _ => None,
        });
        item.unwrap_or(&Kind::Anything)
    }

    pub(super) fn range(&'static self) -> Option<(u64, u64)> {
        self.first(|kind| match kind {
            Kind::Whole(least, most) => Some((*least, *most)),
            _ => None,
        })
    }

    pub(super) fn shortest(&'static self) -> Option<Duration> {
        self.first(|kind| match kind {
            Kind::Duration(shortest) => Some(*shortest),
            _ => None,
        })
    }

    fn first<T>(&'static self, pick: fn(&'static Kind) -> Option<T>) -> Option<T> {
        match self {
            Kind::OneOf(kinds) => kinds.iter().find_map(pick),
            kind => pick(kind),
        }
    }
}
