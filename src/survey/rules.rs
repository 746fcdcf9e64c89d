use super::condition::Condition;
use super::definition::{DefinitionError, NotesDefinition, RuleDefinition};
use super::names::Scope;
use super::notes::Notes;
use crate::domain::{Issues, Rating};

/// What is said where a scale and choices are not enough: the first rule whose condition holds
/// speaks.
#[derive(Debug)]
pub struct Rule {
    pub when: Condition,
    pub then: Then,
}

/// What is not given is as it would be without the rule.
#[derive(Debug)]
pub enum Then {
    /// There is nothing to tell, and why.
    Ignore(String),
    Tell {
        rating: Option<Rating>,
        issues: Option<Issues>,
        /// Notes, or that there are none.
        notes: Option<Option<Notes>>,
    },
}

impl Then {
    /// Its own notes, if it has any.
    pub fn notes(&self) -> Option<&Notes> {
        match self {
            Self::Tell { notes: Some(notes), .. } => notes.as_ref(),
            _ => None,
        }
    }
}

/// Most rules of one survey.
const RULES_MAX: usize = 64;
/// Longest reason in bytes: it is shown in one line.
const REASON_MAX: usize = 200;

pub fn compile(
    definitions: &[RuleDefinition],
    notes: &NotesDefinition,
    names: &Scope,
    faults: &mut Vec<DefinitionError>,
) -> Vec<Rule> {
    if definitions.len() > RULES_MAX {
        faults
            .push(DefinitionError::at("rules", format!("a survey has at most {RULES_MAX} rules")));
    }
    let rules = definitions.iter().enumerate().take(RULES_MAX).filter_map(|(at, rule)| {
        let path = path(at);
        let when = Condition::compile(&rule.when, names, &format!("{path}.when"), faults);
        let then = then(rule, notes, names, &path, faults);
        Some(Rule { when: when?, then: then? })
    });
    rules.collect()
}

/// Of a rule, in the definition.
pub fn path(at: usize) -> String {
    format!("rules[{at}]")
}

fn then(
    rule: &RuleDefinition,
    notes: &NotesDefinition,
    names: &Scope,
    path: &str,
    faults: &mut Vec<DefinitionError>,
) -> Option<Then> {
    let RuleDefinition { ignore, rating, issues, notes: template, .. } = rule;
    let tells = rating.is_some() || issues.is_some() || template.is_some();
    let faults_before = faults.len();
    match ignore {
        Some(_) if tells => {
            let message = "what is ignored has no rating, issues or notes: leave them out";
            faults.push(DefinitionError::at(format!("{path}.ignore"), message));
        }
        Some(reason) if reason.trim().is_empty() || reason.len() > REASON_MAX => {
            let message = format!("a reason is a text of at most {REASON_MAX} bytes");
            faults.push(DefinitionError::at(format!("{path}.ignore"), message));
        }
        None if !tells => {
            let message = "say what follows: ignore, rating, issues or notes";
            faults.push(DefinitionError::at(path, message));
        }
        _ => {}
    }
    let rating = rating.map(Rating::written).transpose().unwrap_or_else(|message| {
        faults.push(DefinitionError::at(format!("{path}.rating"), message));
        None
    });
    if let (None, Some(rating), Some(issues)) = (ignore, rating, issues)
        && rating.requires_issue()
        && issues.is_empty()
    {
        let message = format!(
            "rating {rating} with no issue, and below 5 Plivo requires one: name at least one, such as \
             OTHERS"
        );
        faults.push(DefinitionError::at(format!("{path}.issues"), message));
    }
    let notes = template.as_ref().map(|template| {
        let is_given = !template.is_empty();
        let path = format!("{path}.notes");
        is_given.then(|| Notes::compile(template, notes, names, &path, faults)).flatten()
    });
    if faults.len() > faults_before {
        return None;
    }
    Some(match ignore {
        Some(reason) => Then::Ignore(reason.clone()),
        None => Then::Tell { rating, issues: issues.clone(), notes },
    })
}
