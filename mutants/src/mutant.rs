//! The mutants that `cargo mutants` makes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// One change of the code.
#[derive(Debug, Deserialize)]
pub struct Mutant {
    #[serde(skip)]
    pub id: usize,
    /// File, line, and what is changed.
    pub name: String,
    pub file: String,
    pub genre: Genre,
    pub span: Range,
    pub replacement: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Debug, Deserialize)]
pub struct Range {
    pub start: Place,
}

/// From 1 on.
#[derive(Debug, Deserialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Mutant {
    /// All of the files below some folders, in order of their places.
    pub fn list(root: &Path, folders: &[String]) -> anyhow::Result<Vec<Self>> {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(["mutants", "--list", "--json"]);
        for folder in folders {
            command.args(["--file", &format!("{folder}/**")]);
        }
        let output = command.output().context("running `cargo mutants`")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}: try `cargo install --locked cargo-mutants`");
        let mut mutants: Vec<Self> = serde_json::from_slice(&output.stdout)?;
        for (id, mutant) in mutants.iter_mut().enumerate() {
            mutant.id = id;
        }
        Ok(mutants)
    }

    /// The module that it is a part of: `store/sqlite` of `src/store/sqlite/rows.rs`.
    pub fn module(&self) -> &str {
        let path = self.file.strip_prefix("src/").unwrap_or(&self.file);
        path.rsplit_once('/').map_or(path, |(folder, _)| folder)
    }
}
