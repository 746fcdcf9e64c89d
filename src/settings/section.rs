//! Sections whose keys are declared once: the reader, the schema and the field of each come from
//! one line.

use std::str::FromStr;
use std::time::Duration;

use super::cursor::{Cursor, Table};
use super::spec::{Key, Kind, Spec, Words};

/// A table of settings.
pub(super) trait Section: Sized {
    const SPEC: &'static Spec;

    fn at(cursor: &Cursor<'_>) -> Option<Self>;
}

/// Declares a section. The doc comment of a field is what the schema says of its key, the field's
/// name is the key unless another follows it after `@`, and what follows `=` reads it. With `impl`
/// the struct is another module's. `check` looks at the fields together; those that could not be
/// read are `None` there.
macro_rules! section {
    (
        $(#[$of_struct:meta])*
        pub struct $section:ident {
            $( $(#[doc = $about:literal])+ $name:ident $(@ $key:literal)?: $kind:ty = $setting:expr, )+
        }
        $( check |$table:ident| $check:block )?
    ) => {
        $(#[$of_struct])*
        pub struct $section { $( $(#[doc = $about])+ pub $name: $kind, )+ }

        section! {
            impl $section {
                $( $(#[doc = $about])+ $name $(@ $key)?: $kind = $setting, )+
            }
            $( check |$table| $check )?
        }
    };
    (
        impl $section:ident {
            $( $(#[doc = $about:literal])+ $name:ident $(@ $key:literal)?: $kind:ty = $setting:expr, )+
        }
        $( with { $($given:ident: $value:expr),+ } )?
        $( check |$table:ident| $check:block )?
    ) => {
        impl $crate::settings::section::Section for $section {
            const SPEC: &'static $crate::settings::spec::Spec =
                &$crate::settings::spec::Spec::of(&[ $({
                    const SETTING: $crate::settings::section::Setting<$kind> = $setting;
                    SETTING.key(
                        $crate::settings::section::key_of!($name $($key)?),
                        concat!($($about),+).trim_ascii_start(),
                    )
                }),+ ]);

            fn at(cursor: &$crate::settings::cursor::Cursor<'_>) -> Option<Self> {
                let table = cursor.table()?;
                $( let $name = {
                    const SETTING: $crate::settings::section::Setting<$kind> = $setting;
                    SETTING.at(&table, $crate::settings::section::key_of!($name $($key)?))
                }; )+
                // What a misspelt key was meant to say is not known.
                $( let $table = &table;
                if !cursor.has_unknown_below() $check )?
                Some(Self { $( $name: $name?, )+ $( $($given: $value,)+ )? })
            }
        }
    };
}
pub(super) use section;

macro_rules! key_of {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $key:literal) => {
        $key
    };
}
pub(super) use key_of;

/// Declares the words that an operator writes for the values of an enum.
macro_rules! words {
    ($( $of:ty { $($word:literal => $value:ident),+ } )+) => { $(
        impl $crate::settings::spec::Words for $of {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, <$of>::$value)),+];
        }
    )+ };
}
pub(super) use words;

/// How a key is read, and what may stand there.
pub(super) struct Setting<T> {
    kind: Kind,
    /// Completes "expected …".
    expected: &'static str,
    read: fn(&Cursor<'_>, &'static str) -> Option<T>,
    absent: Absent<T>,
}

/// What it means that a key is absent.
enum Absent<T> {
    /// It is an error; `config/base.yaml` may have the key.
    Error,
    /// As if this YAML stood there.
    Default(&'static str),
    /// A value of its own, also if the key is left blank.
    Means(fn() -> T),
}

pub(super) const fn setting<T>(
    kind: Kind,
    expected: &'static str,
    read: fn(&Cursor<'_>, &'static str) -> Option<T>,
) -> Setting<T> {
    Setting { kind, expected, read, absent: Absent::Error }
}

/// What may be left out, or left blank.
pub(super) const fn optional<T>(
    kind: Kind,
    expected: &'static str,
    read: fn(&Cursor<'_>, &'static str) -> Option<Option<T>>,
) -> Setting<Option<T>> {
    Setting { kind, expected, read, absent: Absent::Means(|| None) }
}

/// Text that means something.
pub(super) const fn parsed<T: FromStr<Err: ToString>>(expected: &'static str) -> Setting<T> {
    setting(Kind::Text, expected, |cursor, expected| cursor.parsed(expected))
}

pub(super) const fn duration(shortest: Duration) -> Setting<Duration> {
    setting(Kind::Duration(shortest), "a duration", |cursor, _| cursor.duration())
}

/// From the first to the second, both included; both fit into `T`.
pub(super) const fn whole<T: TryFrom<u64>>(least: u64, most: u64) -> Setting<T> {
    setting(Kind::Whole(least, most), "a whole number", |cursor, _| {
        Some(T::try_from(cursor.whole()?).ok().expect("its bounds fit into the type"))
    })
}

pub(super) const fn word<T: Words>() -> Setting<T> {
    setting(words_of::<T>(), "a word", |cursor, _| cursor.one_of())
}

/// The kind of a place with one of those words.
pub(super) const fn words_of<T: Words>() -> Kind {
    Kind::Word(|| T::WORDS.iter().map(|(word, _)| *word).collect())
}

pub(super) const fn table<T: Section>() -> Setting<T> {
    setting(Kind::Table(T::SPEC), "a table", |cursor, _| T::at(cursor))
}

/// A table that may be left out, or left blank.
pub(super) const fn optional_table<T: Section>() -> Setting<Option<T>> {
    optional(Kind::Table(T::SPEC), "a table", |cursor, _| T::at(cursor).map(Some))
}

impl<T> Setting<T> {
    /// As if this YAML stood there, where nothing does.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { absent: Absent::Default(default), ..self }
    }

    pub(super) const fn key(&self, name: &'static str, about: &'static str) -> Key {
        let default = match self.absent {
            Absent::Default(default) => Some(default),
            Absent::Error | Absent::Means(_) => None,
        };
        Key { name, about, kind: self.kind, is_needed: false, default }
    }

    pub(super) fn at(&self, table: &Table<'_>, key: &str) -> Option<T> {
        let read = |cursor: &Cursor<'_>| (self.read)(cursor, self.expected);
        match &self.absent {
            Absent::Error => read(&table.need(key, self.expected)?),
            Absent::Default(default) => table.get_or(key, default, read),
            Absent::Means(meaning) => {
                table.get_filled(key).map_or_else(|| Some(meaning()), |it| read(&it))
            }
        }
    }
}
