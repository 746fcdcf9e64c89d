use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use actix_web::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::feedback::Feedback;

/// Feedback received since the start, or since the last `DELETE`: the latest itself, and
/// the count of everything.
#[derive(Default)]
pub struct Record {
    requests: u64,
    accepted: u64,
    refused: BTreeMap<u16, u64>,
    calls: DistinctCalls,
    /// Oldest first.
    kept: VecDeque<Accepted>,
}

/// One feedback that was answered 201, or would have been had no fault struck its answer.
pub struct Accepted {
    pub call_uuid: String,
    pub feedback: Feedback,
    pub auth_id: String,
    pub received_at: Timestamp,
}

impl Record {
    /// How much feedback is kept; what is older is only counted.
    const KEPT_MAX: usize = 100_000;
    /// How much feedback one page shows.
    const PAGE_MAX: usize = 1_000;

    pub fn feedback_accepted(&mut self, accepted: Accepted) {
        self.requests += 1;
        self.accepted += 1;
        self.calls.insert(&accepted.call_uuid);
        if self.kept.len() == Self::KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(accepted);
    }

    pub fn request_refused(&mut self, status: StatusCode) {
        self.requests += 1;
        *self.refused.entry(status.as_u16()).or_default() += 1;
    }

    /// A request that was never considered: its connection was closed on purpose, or its body
    /// broke off.
    pub fn request_dropped(&mut self) {
        self.requests += 1;
    }

    pub fn summary(&self) -> Value {
        json!({
            "requests": self.requests,
            "accepted": self.accepted,
            "distinct_calls": self.calls.len(),
            "refused": self.refused,
        })
    }

    /// What is kept, of one call or of all, oldest first: one page from `cursor` on, which is 0 or
    /// the `next_cursor` of the page before. `total` is how much is kept, on all pages together.
    pub fn page(&self, call_uuid: Option<&str>, cursor: u64) -> Value {
        let oldest = self.accepted - self.kept.len() as u64;
        let matching = (oldest..)
            .zip(&self.kept)
            .filter(|(_, kept)| call_uuid.is_none_or(|call_uuid| kept.call_uuid == call_uuid));
        let total = matching.clone().count();
        let mut rest = matching.skip_while(|(number, _)| *number < cursor);
        let feedback: Vec<_> =
            rest.by_ref().take(Self::PAGE_MAX).map(|(_, kept)| kept.to_json()).collect();

        let mut page = json!({ "total": total, "feedback": feedback });
        if let Some((number, _)) = rest.next() {
            page["next_cursor"] = number.into();
        }
        page
    }
}

impl Accepted {
    fn to_json(&self) -> Value {
        json!({
            "call_uuid": self.call_uuid,
            "rating": self.feedback.rating,
            "issues": self.feedback.issues,
            "notes": self.feedback.notes,
            "auth_id": self.auth_id,
            "received_at": self.received_at.to_string(),
        })
    }
}

/// Counts calls by the hash of their id: eight bytes each, and two calls in one hash are not to be
/// expected below billions.
#[derive(Default)]
struct DistinctCalls {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl DistinctCalls {
    /// Where counting ends, so that a stand-in left running does not eat the machine.
    const COUNTED_MAX: usize = 16_000_000;

    fn insert(&mut self, call_uuid: &str) {
        if self.hashes.len() < Self::COUNTED_MAX {
            self.hashes.insert(self.hasher.hash_one(call_uuid));
        }
    }

    fn len(&self) -> usize {
        self.hashes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(record: &mut Record, call_uuid: &str) {
        record.feedback_accepted(Accepted {
            call_uuid: call_uuid.to_owned(),
            feedback: Feedback { rating: 5.into(), issues: Vec::new(), notes: Value::Null },
            auth_id: "MA1".to_owned(),
            received_at: Timestamp::UNIX_EPOCH,
        });
    }

    #[test]
    fn everything_is_counted() {
        let mut record = Record::default();
        for call in ["a", "b", "a"] {
            hear(&mut record, call);
        }
        record.request_refused(StatusCode::UNAUTHORIZED);
        record.request_dropped();
        assert_eq!(
            record.summary(),
            json!({"requests": 5, "accepted": 3, "distinct_calls": 2, "refused": {"401": 1}})
        );
    }

    #[test]
    fn feedback_is_shown_as_it_was_heard() {
        let mut record = Record::default();
        hear(&mut record, "a");
        assert_eq!(
            record.page(None, 0),
            json!({"total": 1, "feedback": [{
                "call_uuid": "a",
                "rating": 5,
                "issues": [],
                "notes": null,
                "auth_id": "MA1",
                "received_at": "1970-01-01T00:00:00Z",
            }]})
        );
    }

    #[test]
    fn pages_together_show_each_feedback_once() {
        let mut record = Record::default();
        for n in 0..2 * Record::PAGE_MAX + 1 {
            hear(&mut record, &n.to_string());
        }
        let mut seen = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let page = record.page(None, from);
            assert_eq!(page["total"], 2 * Record::PAGE_MAX + 1);
            let shown = page["feedback"].as_array().unwrap();
            assert!(shown.len() <= Record::PAGE_MAX);
            seen.extend(shown.iter().map(|shown| shown["call_uuid"].as_str().unwrap().to_owned()));
            cursor = page["next_cursor"].as_u64();
        }
        assert_eq!(seen, (0..seen.len()).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(seen.len(), 2 * Record::PAGE_MAX + 1);
    }

    #[test]
    fn the_feedback_of_one_call_can_be_asked_for() {
        let mut record = Record::default();
        for call in ["a", "b", "a"] {
            hear(&mut record, call);
        }
        assert_eq!(record.page(Some("a"), 0)["total"], 2);
        assert_eq!(record.page(Some("c"), 0), json!({"total": 0, "feedback": []}));
    }

    #[test]
    fn the_oldest_feedback_goes_and_its_count_stays() {
        let mut record = Record::default();
        for n in 0..Record::KEPT_MAX + 1 {
            hear(&mut record, &n.to_string());
        }
        assert_eq!(record.summary()["accepted"], Record::KEPT_MAX + 1);
        let page = record.page(None, 0);
        assert_eq!(page["total"], Record::KEPT_MAX);
        assert_eq!(page["feedback"][0]["call_uuid"], "1");
        assert_eq!(page["next_cursor"], Record::PAGE_MAX + 1);
    }
}
