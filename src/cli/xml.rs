//! `xml`: the answer XML with which a call asks the questions of a survey.

use std::io::{self, Write};

use anyhow::anyhow;
use clap::Args;

use super::{Failure, SettingsFile};
use crate::app::{AnswerXml, answer_xml};
use crate::settings::{Environment, Settings};
use crate::source::{Scheme, Source};

#[derive(Debug, Args)]
#[command(after_help = "\
Let the answer URL of your number return this XML where the survey begins, and add what the caller hears
before and after it. Secrets need not be set.")]
pub(super) struct Xml {
    /// A survey of the settings
    survey: String,
    /// The source that Plivo calls; by default the only one of the survey that Plivo signs
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The language of the prompts, such as en-US
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Xml {
    pub(super) fn run(self) -> Result<(), Failure> {
        // Nothing is signed here.
        let environment = Environment::of_process().without_secrets();
        let settings = self.settings.load_with(environment)?;
        let survey = settings.surveys.iter().find(|(name, _)| name.as_str() == self.survey);
        let Some((_, survey)) = survey else {
            let known: Vec<_> = settings.surveys.keys().map(ToString::to_string).collect();
            return Err(anyhow!("no survey {:?}; one of {}", self.survey, known.join(", ")).into());
        };
        let source = self.source(&settings)?;
        let has_replies = settings.replies.contains_key(&source.name);
        let language = self.language.as_deref();
        let AnswerXml { xml, notes } = answer_xml(source, survey, has_replies, language)
            .map_err(|error| anyhow!("{error}"))?;
        for note in notes {
            // Without a reader, the XML is all that is asked for.
            let _ = writeln!(io::stderr(), "note: {note}");
        }
        Ok(write!(io::stdout(), "{xml}")?)
    }

    fn source<'a>(&self, settings: &'a Settings) -> Result<&'a Source, Failure> {
        let survey = &self.survey;
        if let Some(name) = &self.source {
            let source = super::source(settings, name)?;
            if source.survey.as_str() != survey {
                let other = &source.survey;
                return Err(anyhow!("source {name} is of survey {other}, not of {survey}").into());
            }
            return Ok(source);
        }
        let sources = settings.sources.values();
        let own = sources.filter(|source| {
            source.survey.as_str() == survey && matches!(source.signature, Scheme::Plivo(_))
        });
        match own.collect::<Vec<_>>()[..] {
            [source] => Ok(source),
            [] => Err(anyhow!(
                "no source of survey {survey} has Plivo's signature: add one with preset: plivo, or name \
                 a source with --source"
            )
            .into()),
            ref several => {
                let names: Vec<_> = several.iter().map(|source| source.name.as_str()).collect();
                let names = names.join(", ");
                Err(anyhow!("survey {survey} has several sources, {names}: name one with --source")
                    .into())
            }
        }
    }
}
