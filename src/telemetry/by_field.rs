//! Metrics of ratings and issues, split by the fields that surveys declare as labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::Registry;
use prometheus::proto::MetricFamily;

use super::families::registered;
use super::series::{Counters, Histograms};
use crate::domain::{Feedback, Issue, Name};

/// Label names of a survey's fields: each field with the label that it becomes.
pub type FieldLabels = Vec<(Name, String)>;

/// Halves from 1 to 5, so that the ratings of a scale with halves are distinct.
const RATINGS: [f64; 9] = [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0];

/// Replaces a value that has no series of its own.
const OTHER: &str = "other";

/// Most values of one field of one survey that have series of their own.
const VALUES_MAX: usize = 50;

/// Most combinations of values of one survey that have series of their own: three fields of 50 values
/// would be 125,000 series for each bucket of the rating.
const COMBINATIONS_MAX: usize = 500;

/// Longest value, in bytes; a longer one is no name of a queue or a team.
const VALUE_BYTES_MAX: usize = 64;

/// The two families. All series of a family have the same label names, so that a family has the labels
/// of all surveys, empty where a survey does not declare them. Settings with other label names start
/// both again at zero.
pub(super) struct ByField(Mutex<Open>);

struct Open {
    registry: Registry,
    rating: Histograms,
    issues: Counters,
    /// Beside the survey and the issue, in their order.
    label_names: Vec<String>,
    surveys: BTreeMap<Name, SurveyValues>,
}

/// What was seen of one survey since the process started.
#[derive(Default)]
struct SurveyValues {
    labels: FieldLabels,
    /// By label name.
    values: BTreeMap<String, BTreeSet<String>>,
    combinations: BTreeSet<Vec<String>>,
}

impl ByField {
    pub fn new() -> Self {
        Self(Mutex::new(Open::of(Vec::new())))
    }

    /// These surveys are in force; what was seen of one that stays is still known.
    pub fn change<'a>(&self, surveys: impl IntoIterator<Item = (&'a Name, FieldLabels)>) {
        let surveys: BTreeMap<Name, FieldLabels> =
            surveys.into_iter().map(|(name, labels)| (name.clone(), labels)).collect();
        let names: BTreeSet<&String> = surveys.values().flatten().map(|(_, label)| label).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let mut open = self.open();
        if open.label_names != names {
            *open = Open::of(names);
        }
        for (survey, labels) in surveys {
            open.show_at_zero(&survey);
            let values = open.surveys.entry(survey).or_default();
            if values.labels != labels {
                *values = SurveyValues { labels, ..SurveyValues::default() };
            }
        }
    }

    pub fn delivered(&self, survey: &Name, feedback: &Feedback, fields: &BTreeMap<Name, String>) {
        let mut open = self.open();
        let split = open.split(survey, fields);
        let split: Vec<&str> = split.iter().map(String::as_str).collect();
        let survey = survey.as_str();
        let labels = [&[survey], split.as_slice()].concat();
        open.rating.with(&labels).observe(feedback.rating().value());
        for issue in feedback.issues() {
            let labels = [&[issue.name(), survey], split.as_slice()].concat();
            open.issues.with(&labels).inc();
        }
    }

    pub fn gather(&self) -> Vec<MetricFamily> {
        self.open().registry.gather()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn of(label_names: Vec<String>) -> Self {
        let registry = Registry::new();
        let with = |own: &[&'static str]| -> Vec<String> {
            let own = own.iter().map(|label| (*label).to_owned());
            own.chain(label_names.iter().cloned()).collect()
        };
        let help = "Submissions by the rating delivered first; one is counted once. By survey, and by \
                    the fields that surveys declare as labels.";
        let rating = Histograms::histograms("postcall_rating", help, with(&["survey"]), &RATINGS);
        let help = "Issues delivered, by survey and by the fields that surveys declare as labels.";
        let issues = Counters::counters("postcall_issues_total", help, with(&["issue", "survey"]));
        let rating = registered(&registry, rating);
        let issues = registered(&registry, issues);
        Self { registry, rating, issues, label_names, surveys: BTreeMap::new() }
    }

    /// The series of calls without any field.
    fn show_at_zero(&self, survey: &Name) {
        let without = vec![""; self.label_names.len()];
        let survey = survey.as_str();
        self.rating.with(&[&[survey], without.as_slice()].concat());
        for issue in Issue::ALL {
            let labels = [&[issue.name(), survey], without.as_slice()].concat();
            self.issues.with(&labels);
        }
    }

    /// The values of all labels, for a call of that survey.
    fn split(&mut self, survey: &Name, fields: &BTreeMap<Name, String>) -> Vec<String> {
        let Some(known) = self.surveys.get_mut(survey) else {
            return vec![String::new(); self.label_names.len()];
        };
        let mut split = known.split(&self.label_names, fields);
        if !known.combinations.contains(&split) {
            if known.combinations.len() < COMBINATIONS_MAX {
                known.combinations.insert(split.clone());
            } else {
                for value in split.iter_mut().filter(|value| !value.is_empty()) {
                    OTHER.clone_into(value);
                }
            }
        }
        split
    }
}

impl SurveyValues {
    fn split(&mut self, label_names: &[String], fields: &BTreeMap<Name, String>) -> Vec<String> {
        let of_label = |name: &String| {
            let (field, _) = self.labels.iter().find(|(_, label)| label == name)?;
            let value = fields.get(field).filter(|value| !value.is_empty())?;
            let seen = self.values.entry(name.clone()).or_default();
            let is_name = value.len() <= VALUE_BYTES_MAX && !value.contains(char::is_control);
            let is_shown = is_name && (seen.contains(value) || seen.len() < VALUES_MAX);
            if is_shown {
                seen.insert(value.clone());
            }
            Some(if is_shown { value.clone() } else { OTHER.to_owned() })
        };
        label_names.iter().map(of_label).map(Option::unwrap_or_default).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Issues, Rating};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn labels(fields: &[&str]) -> FieldLabels {
        fields.iter().map(|field| (name(field), field.replace('-', "_"))).collect()
    }

    fn fields(values: &[(&str, &str)]) -> BTreeMap<Name, String> {
        values.iter().map(|(field, value)| (name(field), (*value).to_owned())).collect()
    }

    fn delivered(by_field: &ByField, survey: &str, rating: f64, values: &[(&str, &str)]) {
        let issues = Issues::from([Issue::Echo]);
        let feedback = Feedback::new(Rating::new(rating).unwrap(), issues, String::new()).unwrap();
        by_field.delivered(&name(survey), &feedback, &fields(values));
    }

    /// The series that counted something, without buckets.
    fn counted(by_field: &ByField) -> String {
        let text = prometheus::TextEncoder::new().encode_to_string(&by_field.gather()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
        lines.filter(|line| !line.contains("_bucket{")).collect::<Vec<_>>().join("\n")
    }

    fn series(by_field: &ByField) -> usize {
        by_field.gather().iter().map(|family| family.get_metric().len()).sum()
    }

    #[test]
    fn ratings_with_fractions_have_buckets_of_their_own() {
        let by_field = ByField::new();
        by_field.change([(&name("quality"), labels(&[]))]);
        delivered(&by_field, "quality", 3.5, &[]);
        delivered(&by_field, "quality", 4.25, &[]);
        let text = prometheus::TextEncoder::new().encode_to_string(&by_field.gather()).unwrap();
        let buckets: Vec<&str> = text.lines().filter(|line| line.contains("_bucket{")).collect();
        insta::assert_snapshot!(buckets.join("\n"));
    }

    #[test]
    fn labels_of_all_surveys_are_on_each_series_and_empty_if_a_survey_does_not_declare_them() {
        let by_field = ByField::new();
        let (sales, support) = (name("sales"), name("support"));
        by_field.change([(&sales, labels(&["queue"])), (&support, labels(&["call-type"]))]);
        delivered(&by_field, "sales", 2.0, &[("queue", "north"), ("call-type", "not declared")]);
        delivered(&by_field, "support", 4.0, &[("call-type", "a \"new\"\\one"), ("queue", "x")]);
        delivered(&by_field, "support", 5.0, &[]);
        insta::assert_snapshot!(counted(&by_field));
    }

    #[test]
    fn the_51st_value_of_a_label_and_a_value_that_is_no_name_count_as_other() {
        let by_field = ByField::new();
        by_field.change([(&name("quality"), labels(&["queue"]))]);
        for n in 0..60 {
            delivered(&by_field, "quality", 4.0, &[("queue", &format!("q{n}"))]);
        }
        delivered(&by_field, "quality", 4.0, &[("queue", "q49")]);
        delivered(&by_field, "quality", 4.0, &[("queue", &"long".repeat(17))]);
        delivered(&by_field, "quality", 4.0, &[("queue", "two\nlines")]);
        let counted = counted(&by_field);
        assert!(
            counted.contains(r#"postcall_rating_count{queue="other",survey="quality"} 12"#),
            "{counted}"
        );
        assert!(
            counted.contains(r#"postcall_rating_count{queue="q49",survey="quality"} 2"#),
            "{counted}"
        );
        assert!(!counted.contains("q50"), "{counted}");
    }

    #[test]
    fn labels_never_have_more_series_than_their_bound() {
        let by_field = ByField::new();
        by_field.change([(&name("quality"), labels(&["queue", "team", "city"]))]);
        for n in 0..20_000_usize {
            let [queue, team, city] = [n % 40, n / 40 % 40, n / 1600].map(|n| n.to_string());
            let values = [("queue", &*queue), ("team", &*team), ("city", &*city)];
            delivered(&by_field, "quality", 4.0, &values);
        }
        // One rating and one issue of each combination and of `other`; and those without any field.
        assert_eq!(series(&by_field), 2 * (COMBINATIONS_MAX + 1) + 1 + Issue::ALL.len());
    }

    #[test]
    fn a_reload_keeps_what_was_counted_unless_it_changes_the_label_names() {
        let by_field = ByField::new();
        let quality = name("quality");
        by_field.change([(&quality, labels(&["queue"]))]);
        delivered(&by_field, "quality", 4.0, &[("queue", "north")]);
        let before = counted(&by_field);
        by_field.change([(&quality, labels(&["queue"])), (&name("other"), labels(&[]))]);
        assert_eq!(counted(&by_field), before);
        by_field.change([(&quality, labels(&["team"]))]);
        assert_eq!(counted(&by_field), "");
        delivered(&by_field, "quality", 4.0, &[("team", "red")]);
        assert!(counted(&by_field).contains(r#"team="red""#));
    }
}
