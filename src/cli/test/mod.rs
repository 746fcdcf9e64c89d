//! `test`: the cases that a survey has to meet, for its author's own checks.

mod case;
mod diff;
mod expected;
mod junit;
mod run;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::settings_file::note_missing_secrets;
use super::{Failure, InspectedSettings};
use crate::settings::{Located, Settings, SettingsError};

pub(super) use case::{fault_of_webhook, parse_webhooks};
pub(super) use run::{ending_lines, source_of};

use case::{Case, OwnSettings, Suite};
use diff::Diff;
use junit::Junit;

#[derive(Debug, Args)]
#[command(after_help = WHAT_A_CASE_IS)]
pub(super) struct Test {
    /// Files of cases; without any, `*.test.yaml` beside the settings file. One may be the settings
    /// file, as --config names it
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only cases with this in their name
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How to print what came of them
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    settings: InspectedSettings,
}

const WHAT_A_CASE_IS: &str = r#"A case is some webhooks and what they must come to:

    cases:
      - name: a caller presses 2, and hears an echo
        webhooks:
          - { source: ivr, form: "CallUUID=c-1&Digits=2" }
          - { source: ivr, form: "CallUUID=c-1&Digits=1", query: "question=problem", at: 30s }
        expect: { feedback: { rating: 2, issues: [ECHO] } }

Webhooks are signed as their source's sender signs, unless they say signed: false. Nothing is kept,
nothing is sent, and the time is the case's own. A file may bring its settings: `settings: |`.

Exit codes: 0 all are met, 1 some are not, 2 usage or a file that cannot be read, 78 bad settings."#;

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// A line for each case and a diff for each that failed
    #[default]
    Text,
    /// One JSON document, for a script
    Json,
    /// JUnit XML, for CI systems that show test results
    Junit,
}

/// Longest file of cases that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The cases of one file, and where each differs.
struct Played {
    file: String,
    cases: Vec<(Case, Diff)>,
}

impl Test {
    pub(super) fn run(mut self) -> Result<(), Failure> {
        self.take_settings_file().and_then(|()| self.run_cases()).map_err(|failure| {
            match self.output {
                Output::Json => failure.printed_as_json(),
                Output::Text | Output::Junit => failure,
            }
        })
    }

    fn run_cases(&self) -> Result<(), Failure> {
        let files = self.files()?;
        let mut shared = None;
        let mut played = Vec::new();
        for file in &files {
            let name = file.display().to_string();
            let text = read(file)?;
            let suite = Suite::parse(&name, &text).map_err(Failure::Cases)?;
            let cases = suite.cases.into_iter().filter(|case| self.is_wanted(case));
            let settings = match &suite.settings {
                Some(own) => &self.own_settings(file, own)?,
                None => match &mut shared {
                    Some(shared) => shared,
                    none => none.insert(self.settings.load_with_notes()?),
                },
            };
            played.push(play(name, &text, cases, settings)?);
        }
        let count = |failed| {
            let all = played.iter().flat_map(|played| &played.cases);
            all.filter(|(_, diff)| diff.differs() == failed).count()
        };
        let (passed, failed) = (count(false), count(true));
        if passed + failed == 0 {
            return Err(Failure::InvalidInput(match &self.filter {
                Some(filter) => format!("no case has {filter:?} in its name"),
                None => "there is no case in any file".to_owned(),
            }));
        }
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Text => {
                print(&mut out, &played)?;
                writeln!(out, "{passed} passed, {failed} failed")?;
            }
            Output::Json => writeln!(out, "{:#}", to_json(&played, passed, failed))?,
            Output::Junit => {
                let suites =
                    played.iter().map(|it| junit::Suite { file: &it.file, cases: &it.cases });
                write!(out, "{}", Junit(suites.collect()))?;
            }
        }
        if failed == 0 { Ok(()) } else { Err(Failure::Printed(1)) }
    }

    fn is_wanted(&self, case: &Case) -> bool {
        self.filter.as_ref().is_none_or(|filter| case.name.contains(filter))
    }

    /// Moves the settings file among the files to where a flag puts it.
    ///
    /// # Errors
    /// A file cannot be read, or there are two settings files.
    fn take_settings_file(&mut self) -> Result<(), Failure> {
        let mut cases = Vec::new();
        for file in std::mem::take(&mut self.files) {
            // The standard input can be read only once.
            if file == Path::new("-") || !is_settings_file(&read(&file)?) {
                cases.push(file);
                continue;
            }
            if let Some(other) = self.settings.file.file.replace(file.clone()) {
                return Err(Failure::InvalidInput(format!(
                    "{} and {} are settings files: name one",
                    other.display(),
                    file.display()
                )));
            }
        }
        self.files = cases;
        Ok(())
    }

    /// A file with settings of its own means the same everywhere: no variable overrides them.
    fn own_settings(&self, file: &Path, own: &OwnSettings) -> Result<Settings, Failure> {
        let variables = std::env::vars().filter(|(name, _)| !name.starts_with("POSTCALL__"));
        let environment = self.settings.environment(variables.collect());
        let settings = Settings::from_yaml(&own.text, environment).map_err(|error| {
            Failure::Settings(match error {
                SettingsError::Faults(mut faults) => {
                    for written in faults.iter_mut().filter_map(|fault| fault.location.as_mut()) {
                        written.file = Some(file.to_owned());
                        written.line += own.line;
                        written.column += own.indent;
                    }
                    SettingsError::Faults(faults)
                }
                other => other,
            })
        })?;
        note_missing_secrets(&settings);
        Ok(settings)
    }

    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        if !self.files.is_empty() {
            return Ok(self.files.clone());
        }
        // Cases may bring their settings, so that there need not be a file.
        let settings = self.settings.file.find().ok();
        let beside =
            settings.as_deref().and_then(Path::parent).filter(|it| !it.as_os_str().is_empty());
        let folder = beside.unwrap_or(Path::new("."));
        let unreadable = |error: std::io::Error| {
            Failure::InvalidInput(format!("cannot read {}: {error}", folder.display()))
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let text = name.to_string_lossy();
            if text.ends_with(".test.yaml") || text.ends_with(".test.yml") {
                found.push(beside.unwrap_or(Path::new("")).join(&name));
            }
        }
        found.sort();
        if found.is_empty() {
            return Err(Failure::InvalidInput(format!(
                "there is no *.test.yaml in {}: name the files of cases, or write one there",
                folder.display()
            )));
        }
        Ok(found)
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = super::read_file(file, FILE_BYTES_MAX)
        .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    let why = |error| Failure::InvalidInput(format!("cannot read {}: {error}", file.display()));
    text.map_err(why)
}

/// Whether a file is a settings file and not one of cases.
fn is_settings_file(text: &str) -> bool {
    let Ok(root) = Located::parse(text) else { return false };
    let root = root.json();
    root.get("accounts").is_some() && root.get("cases").is_none()
}

fn play(
    file: String,
    text: &str,
    cases: impl Iterator<Item = Case>,
    settings: &Settings,
) -> Result<Played, Failure> {
    let mut played = Vec::new();
    for case in cases {
        let diff = run::run(&case, settings)
            .map_err(|(path, advice)| Failure::Cases(case::fault(&file, text, &path, advice)))?;
        played.push((case, diff));
    }
    Ok(Played { file, cases: played })
}

fn print(out: &mut impl Write, played: &[Played]) -> std::io::Result<()> {
    for Played { file, cases } in played {
        writeln!(out, "{file}")?;
        for (case, diff) in cases {
            if diff.differs() {
                writeln!(out, "  FAILED  {} (line {})", case.name, case.line)?;
                write!(out, "{diff}")?;
            } else {
                writeln!(out, "  ok      {}", case.name)?;
            }
        }
    }
    Ok(())
}

fn to_json(played: &[Played], passed: usize, failed: usize) -> Value {
    let cases = |Played { file, cases }: &Played| {
        let case = |(case, diff): &(Case, Diff)| {
            json!({
                "file": file,
                "line": case.line,
                "name": case.name,
                "passed": !diff.differs(),
                "diff": diff.lines().collect::<Vec<_>>(),
            })
        };
        cases.iter().map(case).collect::<Vec<_>>()
    };
    let cases: Vec<Value> = played.iter().flat_map(cases).collect();
    json!({ "passed": passed, "failed": failed, "cases": cases })
}
