use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, Value};

use super::definition::DefinitionError;
use super::value_type::ValueType;
use crate::domain::{Advice, Name};

/// What conditions and templates may speak of: the questions, then the fields, each by its name
/// with `_` for `-`, because a hyphen would be a minus.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    variables: Vec<String>,
    questions: usize,
    /// Those of the questions; empty if they are not known.
    types: Vec<ValueType>,
}

/// The values of all names, for one call.
#[derive(Debug)]
pub struct EvalContext {
    names: Arc<Scope>,
    /// In the order of the names; a question that was not answered has none.
    values: Vec<Option<Value>>,
    /// Where a question was not answered, a template finds nothing; a condition stops.
    is_for_a_template: bool,
    also: Option<(&'static str, Value)>,
}

/// A name that is none of a question or a field, or not one that can be used so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub name: String,
    pub advice: Advice,
}

/// `answered.score`: whether it was.
#[derive(Debug)]
struct Answered(Arc<EvalContext>);

/// The name under which conditions ask whether a question was answered.
pub const ANSWERED: &str = "answered";

/// Words of the language, which can be the name of nothing.
const RESERVED: [&str; 14] = [
    ANSWERED, "true", "false", "none", "True", "False", "None", "not", "and", "or", "if", "else",
    "in", "is",
];

const NOT_ANSWERED: &str = "a question was not answered";

impl Scope {
    /// Most fields of one survey.
    pub const FIELDS_MAX: usize = 32;

    /// `questions` are their names, each with its path in the definition.
    pub fn compile<'a>(
        questions: impl ExactSizeIterator<Item = (&'a Name, String)>,
        fields: &'a [Name],
        faults: &mut Vec<DefinitionError>,
    ) -> Self {
        if fields.len() > Self::FIELDS_MAX {
            let message = format!("a survey has at most {} fields", Self::FIELDS_MAX);
            faults.push(DefinitionError::at("fields", message));
        }
        let mut known: Vec<(&Name, String)> = Vec::new();
        let count = questions.len();
        let fields_at = fields.iter().enumerate().map(|(at, name)| (name, format!("fields[{at}]")));
        for (name, path) in questions.chain(fields_at) {
            let variable = name.as_str().replace('-', "_");
            if RESERVED.contains(&variable.as_str()) {
                let message = format!("{name} means something else in conditions: rename it");
                faults.push(DefinitionError::at(path, message));
            } else if let Some((other, _)) = known.iter().find(|(_, known)| *known == variable) {
                let message = match *other == name {
                    true => format!("there is {name} already: give each its own name"),
                    false => format!("{other} and {name} would both be {variable}: rename one"),
                };
                faults.push(DefinitionError::at(path, message));
            }
            known.push((name, variable));
        }
        let variables = known.into_iter().map(|(_, variable)| variable).collect();
        Self { variables, questions: count, types: Vec::new() }
    }

    /// With the types of the questions' values, in their order.
    pub fn with_types(self, types: impl Iterator<Item = ValueType>) -> Self {
        Self { types: types.collect(), ..self }
    }

    /// The type of what conditions see under a name.
    pub fn value_type(&self, at: usize) -> ValueType {
        match self.is_question(at) {
            true => self.types.get(at).cloned().unwrap_or(ValueType::Unknown),
            false => ValueType::Text,
        }
    }

    /// Of questions and a field.
    #[cfg(test)]
    pub fn sample(questions: &[&str], field: &str) -> Arc<Self> {
        let mut faults = Vec::new();
        let questions: Vec<Name> = questions.iter().map(|name| name.parse().unwrap()).collect();
        let asked = questions.iter().map(|name| (name, String::new()));
        let names = Self::compile(asked, &[field.parse().unwrap()], &mut faults);
        assert_eq!(faults, []);
        Arc::new(names)
    }

    /// The index of a name's value.
    pub fn find(&self, variable: &str) -> Option<usize> {
        self.variables.iter().position(|known| known == variable)
    }

    pub fn is_question(&self, at: usize) -> bool {
        at < self.questions
    }

    /// How many questions there are; fields follow them.
    pub fn questions(&self) -> usize {
        self.questions
    }

    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Whether no question could be read, so that it is no wonder that a name is unknown.
    pub fn is_empty(&self) -> bool {
        self.questions == 0
    }

    /// As conditions and templates write it.
    pub fn variable(&self, at: usize) -> &str {
        &self.variables[at]
    }

    /// Which of the names an expression or a template looks at that uses `variables`; `also` are
    /// known beside these.
    ///
    /// # Errors
    /// One is none, and what to say of it.
    pub fn looked_at(
        &self,
        used: HashSet<String>,
        also: &[&str],
    ) -> Result<BTreeSet<usize>, Unknown> {
        let unknown = |name: &str, advice| Err(Unknown { name: name.to_owned(), advice });
        let mut looked_at = BTreeSet::new();
        let used: BTreeSet<String> = used.into_iter().collect();
        for used in &used {
            let mut steps = used.split('.');
            let first = steps.next().unwrap_or_default();
            let name = match (first == ANSWERED, steps.next()) {
                (true, Some(question)) => question,
                (true, None) => return unknown(ANSWERED, "write answered.QUESTION".into()),
                (false, _) if also.contains(&first) => continue,
                (false, _) => first,
            };
            match self.find(name) {
                Some(at) if first != ANSWERED || self.is_question(at) => looked_at.insert(at),
                Some(_) => {
                    let message = format!("{name} is no question: answered is for these");
                    return unknown(name, message.into());
                }
                None => {
                    let known = self.variables.iter().map(String::as_str);
                    let known: Vec<_> = known.chain(also.iter().copied()).collect();
                    let message = format!("there is no question or field {name}");
                    let mut advice = Advice::unknown_name(message, name, &known).undefined(name);
                    if advice.suggestion.is_none() {
                        advice.message +=
                            &format!("; declare what a source reads: `fields: [{name}]`");
                    }
                    return unknown(name, advice);
                }
            };
        }
        Ok(looked_at)
    }
}

impl EvalContext {
    /// For conditions. `values` are those of the questions, then those of the fields.
    pub fn new(names: &Arc<Scope>, values: Vec<Option<Value>>) -> Self {
        Self { names: Arc::clone(names), values, is_for_a_template: false, also: None }
    }

    /// For templates, where a question without an answer is empty.
    pub fn for_a_template(names: &Arc<Scope>, values: Vec<Option<Value>>) -> Self {
        Self { is_for_a_template: true, ..Self::new(names, values) }
    }

    /// With one more name.
    pub fn and(self, name: &'static str, value: Value) -> Self {
        Self { also: Some((name, value)), ..self }
    }
}

impl From<EvalContext> for Value {
    fn from(facts: EvalContext) -> Value {
        Value::from_object(facts)
    }
}

impl Object for EvalContext {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match self.names.find(key) {
            Some(at) => Some(match &self.values[at] {
                Some(value) => value.clone(),
                None if self.is_for_a_template => Value::from(""),
                None => Value::from(Error::new(ErrorKind::UndefinedError, NOT_ANSWERED)),
            }),
            None if key == ANSWERED => Some(Value::from_object(Answered(Arc::clone(self)))),
            None => {
                self.also.as_ref().filter(|(name, _)| *name == key).map(|(_, value)| value.clone())
            }
        }
    }
}

impl Object for Answered {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = self.0.names.find(key.as_str()?)?;
        Some(Value::from(self.0.values[at].is_some()))
    }
}

/// Whether an expression stopped because it looked at a question without an answer.
pub fn is_for_want_of_an_answer(error: &Error) -> bool {
    error.kind() == ErrorKind::UndefinedError && error.detail() == Some(NOT_ANSWERED)
}
