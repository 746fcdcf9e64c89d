//! The answer XML with which a call asks the questions of a survey.

use crate::source::{PlivoQuestion, Source, check_plivo_xml};
use crate::survey::{Keypad, PhoneQuestion, Prompt, Survey};

/// The XML, and what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerXml {
    pub xml: String,
    /// Why a question is not asked, or in which language it is.
    pub notes: Vec<String>,
}

/// The XML that asks a survey at a source. With `has_replies` the source's replies ask all but the first
/// question.
///
/// # Errors
/// No question can be asked, or a prompt is missing in the language.
pub fn answer_xml(
    source: &Source,
    survey: &Survey,
    has_replies: bool,
    language: Option<&str>,
) -> Result<AnswerXml, String> {
    let asked = Asked::by(survey, has_replies)?;
    let xml = document(source, survey, &asked, has_replies, language)?;
    let only = asked.questions.iter().filter(|(it, _)| matches!(it.prompt, Some(Prompt::Text(_))));
    let only = language.iter().flat_map(|language| {
        only.clone().map(move |(PhoneQuestion { name, .. }, _)| {
            format!(
                "{name} has one prompt for all languages, which is spoken as {language}: write \
                 prompt: {{ {language}: … }} if it is in another"
            )
        })
    });
    let notes = only.chain(asked.notes.iter().cloned()).collect();
    Ok(AnswerXml { xml, notes })
}

fn document(
    source: &Source,
    survey: &Survey,
    asked: &Asked<'_>,
    redirect: bool,
    language: Option<&str>,
) -> Result<String, String> {
    let url = source.address();
    // The only question need not be named.
    let is_only = survey.questions().count() == 1;
    let mut xml = "<Response>\n".to_owned();
    for (question, keypad) in &asked.questions {
        let name = question.name.as_str();
        let prompt = question.prompt.ok_or_else(|| {
            format!(
                "question {name} has no prompt: add one to it, such as prompt: \"How was this call? \
                 Press a key of {}.\"",
                keypad.keys
            )
        })?;
        let (language, prompt) =
            prompt.text(language).map_err(|error| format!("question {name}: {error}"))?;
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
    check_plivo_xml(&xml).map_err(|error| format!("Plivo would not run this XML: {error}"))?;
    Ok(xml)
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
    fn by(survey: &'a Survey, has_replies: bool) -> Result<Self, String> {
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
            return Err(format!("no question can be asked:\n  {}", notes.join("\n  ")));
        }
        Ok(Self { questions, notes })
    }
}
