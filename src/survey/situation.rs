use std::cell::OnceCell;
use std::sync::Arc;

use minijinja::Value;

use super::domain::Known;
use super::issues::{Choice, Spoken};
use super::names::{Facts, Names};
use super::question::{Question, Questions};
use super::words::Words;
use crate::domain::{Answer, Name};
use crate::submission::{AnswerValidity, Answers, ChangedAnswerPolicy};

/// What is known of one call, as a survey sees it: for each question the answer that counts, for
/// each field its value.
#[derive(Debug)]
pub struct Situation<'a> {
    heard: Vec<Heard<'a>>,
    fields: Vec<&'a str>,
    pub hung_up: bool,
    pub opted_out: bool,
    /// Nothing was said, not even silence heard.
    pub is_untouched: bool,
}

/// What counts as the answer to one question.
#[derive(Debug)]
pub struct Heard<'a> {
    pub what: What<'a>,
    /// Where in its hook it was found.
    pub reader: &'a str,
    /// As it was said.
    text: &'a str,
    /// What conditions see, and what templates do.
    value: Option<Value>,
    shown: Option<Value>,
    words: OnceCell<Words>,
}

#[derive(Debug, PartialEq)]
pub enum What<'a> {
    /// Nothing was heard of it.
    Nothing,
    /// The caller was asked, and said nothing.
    Silence,
    /// Something that the question does not know. It may be anything, a phone number too.
    Outside,
    /// The caller does not want to be asked.
    OptOut,
    Answer(Known<'a>),
}

/// An answer that opts out is one that the question knows.
pub fn standing(question: &Question, answer: &Answer) -> AnswerValidity {
    match answer {
        Answer::Silence => AnswerValidity::Silence,
        Answer::Given(text)
            if question.domain.find(text).is_some() || question.is_opt_out(text) =>
        {
            AnswerValidity::InDomain
        }
        Answer::Given(_) => AnswerValidity::OutsideDomain,
    }
}

impl<'a> Situation<'a> {
    pub fn of(
        answers: &'a Answers,
        questions: &'a Questions,
        fields: &[Name],
        changes: ChangedAnswerPolicy,
    ) -> Self {
        let heard: Vec<_> =
            questions.iter().map(|question| Heard::of(question, answers, changes)).collect();
        Self {
            fields: fields.iter().map(|name| answers.field(name.as_str()).unwrap_or("")).collect(),
            hung_up: answers.hung_up_at().is_some(),
            opted_out: answers.opted_out_at().is_some()
                || heard.iter().any(|heard| heard.what == What::OptOut),
            is_untouched: answers.is_empty(),
            heard,
        }
    }

    pub fn heard(&self) -> &[Heard<'a>] {
        &self.heard
    }

    /// The place of the answer to a question, where it is one of those that it can enumerate.
    pub fn answer(&self, question: usize) -> Option<usize> {
        match &self.heard[question].what {
            What::Answer(known) => known.at,
            _ => None,
        }
    }

    /// Whether a question has an answer that it knows.
    pub fn is_answered(&self, question: usize) -> bool {
        matches!(self.heard[question].what, What::Answer(_))
    }

    pub fn meets(&self, choice: &Choice) -> bool {
        let heard = &self.heard[choice.of];
        let spoken = Spoken { at: self.answer(choice.of), text: heard.text() };
        choice.is_met(spoken, || heard.words.get_or_init(|| Words::of(heard.text())))
    }

    /// For conditions.
    pub fn facts(&self, names: &Arc<Names>) -> Facts {
        Facts::new(names, self.values(|heard| heard.value.clone()))
    }

    /// For templates, which show several answers together as text.
    pub fn facts_for_a_template(&self, names: &Arc<Names>) -> Facts {
        Facts::for_a_template(names, self.values(|heard| heard.shown.clone()))
    }

    fn values(&self, of: impl Fn(&Heard<'a>) -> Option<Value>) -> Vec<Option<Value>> {
        let fields = self.fields.iter().map(|field| Some(Value::from(*field)));
        self.heard.iter().map(of).chain(fields).collect()
    }
}

impl<'a> Heard<'a> {
    /// Where mentions are looked for. An answer that can be said in several ways mentions the same
    /// in each: `2` where it means no is looked at as `no`.
    fn text(&self) -> &str {
        match &self.what {
            What::Answer(known) if known.at.is_some() => &known.text,
            _ => self.text,
        }
    }

    fn of(question: &'a Question, answers: &'a Answers, changes: ChangedAnswerPolicy) -> Self {
        let best =
            answers.best(question.name.as_str(), |answer| standing(question, answer), changes);
        let mut heard = Self {
            what: What::Nothing,
            reader: "",
            text: "",
            value: None,
            shown: None,
            words: OnceCell::new(),
        };
        let Some((said, standing)) = best else { return heard };
        heard.reader = &said.reader;
        let text = match &said.answer {
            Answer::Silence => "",
            Answer::Given(text) => text.as_str(),
        };
        heard.what = match standing {
            AnswerValidity::Silence => What::Silence,
            AnswerValidity::OutsideDomain => What::Outside,
            AnswerValidity::InDomain if question.is_opt_out(text) => {
                return Self { what: What::OptOut, ..heard };
            }
            AnswerValidity::InDomain => {
                What::Answer(question.domain.find(text).expect("it is in the domain"))
            }
        };
        heard.text = text;
        if let What::Answer(known) = &heard.what {
            heard.value = Some(question.domain.value(known));
            heard.shown = Some(question.domain.shown(known));
        }
        heard
    }
}
