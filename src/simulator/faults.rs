use std::collections::HashSet;
use std::num::NonZeroU64;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use serde::Deserialize;

use super::feedback::Spelling;

/// What shall go wrong until the plan is replaced or forgotten; by default nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    faults: Vec<Fault>,
    unknown_calls: HashSet<String>,
    spelling: Spelling,
}

/// What the plan has in store for one request.
#[derive(Debug)]
pub struct RequestPlan {
    pub effect: Effect,
    pub unknown_call: bool,
    pub spelling: Spelling,
}

/// What a fault does to the request that it strikes; by default nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effect {
    /// Waited before the answer, or before the connection is closed in its place.
    pub delay: Duration,
    pub harm: Harm,
}

/// How an effect changes what is done with the request.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Harm {
    /// The request is considered and answered as ever.
    #[default]
    None,
    /// Answered so, and not considered.
    Status { status: StatusCode, retry_after: Option<HeaderValue> },
    /// The connection is closed without an answer, the request not considered.
    ResetBefore,
    /// The request is considered, then the connection is closed without an answer.
    ResetAfter,
}

impl Plan {
    /// What befalls the next request. The faults are asked in their order and the first that
    /// strikes is the only one; those behind it do not see the request.
    pub fn next(&mut self, call_uuid: &str) -> RequestPlan {
        RequestPlan {
            effect: self.faults.iter_mut().find_map(Fault::meet).unwrap_or_default(),
            unknown_call: self.unknown_calls.contains(call_uuid),
            spelling: self.spelling,
        }
    }
}

/// An effect, and the requests that it applies to.
#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenFault")]
struct Fault {
    effect: Effect,
    every: NonZeroU64,
    met: u64,
    /// How many it may still apply to; `None` is no bound.
    left: Option<u64>,
}

impl Fault {
    fn meet(&mut self) -> Option<Effect> {
        if self.left == Some(0) {
            return None;
        }
        self.met += 1;
        if !self.met.is_multiple_of(self.every.get()) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        Some(self.effect.clone())
    }
}

/// A fault, as the control API takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFault {
    status: Option<u16>,
    times: Option<NonZeroU64>,
    every: Option<NonZeroU64>,
    delay_ms: Option<u64>,
    reset: Option<WrittenReset>,
    retry_after: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenReset {
    Before,
    After,
}

/// Longer than any deadline that a test would wait for.
const DELAY_MAX: Duration = Duration::from_secs(600);

impl TryFrom<WrittenFault> for Fault {
    type Error = &'static str;

    fn try_from(written: WrittenFault) -> Result<Self, Self::Error> {
        let delay = Duration::from_millis(written.delay_ms.unwrap_or(0));
        if delay > DELAY_MAX {
            return Err("delay_ms is at most 600000");
        }
        let harm = match (written.status, written.reset, written.retry_after) {
            (Some(_), Some(_), _) => return Err("a fault has a status or a reset, not both"),
            (None, _, Some(_)) => return Err("retry_after needs the status that it goes with"),
            (None, None, None) if delay.is_zero() => {
                return Err("a fault needs a status, a reset or a delay_ms");
            }
            (None, None, None) => Harm::None,
            (None, Some(WrittenReset::Before), None) => Harm::ResetBefore,
            (None, Some(WrittenReset::After), None) => Harm::ResetAfter,
            (Some(status), None, retry_after) => {
                Harm::Status { status: final_status(status)?, retry_after: header(retry_after)? }
            }
        };
        Ok(Self {
            effect: Effect { delay, harm },
            every: written.every.unwrap_or(NonZeroU64::MIN),
            met: 0,
            left: written.times.map(NonZeroU64::get),
        })
    }
}

fn final_status(status: u16) -> Result<StatusCode, &'static str> {
    StatusCode::from_u16(status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or("status is one of 200 to 599")
}

fn header(text: Option<String>) -> Result<Option<HeaderValue>, &'static str> {
    text.map(HeaderValue::try_from)
        .transpose()
        .map_err(|_| "retry_after is the text of a header, such as \"7\"")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(written: Value) -> Plan {
        serde_json::from_value(written).unwrap()
    }

    /// The harm that befalls each of the next requests: a status, `before`, `after`, or nothing.
    fn harms(plan: &mut Plan, requests: usize) -> Vec<String> {
        let harm = |effect: Effect| match effect.harm {
            Harm::None if effect.delay.is_zero() => "-".to_owned(),
            Harm::None => "late".to_owned(),
            Harm::Status { status, .. } => status.as_str().to_owned(),
            Harm::ResetBefore => "before".to_owned(),
            Harm::ResetAfter => "after".to_owned(),
        };
        (0..requests).map(|_| harm(plan.next("c").effect)).collect()
    }

    #[test]
    fn faults_strike_in_their_order_each_as_often_as_it_may() {
        let mut plan = plan(json!({"faults": [
            {"status": 503, "times": 2},
            {"reset": "before", "times": 1},
            {"delay_ms": 5, "times": 1},
            {"reset": "after", "times": 1},
        ]}));
        assert_eq!(harms(&mut plan, 6), ["503", "503", "before", "late", "after", "-"]);
    }

    #[test]
    fn a_fault_strikes_every_nth_request_that_it_meets() {
        let mut plan = plan(json!({"faults": [
            {"status": 500, "every": 3, "times": 2},
            {"status": 429, "every": 2},
        ]}));
        assert_eq!(harms(&mut plan, 9), ["-", "429", "500", "-", "429", "500", "-", "429", "-"]);
    }

    #[test]
    fn a_fault_without_times_strikes_for_ever() {
        let mut plan = plan(json!({"faults": [{"status": 503}]}));
        assert!(harms(&mut plan, 100).iter().all(|harm| harm == "503"));
    }

    #[test]
    fn an_empty_plan_harms_nobody() {
        let fate = plan(json!({})).next("c");
        assert_eq!(fate.effect, Effect::default());
        assert!(!fate.unknown_call);
        assert_eq!(fate.spelling, Spelling::Argument);
    }

    #[test]
    fn calls_can_be_unknown_and_spelt_otherwise() {
        let mut plan = plan(json!({"unknown_calls": ["a"], "spelling": "error"}));
        assert!(plan.next("a").unknown_call);
        assert!(!plan.next("b").unknown_call);
        assert_eq!(plan.next("b").spelling, Spelling::Error);
    }

    #[test]
    fn a_plan_that_means_nothing_is_refused_with_what_would_be_right() {
        for (written, expected) in [
            (r#"{"fault":[]}"#, "expected one of `faults`, `unknown_calls`, `spelling`"),
            (r#"{"faults":[{"state":503}]}"#, "expected one of `status`, `times`, `every`"),
            (r#"{"faults":[{}]}"#, "needs a status, a reset or a delay_ms"),
            (r#"{"faults":[{"times":2}]}"#, "needs a status, a reset or a delay_ms"),
            (r#"{"faults":[{"status":503,"reset":"after"}]}"#, "not both"),
            (r#"{"faults":[{"reset":"during"}]}"#, "expected `before` or `after`"),
            (r#"{"faults":[{"reset":"after","retry_after":"7"}]}"#, "needs the status"),
            (r#"{"faults":[{"status":503,"retry_after":"\n"}]}"#, "such as \"7\""),
            (r#"{"faults":[{"status":503,"retry_after":7}]}"#, "expected a string"),
            (r#"{"faults":[{"status":100}]}"#, "200 to 599"),
            (r#"{"faults":[{"status":600}]}"#, "200 to 599"),
            (r#"{"faults":[{"status":"503"}]}"#, "expected u16"),
            (r#"{"faults":[{"status":503,"times":0}]}"#, "expected a nonzero u64"),
            (r#"{"faults":[{"status":503,"every":0}]}"#, "expected a nonzero u64"),
            (r#"{"faults":[{"delay_ms":600001}]}"#, "at most 600000"),
            (r#"{"spelling":"both"}"#, "expected `argument` or `error`"),
            (r#"{"unknown_calls":"a"}"#, "expected a sequence"),
            ("[]x", "trailing characters"),
        ] {
            let refused = serde_json::from_str::<Plan>(written).unwrap_err().to_string();
            assert!(refused.contains(expected), "{written}: {refused}");
        }
    }
}
