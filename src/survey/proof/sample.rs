use std::collections::BTreeSet;

use minijinja::Value;

use crate::survey::condition::Condition;
use crate::survey::issues::IssueRules;
use crate::survey::names::Names;
use crate::survey::question::{Question, Questions};
use crate::survey::split::{bare_numbers, quoted};

/// A question or a field, and what it is tried with: every answer where they can be enumerated,
/// samples where they cannot.
#[derive(Debug)]
pub struct Variable {
    pub name: String,
    pub samples: Vec<Sample>,
    /// Whether there is more than is tried.
    pub is_open: bool,
}

/// One thing that may be known of a question or a field.
#[derive(Debug, Clone)]
pub struct Sample {
    /// In words, for a person.
    pub shown: String,
    /// What conditions see; none where there is no answer.
    pub value: Option<Value>,
    /// What templates see.
    pub text: Option<Value>,
    /// The place of the answer where they can be enumerated.
    pub at: Option<usize>,
    /// As it was said; empty where nothing was.
    pub said: String,
}

/// Whatever was not said, was not understood, or was said to opt out: nothing tells them apart but
/// the reason for which a call has no rating.
const NO_ANSWER: &str = "no answer";
/// Stands for all that no condition names. It holds what XML wants escaped.
const OTHER_TEXT: &str = "something <else> & \"more\"";
/// Most samples of free text: names beyond are tried no more.
const TEXTS_MAX: usize = 64;

/// Of everything that has a name, in the order of the names.
pub fn variables(
    questions: &Questions,
    names: &Names,
    issues: &IssueRules,
    conditions: &[&Condition],
) -> Vec<Variable> {
    let phrases = |at: usize| {
        let choices = issues.choices().iter().filter(move |choice| choice.of == at);
        choices.flat_map(|choice| choice.phrases()).map(|phrase| phrase.as_str().to_owned())
    };
    let compared = |at: usize| {
        let parts = conditions.iter().flat_map(|condition| condition.parts());
        let parts = parts.filter(move |part| part.looks_at.contains(&at));
        let texts =
            parts.flat_map(|part| quoted(&part.text).into_iter().chain(bare_numbers(&part.text)));
        texts.collect::<BTreeSet<String>>()
    };
    (0..names.len())
        .map(|at| {
            let name = names.variable(at).to_owned();
            if !names.is_question(at) {
                let texts = compared(at);
                return Variable { name, samples: field(texts), is_open: true };
            }
            let question = questions.at(at);
            let is_open = question.domain.is_open();
            let samples = if is_open {
                text(question, phrases(at).chain(compared(at)))
            } else {
                finite(question, phrases(at))
            };
            Variable { name: question.name.to_string(), samples, is_open }
        })
        .collect()
}

impl Sample {
    fn no_answer() -> Self {
        let shown = NO_ANSWER.to_owned();
        Self { shown, value: None, text: None, at: None, said: String::new() }
    }

    /// Said, but nothing that the question knows.
    fn outside(said: String) -> Self {
        Self { shown: format!("{said:?} spoken"), said, ..Self::no_answer() }
    }

    fn field(text: &str, shown: String) -> Self {
        let value = Some(Value::from(text));
        Self { shown, text: value.clone(), value, at: None, said: String::new() }
    }
}

fn finite(question: &Question, spoken: impl Iterator<Item = String>) -> Vec<Sample> {
    let domain = &question.domain;
    let answers = domain.answers().enumerate().map(|(at, answer)| {
        let known = domain.at(at);
        Sample {
            shown: answer.to_owned(),
            value: Some(domain.value(&known)),
            text: Some(domain.shown(&known)),
            at: Some(at),
            said: answer.to_owned(),
        }
    });
    let spoken = spoken.filter(|phrase| domain.find(phrase).is_none()).map(Sample::outside);
    answers.chain([Sample::no_answer()]).chain(spoken).collect()
}

fn text(question: &Question, said: impl Iterator<Item = String>) -> Vec<Sample> {
    let said: BTreeSet<String> = said.collect();
    let known = |text: &str, shown: String| {
        let known = question.domain.find(text)?;
        let value = Some(question.domain.value(&known));
        Some(Sample { shown, text: value.clone(), value, at: None, said: known.text.to_string() })
    };
    let other = known(OTHER_TEXT, "some other text".to_owned());
    let named = said.iter().filter_map(|text| known(text, format!("{text:?}")));
    other.into_iter().chain([Sample::no_answer()]).chain(named).take(TEXTS_MAX).collect()
}

fn field(texts: BTreeSet<String>) -> Vec<Sample> {
    let named = texts.iter().filter(|text| !text.is_empty());
    let named = named.map(|text| Sample::field(text, format!("{text:?}")));
    [
        Sample::field("", "nothing".to_owned()),
        Sample::field(OTHER_TEXT, "some other text".to_owned()),
    ]
    .into_iter()
    .chain(named)
    .take(TEXTS_MAX)
    .collect()
}
