use std::collections::BTreeSet;
use std::iter;

use minijinja::Value;

use crate::survey::condition::Condition;
use crate::survey::issues::{Choice, IssueRules};
use crate::survey::names::Scope;
use crate::survey::question::{Question, Questions};
use crate::survey::split::{bare_numbers, quoted};
use crate::survey::words;

/// A question or a field, and what it is tried with: every answer where they can be enumerated,
/// samples where they cannot.
#[derive(Debug)]
pub struct Variable {
    pub name: String,
    pub samples: Vec<Sample>,
    /// The sample of a question without an answer, or of an empty field.
    pub missing: usize,
    /// Whether there is more than is tried.
    pub is_open: bool,
}

/// One thing that may be known of a question or a field.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The text shown in a counterexample.
    pub shown: String,
    /// What conditions see; none where there is no answer.
    pub value: Option<Value>,
    /// What templates see.
    pub text: Option<Value>,
    /// The place of the answer where they can be enumerated.
    pub at: Option<usize>,
    /// As it was said, [spaced](words::spaced), to look for mentions in.
    pub words: String,
}

/// Whatever was not said, was not understood, or was said to opt out: nothing tells them apart but
/// the reason for which a call has no rating.
const NO_ANSWER: &str = "no answer";
/// A sample of every text that no condition or keyword names, with characters that XML must escape.
const OTHER_TEXT: &str = "something <else> & \"more\"";
/// Maximum samples of a free text; more are not tried.
const TEXTS_MAX: usize = 64;

/// Of everything that has a name, in the order of the names.
pub fn variables(
    questions: &Questions,
    names: &Scope,
    issues: &IssueRules,
    conditions: &[&Condition],
) -> Vec<Variable> {
    // The first of each choice come first, so that few are left without one that is tried.
    let phrases = |at: usize| {
        let choices = issues.choices.iter().filter(move |choice| choice.of == at);
        let of_choice = |choice: &'_ Choice| {
            let phrases = choice.phrases().enumerate();
            phrases.map(|(place, it)| (place > 0, it.to_owned())).collect::<Vec<_>>()
        };
        let mut phrases: Vec<_> = choices.flat_map(of_choice).collect();
        phrases.sort_by_key(|(is_further, _)| *is_further);
        phrases.into_iter().map(|(_, phrase)| phrase)
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
                return Variable { name, samples: field(texts), missing: 0, is_open: true };
            }
            let question = questions.at(at);
            let is_open = question.domain.is_open();
            let samples = if is_open {
                text(question, compared(at).into_iter().chain(phrases(at)))
            } else {
                finite(question, phrases(at))
            };
            let missing = samples.iter().position(|sample| sample.value.is_none());
            let name = question.name.to_string();
            Variable { name, samples, missing: missing.unwrap_or(0), is_open }
        })
        .collect()
}

/// How many combinations some variables have; never less, however many there are.
pub fn combinations<'a>(variables: impl IntoIterator<Item = &'a Variable>) -> u128 {
    let sizes = variables.into_iter().map(|variable| variable.samples.len() as u128);
    sizes.fold(1, u128::saturating_mul)
}

impl Sample {
    fn no_answer() -> Self {
        let shown = NO_ANSWER.to_owned();
        Self { shown, value: None, text: None, at: None, words: String::new() }
    }

    /// Something said that the question does not know.
    fn outside(said: String) -> Self {
        let (shown, words) = (format!("{said:?} spoken"), words::spaced(&said));
        Self { shown, words, ..Self::no_answer() }
    }

    fn field(text: &str, shown: String) -> Self {
        let value = Some(Value::from(text));
        Self { shown, text: value.clone(), value, at: None, words: String::new() }
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
            words: words::spaced(answer),
        }
    });
    // What is an answer by itself is mentioned outside the domain where more is said.
    let outside = |phrase: String| match domain.find(&phrase) {
        None => Some(phrase),
        Some(known) if words::spaced(&known.text).contains(&words::spaced(&phrase)) => None,
        Some(_) => Some(format!("{phrase}, or so")),
    };
    let spoken = spoken.filter_map(outside).take(TEXTS_MAX).map(Sample::outside);
    answers.chain([Sample::no_answer()]).chain(spoken).collect()
}

fn text(question: &Question, texts: impl Iterator<Item = String>) -> Vec<Sample> {
    let known = |text: &str, shown: String| {
        let known = question.domain.find(text)?;
        let value = Some(question.domain.value(&known));
        // Mentions are looked for beyond the length at which it is cut, too.
        Some(Sample { shown, text: value.clone(), value, at: None, words: words::spaced(text) })
    };
    let mut tried = BTreeSet::new();
    let named: Vec<String> = texts.filter(|text| tried.insert(text.clone())).collect();
    let other = known(&other_than(&tried), "some other text".to_owned());
    let named = named.into_iter().filter_map(|text| known(&text, format!("{text:?}")));
    other.into_iter().chain([Sample::no_answer()]).chain(named).take(TEXTS_MAX).collect()
}

fn field(texts: BTreeSet<String>) -> Vec<Sample> {
    let named = texts.iter().filter(|text| !text.is_empty());
    let named = named.map(|text| Sample::field(text, format!("{text:?}")));
    [
        Sample::field("", "nothing".to_owned()),
        Sample::field(&other_than(&texts), "some other text".to_owned()),
    ]
    .into_iter()
    .chain(named)
    .take(TEXTS_MAX)
    .collect()
}

/// A text in which none of these is. If each letter is one of them, there is no such text.
fn other_than(texts: &BTreeSet<String>) -> String {
    let letters = ('a'..='z').map(|letter| {
        let word = letter.to_string().repeat(3);
        format!("{word} <{word}> & \"{word}\"")
    });
    let mut tried = iter::once(OTHER_TEXT.to_owned()).chain(letters);
    let is_in = |other: &str, text: &String| {
        !text.is_empty()
            && (other.contains(text.as_str())
                || words::phrase(text).is_some_and(|it| words::spaced(other).contains(&it)))
    };
    tried
        .find(|other| !texts.iter().any(|text| is_in(other, text)))
        .unwrap_or_else(|| OTHER_TEXT.to_owned())
}
