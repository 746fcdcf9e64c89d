use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// How good the call was: 1 (bad) to 5 (good), fractions allowed.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rating(f64);

/// Plivo refuses a rating outside 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a rating is a number from 1 to 5, not {0}")]
pub struct RatingOutOfRange(pub f64);

impl Rating {
    pub const BEST: Rating = Rating(5.0);

    pub fn new(value: f64) -> Result<Self, RatingOutOfRange> {
        if (1.0..=5.0).contains(&value) { Ok(Self(value)) } else { Err(RatingOutOfRange(value)) }
    }

    /// One that an operator writes, as exact as a scale is rounded.
    ///
    /// # Errors
    /// What would be right.
    pub fn written(value: f64) -> Result<Self, String> {
        let rounded = (value * 100.0).round() / 100.0;
        match Self::new(value) {
            Err(outside) => Err(outside.to_string()),
            Ok(_) if rounded != value => {
                Err(format!("a rating has at most two decimals: write {rounded}"))
            }
            Ok(rating) => Ok(rating),
        }
    }

    pub fn value(self) -> f64 {
        self.0
    }

    /// Whether Plivo requires an issue with this rating: it does below 5.
    pub fn requires_issue(self) -> bool {
        self < Self::BEST
    }
}

impl TryFrom<f64> for Rating {
    type Error = RatingOutOfRange;

    fn try_from(value: f64) -> Result<Self, RatingOutOfRange> {
        Self::new(value)
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Rating {
    /// A whole rating goes out as an integer, as every example of Plivo's shows it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 {
            serializer.serialize_u8(self.0 as u8)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rating_outside_one_to_five_cannot_be_made() {
        for bad in [0.0, 0.99, 5.01, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Rating::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rating_is_written_with_at_most_two_decimals() {
        for hundredths in 100..=500 {
            let written = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            assert!(Rating::written(written.parse().unwrap()).is_ok(), "{written}");
        }
        for bad in [1.001, 3.667, 4.9999999] {
            assert!(Rating::written(bad).unwrap_err().contains("two decimals"), "{bad}");
        }
    }

    #[test]
    fn whole_ratings_are_written_as_integers() {
        let written = |value| serde_json::to_string(&Rating::new(value).unwrap()).unwrap();
        assert_eq!(written(4.0), "4");
        assert_eq!(written(3.5), "3.5");
    }
}
