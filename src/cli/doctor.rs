use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, SettingsFile};
use crate::store::sqlite::{self, Examination, Salvaged};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 sound, or brought over whole; 1 something is wrong or lost; \
    2 usage; 78 bad settings."
)]
pub(super) struct Doctor {
    /// The ledger's file; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Bring over to this new file what can be read of the ledger, which stays as it is; nobody may
    /// serve it meanwhile
    #[arg(long, value_name = "NEW")]
    salvage: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    settings: SettingsFile,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// Sentences, for a person
    #[default]
    Text,
    /// One JSON object, for a script
    Json,
}

impl Doctor {
    pub(super) fn run(self) -> Result<(), Failure> {
        let ledger = match self.ledger {
            Some(ledger) => ledger,
            None => self.settings.load()?.store.path,
        };
        match self.salvage {
            None => examine(&ledger, self.output),
            Some(new) => salvage(&ledger, &new, self.output),
        }
    }
}

fn examine(ledger: &Path, output: Output) -> Result<(), Failure> {
    let examination = sqlite::examine(ledger).map_err(anyhow::Error::from)?;
    let told = tell_of(&mut std::io::stdout().lock(), ledger, &examination, output);
    // Whoever asked may read the exit code alone.
    if examination.findings.is_empty() { Ok(told?) } else { Err(Failure::Told) }
}

fn tell_of(
    out: &mut impl Write,
    ledger: &Path,
    examination: &Examination,
    output: Output,
) -> std::io::Result<()> {
    if let Output::Json = output {
        return writeln!(out, "{}", in_json(ledger, examination));
    }
    for finding in &examination.findings {
        writeln!(out, "{}: {}", finding.kind.label(), finding.words)?;
    }
    let (path, count) = (ledger.display(), examination.submissions);
    if examination.findings.is_empty() {
        return writeln!(out, "{path} is sound: {count} submissions, and the books balance");
    }
    writeln!(out, "{path} is not sound; {count} submissions could be read")?;
    writeln!(out, "stop the service, then: postcall doctor --ledger {path} --salvage {path}.new")
}

fn salvage(ledger: &Path, new: &Path, output: Output) -> Result<(), Failure> {
    let salvaged = sqlite::salvage(ledger, new).map_err(anyhow::Error::from)?;
    // What was brought over is believed as little as what it came from.
    let examination = sqlite::examine(new).map_err(anyhow::Error::from)?;
    let mut out = std::io::stdout().lock();
    let told = match output {
        Output::Json => {
            let mut said = in_json(new, &examination);
            said["put_aside"] = json!(salvaged.put_aside);
            said["lost"] = json!(salvaged.lost);
            said["homeless"] = json!(salvaged.homeless);
            writeln!(out, "{said}")
        }
        Output::Text => tell(&mut out, ledger, new, &salvaged, &examination),
    };
    if salvaged.lost.is_empty() && examination.findings.is_empty() {
        Ok(told?)
    } else {
        Err(Failure::Told)
    }
}

fn tell(
    out: &mut impl Write,
    ledger: &Path,
    new: &Path,
    salvaged: &Salvaged,
    examination: &Examination,
) -> std::io::Result<()> {
    let (ledger, new) = (ledger.display(), new.display());
    writeln!(out, "{new} has {} submissions", salvaged.submissions)?;
    for lost in &salvaged.lost {
        writeln!(out, "lost: {lost}")?;
    }
    for finding in &examination.findings {
        writeln!(out, "still {}: {}", finding.kind.label(), finding.words)?;
    }
    if salvaged.lost.is_empty() {
        writeln!(out, "nothing that can be told to be missing was lost")?;
    }
    writeln!(
        out,
        "keep {ledger} and the files beside it ({ledger}-wal, {ledger}-shm) elsewhere, move {new} \
         to its place, and start the service"
    )
}

fn in_json(ledger: &Path, examination: &Examination) -> Value {
    let findings = examination.findings.iter();
    let findings = findings
        .map(|finding| json!({ "kind": finding.kind.label(), "words": finding.words }))
        .collect::<Vec<_>>();
    json!({
        "ledger": ledger,
        "sound": examination.findings.is_empty(),
        "submissions": examination.submissions,
        "findings": findings,
    })
}
