//! What is known of a submission beside its state when it is counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Feedback, Issue, Name};

/// What the tallies know of a submission, as it was last mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insight {
    /// In hundredths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<u16>,
    /// By name, with a comma between two.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issues: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<IssueOrigin>,
    /// The values of the fields that the survey has insights of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<Name, String>,
}

/// Where the issues of a submission come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueOrigin {
    /// The caller chose them.
    Chosen,
    /// The survey's default: the caller named none, and Plivo requires one.
    Default,
    /// A rule of the survey.
    Rule,
}

impl Insight {
    /// The value in place of one that is not distinguished.
    pub const OTHER: &'static str = "other";

    /// Takes over what a mapping says beside its feedback, or keeps what is known, and the feedback.
    pub(super) fn update(&mut self, mapped: Option<Insight>, feedback: Option<&Feedback>) {
        if let Some(insight) = mapped {
            *self = insight;
        }
        if let Some(feedback) = feedback {
            self.rating = Some(hundredths(feedback));
            let names: Vec<&str> = feedback.issues().map(Issue::name).collect();
            self.issues = names.join(",");
        }
    }

    pub fn has_issue(&self, issue: Issue) -> bool {
        self.issues.split(',').any(|name| name == issue.name())
    }
}

fn hundredths(feedback: &Feedback) -> u16 {
    (feedback.rating().value() * 100.0).round() as u16
}

impl IssueOrigin {
    pub const ALL: [IssueOrigin; 3] =
        [IssueOrigin::Chosen, IssueOrigin::Default, IssueOrigin::Rule];

    pub fn label(self) -> &'static str {
        match self {
            IssueOrigin::Chosen => "chosen",
            IssueOrigin::Default => "default",
            IssueOrigin::Rule => "rule",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Issues, Rating};

    #[test]
    fn an_insight_has_the_rating_and_the_issues_of_the_feedback() {
        let issues: Issues = Issue::ALL.into_iter().take(2).collect();
        let rating = Rating::new(2.5).unwrap();
        let feedback = Feedback::new(rating, issues.clone(), String::new()).unwrap();
        let mut insight = Insight::default();
        insight.update(None, Some(&feedback));
        assert_eq!(insight.rating, Some(250));
        for issue in Issue::ALL {
            assert_eq!(insight.has_issue(issue), issues.contains(&issue), "{}", issue.name());
        }
    }
}
