use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, SettingsFile};
use crate::app;
use crate::settings::{self, StoreUrl};
use crate::store::sqlite::{self, Recovered};
use crate::store::{Examination, postgres};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 sound, or everything was recovered; 1 something is wrong or lost; \
    2 usage; 78 bad settings."
)]
pub(super) struct Doctor {
    /// The file of the store; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Write what can be read of the store to this new file; the store is not changed, and no process
    /// may serve it meanwhile
    #[arg(long, value_name = "NEW")]
    recover: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    settings: SettingsFile,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// Sentences
    #[default]
    Text,
    /// One JSON object, for a script
    Json,
}

impl Doctor {
    pub(super) fn run(self) -> Result<(), Failure> {
        let store = match self.store.clone() {
            Some(store) => store,
            None => {
                let settings = self.settings.load()?.store;
                match settings.url {
                    StoreUrl::Sqlite(path) => path,
                    StoreUrl::Postgres(_) => return self.postgres(&settings),
                }
            }
        };
        match &self.recover {
            None => examine(&store, self.output),
            Some(new) => recover(&store, new, self.output),
        }
    }
}

impl Doctor {
    /// What is damaged is restored by PostgreSQL's own means.
    fn postgres(&self, settings: &settings::Store) -> Result<(), Failure> {
        let shown = settings.url.shown();
        if self.recover.is_some() {
            let advice =
                "--recover copies what is left of a file: restore a backup of the database";
            return Err(anyhow::anyhow!("the store is {shown}: {advice}").into());
        }
        let address = app::postgres_address(settings).map_err(anyhow::Error::from)?;
        let examination = postgres::examine(&address).map_err(anyhow::Error::from)?;
        let out = &mut std::io::stdout().lock();
        let printed = match self.output {
            Output::Json => writeln!(out, "{}", in_json(Path::new(&shown), &examination)),
            Output::Text => print_findings(out, &shown, &examination),
        };
        if examination.findings.is_empty() { Ok(printed?) } else { Err(Failure::Printed(1)) }
    }
}

/// Prints what is wrong, or that nothing is.
fn print_findings(
    out: &mut impl Write,
    store: &str,
    examination: &Examination,
) -> std::io::Result<()> {
    for finding in &examination.findings {
        writeln!(out, "{}: {}", finding.kind.label(), finding.words)?;
    }
    let count = examination.submissions;
    if examination.findings.is_empty() {
        return writeln!(
            out,
            "{store} is sound: {count} submissions, and the state counts balance"
        );
    }
    writeln!(out, "{store} is not sound; {count} submissions could be read")
}

fn examine(store: &Path, output: Output) -> Result<(), Failure> {
    let examination = sqlite::examine(store).map_err(anyhow::Error::from)?;
    let printed = print_examination(&mut std::io::stdout().lock(), store, &examination, output);
    // A script may read the exit code alone.
    if examination.findings.is_empty() { Ok(printed?) } else { Err(Failure::Printed(1)) }
}

fn print_examination(
    out: &mut impl Write,
    store: &Path,
    examination: &Examination,
    output: Output,
) -> std::io::Result<()> {
    if let Output::Json = output {
        return writeln!(out, "{}", in_json(store, examination));
    }
    let path = store.display();
    print_findings(out, &path.to_string(), examination)?;
    if examination.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "stop the service, then: postcall doctor --store {path} --recover {path}.new")
}

fn recover(store: &Path, new: &Path, output: Output) -> Result<(), Failure> {
    let recovered = sqlite::recover(store, new).map_err(anyhow::Error::from)?;
    // The recovered store is checked too.
    let examination = sqlite::examine(new).map_err(anyhow::Error::from)?;
    let mut out = std::io::stdout().lock();
    let printed = match output {
        Output::Json => {
            let mut object = in_json(new, &examination);
            object["set_aside"] = json!(recovered.set_aside);
            object["lost"] = json!(recovered.lost);
            object["orphaned"] = json!(recovered.orphaned);
            object["spooled"] = json!(recovered.spooled);
            writeln!(out, "{object}")
        }
        Output::Text => print_recovered(&mut out, store, new, &recovered, &examination),
    };
    if recovered.lost.is_empty() && examination.findings.is_empty() {
        Ok(printed?)
    } else {
        Err(Failure::Printed(1))
    }
}

fn print_recovered(
    out: &mut impl Write,
    store: &Path,
    new: &Path,
    recovered: &Recovered,
    examination: &Examination,
) -> std::io::Result<()> {
    let (store, new) = (store.display(), new.display());
    match recovered.spooled {
        None => writeln!(out, "{new} has {} submissions", recovered.submissions)?,
        Some(spooled) => writeln!(out, "{new} is a spool in which {spooled} webhooks wait")?,
    }
    for lost in &recovered.lost {
        writeln!(out, "lost: {lost}")?;
    }
    for finding in &examination.findings {
        writeln!(out, "still {}: {}", finding.kind.label(), finding.words)?;
    }
    if recovered.lost.is_empty() {
        writeln!(out, "nothing is known to be lost")?;
    }
    writeln!(
        out,
        "move {store} and the files beside it ({store}-wal, {store}-shm) away and keep them, move \
         {new} to its place, and start the service"
    )
}

fn in_json(store: &Path, examination: &Examination) -> Value {
    let findings = examination.findings.iter();
    let findings = findings
        .map(|finding| json!({ "kind": finding.kind.label(), "words": finding.words }))
        .collect::<Vec<_>>();
    json!({
        "store": store,
        "sound": examination.findings.is_empty(),
        "submissions": examination.submissions,
        "findings": findings,
    })
}
