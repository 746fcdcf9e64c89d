use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use terminal_size::{Width, terminal_size_of};

use super::table::Table;
use super::{Failure, InspectedSettings, diagnostics};
use crate::destination::Destination;
use crate::settings::{Diagnostic, Settings, Warnings};
use crate::survey::Proof;

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The settings file, as --config names it
    #[arg(value_name = "FILE", conflicts_with = "file")]
    checked: Option<PathBuf>,
    /// How to print what is wrong with them, or what follows from them
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    settings: InspectedSettings,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// Plain text
    #[default]
    Text,
    /// One JSON document, for a script
    Json,
    /// Workflow commands: GitHub Actions shows each fault and warning at its line
    Github,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let output = self.output;
        self.check().map_err(|failure| match output {
            Output::Text => failure,
            Output::Json => failure.printed_as_json(),
            Output::Github => failure.printed_as_annotations(),
        })
    }

    fn check(self) -> Result<(), Failure> {
        let file = self.settings.file.or_positional(self.checked.as_deref());
        let inspected = InspectedSettings { file, ..self.settings };
        let file = inspected.file.find()?;
        let settings = inspected.load()?;
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Text => print(&mut out, &file, &settings)?,
            Output::Json => writeln!(out, "{:#}", to_json(&file, &settings))?,
            Output::Github => {
                for (warning, is_refused) in warnings(&settings) {
                    let annotation = diagnostics::annotation("warning", warning);
                    writeln!(out, "{annotation}{}", ending(is_refused))?;
                }
            }
        }
        Ok(())
    }
}

/// What each sender has to call, who is believed, and what answers come to.
fn print(out: &mut impl Write, file: &Path, settings: &Settings) -> io::Result<()> {
    writeln!(out, "settings: {} is valid (hash {})", file.display(), settings.hash)?;
    for (name, source) in &settings.sources {
        let url = source.address();
        let schemes = source.signature.labels().join(", ");
        writeln!(out, "source {name}: {url}")?;
        writeln!(
            out,
            "  signed with {schemes}; rates calls of account {} by survey {}",
            source.account.name, source.survey
        )?;
    }
    for (name, Destination::Plivo(plivo)) in &settings.accounts {
        writeln!(out, "account {name}: {} at {}", plivo.auth_id, plivo.api)?;
    }
    writeln!(out, "store: {}", settings.store.url.shown())?;
    for missing in &settings.warnings.missing_secrets {
        writeln!(out, "WARNING: {missing}; serve refuses it")?;
    }
    for (warning, is_refused) in warnings(settings) {
        writeln!(out, "WARNING: {warning}{}", ending(is_refused))?;
    }
    for (name, survey) in &settings.surveys {
        writeln!(out, "\nsurvey {name}")?;
        print_proof(out, survey.proof())?;
    }
    Ok(())
}

/// All warnings, each with whether `serve` refuses it.
fn warnings(settings: &Settings) -> impl Iterator<Item = (&Diagnostic, bool)> {
    let Warnings { placeholders, others, .. } = &settings.warnings;
    let is_refused = settings.is_reachable();
    placeholders.iter().map(move |it| (it, is_refused)).chain(others.iter().map(|it| (it, false)))
}

fn ending(is_refused: bool) -> &'static str {
    if is_refused { "; serve refuses it" } else { "" }
}

/// Widest decision table that is shown in columns where no terminal reads it, in characters.
const WIDTH_MAX: usize = 120;

/// In columns where they are not too wide, else a line for each row.
fn print_proof(out: &mut impl Write, proof: &Proof) -> io::Result<()> {
    let table = decision_table(proof);
    if table.width() > terminal_width().unwrap_or(WIDTH_MAX) {
        return indented(out, &proof.to_string());
    }
    indented(out, &table.to_string())?;
    if proof.more_rows > 0 {
        writeln!(out, "  … and {} more rows", proof.more_rows)?;
    }
    proof_notes(proof).try_for_each(|line| writeln!(out, "  {line}"))
}

/// What the table's words mean, what is proved, and what is guarded.
pub(super) fn proof_notes(proof: &Proof) -> impl Iterator<Item = String> {
    let proved = proof.proved.iter().map(|proved| format!("proved: {proved}"));
    let guarded = proof.guarded.iter().map(|guarded| format!("guarded: {guarded}"));
    proof.legend().into_iter().chain(proved).chain(guarded)
}

/// A column for each question and field that decides anything, and what each row comes to.
pub(super) fn decision_table(proof: &Proof) -> Table {
    let mut columns: Vec<&str> = Vec::new();
    for given in proof.rows.iter().flat_map(|row| &row.answers) {
        if !columns.contains(&given.name.as_str()) {
            columns.push(&given.name);
        }
    }
    let rules = proof.rows.iter().any(|row| row.rule.is_some());
    let by = rules.then_some("BY");
    let heads = columns.iter().map(|name| name.to_uppercase());
    let mut table =
        Table::with_head(heads.chain(by.map(str::to_owned)).chain(["COMES TO".to_owned()]));
    for row in &proof.rows {
        let cell = |name: &&str| {
            let given = row.answers.iter().find(|given| given.name == *name);
            given.map_or("any", |given| &given.is).to_owned()
        };
        let by = rules.then(|| row.rule.clone().unwrap_or_default());
        let outcome = row.outcome.to_string();
        table.add(columns.iter().map(cell).chain(by).chain([outcome]).collect());
    }
    table
}

fn indented(out: &mut impl Write, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}

/// Of the terminal that reads this, where one does.
fn terminal_width() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(io::stdout())?;
    Some(columns.into())
}

fn to_json(file: &Path, settings: &Settings) -> Value {
    let sources = settings.sources.iter().map(|(name, source)| {
        let source = json!({
            "url": source.address(),
            "signed_with": source.signature.labels(),
            "vouched_for": source.signature.vouches_for_answers(),
            "replays_count": source.takes_replays(),
            "account": source.account.name.as_str(),
            "survey": source.survey.as_str(),
        });
        (name.to_string(), source)
    });
    let accounts = settings.accounts.iter().map(|(name, Destination::Plivo(plivo))| {
        let account = json!({ "auth_id": plivo.auth_id, "api": plivo.api });
        (name.to_string(), account)
    });
    let surveys = settings.surveys.iter().map(|(name, survey)| {
        let proof = serde_json::to_value(survey.proof());
        (name.to_string(), proof.expect("a proof is made of texts and numbers"))
    });
    let warnings = warnings(settings).map(|(warning, is_refused)| {
        json!({
            "path": warning.path,
            "line": warning.location.as_ref().map(|location| location.line),
            "column": warning.location.as_ref().map(|location| location.column),
            "message": warning.message,
            "serve_refuses": is_refused,
        })
    });
    let missing_secrets = settings.warnings.missing_secrets.iter().map(|missing| {
        let line = missing.location.as_ref().map(|location| location.line);
        json!({ "path": missing.path, "line": line })
    });
    json!({
        "valid": true,
        "diagnostics": [],
        "file": file,
        "hash": settings.hash,
        "warnings": warnings.collect::<Value>(),
        "missing_secrets": missing_secrets.collect::<Value>(),
        "sources": sources.collect::<Value>(),
        "accounts": accounts.collect::<Value>(),
        "surveys": surveys.collect::<Value>(),
        "store": settings.store.url.shown(),
    })
}
