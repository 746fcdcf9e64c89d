use std::cell::OnceCell;
use std::sync::Arc;

use minijinja::Value;

use super::domain::{Domain, Known};
use super::issues::Choice;
use super::names::{EvalContext, Scope};
use super::question::{Question, Questions};
use super::words;
use crate::domain::{Answer, Name};
use crate::submission::{AnswerValidity, Answers, ChangedAnswerPolicy};

/// The view of one call that a survey is evaluated on: for each question the answer that counts,
/// for each field its value.
#[derive(Debug)]
pub struct CallView<'a> {
    pub questions: Vec<QuestionView<'a>>,
    fields: Vec<&'a str>,
    pub hung_up: bool,
    pub opted_out: bool,
    /// Whether there is no answer at all, not even a silence.
    pub is_untouched: bool,
}

/// What counts as the answer to one question.
#[derive(Debug)]
pub struct QuestionView<'a> {
    question: &'a Question,
    pub what: What<'a>,
    /// Where in its webhook it was found.
    pub reader: &'a str,
    /// As it was said; empty where nothing was, or it opts out.
    text: &'a str,
    words: OnceCell<String>,
}

#[derive(Debug, PartialEq)]
pub enum What<'a> {
    /// No answer and no silence.
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
    match What::of(question, answer) {
        What::Nothing | What::Silence => AnswerValidity::Silence,
        What::Outside => AnswerValidity::OutsideDomain,
        What::OptOut | What::Answer(_) => AnswerValidity::InDomain,
    }
}

impl<'a> What<'a> {
    fn of(question: &'a Question, answer: &'a Answer) -> Self {
        match answer {
            Answer::Silence => Self::Silence,
            Answer::Given(text) if question.is_opt_out(text) => Self::OptOut,
            Answer::Given(text) => question.domain.find(text).map_or(Self::Outside, Self::Answer),
        }
    }
}

impl<'a> CallView<'a> {
    pub fn of(
        answers: &'a Answers,
        questions: &'a Questions,
        fields: &[Name],
        changes: ChangedAnswerPolicy,
    ) -> Self {
        let views: Vec<_> =
            questions.iter().map(|question| QuestionView::of(question, answers, changes)).collect();
        Self {
            fields: fields.iter().map(|name| answers.field(name.as_str()).unwrap_or("")).collect(),
            hung_up: answers.hung_up_at().is_some(),
            opted_out: answers.opted_out_at().is_some()
                || views.iter().any(|view| view.what == What::OptOut),
            is_untouched: answers.is_empty(),
            questions: views,
        }
    }

    /// The place of the answer to a question, where it is one of those that it can enumerate.
    pub fn answer(&self, question: usize) -> Option<usize> {
        match &self.questions[question].what {
            What::Answer(known) => known.at,
            _ => None,
        }
    }

    /// Whether a question has an answer that it knows.
    pub fn is_answered(&self, question: usize) -> bool {
        matches!(self.questions[question].what, What::Answer(_))
    }

    /// Whether a name, a question's or then a field's, is known if earlier webhooks of the call may not be
    /// here: callers are asked in order, and what comes after the last question that was asked is not
    /// answered anywhere.
    pub fn is_decided(&self, name: usize) -> bool {
        let is_asked = |view: &QuestionView<'_>| view.what != What::Nothing;
        match name.checked_sub(self.questions.len()) {
            None => {
                let later = &self.questions[name + 1..];
                is_asked(&self.questions[name]) || !later.iter().any(is_asked)
            }
            Some(field) => !self.fields[field].is_empty(),
        }
    }

    pub fn meets(&self, choice: &Choice) -> bool {
        let view = &self.questions[choice.of];
        let spoken = || view.words.get_or_init(|| words::spaced(view.text())).as_str();
        choice.is_met(self.answer(choice.of), spoken)
    }

    /// For conditions.
    pub fn facts(&self, names: &Arc<Scope>) -> EvalContext {
        EvalContext::new(names, self.values(Domain::value))
    }

    /// For templates, which show several answers together as text.
    pub fn facts_for_a_template(&self, names: &Arc<Scope>) -> EvalContext {
        EvalContext::for_a_template(names, self.values(Domain::shown))
    }

    fn values(&self, of: impl Fn(&Domain, &Known<'_>) -> Value) -> Vec<Option<Value>> {
        let answers = self.questions.iter().map(|view| match &view.what {
            What::Answer(known) => Some(of(&view.question.domain, known)),
            _ => None,
        });
        answers.chain(self.fields.iter().map(|field| Some(Value::from(*field)))).collect()
    }
}

impl<'a> QuestionView<'a> {
    /// Where mentions are looked for. An answer that can be said in several ways mentions the same
    /// in each: `2` where it means no is looked at as `no`.
    fn text(&self) -> &str {
        match &self.what {
            What::Answer(known) if known.at.is_some() => &known.text,
            _ => self.text,
        }
    }

    fn of(question: &'a Question, answers: &'a Answers, changes: ChangedAnswerPolicy) -> Self {
        let validity = |answer: &Answer| standing(question, answer);
        let said = answers.best(question.name.as_str(), validity, changes).map(|(said, _)| said);
        let what = said.map_or(What::Nothing, |said| What::of(question, &said.answer));
        let text = match said.map(|said| &said.answer) {
            Some(Answer::Given(text)) if what != What::OptOut => text.as_str(),
            _ => "",
        };
        let reader = said.map_or("", |said| said.reader.as_str());
        Self { question, what, reader, text, words: OnceCell::new() }
    }
}
