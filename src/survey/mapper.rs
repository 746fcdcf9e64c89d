use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Mapped, Survey};
use crate::domain::{Feedback, Name};
use crate::submission::{self, Answers, Json, Mapper, Mapping, SubmissionKey, UnknownResult};

/// Mapping by the settings: their surveys and their accounts. Delivery, dry runs and the tools map with
/// it.
#[derive(Debug, Clone, Default)]
pub struct SettingsMapper {
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    pub accounts: BTreeSet<Name>,
    pub on_unknown_result: UnknownResult,
}

impl Mapper for SettingsMapper {
    fn map(
        &self,
        key: &SubmissionKey,
        answers: &Answers,
        payload: Option<&Json>,
    ) -> submission::Mapped {
        let mapped = self.map_call(key, answers, payload);
        submission::Mapped { mapping: mapped.mapping.about(&key.call), ..mapped }
    }

    fn on_unknown_result(&self) -> UnknownResult {
        self.on_unknown_result
    }
}

impl SettingsMapper {
    /// The mapping as if every call were one of a caller.
    fn map_call(
        &self,
        key: &SubmissionKey,
        answers: &Answers,
        payload: Option<&Json>,
    ) -> submission::Mapped {
        let SubmissionKey { account, survey, .. } = key;
        let untraced = |mapping| submission::Mapped { mapping, trace: None, insight: None };
        let unmapped = |detail: String| untraced(Mapping::unmapped(detail));
        if !self.accounts.contains(account) {
            return unmapped(format!("the settings have no account {account}"));
        }
        if let Some(payload) = payload {
            return match Feedback::from_json(payload.as_str()) {
                Ok(feedback) => untraced(Mapping::Feedback(feedback)),
                Err(error) => unmapped(format!("the last payload cannot be sent again: {error}")),
            };
        }
        match self.surveys.get(survey) {
            Some(survey) => {
                let Mapped { mapping, trace } = survey.map(answers);
                let insight = Some(survey.insight(answers, &trace));
                let trace = Json::new(trace.to_json()).expect("a trace is written as JSON");
                submission::Mapped { mapping, trace: Some(trace), insight }
            }
            None => unmapped(format!("the settings have no survey {survey}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CallUuid;
    use crate::submission::IgnoredReason;
    use crate::survey::samples::{answers, name};

    fn mapped(account: &str, call: &str, payload: Option<&str>) -> Mapping {
        let mapper =
            SettingsMapper { accounts: [name("main")].into(), ..SettingsMapper::default() };
        let call = call.parse::<CallUuid>().unwrap();
        let key = SubmissionKey { account: name(account), survey: name("quality"), call };
        let payload = payload.map(|json| Json::new(json.to_owned()).unwrap());
        mapper.map(&key, &answers(&[("score", "4")]), payload.as_ref()).mapping
    }

    #[test]
    fn a_test_call_is_ignored_whatever_it_maps_to() {
        let payload = Some(r#"{"rating":5}"#);
        assert!(matches!(mapped("main", "c-1", payload), Mapping::Feedback(_)));
        assert!(matches!(mapped("main", "c-1", None), Mapping::Dead { .. }));
        assert!(matches!(mapped("gone", "c-1", None), Mapping::Dead { .. }));
        for (account, payload, would_be) in [
            ("main", payload, r#"feedback {"rating":5}"#),
            ("main", None, "dead (unmapped): the settings have no survey quality"),
            ("gone", payload, "dead (unmapped): the settings have no account gone"),
        ] {
            let detail = format!("a test, never delivered; a caller's answers would be {would_be}");
            let ignored = Mapping::Ignore { reason: IgnoredReason::Test, detail: Some(detail) };
            assert_eq!(mapped(account, "postcall-test-1", payload), ignored);
        }
    }
}
