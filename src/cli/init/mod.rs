//! `init`: writes a settings file to begin with, and test cases for it.

mod prompts;
mod scale;
mod sender;
mod template;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;

use self::prompts::{Prompts, choice_of};
use self::scale::Scale;
use self::sender::Sender;
use self::template::Choice;
use super::Failure;
use crate::domain::Name;
use crate::settings::preset_names;

#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal it asks for what is not given. Without one, --yes accepts plivo, 1-5 and quality.

Exit codes: 0 written, 1 a file exists already or cannot be written, 2 usage.")]
pub(super) struct Init {
    /// Who sends the answers
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(preset_names()))]
    preset: Option<String>,
    /// What callers are asked
    #[arg(long, value_enum, value_name = "SCALE")]
    scale: Option<Scale>,
    /// The name of the survey
    #[arg(long, value_name = "NAME")]
    survey: Option<Name>,
    /// Ask nothing: take the default for what is not given
    #[arg(long)]
    yes: bool,
    /// Where the settings go; test cases go beside it, to NAME.test.yaml
    #[arg(long, value_name = "FILE", default_value = "postcall.yaml")]
    output: PathBuf,
    /// Overwrite files that exist
    #[arg(long)]
    force: bool,
}

const PRESET: &str = "plivo";
const SCALE: Scale = Scale::OneToFive;
const SURVEY: &str = "quality";

impl Init {
    pub(super) fn run(self) -> Result<(), Failure> {
        let files = [self.output.clone(), cases_beside(&self.output)];
        // Before the questions, which would be answered in vain.
        let existing = files.iter().find(|file| file.symlink_metadata().is_ok());
        if let Some(file) = existing.filter(|_| !self.force) {
            return Err(exists(file));
        }
        let choice = self.choice()?;
        let [settings, cases] = &files;
        self.write(settings, &choice.settings())?;
        self.write(cases, &choice.cases())?;
        writeln!(io::stdout(), "{}", next_steps(settings, cases, &choice.variables()))?;
        Ok(())
    }

    /// From the flags, from the terminal, or by default.
    fn choice(&self) -> Result<Choice, Failure> {
        let needs_answers = self.preset.is_none() || self.scale.is_none();
        let (preset, scale, survey) = if self.yes || !needs_answers {
            (self.preset.clone(), self.scale, self.survey.clone())
        } else if io::stdin().is_terminal() && io::stdout().is_terminal() {
            let mut prompts = Prompts::new(io::stdin().lock(), io::stdout().lock());
            let presets: Vec<_> = preset_names().collect();
            let preset = match &self.preset {
                Some(preset) => preset.clone(),
                None => prompts.ask(
                    &format!("Who sends the answers? {}", presets.join(", ")),
                    PRESET,
                    |given| choice_of(&presets, given).map(str::to_owned),
                )?,
            };
            let scale = match self.scale {
                Some(scale) => scale,
                None => prompts.ask(
                    "Which scale? 1-5 (5 is best), 5-1 (1 is best), 0-10, yes-no",
                    SCALE.name(),
                    |given| <Scale as clap::ValueEnum>::from_str(given, true),
                )?,
            };
            let survey = match &self.survey {
                Some(survey) => survey.clone(),
                None => prompts.ask("What is the survey called?", SURVEY, |given| {
                    given.parse::<Name>().map_err(|error| error.to_string())
                })?,
            };
            (Some(preset), Some(scale), Some(survey))
        } else {
            return Err(Failure::InvalidInput(format!(
                "there is no terminal to ask on: name --preset and --scale, or accept {PRESET} and {} \
                 with --yes",
                SCALE.name()
            )));
        };
        let preset = preset.as_deref().unwrap_or(PRESET);
        Ok(Choice {
            sender: Sender::of(preset).expect("each preset has one"),
            scale: scale.unwrap_or(SCALE),
            survey: survey.unwrap_or_else(|| SURVEY.parse().expect("it is a name")),
        })
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), Failure> {
        let mut options = OpenOptions::new();
        match self.force {
            true => options.write(true).create(true).truncate(true),
            false => options.write(true).create_new(true),
        };
        let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(file),
            _ => anyhow::anyhow!("cannot write {}: {error}", file.display()).into(),
        })
    }
}

fn exists(file: &Path) -> Failure {
    let file = file.display();
    anyhow::anyhow!("{file} exists: --force overwrites it, --output FILE writes another").into()
}

/// `postcall.test.yaml` for `postcall.yaml`.
fn cases_beside(settings: &Path) -> PathBuf {
    settings.with_extension("test.yaml")
}

fn next_steps(settings: &Path, cases: &Path, variables: &[&str]) -> String {
    let is_found = settings == Path::new("postcall.yaml");
    let name = if is_found { String::new() } else { format!(" {}", settings.display()) };
    let flag = if is_found { String::new() } else { format!(" --config {}", settings.display()) };
    format!(
        "wrote {} and {}\n\n\
         Next:\n  postcall check{name} --without-secrets\n  postcall test{name} --without-secrets\n\n\
         Then change what is marked CHANGE, set {}, and run:\n  postcall serve{flag}",
        settings.display(),
        cases.display(),
        variables.join(" and "),
    )
}
