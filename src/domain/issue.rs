use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What was wrong with the call, from Plivo's fixed list.
///
/// The spelling is that of the argument table of Plivo's Call Feedback document. Its error texts
/// spell two of them otherwise; an account can override the wire spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    pub const ALL: [Issue; 11] = [
        Issue::AudioLag,
        Issue::BrokenAudio,
        Issue::CallDropped,
        Issue::CalleridIssue,
        Issue::DigitsNotCaptured,
        Issue::Echo,
        Issue::HighConnectTime,
        Issue::LowAudioLevel,
        Issue::OneWayAudio,
        Issue::Others,
        Issue::RoboticAudio,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Issue::AudioLag => "AUDIO_LAG",
            Issue::BrokenAudio => "BROKEN_AUDIO",
            Issue::CallDropped => "CALL_DROPPED",
            Issue::CalleridIssue => "CALLERID_ISSUE",
            Issue::DigitsNotCaptured => "DIGITS_NOT_CAPTURED",
            Issue::Echo => "ECHO",
            Issue::HighConnectTime => "HIGH_CONNECT_TIME",
            Issue::LowAudioLevel => "LOW_AUDIO_LEVEL",
            Issue::OneWayAudio => "ONE_WAY_AUDIO",
            Issue::Others => "OTHERS",
            Issue::RoboticAudio => "ROBOTIC_AUDIO",
        }
    }
}

impl FromStr for Issue {
    type Err = UnknownIssue;

    fn from_str(text: &str) -> Result<Self, UnknownIssue> {
        Issue::ALL.into_iter().find(|issue| issue.name() == text).ok_or(UnknownIssue)
    }
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
