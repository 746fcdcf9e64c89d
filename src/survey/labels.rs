use super::definition::DefinitionError;
use crate::domain::Name;

/// Fields that split the metrics of ratings and issues, as label names: a hyphen becomes `_`.
#[derive(Debug, Clone, Copy)]
pub struct Labels;

impl Labels {
    /// Most labels of one survey: each multiplies the series.
    pub const MAX: usize = 3;

    /// Labels of the same metrics, those that Prometheus adds to each series of a target or uses
    /// itself, and those by which the dashboard selects.
    const RESERVED: [&str; 13] = [
        "survey",
        "question",
        "answer",
        "issue",
        "le",
        "quantile",
        "job",
        "instance",
        "namespace",
        "pod",
        "container",
        "service",
        "endpoint",
    ];

    /// Every fault of `labels`, each of which has to be one of `fields`.
    pub fn check(labels: &[Name], fields: &[Name], faults: &mut Vec<DefinitionError>) {
        if labels.len() > Self::MAX {
            let message =
                format!("a survey has at most {} labels: keep the most useful", Self::MAX);
            faults.push(DefinitionError::at("labels", message));
        }
        for (at, label) in labels.iter().enumerate() {
            if let Some(message) = Self::fault(label, &labels[..at], fields) {
                faults.push(DefinitionError::at(format!("labels[{at}]"), message));
            }
        }
    }

    fn fault(label: &Name, before: &[Name], fields: &[Name]) -> Option<String> {
        let metric_label = Self::metric_label(label);
        if before.contains(label) {
            return Some(format!("{label} is listed twice: remove one"));
        }
        if Self::RESERVED.contains(&metric_label.as_str()) {
            return Some(format!(
                "metrics and Prometheus have a label {metric_label} of their own: give the field another name"
            ));
        }
        if metric_label.starts_with(|first: char| first.is_ascii_digit()) {
            return Some(format!(
                "the label of a metric begins with a letter, {label} does not: give the field another name"
            ));
        }
        unknown_field(label, fields)
    }

    /// A field as a label.
    pub fn metric_label(field: &Name) -> String {
        field.as_str().replace('-', "_")
    }
}

/// The fault of a field that is none of those.
pub(super) fn unknown_field(field: &Name, fields: &[Name]) -> Option<String> {
    if fields.contains(field) {
        return None;
    }
    let known: Vec<&str> = fields.iter().map(Name::as_str).collect();
    Some(match known.is_empty() {
        true => format!("the survey has no field {field}: add it to fields"),
        false => format!("the survey has no field {field}; its fields are {}", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use crate::survey::samples::*;
    use crate::survey::{Definition, RatingDefinition, Survey};

    fn definition(labels: &[&str]) -> Definition {
        Definition {
            fields: ["queue", "call-type", "le", "1st", "agent", "region"].map(name).to_vec(),
            labels: labels.iter().map(|label| name(label)).collect(),
            rating: Some(RatingDefinition::new(name("score"))),
            ..Definition::new(vec![asked("score", &["1-5"])])
        }
    }

    #[test]
    fn a_label_that_is_no_field_of_its_own_is_refused() {
        assert!(Survey::compile(definition(&["queue", "call-type", "agent"])).is_ok());
        insta::assert_snapshot!(
            refused(definition(&["qeue", "le", "1st", "queue", "queue"])).join("\n")
        );
        let without_fields = Definition { fields: vec![], ..definition(&["queue"]) };
        insta::assert_snapshot!(
            refused(without_fields).join("\n"),
            @"labels[0]: the survey has no field queue: add it to fields"
        );
    }
}
