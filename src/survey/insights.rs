use std::collections::BTreeMap;

use super::definition::DefinitionError;
use super::labels::unknown_field;
use super::masking::masked;
use super::trace::{IssuesBy, Trace};
use crate::domain::Name;
use crate::submission::{Answers, Insight, IssueOrigin};

/// Fields whose values the tallies of the console distinguish.
#[derive(Debug, Clone, Copy)]
pub struct Insights;

impl Insights {
    /// Most of one survey: each is another row for each settled submission.
    pub const MAX: usize = 3;

    /// Longest value, in bytes.
    const VALUE_BYTES_MAX: usize = 64;

    /// Every fault of `insights`, each of which has to be one of `fields`.
    pub fn check(insights: &[Name], fields: &[Name], faults: &mut Vec<DefinitionError>) {
        if insights.len() > Self::MAX {
            let message =
                format!("a survey has at most {} insights: keep the most useful", Self::MAX);
            faults.push(DefinitionError::at("insights", message));
        }
        for (at, field) in insights.iter().enumerate() {
            let fault = match insights[..at].contains(field) {
                true => Some(format!("{field} is listed twice: remove one")),
                false => unknown_field(field, fields),
            };
            faults.extend(fault.map(|it| DefinitionError::at(format!("insights[{at}]"), it)));
        }
    }

    /// What the tallies know of answers beside the rating. A value that may be the number of a
    /// person, or is none that names a group, is `other`.
    pub fn of(insights: &[Name], answers: &Answers, trace: &Trace) -> Insight {
        let origin = match trace.issues {
            Some(IssuesBy::Choices) => Some(IssueOrigin::Chosen),
            Some(IssuesBy::Otherwise) => Some(IssueOrigin::Default),
            Some(IssuesBy::Rule) => Some(IssueOrigin::Rule),
            Some(IssuesBy::DroppedAtFive) | None => None,
        };
        let mut values = BTreeMap::new();
        for field in insights {
            let value = answers.field(field.as_str()).filter(|value| !value.is_empty());
            let Some(value) = value else { continue };
            let is_name = value.len() <= Self::VALUE_BYTES_MAX
                && !value.contains(char::is_control)
                && masked(value) == value;
            let value = if is_name { value } else { Insight::OTHER };
            values.insert(field.clone(), value.to_owned());
        }
        Insight { origin, values, ..Insight::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::*;
    use crate::survey::{Definition, RatingDefinition, Survey};

    fn definition(insights: &[&str]) -> Definition {
        Definition {
            fields: ["campaign", "queue", "agent", "region"].map(name).to_vec(),
            insights: insights.iter().map(|field| name(field)).collect(),
            rating: Some(RatingDefinition::new(name("score"))),
            ..Definition::new(vec![asked("score", &["1-5"])])
        }
    }

    #[test]
    fn insights_of_what_is_no_field_are_refused() {
        assert!(Survey::compile(definition(&["campaign", "queue"])).is_ok());
        insta::assert_snapshot!(
            refused(definition(&["campaing", "queue", "queue", "agent"])).join("\n"),
            @r"
        insights: a survey has at most 3 insights: keep the most useful
        insights[0]: the survey has no field campaing; its fields are campaign, queue, agent, region
        insights[2]: queue is listed twice: remove one
        "
        );
    }

    #[test]
    fn a_value_that_may_be_the_number_of_a_person_is_other() {
        let insights = [name("campaign"), name("agent")];
        for (value, expected) in [
            ("autumn", Some("autumn")),
            ("team 12", Some("team 12")),
            ("+49 170 1234567", Some("other")),
            ("a\nb", Some("other")),
            ("", None),
        ] {
            let said = with_field(answers(&[]), "campaign", value);
            let insight = Insights::of(&insights, &said, &Trace::default());
            let found: Vec<_> = insight.values.into_iter().collect();
            let expected = expected.map(|value| (name("campaign"), value.to_owned()));
            assert_eq!(found, Vec::from_iter(expected), "{value:?}");
        }
    }
}
