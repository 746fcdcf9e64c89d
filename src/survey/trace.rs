use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Issue, Rating};

/// Which parts of a survey spoke when answers were mapped, in its own words. What callers said
/// freely is not repeated in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Of each question in order, what counted.
    pub questions: Vec<Counted>,
    /// The rule that spoke, such as `rules[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rated>,
    /// Each choice that was met, whether it was told or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Chosen>,
    /// Where the issues that are told come from; nowhere, where none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issues: Option<IssuesBy>,
    /// Where the notes come from, `notes` or `rules[1].notes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Which setting decided where there is no feedback, such as `unrated.no_answer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
}

/// What counted as the answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    pub question: String,
    /// Where in its webhook it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
    pub counted: Counts,
    /// One of those that the question knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// How something said counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    #[strum(to_string = "nothing heard")]
    Missing,
    #[strum(to_string = "no answer")]
    Silence,
    #[strum(to_string = "an answer that it does not know")]
    Outside,
    #[strum(to_string = "opted out")]
    OptOut,
    Answer,
    /// Free text, which is not repeated here.
    #[strum(to_string = "some text")]
    Text,
}

/// How the rating came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rated {
    pub rating: Rating,
    /// `rating.scale`, `rating.table` or `rating.thumbs`, or the rule's path.
    pub by: String,
}

/// A choice that an answer met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    pub choice: String,
    #[serde(serialize_with = "by_name", deserialize_with = "of_that_name")]
    pub issue: Issue,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum IssuesBy {
    #[strum(to_string = "the choices")]
    Choices,
    #[strum(to_string = "issues.default")]
    Otherwise,
    #[strum(to_string = "the rule")]
    Rule,
    /// Choices were met, and dropped at a rating of 5.
    #[strum(to_string = "none, by issues.at_max_rating")]
    DroppedAtFive,
}

impl Trace {
    /// As it is kept with the submission.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a trace is made of texts and numbers")
    }

    /// What [`to_json`](Self::to_json) made; none where another release put something into it that
    /// this one does not know.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl fmt::Display for Trace {
    /// A line for each part that spoke.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Counted { question, reader, counted, answer } in &self.questions {
            match counted {
                Counts::Answer => {
                    write!(f, "{question}: {}", answer.as_deref().unwrap_or_default())?
                }
                counted => write!(f, "{question}: {counted}")?,
            }
            match reader {
                Some(reader) => writeln!(f, " ({reader})")?,
                None => writeln!(f)?,
            }
        }
        if let Some(rule) = &self.rule {
            writeln!(f, "rule: {rule}")?;
        }
        if let Some(Rated { rating, by }) = &self.rating {
            writeln!(f, "rating: {rating} by {by}")?;
        }
        for Chosen { choice, issue } in &self.choices {
            writeln!(f, "choice: {issue} by {choice}")?;
        }
        if let Some(by) = &self.issues {
            writeln!(f, "issues: {by}")?;
        }
        if let Some(notes) = &self.notes {
            writeln!(f, "notes: {notes}")?;
        }
        if let Some(setting) = &self.otherwise {
            writeln!(f, "no feedback: {setting}")?;
        }
        Ok(())
    }
}

fn of_that_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Issue, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn by_name<S: serde::Serializer>(issue: &Issue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(issue.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let trace = Trace {
            questions: vec![Counted {
                question: "score".to_owned(),
                reader: Some("form:Digits".to_owned()),
                counted: Counts::Answer,
                answer: Some("2".to_owned()),
            }],
            rule: Some("rules[1]".to_owned()),
            rating: Rating::new(2.5).ok().map(|rating| Rated { rating, by: "rating".to_owned() }),
            choices: vec![Chosen { choice: "issues.choices[0]".to_owned(), issue: Issue::Echo }],
            issues: Some(IssuesBy::DroppedAtFive),
            notes: Some("notes".to_owned()),
            otherwise: Some("on_no_rating.no_score".to_owned()),
        };
        for trace in [trace, Trace::default()] {
            assert_eq!(Trace::from_json(&trace.to_json()), Some(trace));
        }
        assert_eq!(Trace::from_json(r#"{"questions":[],"new":[1]}"#), None);
    }
}
