//! What goes into a store and comes out of it.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use strum::{IntoStaticStr, VariantArray};

use crate::account::PauseReason;
use crate::domain::{CallUuid, Extraction, IdempotencyKey, Name, TraceId, Webhook, WebhookId};
use crate::submission::{
    Answers, Claim, CompletionPolicy, InsightFilter, LeaseToken, Mapper, Outcome, State,
    StateCounts, Submission, SubmissionId, SubmissionKey,
};

/// A verified webhook to be received, with everything that was extracted from it.
#[derive(Clone)]
pub struct ReceiveRequest {
    /// Its query and body are kept as they came.
    pub webhook: Webhook,
    pub source: Name,
    pub key: SubmissionKey,
    pub extraction: Extraction,
    /// The id that its sender gave it, where senders of this kind give one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The trace of its sender, if that named one.
    pub trace: Option<TraceId>,
    /// Asked, within the transaction, when the submission is due.
    pub policy: Arc<dyn CompletionPolicy>,
}

/// A webhook that no known secret verifies, of a source of the settings. It is untrusted.
#[derive(Debug, Clone)]
pub struct QuarantinedWebhook {
    pub source: Name,
    /// The account and the survey that its source had when it arrived.
    pub account: Name,
    pub survey: Name,
    pub webhook: Arc<Webhook>,
}

/// A webhook that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub submission: SubmissionId,
    pub outcome: Outcome,
    /// It brought a second, different answer in the domain of a question.
    pub changed: bool,
    /// Everything known of the call, what arrived late too.
    pub answers: Answers,
    /// It is in the spool, which knows only what came while the database was away.
    pub spooled: bool,
}

/// What became of a webhook that was spooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Drained {
    /// The database has it.
    Received,
    /// The database knows its idempotency key, for a different payload.
    Rejected,
    /// It is not what was written, and was set aside in the file.
    Corrupt,
}

impl Drained {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub fn label(self) -> &'static str {
        self.into()
    }
}

/// What is known of the wall clock, for the next process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockRecord {
    /// The time that retention trusts.
    pub trusted: Timestamp,
    /// What the wall clock showed.
    pub wall: Timestamp,
    /// How long processes have watched it since it was set; `None` where it is believed.
    pub unconfirmed_for: Option<Duration>,
}

/// A wish for submissions that are due.
#[derive(Clone)]
pub struct ClaimRequest {
    /// How many of each account at most.
    pub wanted: Vec<(Name, usize)>,
    pub now: Timestamp,
    /// Nothing waits for longer: what is due later was stamped by a clock that was put back since,
    /// and is due then.
    pub latest_due: Timestamp,
    /// Claims that the caller still works on: their leases are renewed and do not expire.
    pub leased: Vec<LeaseToken>,
    /// How long until a paused account is probed again.
    pub probe_interval: Duration,
    /// Other processes receive and claim too, perhaps by other settings than the mapper's.
    pub settings_may_differ: bool,
    pub mapper: Arc<dyn Mapper>,
}

/// The submissions that were due.
#[derive(Debug, Clone, Default)]
pub struct Claimed {
    /// Attempts that have started.
    pub claims: Vec<Claim>,
    /// Submissions that were settled because there was nothing to send, or put off.
    pub settled: Vec<SettledUnsent>,
    /// How long the claims hold, from before they were asked for.
    pub lease: Duration,
    /// Another process serves the store too, and could deliver.
    pub others_serve: bool,
    /// When the next submission is due, or may be a probe, among the accounts that gave less than was
    /// wanted.
    pub next_due_at: Option<Timestamp>,
}

/// A submission that was claimed without an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledUnsent {
    pub id: SubmissionId,
    /// `None` if it was erased.
    pub call: Option<CallUuid>,
    pub survey: Name,
    /// Ignored or dead; pending if it was put off, since another process may have settings for it.
    pub state: State,
    /// It was never claimed before.
    pub is_first_claim: bool,
}

/// Queue statistics, read from the database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    pub counts: StateCounts,
    pub oldest_due: OldestDue,
    /// Accounts that are paused, by name.
    pub pauses: Vec<(Name, PauseReason)>,
    /// Size of the database file in bytes, and how much of it is free to be reused.
    pub bytes: u64,
    pub free_bytes: u64,
    /// `None` where the store is not on a file system of this machine.
    pub file_system: Option<FileSystem>,
}

/// When the oldest submission that waits fell due, or will, by what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OldestDue {
    /// An attempt was made, or is in flight, and the account is not paused.
    pub retry: Option<Timestamp>,
    /// Its account is paused.
    pub paused: Option<Timestamp>,
    /// Its first attempt, of an account that is not paused.
    pub waiting: Option<Timestamp>,
}

impl OldestDue {
    /// Adds a submission, or none.
    pub(super) fn add(place: &mut Option<Timestamp>, due_since: Option<Timestamp>) {
        *place = (*place).into_iter().chain(due_since).min();
    }
}

/// Space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    pub bytes: u64,
    /// What a process without privileges may still write.
    pub free_bytes: u64,
}

/// Conditions of a search: every one that is given has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmissionFilter {
    /// One of [`State::LABELS`].
    pub state: Option<&'static str>,
    /// The label of an [`IgnoredReason`](crate::submission::IgnoredReason) or a
    /// [`DeadReason`](crate::submission::DeadReason).
    pub reason: Option<String>,
    pub account: Option<Name>,
    pub survey: Option<Name>,
    /// The source of one of its webhooks.
    pub source: Option<Name>,
    pub call: Option<CallUuid>,
    /// Accepted then or later.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// Only what the tallies count.
    pub insight: Option<InsightFilter>,
}

impl SubmissionFilter {
    /// Most submissions that one page of a search reads whole, if it looks into them.
    const READ_MAX: usize = 1000;

    /// How many that fit by their columns a page of `limit` reads.
    pub(super) fn read_at_most(&self, limit: usize) -> usize {
        if self.insight.is_some() { limit.max(Self::READ_MAX) } else { limit }
    }

    /// The page of those that fit, of rows that fit by their columns.
    pub(super) fn page(
        &self,
        read: Vec<(i64, Submission)>,
        mut next: Option<Cursor>,
        limit: usize,
    ) -> Page {
        let fits = |(_, it): &(i64, Submission)| {
            self.insight.as_ref().is_none_or(|insight| insight.fits(it))
        };
        let last = read.last().map(|(row, _)| *row);
        let mut found: Vec<_> = read.into_iter().filter(fits).take(limit).collect();
        if let Some((row, _)) = found.last()
            && found.len() == limit
            && Some(*row) != last
        {
            next = Some(Cursor(*row));
        }
        Page { submissions: found.drain(..).map(|(_, it)| it).collect(), next }
    }
}

/// Tallies of days: every condition that is given has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyFilter {
    /// Split by the values of this field; only submissions that have one are counted then.
    pub field: Option<Name>,
    pub survey: Option<Name>,
    pub account: Option<Name>,
    /// Days of acceptance since 1970, in UTC.
    pub days: Range<i64>,
    pub by: TallyKey,
    /// Most tallies; which of them, if there are more, is not said.
    pub limit: usize,
}

/// What tells tallies apart besides state and rating; the rest is added up, and left empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TallyKey {
    pub day: bool,
    pub value: bool,
    /// Issues and where they come from.
    pub issues: bool,
}

impl TallyKey {
    pub const ALL: Self = Self { day: true, value: true, issues: true };
    pub const DAY: Self = Self { day: true, value: false, issues: false };
    pub const VALUE: Self = Self { day: false, value: true, issues: false };
    pub const ISSUES: Self = Self { day: false, value: false, issues: true };
}

/// How many settled submissions are alike, whatever their survey and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The day of acceptance, in days since 1970.
    pub day: i64,
    /// Of the field that was asked for.
    pub value: Arc<str>,
    pub state: State,
    /// In hundredths; zero for none.
    pub rating: i64,
    /// By name, with a comma between two.
    pub issues: Arc<str>,
    /// The label of an [`IssueOrigin`](crate::submission::IssueOrigin), or empty.
    pub origin: Arc<str>,
    pub n: u64,
}

impl Tally {
    /// Logs how many the disk or another program has changed, so that they count nothing.
    pub(super) fn warn_of_unreadable(rows: usize) {
        if rows > 0 {
            tracing::warn!(
                rows,
                "insights leave out tallies that cannot be read; run: postcall doctor"
            );
        }
    }
}

/// Rules of a survey, and since when they have been in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyRevision {
    pub survey: Name,
    pub since: Timestamp,
    /// Equal for equal rules.
    pub digest: String,
}

impl SurveyRevision {
    /// How many of a survey are kept, the newest.
    pub const KEPT: u32 = 100;
}

/// A position in the list of submissions, the latest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub(super) i64);

/// The text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that a page gave")]
pub struct MalformedCursor;

/// A page of a search, the latest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub submissions: Vec<Submission>,
    /// Where to continue; `None` at the end. A page may hold fewer than were asked for, even none, and
    /// still continue: how much one search reads is bounded.
    pub next: Option<Cursor>,
}

/// A submission and its raw webhooks.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmissionDetail {
    pub submission: Submission,
    /// The first ones, in order of arrival; at most [`SubmissionDetail::WEBHOOKS_MAX`].
    pub webhooks: Vec<StoredWebhook>,
    /// How many more there are.
    pub webhooks_truncated: usize,
}

impl SubmissionDetail {
    /// Most webhooks that are shown of one submission: a sender may have sent any number.
    pub const WEBHOOKS_MAX: usize = 256;
}

/// A raw webhook as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    pub id: WebhookId,
    pub source: Name,
    /// The label of an [`Outcome`].
    pub outcome: String,
    pub method: String,
    pub received_at: Timestamp,
    /// As it came; `None` once retention removed it.
    pub content: Option<WebhookContent>,
}

/// Query and body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookContent {
    pub query: Option<String>,
    pub body: Vec<u8>,
}

/// Retention cutoffs: what was settled before is removed. Dead submissions are kept until an operator
/// decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionCutoffs {
    /// Queries and bodies of webhooks, and texts of responses.
    pub bodies: Timestamp,
    /// Everything but id and outcome.
    pub submissions: Timestamp,
    /// That too.
    pub outcomes: Timestamp,
}

/// How many submissions retention touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurgeCounts {
    pub bodies: usize,
    pub submissions: usize,
    pub outcomes: usize,
}

/// Submissions are numbered by the time of acceptance, so that their table is in that order: a number
/// is `accepted_at` in microseconds times this, plus a counter within the microsecond.
pub(super) const ROWS_PER_MICROSECOND: i64 = 1000;

/// The first number of a submission that was accepted then.
pub(super) fn first_row(accepted_at: Timestamp) -> i64 {
    accepted_at.as_microsecond().saturating_mul(ROWS_PER_MICROSECOND)
}

/// When the submission of a number was accepted.
pub(super) fn accepted_at(row: i64) -> Timestamp {
    let microsecond = row.div_euclid(ROWS_PER_MICROSECOND);
    Timestamp::from_microsecond(microsecond).unwrap_or_default()
}

impl Cursor {
    /// When the last submission before it was accepted.
    pub fn accepted_at(&self) -> Timestamp {
        accepted_at(self.0)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, n) =
            (self.0.div_euclid(ROWS_PER_MICROSECOND), self.0.rem_euclid(ROWS_PER_MICROSECOND));
        write!(f, "{at}-{n}")
    }
}

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let (at, n) = text.rsplit_once('-').ok_or(MalformedCursor)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| MalformedCursor);
        Ok(Self(number(at)?.saturating_mul(ROWS_PER_MICROSECOND).saturating_add(number(n)?)))
    }
}
