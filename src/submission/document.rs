//! The submission as it is stored: columns that are searched or ordered by, and a JSON document with
//! the rest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::microsecond as micros;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answers::Answers;
use super::insight::Insight;
use super::state::{IgnoredReason, RetentionLevel, State, SubmissionId, SubmissionKey};
use crate::domain::{Attempt, CallUuid, Name, SpanContext, TraceId, Verdict, WebhookId};

/// Everything one caller answered to one survey about one call, for one account, and what became of
/// it.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub id: SubmissionId,
    pub account: Name,
    pub survey: Name,
    /// `None` once it was erased or purged.
    pub call: Option<CallUuid>,
    pub state: State,
    /// When its first webhook arrived.
    pub accepted_at: Timestamp,
    /// When it may be mapped and sent; of a settled one, when it last was.
    pub due_at: Timestamp,
    pub settled_at: Option<Timestamp>,
    /// While an attempt is in flight: when its lease ends, by the store's clock.
    pub lease_until: Option<Timestamp>,
    /// Fencing token: grows with each claim, so that a claim whose lease was lost settles nothing.
    pub fence: u64,
    /// When it fell due, of an offer that has begun; `None` before the first attempt and after a replay.
    pub due_since: Option<Timestamp>,
    pub retention: RetentionLevel,
    /// When everything but the id and the outcome was removed.
    pub purged_at: Option<Timestamp>,
    pub document: Document,
}

/// The part of a submission that is not searched by. Times are microseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Version of this form.
    #[serde(rename = "v")]
    version: u32,
    /// Answers and facts that count.
    #[serde(default, skip_serializing_if = "Answers::is_blank")]
    pub answers: Answers,
    /// Answers and facts that arrived while the submission was closed.
    #[serde(default, skip_serializing_if = "Answers::is_blank")]
    pub late: Answers,
    /// How many webhooks are kept that brought nothing more to record: answers beyond what a submission
    /// records, or known ones that count again. At most [`Document::UNRECORDED_MAX`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub unrecorded: u32,
    /// During the attempt in flight an answer changed that has to be delivered too: when that will
    /// be due.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros::optional")]
    pub redeliver_at: Option<Timestamp>,
    /// An attempt may have reached the destination, which closes the submission to answers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reached: bool,
    /// The first attempt and the last ones; `attempts_made` counts all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRecord>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts_made: u32,
    /// Attempts since the last replay that count: not those that found the account at fault.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts_used: u32,
    /// How long the account had been paused in all at the last attempt of this offer, in microseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paused_before_us: u64,
    /// How old this offer was at its last attempt, in microseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub age_us: u64,
    /// How often the account was said to be at fault while it was not paused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rejections: u32,
    /// The attempt in flight finds out whether its account, which is paused, may resume.
    #[serde(default, skip_serializing_if = "is_default")]
    pub probe: bool,
    /// The stored row was corrupt. The content may be wrong: it is not sent again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub corrupt: bool,
    /// An operator asked to send the payload of the last attempt again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub same_payload: bool,
    /// Why it was ignored or is dead, in words, or the comment with which it was discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Which parts of the survey decided when it was last mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Json>,
    /// What the tallies know of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub insight: Insight,
    /// The payload that the destination accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Json>,
    /// The traces of senders that webhooks are part of; of at most [`Document::SENDER_TRACES_MAX`] webhooks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sender_traces: BTreeMap<WebhookId, TraceId>,
    /// What operators did, the oldest first; at most [`Document::AUDIT_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audit: Vec<AuditEntry>,
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// From 1.
    pub number: u32,
    #[serde(with = "micros::required")]
    pub started_at: Timestamp,
    /// The feedback that was sent.
    pub payload: Json,
    /// `None` while it is in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<AttemptResponse>,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptResponse {
    /// `None` where the lease expired before a response was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros::optional")]
    pub finished_at: Option<Timestamp>,
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_id: Option<String>,
    /// The destination's own word for the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The response's body or the transport's error; `None` once retention removed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Something an operator did to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    #[serde(with = "micros::required")]
    pub at: Timestamp,
    /// `replay`, `replay_same_payload`, `discard` or `erase`.
    pub action: Cow<'static, str>,
    /// The comment that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A JSON value that is kept as its text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Submission {
    /// `None` once it was erased or purged.
    pub fn key(&self) -> Option<SubmissionKey> {
        let call = self.call.clone()?;
        Some(SubmissionKey { account: self.account.clone(), survey: self.survey.clone(), call })
    }

    /// Returns whether it is about a test and no call; also after the id of that was removed, if it
    /// was mapped before.
    pub fn is_test(&self) -> bool {
        self.state == State::Ignored(IgnoredReason::Test)
            || self.call.as_ref().is_some_and(CallUuid::is_test)
    }

    /// Whether everything but the id and the outcome was removed.
    pub fn is_purged(&self) -> bool {
        self.purged_at.is_some()
    }

    /// Whether an attempt is in flight.
    pub fn is_in_flight(&self) -> bool {
        self.lease_until.is_some()
    }

    pub fn last_attempt(&self) -> Option<&AttemptRecord> {
        self.document.attempts.last()
    }

    /// The payload of the last attempt.
    pub fn last_payload(&self) -> Option<&Json> {
        self.last_attempt().map(|attempt| &attempt.payload)
    }
}

impl AttemptRecord {
    /// Not where this process or its host had nothing to begin it with.
    pub fn could_begin(&self) -> bool {
        self.response.as_ref().is_none_or(|response| response.verdict != Verdict::LocalError)
    }
}

impl Document {
    /// Version that is written; an older one is read, a newer one is not.
    const VERSION: u32 = 1;

    /// Most webhooks whose sender's trace is kept, and most that an attempt links to.
    pub const SENDER_TRACES_MAX: usize = 32;

    /// Most webhooks that are kept beyond those that bring something to record. No sender has so much to
    /// say of one call; each may be 64 KiB, so that a call takes some 20 MiB of the disk at most.
    pub const UNRECORDED_MAX: u32 = 256;

    /// Most audit entries that are kept.
    pub const AUDIT_MAX: usize = 100;
    /// The action of an operator who reads the numbers of a caller.
    pub(super) const REVEAL: &str = "reveal";

    /// Most attempts that are kept: the first, and the last ones.
    pub const ATTEMPTS_MAX: usize = 16;

    pub(super) fn new() -> Self {
        Self { version: Self::VERSION, ..Self::default() }
    }

    /// Writes the stored form over `to`.
    pub fn write(&self, to: &mut Vec<u8>) {
        to.clear();
        serde_json::to_writer(to, self).expect("texts and numbers are JSON");
    }

    /// # Errors
    /// The bytes are not a document, or one of a newer release.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Self = serde_json::from_slice(bytes)?;
        if document.version > Self::VERSION {
            let version = document.version;
            return Err(serde::de::Error::custom(format!(
                "document version {version}, expected at most {}",
                Self::VERSION
            )));
        }
        Ok(document)
    }

    /// The span of a webhook of it.
    pub fn span_of(&self, webhook: WebhookId) -> SpanContext {
        webhook.span(self.sender_traces.get(&webhook).copied())
    }

    /// Everything known of the call, with what arrived late.
    pub fn all_answers(&self) -> Cow<'_, Answers> {
        if self.late.is_blank() {
            return Cow::Borrowed(&self.answers);
        }
        let mut all = self.answers.clone();
        all.merge(&self.late, super::ChangedAnswerPolicy::KeepLast);
        Cow::Owned(all)
    }

    pub(super) fn start_attempt(&mut self, started_at: Timestamp, payload: Json) {
        self.attempts_made += 1;
        if self.attempts.len() == Self::ATTEMPTS_MAX {
            self.attempts.remove(1);
        }
        let number = self.attempts_made;
        self.attempts.push(AttemptRecord { number, started_at, payload, response: None });
    }

    pub(super) fn finish_attempt(&mut self, response: AttemptResponse) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.response = Some(response);
        }
    }

    pub(super) fn note(&mut self, at: Timestamp, action: &'static str, detail: Option<String>) {
        if self.audit.len() == Self::AUDIT_MAX {
            // Who reads again and again must not push out what was done.
            let reveal = self.audit.iter().position(|it| it.action == Self::REVEAL);
            self.audit.remove(reveal.unwrap_or(0));
        }
        self.audit.push(AuditEntry { at, action: action.into(), detail });
    }
}

impl From<&Attempt> for AttemptResponse {
    fn from(attempt: &Attempt) -> Self {
        Self {
            finished_at: Some(attempt.finished_at),
            verdict: attempt.verdict,
            status: attempt.reply.status,
            api_id: attempt.reply.request_id.clone(),
            error: attempt.reply.error.clone(),
            text: Some(attempt.reply.text.clone()),
        }
    }
}

impl Json {
    /// # Errors
    /// The text is not JSON.
    pub fn new(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
