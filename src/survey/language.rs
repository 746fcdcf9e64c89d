//! What conditions and templates are written in: `minijinja`, with a bound on what one run takes.

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::machinery::tokenize;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value};

use super::definition::DefinitionError;
use super::names::{Scope, Unknown};
use super::{parts, type_check};
use crate::domain::Advice;

/// Text with places for answers.
#[derive(Debug)]
pub struct Template {
    environment: Box<Environment<'static>>,
    /// Which names it looks at.
    looks_at: BTreeSet<usize>,
}

/// What a template may be, and becomes.
#[derive(Debug, Clone)]
pub struct Format {
    /// Names that it may use beside those of questions and fields.
    pub also: &'static [&'static str],
    pub escape: AutoEscape,
    /// Longest template in bytes.
    pub length_max: usize,
}

/// Something that cannot be evaluated for some answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct EvalError {
    /// Nothing of the answers, fit for a log.
    kind: String,
    /// With what there is to say of the values.
    pub details: String,
    /// The part of the text that failed, in bytes.
    pub part: Option<Range<usize>>,
}

/// Bounds the time and the memory that one rendering takes: about as many instructions, and 64
/// times as many bytes.
const FUEL: u64 = 10_000;
const TEMPLATE_NAME: &str = "template";

impl Template {
    pub fn compile(
        text: &str,
        names: &Scope,
        format: &Format,
        path: &str,
        faults: &mut Vec<DefinitionError>,
    ) -> Option<Self> {
        let Format { also, escape, length_max } = format.clone();
        if text.len() > length_max {
            let message = format!("a template is at most {length_max} bytes long");
            faults.push(DefinitionError::at(path, message));
            return None;
        }
        if !matches!(escape, AutoEscape::None) && text.contains("autoescape") {
            let message = "leave autoescape out: what callers say is always escaped";
            faults.push(DefinitionError::at(path, message));
            return None;
        }
        if let Err(message) = check_tokens(text, false) {
            faults.push(DefinitionError::at(path, message));
            return None;
        }
        let mut environment = Box::new(environment(FUEL));
        environment.set_auto_escape_callback(move |_| escape.clone());
        // What is escaped stays so.
        environment.remove_filter("safe");
        if let Err(error) = environment.add_template_owned(TEMPLATE_NAME, text.to_owned()) {
            faults.push(DefinitionError::at(path, advice(&error)));
            return None;
        }
        let template = environment.get_template(TEMPLATE_NAME).expect("it was added");
        let looks_at = names
            .looked_at(template.undeclared_variables(true), also)
            .map_err(|Unknown { name, advice }| advice.at(parts::of_name(text, false, &name)));
        let checked = looks_at.and_then(|looks_at| {
            type_check::check_template(text, names)?;
            Ok(looks_at)
        });
        match checked {
            Ok(looks_at) => Some(Self { environment, looks_at }),
            Err(advice) => {
                if !names.is_empty() {
                    faults.push(DefinitionError::at(path, advice));
                }
                None
            }
        }
    }

    /// Which names it looks at.
    pub fn looks_at(&self) -> &BTreeSet<usize> {
        &self.looks_at
    }

    /// # Errors
    /// It takes too long, or fails on an answer.
    pub fn render(&self, facts: Value) -> Result<String, EvalError> {
        let rendered = self.environment.get_template(TEMPLATE_NAME).and_then(|it| it.render(facts));
        rendered.map_err(|error| EvalError::over(&error))
    }
}

/// Notes what the lexer cannot read. The parser takes it for the end of the text if it follows a text
/// in quotes, so that `a == 'b' && c` would be `a == 'b'`.
///
/// # Errors
/// What is wrong, and where.
pub fn check_tokens(text: &str, is_expression: bool) -> Result<(), Advice> {
    let mut tokens = tokenize(text, is_expression, Default::default());
    match tokens.find_map(Result::err) {
        Some(error) => Err(advice(&error)),
        None => Ok(()),
    }
}

impl EvalError {
    pub fn over(error: &Error) -> Self {
        let part = parts::of_error(error);
        Self { kind: error.kind().to_string(), details: described(error), part }
    }
}

/// What is wrong with a text that is none of the language, and the part at which that shows.
pub fn advice(error: &Error) -> Advice {
    Advice::from(described(error)).at(parts::of_error(error))
}

/// Without the name of the text, which has none of its own.
fn described(error: &Error) -> String {
    let line = error.line().filter(|line| *line > 1);
    let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
    match error.detail() {
        Some(detail) => format!("{}: {detail}{line}", error.kind()),
        None => format!("{}{line}", error.kind()),
    }
}

/// One that knows no function: a question may have the name of any, and nothing here needs one.
pub fn environment(fuel: u64) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Errors do not copy the text; their places are known without that.
    environment.set_debug(false);
    environment.set_fuel(Some(fuel));
    let functions: Vec<String> =
        environment.globals().map(|(function, _)| function.to_owned()).collect();
    for function in functions {
        environment.remove_global(&function);
    }
    environment
}
