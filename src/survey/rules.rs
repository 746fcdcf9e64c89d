use minijinja::Value;

use super::condition::Condition;
use super::definition::{Fault, NotesDefinition, RuleDefinition};
use super::language::Stumbled;
use super::names::Names;
use super::notes::Notes;
use crate::domain::{Issues, Rating};

/// What is said where a scale and choices are not enough: the first rule whose condition holds
/// speaks.
#[derive(Debug)]
pub struct Rules(Vec<Rule>);

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

/// Most rules of one survey.
const RULES_MAX: usize = 64;
/// Longest reason in bytes: it is shown in one line.
const REASON_MAX: usize = 200;

impl Rules {
    pub fn compile(
        definitions: &[RuleDefinition],
        notes: &NotesDefinition,
        names: &Names,
        faults: &mut Vec<Fault>,
    ) -> Self {
        if definitions.len() > RULES_MAX {
            faults.push(Fault::at("rules", format!("a survey has at most {RULES_MAX} rules")));
        }
        let rules = definitions.iter().enumerate().take(RULES_MAX);
        Self(
            rules
                .filter_map(|(at, rule)| {
                    let path = path(at);
                    let when = format!("{path}.when");
                    let when = Condition::compile(&rule.when, names, &when, faults);
                    let then = then(rule, notes, names, &path, faults);
                    Some(Rule { when: when?, then: then? })
                })
                .collect(),
        )
    }

    /// The first that holds, and where it stands.
    ///
    /// # Errors
    /// A condition takes too long or stumbles over an answer; where it stands.
    pub fn speaking(&self, facts: &Value) -> Result<Option<usize>, (usize, Stumbled)> {
        for (at, rule) in self.0.iter().enumerate() {
            if rule.when.holds(facts).map_err(|stumbled| (at, stumbled))? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    pub fn at(&self, at: usize) -> &Rule {
        &self.0[at]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of a rule, in the definition.
pub fn path(at: usize) -> String {
    format!("rules[{at}]")
}

fn then(
    rule: &RuleDefinition,
    notes: &NotesDefinition,
    names: &Names,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Then> {
    let RuleDefinition { ignore, rating, issues, notes: template, .. } = rule;
    let tells = rating.is_some() || issues.is_some() || template.is_some();
    let faults_before = faults.len();
    match ignore {
        Some(_) if tells => {
            let message = "what is ignored has no rating, issues or notes: leave them out";
            faults.push(Fault::at(format!("{path}.ignore"), message));
        }
        Some(reason) if reason.trim().is_empty() || reason.len() > REASON_MAX => {
            let message = format!("a reason is a text of at most {REASON_MAX} bytes");
            faults.push(Fault::at(format!("{path}.ignore"), message));
        }
        None if !tells => {
            let message = "say what follows: ignore, rating, issues or notes";
            faults.push(Fault::at(path, message));
        }
        _ => {}
    }
    let rating = match rating.map(Rating::new).transpose() {
        Ok(rating) => rating,
        Err(error) => {
            faults.push(Fault::at(format!("{path}.rating"), error.to_string()));
            None
        }
    };
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
