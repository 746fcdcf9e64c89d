//! The tables of a store, as they are moved from one database to another.

/// A value of a column, whatever the databases call its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// How the databases have a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Bytes,
    /// 16 bytes in SQLite.
    Uuid,
    /// 0 or 1 in SQLite.
    Boolean,
    /// A text in SQLite that may have any character.
    TextAsBytes,
}

pub(super) struct Column {
    /// The expression that gives it in SQLite, and its name in PostgreSQL.
    pub from: &'static str,
    pub to: &'static str,
    pub kind: Kind,
}

pub(super) struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// How many of the columns, from the first, are its key.
    pub key: usize,
}

macro_rules! columns {
    ($($kind:ident: $($column:literal $(as $to:literal)?),+;)+) => {
        &[$($(Column {
            from: $column,
            to: columns!(@to $column $($to)?),
            kind: Kind::$kind,
        },)+)+]
    };
    (@to $column:literal) => { $column };
    (@to $column:literal $to:literal) => { $to };
}

/// What a store consists of, but for what PostgreSQL has beside it.
pub(super) const TABLES: [Table; 12] = [
    Table {
        name: "submissions",
        columns: columns! {
            Integer: "seq";
            Uuid: "id";
            Text: "account", "survey", "call", "state", "reason";
            Integer: "accepted_at", "due_at", "lease_until", "fence", "due_since",
                "settled_at", "retention", "purged_at", "checksum";
            Text: "document";
        },
        key: 1,
    },
    Table {
        name: "corrupt_documents",
        columns: columns! { Integer: "submission"; Bytes: "document"; },
        key: 1,
    },
    Table {
        name: "webhooks",
        columns: columns! {
            Integer: "submission", "received_at";
            Uuid: "id";
            Text: "source", "outcome", "method", "query";
            Bytes: "body";
        },
        key: 3,
    },
    Table {
        name: "idempotency_keys",
        columns: columns! {
            Text: "source";
            TextAsBytes: "key";
            Bytes: "digest";
            Uuid: "submission";
            Integer: "used_at";
            Boolean: "expires";
        },
        key: 2,
    },
    Table { name: "pauses", columns: columns! { Text: "account", "pause"; }, key: 1 },
    Table { name: "scopes", columns: columns! { Text: "account", "survey"; }, key: 2 },
    Table {
        name: "state_counts",
        // No replica has this slot: the first that serves the database takes the counts over.
        columns: columns! {
            Integer: "only - 1" as "slot", "accepted", "collecting", "pending", "delivered", "ignored",
                "dead", "discarded";
        },
        key: 1,
    },
    Table {
        name: "deleted_counts",
        columns: columns! { Integer: "0 + 0" as "slot"; Text: "state"; Integer: "submissions"; },
        key: 2,
    },
    Table {
        name: "tallies",
        columns: columns! {
            Integer: "0 + 0" as "slot";
            Text: "field";
            Integer: "day";
            Text: "survey", "account", "value", "state", "reason";
            Integer: "rating";
            Text: "issues", "origin";
            Integer: "n";
        },
        key: 11,
    },
    Table {
        name: "survey_revisions",
        columns: columns! { Text: "survey"; Integer: "since"; Text: "digest"; },
        key: 2,
    },
    Table {
        name: "clock",
        columns: columns! {
            Integer: "only" as "only_row", "trusted_at", "wall_at", "unconfirmed_us";
        },
        key: 1,
    },
    Table {
        name: "quarantine",
        columns: columns! {
            Uuid: "id";
            Text: "source", "account", "survey";
            Integer: "received_at";
            Text: "method", "path", "query";
            Bytes: "headers", "body";
        },
        key: 1,
    },
];
