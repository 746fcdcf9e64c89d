use std::collections::BTreeSet;
use std::fmt;

use strum::{EnumString, IntoStaticStr, VariantArray};

/// What was wrong with the call, from Plivo's fixed list.
///
/// The spelling is that of the argument table of Plivo's Call Feedback document. Its error texts
/// spell two of them otherwise; an account can override the wire spelling.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE", parse_err_ty = UnknownIssue, parse_err_fn = unknown)]
pub enum Issue {
    AudioLag,
    BrokenAudio,
    CallDropped,
    CalleridIssue,
    DigitsNotCaptured,
    Echo,
    HighConnectTime,
    LowAudioLevel,
    OneWayAudio,
    Others,
    RoboticAudio,
}

/// A set of issues, each at most once, in the order of the list.
pub type Issues = BTreeSet<Issue>;

/// The text names no issue that Plivo knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an issue that Plivo knows; one of {}", Issue::ALL.map(Issue::name).join(", "))]
pub struct UnknownIssue;

impl Issue {
    pub const ALL: [Issue; Issue::VARIANTS.len()] =
        *Issue::VARIANTS.first_chunk().expect("the array has their length");

    pub fn name(self) -> &'static str {
        self.into()
    }
}

fn unknown(_: &str) -> UnknownIssue {
    UnknownIssue
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_issue_is_found_by_its_name() {
        for issue in Issue::ALL {
            assert_eq!(issue.name().parse(), Ok(issue));
        }
        assert_eq!("echo".parse::<Issue>(), Err(UnknownIssue));
    }
}
