//! The reference of the book names what there is: every metric, every command and every argument, and
//! no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::{Arg, Command, CommandFactory};
use postcall::cli::Cli;
use postcall::telemetry::{LabelSets, Metrics};

const METRICS: &str = include_str!("../../docs/reference/metrics.md");
const BEGIN: &str =
    "<!-- Generated from the program: INSTA_UPDATE=always cargo test --test it reference -->\n";
const END: &str = "<!-- End of what is generated. -->\n";

#[test]
fn every_metric_is_in_the_reference_with_its_type_and_labels_and_no_other() {
    let described: Vec<(String, Family)> = METRICS.lines().filter_map(row).collect();
    let names: BTreeSet<&String> = described.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), described.len(), "a metric is described twice");
    let exists = families();
    for (name, family) in &exists {
        let row = described.iter().find(|(described, _)| described == name);
        let (_, row) = row.unwrap_or_else(|| panic!("docs/reference/metrics.md lacks {name}"));
        assert_eq!(row, family, "{name} in docs/reference/metrics.md");
    }
    for name in names {
        assert!(exists.contains_key(name), "docs/reference/metrics.md: there is no metric {name}");
    }
}

#[test]
fn every_metric_that_the_book_and_the_readme_name_exists() {
    let exists = families();
    for file in pages() {
        let text = fs::read_to_string(&file).unwrap();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for found in text.split(|c| !word(c)).filter(|word| word.starts_with("postcall_")) {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| found.strip_suffix(suffix))
                .filter(|name| exists.get(*name).is_some_and(|it| it.kind == "histogram"))
                .unwrap_or(found);
            let is_prefix = found == "postcall_";
            assert!(
                is_prefix || exists.contains_key(family),
                "{}: no metric {found}",
                file.display()
            );
        }
    }
}

#[test]
fn every_command_and_argument_is_in_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/cli.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has the mark of its beginning");
    let (written, after) = rest.split_once(END).expect("the page has the mark of its end");
    let generated = commands();
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, format!("{before}{BEGIN}{generated}{END}{after}")).unwrap();
        return;
    }
    let differs = written.lines().zip(generated.lines()).find(|(one, other)| one != other);
    assert_eq!(differs, None, "docs/reference/cli.md is outdated: run with INSTA_UPDATE=always");
    assert_eq!(
        written, generated,
        "docs/reference/cli.md is outdated: run with INSTA_UPDATE=always"
    );
}

#[test]
fn every_command_and_argument_that_the_reference_of_commands_names_exists() {
    let page = include_str!("../../docs/reference/cli.md").replace(BEGIN, "");
    let (mut arguments, mut paths) = (BTreeSet::new(), BTreeSet::new());
    each_command(&mut |command| {
        let longs = command.get_arguments().filter_map(Arg::get_long_and_visible_aliases);
        arguments.extend(longs.flatten().map(str::to_owned));
        paths.insert(command.get_bin_name().unwrap().to_owned());
    });
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    for found in page.split(|c| !word(c)).filter_map(|word| word.strip_prefix("--")) {
        let is_rule = found.chars().all(|c| c == '-');
        assert!(is_rule || arguments.contains(found), "no command has --{found}");
    }
    for (at, _) in page.match_indices("`postcall ") {
        let named: Vec<&str> = page[at + 1..].split(|c| !word(c)).take(2).collect();
        assert!(paths.contains(&named.join(" ")), "there is no command {}", named.join(" "));
    }
}

/// Type and label names of a metric.
#[derive(Debug, PartialEq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
}

/// What a running service serves, without the labels that operators add.
fn families() -> BTreeMap<String, Family> {
    let name = |text: &str| text.parse().unwrap();
    let labels = LabelSets {
        sources: vec![(name("ivr"), vec!["v3"])],
        surveys: vec![name("quality")],
        accounts: vec![name("main")],
        rejections: vec!["missing"],
        answers: vec![(name("quality"), name("score"), vec!["5".to_owned()])],
        ..LabelSets::default()
    };
    let page = Metrics::new(&labels, "hash").render().unwrap();
    let mut families = BTreeMap::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|it| it.split_once(' '))
        else {
            continue;
        };
        let series = lines.next().unwrap();
        let labels = series.split_once('{').map_or("", |(_, labels)| labels);
        let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
        let labels = labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le");
        if name.starts_with("postcall_") {
            families.insert(
                name.to_owned(),
                Family { kind: kind.to_owned(), labels: labels.collect() },
            );
        }
    }
    assert!(families.len() > 30);
    families
}

/// A metric's row in the reference.
fn row(line: &str) -> Option<(String, Family)> {
    let (name, rest) = line.strip_prefix("| `postcall_")?.split_once("` | ")?;
    let (kind, _) = rest.split_once(" | ")?;
    let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    let labels = labels.map(str::to_owned).collect();
    Some((format!("postcall_{name}"), Family { kind: kind.to_owned(), labels }))
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut pages, mut folders) = (vec![root.join("README.md")], vec![root.join("docs")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

fn each_command(look: &mut impl FnMut(&Command)) {
    fn walk(command: &Command, look: &mut impl FnMut(&Command)) {
        for command in
            command.get_subcommands().filter(|it| it.get_name() != "help" && !it.is_hide_set())
        {
            look(command);
            walk(command, look);
        }
    }
    let mut program = Cli::command();
    program.build();
    walk(&program, look);
}

/// A chapter for each command, with a table of its arguments.
fn commands() -> String {
    let mut text = String::new();
    each_command(&mut |command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = command.get_bin_name().unwrap();
        writeln!(text, "\n### {name}\n\n{}.\n", cell(about.trim_end_matches('.'))).unwrap();
        let arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let rows: Vec<String> = arguments.filter_map(argument).collect();
        if !rows.is_empty() {
            writeln!(text, "| argument | meaning |\n|---|---|\n{}", rows.join("\n")).unwrap();
        }
    });
    text.push('\n');
    text
}

fn argument(arg: &Arg) -> Option<String> {
    if ["help", "version"].contains(&arg.get_id().as_str()) {
        return None;
    }
    let takes_value = arg.get_action().takes_values();
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let several = if arg.get_num_args().is_some_and(|it| it.max_values() > 1) { "…" } else { "" };
    let name = match (arg.get_long(), takes_value) {
        (Some(long), true) => format!("--{long} {values}{several}"),
        (Some(long), false) => format!("--{long}"),
        (None, _) => format!("{values}{several}"),
    };
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let hidden = arg.is_hide_possible_values_set();
    let possible = arg.get_possible_values();
    let possible: Vec<_> = possible.iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !possible.is_empty() && !hidden {
        write!(meaning, "; one of {}", possible.join(", ")).unwrap();
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
    if takes_value && !defaults.is_empty() {
        write!(meaning, "; `{}` if not given", defaults.join(" ")).unwrap();
    }
    Some(format!("| `{name}` | {} |", cell(&meaning)))
}

/// Text within a table of Markdown.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}
