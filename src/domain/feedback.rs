use serde::{Deserialize, Serialize};

use super::{Issue, Issues, Rating};

/// Feedback about one call, as Plivo takes it. Its constructor checks the API's constraints, so a value of this type
/// is never refused for its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    rating: Rating,
    issues: Issues,
    notes: Option<String>,
}

/// Feedback that Plivo would refuse.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a rating of {0} needs at least one issue: Plivo refuses a rating below 5 without")]
pub struct InvalidFeedback(Rating);

/// The text is no feedback that was written down.
#[derive(Debug, thiserror::Error)]
#[error("not feedback as it is written down: {0}")]
pub struct UnreadableFeedback(String);

/// As it is written down: like Plivo's body, with issues by their own names.
#[derive(Serialize, Deserialize)]
struct Written {
    rating: Rating,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    issues: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
}

impl Feedback {
    /// Empty notes are no notes.
    ///
    /// # Errors
    /// Below 5, at least one issue is required.
    pub fn new(rating: Rating, issues: Issues, notes: String) -> Result<Self, InvalidFeedback> {
        if rating.requires_issue() && issues.is_empty() {
            return Err(InvalidFeedback(rating));
        }
        Ok(Self { rating, issues, notes: Some(notes).filter(|notes| !notes.is_empty()) })
    }

    /// For the store and for people; what Plivo reads is the destination's to write.
    pub fn to_json(&self) -> String {
        let written = Written {
            rating: self.rating,
            issues: self.issues.iter().map(ToString::to_string).collect(),
            notes: self.notes.clone(),
        };
        serde_json::to_string(&written).expect("numbers and texts can be written as JSON")
    }

    /// What [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// Another text, or feedback that is not lawful.
    pub fn from_json(text: &str) -> Result<Self, UnreadableFeedback> {
        let unreadable = |fault: &dyn std::fmt::Display| UnreadableFeedback(fault.to_string());
        let Written { rating, issues, notes } =
            serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        let issues = issues
            .iter()
            .map(|issue| issue.parse())
            .collect::<Result<Issues, _>>()
            .map_err(|error| unreadable(&error))?;
        Self::new(rating, issues, notes.unwrap_or_default()).map_err(|error| unreadable(&error))
    }

    pub fn rating(&self) -> Rating {
        self.rating
    }

    pub fn issues(&self) -> impl Iterator<Item = Issue> + '_ {
        self.issues.iter().copied()
    }

    pub fn notes(&self) -> Option<&str> {
        self.notes.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_read_again() {
        let rating = Rating::new(3.5).unwrap();
        let issues = Issues::from([Issue::CalleridIssue, Issue::Echo]);
        let feedback = Feedback::new(rating, issues, "a \"note\"".to_owned()).unwrap();
        assert_eq!(Feedback::from_json(&feedback.to_json()).unwrap(), feedback);
        let best = Feedback::new(Rating::BEST, Issues::new(), String::new()).unwrap();
        assert_eq!(best.to_json(), r#"{"rating":5}"#);
        assert_eq!(Feedback::from_json(&best.to_json()).unwrap(), best);
        for invalid in
            ["{}", r#"{"rating":4}"#, r#"{"rating":6}"#, r#"{"rating":1,"issues":["echo"]}"#]
        {
            assert!(Feedback::from_json(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn below_five_an_issue_is_required() {
        let four = Rating::new(4.0).unwrap();
        assert!(Feedback::new(four, Issues::new(), String::new()).is_err());
        assert!(Feedback::new(four, Issues::from([Issue::Echo]), String::new()).is_ok());
        assert!(Feedback::new(Rating::BEST, Issues::new(), String::new()).is_ok());
    }
}
