use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::Name;
use crate::settings::Settings;
use crate::survey::SurveyDifference;

/// What is different between two settings, for answers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Compared {
    /// Only what is different.
    pub surveys: BTreeMap<Name, SurveyChange>,
    /// Sources, and accounts, that were added, removed, or ask another survey.
    pub others: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum SurveyChange {
    Added,
    /// Its submissions that are not delivered yet become dead.
    Removed,
    Changed(SurveyDifference),
}

impl Compared {
    pub fn of(old: &Settings, new: &Settings) -> Self {
        let names: BTreeSet<&Name> = old.surveys.keys().chain(new.surveys.keys()).collect();
        let surveys = names.into_iter().filter_map(|name| {
            let change = match (old.surveys.get(name), new.surveys.get(name)) {
                (Some(old), Some(new)) => {
                    Some(old.difference(new)).filter(|it| !it.is_empty()).map(SurveyChange::Changed)
                }
                (Some(_), None) => Some(SurveyChange::Removed),
                (None, _) => Some(SurveyChange::Added),
            };
            Some((name.clone(), change?))
        });
        Self { surveys: surveys.collect(), others: others(old, new) }
    }

    pub fn is_empty(&self) -> bool {
        self.surveys.is_empty() && self.others.is_empty()
    }
}

fn others(old: &Settings, new: &Settings) -> Vec<String> {
    let accounts = |settings: &Settings| settings.accounts.keys().cloned().collect();
    let sources = |settings: &Settings| settings.sources.keys().cloned().collect();
    let mut others = added_and_removed("account", &accounts(old), &accounts(new));
    others.extend(added_and_removed("source", &sources(old), &sources(new)));
    for (name, before) in &old.sources {
        let Some(after) = new.sources.get(name) else { continue };
        let (survey, account) = (&before.survey, &before.account.name);
        if *survey != after.survey {
            others.push(format!("source {name}: survey {survey} → {}", after.survey));
        }
        if *account != after.account.name {
            others.push(format!("source {name}: account {account} → {}", after.account.name));
        }
        if before.readers != after.readers {
            others.push(format!("source {name}: reads its webhooks differently (extract)"));
        }
    }
    others
}

fn added_and_removed(what: &str, old: &BTreeSet<Name>, new: &BTreeSet<Name>) -> Vec<String> {
    let added = new.difference(old).map(|name| format!("{what} {name}: added"));
    added.chain(old.difference(new).map(|name| format!("{what} {name}: removed"))).collect()
}
