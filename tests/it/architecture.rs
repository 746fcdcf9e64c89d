//! The architecture: which module may depend on which, as the table on the architecture page
//! (`src/lib.rs`) says, which module may know which crate, and no cycles between files.

mod cycles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cycles::Files;

/// Crates and types that only some modules may know, so that each can be replaced in one place.
const KNOWN_TO: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("refinery", &["store"]),
    // The demo sends webhooks, so it is a client too.
    ("awc", &["destination", "cli"]),
    ("HttpRequest", &["http", "simulator"]),
    ("HttpResponse", &["http", "simulator"]),
    ("prometheus", &["telemetry"]),
    ("minijinja", &["survey"]),
    ("maud", &["console"]),
    // Every text of a page is escaped, by its type.
    ("PreEscaped", &[]),
    ("utoipa", &["admin", "http"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli"]),
    ("terminal_size", &["cli"]),
    ("annotate_snippets", &["cli"]),
    ("strsim", &["domain"]),
    ("config", &["settings"]),
    ("yaml_rust2", &["settings"]),
];

/// What tells the time or is random by itself: a test can neither move it nor repeat it.
const AMBIENT: &[&str] = &["Timestamp::now", "Instant::now", "SystemTime", "fastrand", "now_v7"];

/// Where that may be: the sources of both, and programs of their own.
const MAY_BE_AMBIENT: &[&str] = &["clock", "random", "cli", "simulator"];

/// Modules without I/O, clock or randomness.
const PURE: &[&str] = &["domain", "submission", "account"];

/// What those must not know.
const NOT_IN_PURE: &[&str] = &["async ", "tokio", "tracing", "std::fs", "std::net"];

#[test]
fn a_module_depends_only_on_the_modules_that_the_table_names() {
    let table = table();
    for source in sources().into_iter().filter(|source| source.module != "lib") {
        let (_, allowed) = table
            .iter()
            .find(|(module, _)| *module == source.module)
            .unwrap_or_else(|| panic!("{} is in no module of the table", source.path.display()));
        for used in source.modules_used() {
            assert!(
                used == source.module || allowed.contains(&used),
                "{} depends on {used}, which its row of the table does not name",
                source.path.display()
            );
        }
    }
}

#[test]
fn every_module_of_the_table_exists() {
    let mut modules: BTreeSet<String> = sources().into_iter().map(|source| source.module).collect();
    modules.remove("lib");
    let table: BTreeSet<String> = table().into_iter().map(|(module, _)| module).collect();
    assert_eq!(modules, table);
}

#[test]
fn dependencies_in_the_table_point_downward() {
    let mut below = BTreeSet::new();
    for (module, allowed) in table() {
        let above = allowed.iter().find(|used| !below.contains(*used));
        assert_eq!(above, None, "the table lets {module} use a module that is not above its row");
        below.insert(module);
    }
}

#[test]
fn no_files_depend_on_each_other_in_a_cycle() {
    let root = root();
    let sources = sources();
    let inside = |source: &Source| source.path.strip_prefix(&root).unwrap().to_owned();
    let paths: Vec<PathBuf> = sources.iter().map(inside).collect();
    let texts = sources.iter().map(|source| source.text.as_str());
    let files = Files::of(paths.iter().map(|path| path.to_str().unwrap()).zip(texts));
    let cycles: Vec<_> = files
        .cycles()
        .into_iter()
        .map(|cycle| format!("{} -> {}", cycle.join(" -> "), cycle[0]))
        .collect();
    assert!(cycles.is_empty(), "files depend on each other in a cycle:\n{}", cycles.join("\n"));
}

#[test]
fn a_crate_is_known_only_where_it_belongs() {
    for source in sources() {
        for (name, modules) in KNOWN_TO {
            let is_known = source.code().any(|line| names(line, name));
            assert!(
                !is_known || modules.contains(&source.module.as_str()),
                "{} knows {name}, which only {modules:?} may",
                source.path.display()
            );
        }
    }
}

#[test]
fn pure_modules_know_no_clock_no_io_and_nothing_asynchronous() {
    for source in sources().into_iter().filter(|source| PURE.contains(&&*source.module)) {
        for word in NOT_IN_PURE {
            let found = source.code().find(|line| line.contains(word));
            assert_eq!(found, None, "{} knows {word}", source.path.display());
        }
    }
}

#[test]
fn there_is_one_clock_and_one_source_of_randomness() {
    let others = |source: &Source| !MAY_BE_AMBIENT.contains(&&*source.module);
    for source in sources().into_iter().filter(others) {
        // Tests at the end of a file measure, and draw by a seed.
        let code = source.code().take_while(|line| *line != "#[cfg(test)]");
        let found: Vec<_> =
            code.filter(|line| AMBIENT.iter().any(|word| line.contains(word))).collect();
        assert!(
            found.is_empty(),
            "{} has a clock or randomness of its own, not `Clock` or `Random`: {found:?}",
            source.path.display()
        );
    }
}

#[test]
fn a_child_never_imports_from_its_facade() {
    for source in sources().into_iter().filter(|source| source.module != "lib") {
        let is_facade = source.path.ends_with("mod.rs");
        let through_the_facade = format!("crate::{}::{{", source.module);
        let mut code = source.code().take_while(|line| *line != "#[cfg(test)]");
        let found = code.find(|line| !is_facade && line.contains(&through_the_facade));
        assert_eq!(found, None, "{} imports from its own facade", source.path.display());
    }
}

#[test]
fn an_unsigned_webhook_is_believed_only_by_the_tools_that_store_nothing() {
    let preview = Path::new("cli/preview");
    for source in sources().into_iter().filter(|source| source.module != "source") {
        let believes = source.code().any(|line| line.contains("believe("));
        let is_tool = source.path.parent().is_some_and(|folder| folder.ends_with(preview));
        assert!(!believes || is_tool, "{} believes an unsigned webhook", source.path.display());
    }
}

struct Source {
    path: PathBuf,
    /// The part of the crate that it belongs to: the first name of its path.
    module: String,
    text: String,
}

impl Source {
    /// Without comments, whose links may point anywhere.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    fn modules_used(&self) -> BTreeSet<String> {
        let root = if self.module == "main" { "postcall::" } else { "crate::" };
        self.code()
            .flat_map(|line| line.split(root).skip(1))
            .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
            .filter(|module: &String| !module.is_empty())
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
        let is_whole = !before.is_some_and(is_part_of_more);
        is_whole && if is_type { !after.starts_with(is_word) } else { after.starts_with("::") }
    })
}

/// The rows of the table on the architecture page, from the bottom layer to the top: a module, and
/// the modules that it may use. A new dependency is a decision, and is made there.
fn table() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(root().join("lib.rs")).unwrap();
    let rows = page.lines().skip_while(|line| *line != "//! | module | may use |").skip(2);
    let cells =
        rows.map_while(|line| line.strip_prefix("//! | ")?.strip_suffix(" |")?.split_once(" | "));
    let names = |cell: &str| -> Vec<String> {
        cell.split(", ").filter(|name| *name != "–").map(str::to_owned).collect()
    };
    cells.map(|(module, allowed)| (module.to_owned(), names(allowed))).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let root = root();
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
                let module = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path, module, text });
            }
        }
    }
    assert!(found.len() > 50, "the walk found the sources");
    found
}
