//! A copy of the tree in which every mutant has its switch, and its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::mutant::Mutant;
use crate::weave::{switches_at, weave};

/// A line of what `cargo --message-format=json` says.
#[derive(Deserialize)]
struct Message {
    reason: String,
    message: Option<Diagnostic>,
    success: Option<bool>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

/// The copy, and the mutants that it has.
pub struct Woven {
    pub tree: PathBuf,
    /// Executables of tests.
    pub tests: Vec<PathBuf>,
    pub mutants: BTreeSet<usize>,
}

/// Copies what is committed or will be, weaves, leaves out what does not compile until the rest does, and builds
/// the tests.
pub fn build(root: &Path, folder: &Path, mutants: &[Mutant]) -> anyhow::Result<Woven> {
    let tree = folder.join("tree");
    let mut unviable = BTreeSet::new();
    loop {
        copy(root, &tree)?;
        let woven = weave_all(&tree, mutants, &unviable)?;
        let messages = cargo(&tree, folder, &["check", "--lib"])?;
        let errors =
            messages.iter().filter_map(|it| it.message.as_ref()).filter(|it| it.level == "error");
        let errors: Vec<_> = errors.filter(|it| !it.spans.is_empty()).collect();
        let culprits: BTreeSet<usize> =
            errors.iter().flat_map(|error| switches_of(&tree, error)).collect();
        println!("{} mutants, of which {} do not compile", woven.len(), culprits.len());
        if errors.is_empty() {
            let messages = cargo(&tree, folder, &["test", "--no-run"])?;
            ensure!(messages.iter().all(|it| it.success != Some(false)), "the tests do not build");
            // A program of the crate is built beside them.
            let is_of_tests =
                |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("deps"));
            let tests = messages.into_iter().filter_map(|it| it.executable);
            let tests = tests.filter(is_of_tests).collect();
            return Ok(Woven { tree, tests, mutants: woven });
        }
        let all = errors.iter().filter_map(|error| error.rendered.as_deref());
        ensure!(!culprits.is_empty(), "no mutant's fault:\n{}", all.collect::<String>());
        unviable.extend(culprits);
    }
}

/// All files that are not ignored.
fn copy(root: &Path, tree: &Path) -> anyhow::Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let files = Command::new("git").current_dir(root).args(list).output()?;
    for file in String::from_utf8(files.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(file), tree.join(file));
        if from.is_file() {
            fs::create_dir_all(to.parent().expect("it is in the tree"))?;
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

fn weave_all(
    tree: &Path,
    mutants: &[Mutant],
    unviable: &BTreeSet<usize>,
) -> anyhow::Result<BTreeSet<usize>> {
    let mut files = BTreeMap::<&str, Vec<&Mutant>>::new();
    for mutant in mutants.iter().filter(|it| !unviable.contains(&it.id)) {
        files.entry(&mutant.file).or_default().push(mutant);
    }
    let mut all = BTreeSet::new();
    for (file, mutants) in files {
        let path = tree.join(file);
        let (source, woven) = weave(&fs::read_to_string(&path)?, &mutants);
        fs::write(path, source)?;
        all.extend(woven);
    }
    fs::write(tree.join("src/mutants.rs"), include_str!("switch.rs"))?;
    let library = tree.join("src/lib.rs");
    let source = fs::read_to_string(&library)?;
    fs::write(library, source + "\nmod mutants;\n")?;
    Ok(all)
}

fn switches_of(tree: &Path, error: &Diagnostic) -> Vec<usize> {
    let primary = error.spans.iter().filter(|span| span.is_primary);
    let found = primary.flat_map(|span| {
        let source = fs::read_to_string(tree.join(&span.file_name)).unwrap_or_default();
        switches_at(&source.lines().collect::<Vec<_>>(), span.line_start - 1)
    });
    found.collect()
}

fn cargo(tree: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Vec<Message>> {
    let output = Command::new("cargo")
        .current_dir(tree)
        .args(arguments)
        .arg("--message-format=json")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let messages: Vec<Message> =
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    if messages.iter().all(|it| it.reason != "build-finished") {
        bail!("cargo did not come to its end");
    }
    Ok(messages)
}
