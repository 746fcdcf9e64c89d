//! The floors of the house, held to the table on the architecture page (`src/lib.rs`): a room uses
//! the rooms below it that the table names, never one beside or above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which room may use which. A new arrow is a decision, and is made here.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("simulator", &[]),
    ("submission", &["domain"]),
    ("account", &["domain"]),
    ("source", &["domain"]),
    ("survey", &["domain", "submission"]),
    ("store", &["domain", "submission", "account"]),
    ("destination", &["domain"]),
    ("telemetry", &["domain", "submission", "account", "store"]),
    ("intake", &["submission", "account", "domain", "source", "survey", "store", "telemetry"]),
    ("triage", &["submission", "account", "domain", "survey", "store", "telemetry"]),
    (
        "delivery",
        &["submission", "account", "domain", "survey", "destination", "store", "telemetry"],
    ),
    ("http", &["submission", "account", "domain", "intake", "triage", "telemetry"]),
    (
        "settings",
        &[
            "submission",
            "account",
            "domain",
            "source",
            "survey",
            "store",
            "destination",
            "delivery",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "domain",
            "submission",
            "account",
            "source",
            "store",
            "destination",
            "telemetry",
            "survey",
            "intake",
            "triage",
            "delivery",
            "http",
            "settings",
        ],
    ),
    // It starts the logs before there is an app, hence telemetry; http describes its API.
    (
        "cli",
        &[
            "app",
            "settings",
            "http",
            "source",
            "survey",
            "store",
            "destination",
            "triage",
            "simulator",
            "domain",
            "submission",
            "account",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Crates that only some rooms may know, so that each stays where it can be replaced.
const KNOWN_TO: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("refinery", &["store"]),
    // The demo plays the senders of hooks, which are clients too.
    ("awc", &["destination", "cli"]),
    ("HttpRequest", &["http", "simulator"]),
    ("HttpResponse", &["http", "simulator"]),
    ("prometheus", &["telemetry"]),
    ("minijinja", &["survey"]),
    ("utoipa", &["triage", "http"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli"]),
    ("terminal_size", &["cli"]),
    ("config", &["settings"]),
    ("yaml_rust2", &["settings", "cli"]),
];

/// Layers without I/O, clock or randomness.
const PURE: &[&str] = &["domain", "submission", "account"];

/// What those must not know.
const NOT_IN_DOMAIN: &[&str] = &[
    "async ",
    "tokio",
    "tracing",
    "Timestamp::now",
    "Instant::now",
    "fastrand",
    "std::fs",
    "std::net",
];

#[test]
fn every_room_uses_only_the_rooms_that_the_table_names() {
    for source in sources() {
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(room, _)| *room == source.room)
            .unwrap_or_else(|| panic!("{} is in no room of the table", source.path.display()));
        for used in source.rooms_used() {
            assert!(
                used == source.room || allowed.contains(&used.as_str()),
                "{} uses {used}: that arrow is not in the table",
                source.path.display()
            );
        }
    }
}

#[test]
fn every_room_of_the_table_exists() {
    let rooms: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    let table: BTreeSet<String> = MAY_USE.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, table);
}

#[test]
fn a_crate_is_known_only_where_it_belongs() {
    for source in sources() {
        for (name, rooms) in KNOWN_TO {
            let is_known = source.code().any(|line| names(line, name));
            assert!(
                !is_known || rooms.contains(&source.room.as_str()),
                "{} knows {name}, which only {rooms:?} may",
                source.path.display()
            );
        }
    }
}

#[test]
fn the_nouns_know_no_clock_no_io_and_nothing_asynchronous() {
    for source in sources().into_iter().filter(|source| PURE.contains(&&*source.room)) {
        for word in NOT_IN_DOMAIN {
            let found = source.code().find(|line| line.contains(word));
            assert_eq!(found, None, "{} knows {word}", source.path.display());
        }
    }
}

#[test]
fn children_never_import_their_face() {
    for source in sources().into_iter().filter(|source| source.room != "lib") {
        let is_face = source.path.ends_with("mod.rs");
        let through_the_face = format!("crate::{}::{{", source.room);
        let mut code = source.code().take_while(|line| *line != "#[cfg(test)]");
        let found = code.find(|line| !is_face && line.contains(&through_the_face));
        assert_eq!(found, None, "{} imports its own face", source.path.display());
    }
}

#[test]
fn a_hook_that_nobody_signed_is_believed_only_by_the_tools_that_keep_nothing() {
    let rehearsal = Path::new("cli/rehearsal");
    for source in sources().into_iter().filter(|source| source.room != "source") {
        let believes = source.code().any(|line| line.contains("believe("));
        let is_tool = source.path.parent().is_some_and(|folder| folder.ends_with(rehearsal));
        assert!(!believes || is_tool, "{} believes anybody", source.path.display());
    }
}

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

impl Source {
    /// Without comments, whose links may point anywhere.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    fn rooms_used(&self) -> BTreeSet<String> {
        let root = if self.room == "main" { "postcall::" } else { "crate::" };
        self.code()
            .flat_map(|line| line.split(root).skip(1))
            .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
            .filter(|room: &String| !room.is_empty())
            .collect()
    }
}

/// Whether a line of code names a crate or a type: as a path's first part, or in an import.
fn names(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let is_type = name.starts_with(char::is_uppercase);
        let is_part_of_more = |c| is_word(c) || c == '"' || c == '.' || (c == ':' && !is_type);
        let stands_alone = !before.is_some_and(is_part_of_more);
        stands_alone && if is_type { !after.starts_with(is_word) } else { after.starts_with("::") }
    })
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let room = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path, room, text });
            }
        }
    }
    assert!(found.len() > 50, "the walk found the sources");
    found
}
