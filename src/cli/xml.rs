//! `xml`: the answer XML with which a call asks the questions of a survey.

use std::io::{self, Write};

use anyhow::anyhow;
use clap::Args;

use super::{Failure, SettingsFile};
use crate::settings::{Environment, Settings};
use crate::source::{PlivoQuestion, Scheme, Source, check_plivo_xml};
use crate::survey::{Keypad, PhoneQuestion, Prompt, Survey};

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
        let asked = Asked::by(survey, has_replies)?;
        let xml = self.document(source, survey, &asked, has_replies)?;
        let only =
            asked.questions.iter().filter(|(it, _)| matches!(it.prompt, Some(Prompt::Text(_))));
        let only = self.language.iter().flat_map(|language| {
            only.clone().map(move |(PhoneQuestion { name, .. }, _)| {
                format!(
                    "{name} has one prompt for all languages, which is spoken as {language}: write \
                     prompt: {{ {language}: … }} if it is in another"
                )
            })
        });
        for note in only.chain(asked.notes.iter().cloned()) {
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

    fn document(
        &self,
        source: &Source,
        survey: &Survey,
        asked: &Asked<'_>,
        redirect: bool,
    ) -> Result<String, Failure> {
        let url = source.address();
        // The only question need not be named.
        let is_only = survey.questions().count() == 1;
        let mut xml = "<Response>\n".to_owned();
        for (question, keypad) in &asked.questions {
            let name = question.name.as_str();
            let prompt = question.prompt.ok_or_else(|| {
                anyhow!(
                    "question {name} has no prompt: add one to it, such as prompt: \"How was this call? \
                     Press a key of {}.\"",
                    keypad.keys
                )
            })?;
            let (language, prompt) = prompt
                .text(self.language.as_deref())
                .map_err(|error| anyhow!("question {name}: {error}"))?;
            let element = PlivoQuestion {
                url: &url,
                question: (!is_only).then_some(name),
                redirect,
                valid_digits: &keypad.keys,
                digits: keypad.length_max,
                finish_key: keypad.finish_key(),
                language,
                prompt,
            };
            for line in element.to_string().lines() {
                xml.push_str(&format!("  {line}\n"));
            }
        }
        xml.push_str("  <Hangup/>\n</Response>\n");
        check_plivo_xml(&xml).map_err(|error| anyhow!("Plivo would not run this XML: {error}"))?;
        Ok(xml)
    }
}

/// What the XML asks.
struct Asked<'a> {
    /// At least one.
    questions: Vec<(PhoneQuestion<'a>, Keypad)>,
    /// Why each of the others is not asked.
    notes: Vec<String>,
}

impl<'a> Asked<'a> {
    /// # Errors
    /// No question can be asked.
    fn by(survey: &'a Survey, has_replies: bool) -> Result<Self, Failure> {
        let (mut questions, mut notes) = (Vec::new(), Vec::new());
        for question in survey.by_phone() {
            let name = question.name;
            match &question.keypad {
                Err(why) => notes.push(format!("{name} is not asked: it {why}")),
                Ok(_) if question.is_conditional => notes.push(format!(
                    "{name} is not asked here: it has ask_when, which only replies of the source can \
                     follow"
                )),
                Ok(_) if has_replies && !questions.is_empty() => {
                    notes.push(format!("{name} is not asked here: the replies of the source ask it"));
                }
                Ok(keypad) => {
                    let keypad = keypad.clone();
                    questions.push((question, keypad));
                }
            }
        }
        if questions.is_empty() {
            return Err(anyhow!("no question can be asked:\n  {}", notes.join("\n  ")).into());
        }
        Ok(Self { questions, notes })
    }
}
