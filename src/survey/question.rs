use super::condition::Condition;
use super::definition::{DefinitionError, QuestionDefinition};
use super::domain::{Domain, plain_word};
use super::names::Scope;
use super::prompt::Prompt;
use super::words;
use crate::domain::{Advice, Name};

/// All that a survey asks, in order.
#[derive(Debug)]
pub struct Questions(Vec<Question>);

#[derive(Debug)]
pub struct Question {
    pub name: Name,
    pub domain: Domain,
    pub prompt: Option<Prompt>,
    /// A survey is complete without it.
    pub optional: bool,
    /// Where it is asked at all; everywhere.
    pub ask_when: Option<Condition>,
    /// What means "do not ask me", in the one way in which it is compared.
    opt_out: Vec<String>,
    /// Among the definitions.
    at: usize,
}

impl Questions {
    /// Most questions of one survey. No caller answers as many.
    pub const MAX: usize = 32;
    /// Most ways to say no to one question.
    const OPT_OUT_MAX: usize = 16;

    /// Where something is wrong, what is right of it, so that the rest can be checked too.
    pub fn compile(definitions: &[QuestionDefinition], faults: &mut Vec<DefinitionError>) -> Self {
        let count = definitions.len();
        if !(1..=Self::MAX).contains(&count) {
            let message = format!("a survey asks 1 to {} questions, not {count}", Self::MAX);
            faults.push(DefinitionError::at("questions", message));
        }
        let mut questions = Self(Vec::new());
        for (at, definition) in definitions.iter().enumerate().take(Self::MAX) {
            let question = Question::compile(at, definition, faults);
            if questions.find(question.name.as_str()).is_some() {
                let name = &question.name;
                let message = format!("there is another question {name}: give each its own name");
                faults.push(DefinitionError::at(format!("{}.name", question.path()), message));
            } else {
                questions.0.push(question);
            }
        }
        questions
    }

    /// What decides whether a question is asked; known once all names are.
    pub fn compile_conditions(
        &mut self,
        definitions: &[QuestionDefinition],
        names: &Scope,
        faults: &mut Vec<DefinitionError>,
    ) {
        for (own, question) in self.0.iter_mut().enumerate() {
            let Some(text) = &definitions[question.at].ask_when else { continue };
            let path = format!("{}.ask_when", question.path());
            let Some(condition) = Condition::compile(text, names, &path, faults) else { continue };
            if condition.looks_at().contains(&own) {
                let message = format!(
                    "whether {} is asked cannot depend on its own answer: look at another question",
                    question.name
                );
                faults.push(DefinitionError::at(path, message));
            }
            question.ask_when = Some(condition);
        }
    }

    pub fn first(&self) -> &Name {
        &self.0.first().expect("a survey without questions is refused").name
    }

    pub fn find(&self, name: &str) -> Option<&Question> {
        self.0.iter().find(|question| question.name.as_str() == name)
    }

    /// The index of a question, with a fault at `path` if there is no such one.
    pub fn named(
        &self,
        name: &Name,
        path: &str,
        faults: &mut Vec<DefinitionError>,
    ) -> Option<usize> {
        let at = self.0.iter().position(|question| question.name == *name);
        if at.is_none() && !self.0.is_empty() {
            let known: Vec<_> = self.iter().map(|question| question.name.as_str()).collect();
            let message = format!("there is no question {name}");
            let advice = Advice::unknown_name(message, name.as_str(), &known);
            faults
                .push(DefinitionError::at(path, advice.undefined(name.as_str().replace('-', "_"))));
        }
        at
    }

    pub fn at(&self, at: usize) -> &Question {
        &self.0[at]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Question> {
        self.0.iter()
    }
}

impl Question {
    fn compile(
        at: usize,
        definition: &QuestionDefinition,
        faults: &mut Vec<DefinitionError>,
    ) -> Self {
        let QuestionDefinition { name, domain, optional, opt_out, prompt, .. } = definition;
        let path = format!("questions[{at}]");
        let key: &str = domain.into();
        let domain = Domain::compile(domain).unwrap_or_else(|malformed| {
            faults.push(DefinitionError::at(format!("{path}.{key}"), malformed));
            Domain::default()
        });
        if opt_out.len() > Questions::OPT_OUT_MAX {
            let message = format!("at most {} answers opt out", Questions::OPT_OUT_MAX);
            faults.push(DefinitionError::at(format!("{path}.opt_out"), message));
        }
        // It is compared without blanks and punctuation: `5.` would opt out a caller who keys a 5.
        let is_known = |text: &&String| domain.find(text).is_some();
        for (item, text) in opt_out.iter().enumerate() {
            let path = format!("{path}.opt_out[{item}]");
            if let Err(wordless) = plain_word(text) {
                faults.push(DefinitionError::at(path, wordless));
            } else if !domain.is_open() && [text, &words::plain(text)].iter().any(is_known) {
                let message = format!("{name} knows this answer already: it cannot be both");
                faults.push(DefinitionError::at(path, message));
            }
        }
        let opt_out = opt_out.iter().map(|text| words::plain(text)).collect();
        let (name, prompt, optional) = (name.clone(), prompt.clone(), *optional);
        Self { name, domain, prompt, optional, ask_when: None, opt_out, at }
    }

    /// In the definition.
    pub fn path(&self) -> String {
        format!("questions[{}]", self.at)
    }

    /// What there is to say of an answer that is none of those that it knows.
    pub fn unanswerable(&self) -> String {
        format!("{} cannot be answered so: choose among {}", self.name, self.domain)
    }

    /// What means that the caller does not want to be asked.
    pub fn opt_outs(&self) -> impl Iterator<Item = &str> {
        self.opt_out.iter().map(String::as_str)
    }

    /// Whether `said` means that the caller does not want to be asked.
    pub fn is_opt_out(&self, said: &str) -> bool {
        !self.opt_out.is_empty() && self.opt_out.contains(&words::plain(said))
    }
}
