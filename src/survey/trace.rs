use std::fmt;

use serde::Serialize;

/// Which parts of a survey spoke when answers were mapped.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Trace {}

impl Trace {
    /// As it is kept with the submission.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a trace is made of texts and numbers")
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
