use super::{Issue, Issues, Rating};

/// What Plivo is told about one call. Its constructor holds Plivo's law, so a value of this type
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
pub struct UnlawfulFeedback(Rating);

impl Feedback {
    /// Empty notes are no notes.
    ///
    /// # Errors
    /// Below 5, at least one issue is required.
    pub fn new(rating: Rating, issues: Issues, notes: String) -> Result<Self, UnlawfulFeedback> {
        if rating.wants_an_issue() && issues.is_empty() {
            return Err(UnlawfulFeedback(rating));
        }
        Ok(Self { rating, issues, notes: Some(notes).filter(|notes| !notes.is_empty()) })
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
    fn below_five_an_issue_is_required() {
        let four = Rating::new(4.0).unwrap();
        assert!(Feedback::new(four, Issues::new(), String::new()).is_err());
        assert!(Feedback::new(four, Issues::from([Issue::Echo]), String::new()).is_ok());
        assert!(Feedback::new(Rating::BEST, Issues::new(), String::new()).is_ok());
    }
}
