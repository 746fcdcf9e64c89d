use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};

use super::action::Action;
use super::by_field::{ByField, FieldLabels};
use super::connections::{Listener, ListenerMetrics};
use super::delivery::DeliveryResult;
use super::families::{
    counter, counters, families, gauge, gauges, histogram, histograms, registered, seconds,
    seconds_by,
};
use super::quarantine::QuarantineEvent;
use super::reload::ReloadResult;
use super::series::Counters;
use super::spans::{Span, SpanResult, Spans};
use super::state_counts::StateCountMetrics;
use super::webhooks::SourceMetrics;
use crate::account::PauseCause;
use crate::domain::{Feedback, Name, Verdict};
use crate::store::{Drained, DurabilityRisk, FileSystem, Observer, OldestDue, Statistics};
use crate::submission::{DeadReason, IgnoredReason, StateCounts};

/// Every figure of one running service, in a registry of its own. Rooms call its methods where
/// things happen; Prometheus reads [`render`](Metrics::render).
pub struct Metrics {
    registry: Registry,
    families: Families,
    state_counts: StateCountMetrics,
    by_field: ByField,
    in_force: RwLock<InForce>,
    to_unknown_source: IntCounter,
    /// Where spans go, if they are exported.
    spans: OnceLock<Spans>,
}

/// What the figures know of the settings in force.
#[derive(Default)]
struct InForce {
    labels: LabelSets,
    hash: String,
}

/// All values that labels can take, as the settings know them. Each series exists from the moment
/// when they come into force, so that the first event is seen as an increase.
#[derive(Debug, Clone, Default)]
pub struct LabelSets {
    /// Each source with the signature schemes that it accepts; none means that anyone may call.
    pub sources: Vec<(Name, Vec<&'static str>)>,
    pub surveys: Vec<Name>,
    /// The fields that a survey's ratings and issues are counted by; a survey may be missing.
    pub fields: BTreeMap<Name, FieldLabels>,
    /// The declared answers that are counted: of a survey, of a question.
    pub answers: Vec<(Name, Name, Vec<String>)>,
    pub accounts: Vec<Name>,
    /// Why a webhook may be refused.
    pub rejections: Vec<&'static str>,
}

families! {
    struct Families {
        /// The release that runs; always 1.
        build_info: IntGaugeVec = gauges(["version"]),
        /// A hash of the settings in force, to tell replicas and restarts apart; always 1.
        settings_info: IntGaugeVec = gauges(["hash"]),
        /// Times that the settings were read again while the service ran, by what came of it.
        settings_reloads_total: IntCounterVec = counters(["result"]),
        /// 0 while the settings as they are written differ from those in force because the last
        /// reload was refused, else 1.
        settings_last_reload_successful: IntGauge = gauge,
        /// 1 from a start with the settings that were accepted last, because the file is refused, until a
        /// reload is taken; else 0.
        settings_stale: IntGauge = gauge,
        /// Signature schemes that a source accepts; always 1. Anyone may call a source with the
        /// scheme none, and v2 covers neither query nor body.
        source_signature_info: IntGaugeVec = gauges(["source", "scheme"]),

        /// Connections open to a listener, by what they wait for: idle, the next request; head and body,
        /// the rest of one; draining, the rest of one that is not wanted; responding, the service.
        connections: IntGaugeVec = gauges(["listener", "state"]),
        /// Most connections that a listener keeps open; more wait to be accepted.
        connections_limit: IntGaugeVec = gauges(["listener"]),
        /// Connections that the service closed for what their client did or did not do, by reason;
        /// crowded, it kept the listener waiting longest while that was near its limit.
        connections_closed_total: IntCounterVec = counters(["listener", "reason"]),

        /// Webhooks by source and by what became of them. Sources not in the settings count as unknown.
        webhooks_total: IntCounterVec = counters(["source", "outcome"]),
        /// Webhooks refused for their signature, their type or what they say, by reason.
        webhook_rejections_total: IntCounterVec = counters(["source", "reason"]),
        /// Webhooks that are quarantined: no known secret, or not the format of the signed time, verified
        /// them when they came, and they are verified again when one changes.
        quarantine_webhooks: IntGaugeVec = gauges(["source"]),
        /// Quarantined webhooks by what happened to them: added, or too_large to be; accepted, or rejected
        /// for another cause, once a secret verified them; source_changed if it verified them and their
        /// source had another account or survey; evicted by later ones, expired after an hour, dropped by an
        /// operator or the settings, or erased with their call.
        quarantine_events_total: IntCounterVec = counters(["source", "event"]),
        /// Time from the receipt of a webhook to its answer, by the class of its outcome: accepted;
        /// rejected, its sender is at fault; failed, the service is.
        webhook_duration_seconds: HistogramVec = histograms(["class"], &HOOK_SECONDS),
        /// When the last webhook of a source was accepted, in seconds since 1970; 0 if none was since the
        /// process started.
        webhook_last_accepted_timestamp_seconds: IntGaugeVec = gauges(["source"]),
        /// Webhooks in this replica's spool, which wait for the database; 0 without a spool.
        spool_webhooks: IntGauge = gauge,
        /// Most webhooks that the spool takes; 0 without a spool.
        spool_webhooks_limit: IntGauge = gauge,
        /// How long the first webhook of the spool has waited; 0 while it is empty.
        spool_oldest_age_seconds: Gauge = seconds,
        /// Webhooks that left the spool, by result: received, the database has it; rejected, it has another
        /// payload by the same idempotency key; corrupt, it is not what was written, and set aside.
        spool_drained_total: IntCounterVec = counters(["result"]),
        /// Answers that a question declares, each once for a submission that it counts for; a second,
        /// different answer is one more. Questions of free text and of more than 101 answers are not
        /// counted.
        answers_total: Counters = Counters::of(["survey", "question", "answer"]),
        /// Second, different answers to a question that had an answer; which counts is the survey's
        /// to say.
        answers_changed_total: IntCounterVec = counters(["survey"]),

        /// Submissions delivered again, because another answer counts or an operator asked.
        redeliveries_total: IntCounterVec = counters(["survey"]),
        /// Submissions with nothing to tell, by reason.
        submissions_ignored_total: IntCounterVec = counters(["survey", "reason"]),
        /// Submissions that need an operator, by reason.
        submissions_dead_total: IntCounterVec = counters(["survey", "reason"]),
        /// Times that a submission was set aside instead of being dead, by the sources that brought it:
        /// most of what they bring would die of one cause, while others of the account are accepted.
        submissions_set_aside_total: IntCounterVec = counters(["source"]),
        /// Time from when a submission fell due to its acceptance by the destination.
        delivery_latency_seconds: Histogram = histogram(&DELIVERY_SECONDS),
        /// Submissions that fell due, each once, by result: on_time, accepted within five minutes; missed,
        /// it still waits then, or is dead. What an operator's pause delays is not counted.
        deliveries_total: IntCounterVec = counters(["account", "result"]),

        /// Attempts to deliver, by verdict.
        attempts_total: IntCounterVec = counters(["account", "verdict"]),
        /// Time that the destination took to answer an attempt, or to fail it.
        attempt_duration_seconds: Histogram = histogram(&ATTEMPT_SECONDS),
        /// 1 while deliveries of an account wait: operator, by an operator; account_rejected, the
        /// destination refuses its credentials or address; rejections, most would die of one cause;
        /// unreachable, no connection comes about.
        account_paused: IntGaugeVec = gauges(["account", "cause"]),
        /// Attempts of an account that may be under way at once: fewer than the settings allow while
        /// the destination pushes back or is slow.
        delivery_concurrency_limit: IntGaugeVec = gauges(["account"]),
        /// How long the oldest due submission has been due, by what it waits for: retry, another attempt,
        /// or the result of one; paused, its account to resume; waiting, its first attempt. 0 when none is.
        queue_oldest_due_age_seconds: GaugeVec = seconds_by(["cause"]),

        /// How far the wall clock was set within the last day, forward if positive, as monotonic time
        /// shows it: what is old is not removed by a clock that is ahead until it has stayed so for a day.
        clock_skew_seconds: Gauge = seconds,

        /// Operator actions on submissions, accounts and quarantined webhooks, by action.
        admin_actions_total: IntCounterVec = counters(["action"]),

        /// Time to commit one group to the store, the sync to disk included.
        store_commit_duration_seconds: Histogram = histogram(&COMMIT_SECONDS),
        /// Commands that shared one commit.
        store_commit_group_size: Histogram = histogram(&GROUP_SIZES),
        /// Commits that failed; what was in them was not acknowledged.
        store_commit_failures_total: IntCounter = counter,
        /// Transactions of the store that met another process's and were run again.
        store_conflicts_total: IntCounter = counter,
        /// 1 while the store can be written, 0 from a failed commit until the next that succeeds.
        store_writable: IntGauge = gauge,
        /// 1 from when a part of the store was found to be damaged until the service is started
        /// again; postcall doctor says what is wrong.
        store_damaged: IntGauge = gauge,
        /// PostgreSQL: 1 if a webhook that was answered 200 may be lost when the database fails, by why.
        store_durability_risk: IntGaugeVec = gauges(["risk"]),
        /// Size of the store, without its log.
        store_bytes: IntGauge = gauge,
        /// Of the store's size, what is free to be written on: the file does not shrink.
        store_free_bytes: IntGauge = gauge,
        /// Size of the file system that the store is on; 0 if it is not known.
        store_filesystem_bytes: IntGauge = gauge,
        /// Of the size of the store's file system, what the service may still write.
        store_filesystem_free_bytes: IntGauge = gauge,
        /// What was dropped by age: bodies and replies of a submission, all of it but its outcome, or
        /// that too.
        retention_purged_total: IntCounterVec = counters(["what"]),
        /// Results of attempts that wait in memory until the store can be written.
        settlements_pending: IntGauge = gauge,

        /// Spans of webhooks and attempts by result: exported; queue_full, too many waited; not_exported, the
        /// collector did not take them.
        spans_total: IntCounterVec = counters(["result"]),
    }
}

/// A live call waits for the answer, so the bounds end soon.
const HOOK_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

const ATTEMPT_SECONDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// From a survey without delay to hours of retries.
const DELIVERY_SECONDS: [f64; 13] =
    [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 21_600.0];

const COMMIT_SECONDS: [f64; 11] =
    [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

const GROUP_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// What is dropped by age, in that order.
const SWEPT: [&str; 3] = ["bodies", "submissions", "outcomes"];

impl Metrics {
    /// Of what [`render`](Self::render) gives.
    pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

    pub fn new(labels: &LabelSets, settings_hash: &str) -> Self {
        let registry = Registry::new();
        let families = Families::register(&registry);
        let state_counts = registered(&registry, StateCountMetrics::new());
        watch_process(&registry);
        families.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        families.store_writable.set(1);
        for risk in DurabilityRisk::ALL {
            families.store_durability_risk.with_label_values(&[risk.label()]);
        }
        for what in SWEPT {
            families.retention_purged_total.with_label_values(&[what]);
        }
        families.settings_last_reload_successful.set(1);
        for result in ReloadResult::ALL {
            families.settings_reloads_total.with_label_values(&[result.label()]);
        }
        for result in SpanResult::ALL {
            families.spans_total.with_label_values(&[result.label()]);
        }
        for action in Action::ALL {
            families.admin_actions_total.with_label_values(&[action.label()]);
        }
        for (cause, _) in by_cause(OldestDue::default()) {
            families.queue_oldest_due_age_seconds.with_label_values(&[cause]);
        }
        for listener in Listener::ALL {
            // It names its own.
            families.listener(listener);
        }
        let to_unknown_source =
            families.webhooks_total.with_label_values(&["unknown", "unknown_source"]);
        let in_force = RwLock::default();
        let by_field = ByField::new();
        let metrics = Self {
            registry,
            families,
            state_counts,
            by_field,
            in_force,
            to_unknown_source,
            spans: OnceLock::new(),
        };
        metrics.settings_came_into_force(labels, settings_hash);
        metrics
    }

    /// Shows every series of these settings. What was counted under a name that they do not have
    /// stays until the process ends; gauges that state something of it are gone.
    pub fn settings_came_into_force(&self, labels: &LabelSets, hash: &str) {
        self.families.show_at_zero(labels);
        let fields = |survey| labels.fields.get(survey).cloned().unwrap_or_default();
        self.by_field.change(labels.surveys.iter().map(|survey| (survey, fields(survey))));
        self.families.settings_info.with_label_values(&[hash]).set(1);
        let new = InForce { labels: labels.clone(), hash: hash.to_owned() };
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *in_force, new);
        self.families.retire(&old, &in_force);
    }

    /// The settings were read again.
    pub fn settings_read_again(&self, result: ReloadResult) {
        self.families.settings_reloads_total.with_label_values(&[result.label()]).inc();
        let is_successful = i64::from(result != ReloadResult::Rejected);
        self.families.settings_last_reload_successful.set(is_successful);
    }

    /// From now on, spans go there.
    pub fn export_spans(&self, spans: Spans) {
        self.spans.get_or_init(|| spans);
    }

    /// Where spans go; `None` if they are not exported, and none has to be made.
    pub fn spans(&self) -> Option<&Spans> {
        self.spans.get()
    }

    /// A webhook or an attempt has ended; nothing is made of it if spans are not exported.
    pub fn span_ended(&self, span: impl FnOnce() -> Span) {
        if let Some(spans) = self.spans()
            && !spans.add(span())
        {
            self.spans_left(SpanResult::QueueFull, 1);
        }
    }

    /// So many spans have this result.
    pub fn spans_left(&self, result: SpanResult, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.families.spans_total.with_label_values(&[result.label()]).inc_by(count);
    }

    /// Whether the service was started with earlier settings than those of the file, which is refused.
    pub fn settings_are_stale(&self, are_stale: bool) {
        self.families.settings_stale.set(are_stale.into());
    }

    /// The text that Prometheus scrapes, to be served as [`CONTENT_TYPE`](Self::CONTENT_TYPE).
    ///
    /// # Errors
    /// What the encoder says of a family that it cannot write.
    pub fn render(&self) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        families.extend(self.by_field.gather());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        TextEncoder::new().encode_to_string(&families)
    }

    /// The metrics of the connections of a listener.
    pub fn listener(&self, listener: Listener) -> ListenerMetrics {
        self.families.listener(listener)
    }

    /// The metrics of a source of the settings.
    pub fn source(&self, name: &Name) -> SourceMetrics {
        self.families.source(name)
    }

    /// A webhook came for a source that the settings do not have.
    pub fn webhook_came_to_unknown_source(&self) {
        self.to_unknown_source.inc();
    }

    /// A caller gave a second, different answer in the domain of a question.
    pub fn answer_changed(&self, survey: &Name) {
        self.families.answers_changed_total.with_label_values(&[survey.as_str()]).inc();
    }

    /// An answer that its question declares was recorded, and counts for its submission.
    pub fn answer_recorded(&self, survey: &Name, question: &str, answer: &str) {
        let labels = [survey.as_str(), question, answer];
        self.families.answers_total.with(&labels).inc();
    }

    /// The destination answered an attempt, or failed to.
    pub fn attempt_made(&self, account: &Name, verdict: Verdict, took: Duration) {
        let labels = [account.as_str(), verdict.label()];
        self.families.attempts_total.with_label_values(&labels).inc();
        self.families.attempt_duration_seconds.observe(took.as_secs_f64());
    }

    /// What was delivered had been delivered before; `survey` is none where the settings no longer
    /// have it, here and below.
    pub fn submission_resent(&self, survey: Option<&Name>) {
        self.families.redeliveries_total.with_label_values(&[survey_label(survey)]).inc();
    }

    pub fn submission_ignored(&self, survey: Option<&Name>, reason: IgnoredReason) {
        let labels = [survey_label(survey), reason.label()];
        self.families.submissions_ignored_total.with_label_values(&labels).inc();
    }

    pub fn submission_died(&self, survey: Option<&Name>, reason: DeadReason) {
        let labels = [survey_label(survey), reason.label()];
        self.families.submissions_dead_total.with_label_values(&labels).inc();
    }

    /// A submission is settled as delivered for the first time; `latency` is counted from when it fell
    /// due, and `fields` are what its webhooks said beside the answers.
    pub fn feedback_delivered(
        &self,
        survey: &Name,
        feedback: &Feedback,
        fields: &BTreeMap<Name, String>,
        latency: Duration,
    ) {
        self.by_field.delivered(survey, feedback, fields);
        self.families.delivery_latency_seconds.observe(latency.as_secs_f64());
    }

    /// So many submissions of the account fell due and have this result.
    pub fn delivery_due(&self, account: &Name, result: DeliveryResult, count: u64) {
        if self.has_account(account) {
            let labels = [account.as_str(), result.label()];
            self.families.deliveries_total.with_label_values(&labels).inc_by(count);
        }
    }

    /// The account waits for this cause, unless one is shown already that gives way to none.
    pub fn account_paused(&self, account: &Name, cause: PauseCause) {
        let shown = PauseCause::ALL.into_iter().find(|shown| self.shows_hold(account, *shown));
        self.account_waits_for(account, Some(shown.map_or(cause, |shown| shown.min(cause))));
    }

    /// The destination accepted a submission: only an operator's pause remains.
    pub fn account_heard(&self, account: &Name) {
        if !self.shows_hold(account, PauseCause::Operator) {
            self.account_waits_for(account, None);
        }
    }

    /// The destination was reached, or not.
    pub fn account_answered(&self, account: &Name, verdict: Verdict) {
        if verdict.is_connected() && self.shows_hold(account, PauseCause::Unreachable) {
            self.account_waits_for(account, None);
        }
    }

    /// Why an account waits, as the store has it.
    pub fn hold_found(&self, account: &Name, cause: Option<PauseCause>) {
        self.account_waits_for(account, cause);
    }

    fn shows_hold(&self, account: &Name, cause: PauseCause) -> bool {
        self.has_account(account)
            && self
                .families
                .account_paused
                .with_label_values(&[account.as_str(), cause.label()])
                .get()
                == 1
    }

    fn account_waits_for(&self, account: &Name, cause: Option<PauseCause>) {
        if !self.has_account(account) {
            return;
        }
        for one in PauseCause::ALL {
            let labels = [account.as_str(), one.label()];
            self.families
                .account_paused
                .with_label_values(&labels)
                .set((cause == Some(one)).into());
        }
    }

    /// A submission was set aside that these sources brought.
    pub fn submission_set_aside(&self, sources: &[Name]) {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        for (source, _) in in_force.labels.sources.iter().filter(|(it, _)| sources.contains(it)) {
            self.families.submissions_set_aside_total.with_label_values(&[source.as_str()]).inc();
        }
    }

    /// Something happened to a quarantined webhook of the source.
    pub fn quarantine_event(&self, source: &Name, event: QuarantineEvent) {
        if self.has_source(source) {
            let labels = [source.as_str(), event.label()];
            self.families.quarantine_events_total.with_label_values(&labels).inc();
        }
    }

    /// The spool takes so many webhooks.
    pub fn spool_opened(&self, webhooks_max: u64) {
        self.families.spool_webhooks_limit.set(webhooks_max.try_into().unwrap_or(i64::MAX));
    }

    /// So many webhooks of the source are quarantined.
    pub fn quarantine_holds(&self, source: &Name, count: usize) {
        if self.has_source(source) {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.families.quarantine_webhooks.with_label_values(&[source.as_str()]).set(count);
        }
    }

    fn has_source(&self, source: &Name) -> bool {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.labels.sources.iter().any(|(known, _)| known == source)
    }

    /// So many attempts of the account may be under way at once.
    pub fn limit_changed(&self, account: &Name, limit: usize) {
        if self.has_account(account) {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            self.families
                .delivery_concurrency_limit
                .with_label_values(&[account.as_str()])
                .set(limit);
        }
    }

    /// The last attempt of an account may end when the settings do not have it any more; no one
    /// would take a gauge back then.
    fn has_account(&self, account: &Name) -> bool {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.labels.accounts.contains(account)
    }

    /// Since when submissions have been due, if any are.
    pub fn oldest_due_found(&self, oldest: OldestDue, now: Timestamp) {
        for (cause, due_since) in by_cause(oldest) {
            let age = due_since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
            self.families
                .queue_oldest_due_age_seconds
                .with_label_values(&[cause])
                .set(age.max(0.0));
        }
    }

    /// How far the wall clock was set, and is not believed yet.
    pub fn clock_skew_found(&self, skew: SignedDuration) {
        self.families.clock_skew_seconds.set(skew.as_secs_f64());
    }

    /// The store is so damaged that it could not be opened.
    pub fn store_not_opened(&self) {
        self.families.store_damaged.set(1);
        self.families.store_writable.set(0);
    }

    /// How large the store and its file system are, and how much of that is free.
    pub fn store_measured(&self, statistics: &Statistics) {
        let set = |gauge: &IntGauge, bytes| gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        set(&self.families.store_bytes, statistics.bytes);
        set(&self.families.store_free_bytes, statistics.free_bytes);
        if let Some(FileSystem { bytes, free_bytes }) = statistics.file_system {
            set(&self.families.store_filesystem_bytes, bytes);
            set(&self.families.store_filesystem_free_bytes, free_bytes);
        }
    }

    /// So many submissions lost their bodies, all but their outcome, or that too, by age.
    pub fn swept(&self, bodies: usize, submissions: usize, outcomes: usize) {
        for (what, count) in SWEPT.into_iter().zip([bodies, submissions, outcomes]) {
            self.families.retention_purged_total.with_label_values(&[what]).inc_by(count as u64);
        }
    }

    /// Counts an operator's action on so many submissions, or on an account.
    pub fn admin_action(&self, action: Action, times: u32) {
        let counter = self.families.admin_actions_total.with_label_values(&[action.label()]);
        counter.inc_by(times.into());
    }

    /// How many results of attempts wait for the store.
    pub fn settles_left_waiting(&self, count: usize) {
        self.families.settlements_pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

impl Observer for Metrics {
    fn opened(&self, totals: StateCounts) {
        self.state_counts.set(totals);
    }

    fn committed(&self, took: Duration, group: usize, totals: StateCounts) {
        self.families.store_commit_duration_seconds.observe(took.as_secs_f64());
        self.families.store_commit_group_size.observe(group as f64);
        self.state_counts.set(totals);
    }

    fn counted(&self, totals: StateCounts) {
        self.state_counts.set(totals);
    }

    fn commit_failed(&self) {
        self.families.store_commit_failures_total.inc();
        self.families.store_writable.set(0);
    }

    fn conflicted(&self) {
        self.families.store_conflicts_total.inc();
    }

    fn recovered(&self) {
        self.families.store_writable.set(1);
    }

    fn set_aside(&self, survey: &Name) {
        let is_configured = {
            let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
            in_force.labels.surveys.contains(survey)
        };
        self.submission_died(is_configured.then_some(survey), DeadReason::Corrupt);
    }

    fn durability_checked(&self, risks: &[DurabilityRisk]) {
        for risk in DurabilityRisk::ALL {
            let gauge = self.families.store_durability_risk.with_label_values(&[risk.label()]);
            gauge.set(risks.contains(&risk).into());
        }
    }

    fn spool_holds(&self, webhooks: u64, age: Duration) {
        self.families.spool_webhooks.set(webhooks.try_into().unwrap_or(i64::MAX));
        self.families.spool_oldest_age_seconds.set(age.as_secs_f64());
    }

    fn spool_drained(&self, drained: Drained) {
        self.families.spool_drained_total.with_label_values(&[drained.label()]).inc();
    }

    fn damaged(&self) {
        self.families.store_damaged.set(1);
    }
}

impl Families {
    fn listener(&self, listener: Listener) -> ListenerMetrics {
        let Self { connections, connections_closed_total, connections_limit, .. } = self;
        ListenerMetrics::new(listener, connections, connections_closed_total, connections_limit)
    }

    fn source(&self, name: &Name) -> SourceMetrics {
        SourceMetrics::new(
            name.as_str(),
            &self.webhooks_total,
            &self.webhook_rejections_total,
            &self.webhook_duration_seconds,
            &self.webhook_last_accepted_timestamp_seconds,
        )
    }

    /// Names every series that can ever exist.
    fn show_at_zero(&self, labels: &LabelSets) {
        for drained in Drained::ALL {
            self.spool_drained_total.with_label_values(&[drained.label()]);
        }
        for (source, scheme) in labels.schemes() {
            self.source_signature_info.with_label_values(&[source, scheme]).set(1);
        }
        for (source, _) in &labels.sources {
            // It names its own.
            self.source(source);
            self.submissions_set_aside_total.with_label_values(&[source.as_str()]);
            self.quarantine_webhooks.with_label_values(&[source.as_str()]);
            for event in QuarantineEvent::ALL {
                self.quarantine_events_total.with_label_values(&[source.as_str(), event.label()]);
            }
            for reason in &labels.rejections {
                self.webhook_rejections_total.with_label_values(&[source.as_str(), reason]);
            }
        }
        for survey in labels.surveys.iter().map(Some).chain([None]).map(survey_label) {
            self.redeliveries_total.with_label_values(&[survey]);
            for reason in IgnoredReason::ALL {
                self.submissions_ignored_total.with_label_values(&[survey, reason.label()]);
            }
            for reason in DeadReason::ALL {
                self.submissions_dead_total.with_label_values(&[survey, reason.label()]);
            }
        }
        for survey in labels.surveys.iter().map(Name::as_str) {
            self.answers_changed_total.with_label_values(&[survey]);
        }
        for (survey, question, answers) in &labels.answers {
            for answer in answers {
                let labels = [survey.as_str(), question.as_str(), answer];
                self.answers_total.with(&labels);
            }
        }
        for account in labels.accounts.iter().map(Name::as_str) {
            for cause in PauseCause::ALL {
                self.account_paused.with_label_values(&[account, cause.label()]);
            }
            self.delivery_concurrency_limit.with_label_values(&[account]);
            for result in DeliveryResult::ALL {
                self.deliveries_total.with_label_values(&[account, result.label()]);
            }
            for verdict in Verdict::LABELS {
                self.attempts_total.with_label_values(&[account, verdict]);
            }
        }
    }
}

impl Families {
    /// Of the gauges that state something of the settings, those that these do not have any more.
    fn retire(&self, old: &InForce, new: &InForce) {
        if old.hash != new.hash {
            // There is none where these are the first.
            let _ = self.settings_info.remove_label_values(&[&old.hash]);
        }
        for (source, scheme) in old.labels.schemes() {
            if !new.labels.schemes().any(|stays| stays == (source, scheme)) {
                let _ = self.source_signature_info.remove_label_values(&[source, scheme]);
            }
        }
        for (source, _) in &old.labels.sources {
            if !new.labels.sources.iter().any(|(stays, _)| stays == source) {
                let source = [source.as_str()];
                let _ = self.quarantine_webhooks.remove_label_values(&source);
                let _ = self.webhook_last_accepted_timestamp_seconds.remove_label_values(&source);
            }
        }
        for account in old.labels.accounts.iter().filter(|old| !new.labels.accounts.contains(old)) {
            for cause in PauseCause::ALL {
                let labels = [account.as_str(), cause.label()];
                let _ = self.account_paused.remove_label_values(&labels);
            }
            let _ = self.delivery_concurrency_limit.remove_label_values(&[account.as_str()]);
        }
    }
}

impl LabelSets {
    /// Each source with each scheme that it accepts, `none` where it accepts anything.
    fn schemes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().flat_map(|(source, schemes)| {
            let schemes = if schemes.is_empty() { &["none"][..] } else { schemes };
            schemes.iter().map(|scheme| (source.as_str(), *scheme))
        })
    }
}

/// The oldest due time of each cause, under the cause's label.
fn by_cause(oldest: OldestDue) -> [(&'static str, Option<Timestamp>); 3] {
    let OldestDue { retry, paused, waiting } = oldest;
    [("retry", retry), ("paused", paused), ("waiting", waiting)]
}

/// `unknown` counts those that left the settings.
fn survey_label(survey: Option<&Name>) -> &str {
    survey.map_or("unknown", Name::as_str)
}

/// Memory, processor time, open files and start time, where the system tells.
fn watch_process(registry: &Registry) {
    #[cfg(target_os = "linux")]
    registry
        .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
        .expect("nothing of ours is named process_*");
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{Issue, Issues, Rating};
    use crate::telemetry::{CloseReason, ConnectionState, WebhookOutcome};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn metrics() -> Metrics {
        let labels = LabelSets {
            sources: vec![(name("ivr"), vec!["v3", "ma-v3"]), (name("lab"), vec![])],
            surveys: vec![name("quality")],
            accounts: vec![name("main")],
            rejections: vec!["missing", "mismatch"],
            fields: [(name("quality"), vec![(name("queue"), "queue".to_owned())])].into(),
            answers: vec![(name("quality"), name("score"), vec!["1".to_owned(), "2".to_owned()])],
        };
        Metrics::new(&labels, "0123abcd")
    }

    /// What was rendered of our own metrics, without `process_*`.
    fn ours(metrics: &Metrics) -> Vec<String> {
        let text = metrics.render().unwrap();
        text.lines().filter(|line| line.contains("postcall_")).map(str::to_owned).collect()
    }

    /// The value of the one series that is written exactly so.
    fn value(metrics: &Metrics, series: &str) -> f64 {
        let lines = ours(metrics);
        let line = lines.iter().find(|line| line.starts_with(&format!("{series} ")));
        let line = line.unwrap_or_else(|| panic!("there is no {series}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    #[test]
    fn the_figures_keep_their_names_labels_and_help() {
        let shown: Vec<String> = ours(&metrics())
            .iter()
            .filter(|line| !line.contains("_bucket{"))
            .map(|line| line.replace(env!("CARGO_PKG_VERSION"), "RELEASE"))
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn the_names_are_as_prometheus_wants_them() {
        for line in ours(&metrics()) {
            let Some(declared) = line.strip_prefix("# TYPE ") else { continue };
            let (name, kind) = declared.split_once(' ').unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            for reserved in ["_count", "_sum", "_bucket", "_seconds_total", "_ms", "_millis"] {
                assert!(!name.ends_with(reserved), "{name}");
            }
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        }
    }

    #[test]
    fn a_scrape_always_balances() {
        let metrics = metrics();
        let totals = StateCounts {
            accepted: 7,
            collecting: 1,
            pending: 2,
            delivered: 4,
            ..StateCounts::default()
        };
        metrics.committed(Duration::from_millis(3), 2, totals);
        let states: f64 = ["collecting", "pending", "delivered", "ignored", "dead", "discarded"]
            .map(|state| value(&metrics, &format!("postcall_submissions{{state=\"{state}\"}}")))
            .iter()
            .sum();
        assert_eq!(states, 7.0);
        assert_eq!(value(&metrics, "postcall_submissions_accepted_total"), 7.0);
    }

    #[test]
    fn what_happens_adds_no_series() {
        let metrics = metrics();
        let series = |metrics: &Metrics| -> BTreeSet<String> {
            let of_line = |line: String| line.rsplit_once(' ').unwrap().0.to_owned();
            ours(metrics).into_iter().filter(|line| !line.starts_with('#')).map(of_line).collect()
        };
        let at_start = series(&metrics);

        for outcome in WebhookOutcome::ALL {
            metrics.source(&name("ivr")).webhook_answered(outcome, at(7), Duration::from_millis(2));
        }
        metrics.source(&name("lab")).webhook_refused("mismatch");
        metrics.webhook_came_to_unknown_source();
        metrics.answer_changed(&name("quality"));
        metrics.answer_recorded(&name("quality"), "score", "2");
        for survey in [Some(&name("quality")), None] {
            metrics.submission_resent(survey);
            for reason in IgnoredReason::ALL {
                metrics.submission_ignored(survey, reason);
            }
            for reason in DeadReason::ALL {
                metrics.submission_died(survey, reason);
            }
        }
        metrics.attempt_made(&name("main"), Verdict::Accepted, Duration::from_millis(80));
        let feedback = Feedback::new(
            Rating::new(2.0).unwrap(),
            Issues::from([Issue::Echo, Issue::AudioLag]),
            String::new(),
        );
        let (feedback, latency) = (feedback.unwrap(), Duration::from_secs(61));
        metrics.feedback_delivered(&name("quality"), &feedback, &BTreeMap::new(), latency);
        for cause in PauseCause::ALL {
            metrics.account_paused(&name("main"), cause);
        }
        metrics.limit_changed(&name("main"), 8);
        metrics.submission_set_aside(&[name("ivr"), name("gone")]);
        metrics.clock_skew_found(SignedDuration::from_secs(-3));
        for action in Action::ALL {
            metrics.admin_action(action, 3);
        }
        for listener in Listener::ALL {
            let metrics = metrics.listener(listener);
            metrics.limit_is(64);
            for state in ConnectionState::ALL {
                metrics.connections_changed(state, 1);
            }
            for reason in CloseReason::ALL {
                metrics.connection_closed(reason);
            }
        }
        metrics.opened(StateCounts::default());
        metrics.damaged();
        let file_system = Some(FileSystem { bytes: 8192, free_bytes: 4096 });
        metrics.store_measured(&Statistics { bytes: 4096, file_system, ..Statistics::default() });
        for result in DeliveryResult::ALL {
            metrics.delivery_due(&name("main"), result, 2);
        }
        metrics.swept(1, 1, 1);
        metrics.settles_left_waiting(3);
        metrics.commit_failed();

        assert_eq!(series(&metrics), at_start);
    }

    #[test]
    fn a_drained_gauge_reports_zero() {
        let metrics = metrics();
        let ages = |metrics: &Metrics| {
            ["retry", "paused", "waiting"].map(|cause| {
                let series = format!("postcall_queue_oldest_due_age_seconds{{cause=\"{cause}\"}}");
                value(metrics, &series)
            })
        };
        let oldest =
            OldestDue { retry: Some(at(40)), paused: Some(at(10)), waiting: Some(at(101)) };
        metrics.oldest_due_found(oldest, at(100));
        assert_eq!(ages(&metrics), [60.0, 90.0, 0.0]);
        metrics.oldest_due_found(OldestDue::default(), at(100));
        assert_eq!(ages(&metrics), [0.0; 3]);
    }

    #[test]
    fn an_account_is_held_for_one_cause_and_what_a_person_holds_stays() {
        let (metrics, main) = (metrics(), name("main"));
        let paused = |metrics: &Metrics| {
            let shown = |cause: &PauseCause| {
                let label = cause.label();
                let series =
                    format!("postcall_account_paused{{account=\"main\",cause=\"{label}\"}}");
                value(metrics, &series) == 1.0
            };
            PauseCause::ALL.into_iter().filter(shown).collect::<Vec<_>>()
        };
        metrics.account_paused(&main, PauseCause::Unreachable);
        assert_eq!(paused(&metrics), [PauseCause::Unreachable]);
        metrics.account_paused(&main, PauseCause::AccountRejected);
        metrics.account_paused(&main, PauseCause::Rejections);
        metrics.account_answered(&main, Verdict::Throttled { retry_after: None });
        assert_eq!(paused(&metrics), [PauseCause::AccountRejected]);
        metrics.account_heard(&main);
        assert_eq!(paused(&metrics), []);
        metrics.account_paused(&main, PauseCause::Unreachable);
        metrics.account_answered(&main, Verdict::Unreachable);
        assert_eq!(paused(&metrics), [PauseCause::Unreachable]);
        metrics.account_answered(&main, Verdict::UnknownCall);
        assert_eq!(paused(&metrics), []);
        metrics.hold_found(&main, Some(PauseCause::Operator));
        metrics.account_heard(&main);
        assert_eq!(paused(&metrics), [PauseCause::Operator]);
        metrics.hold_found(&main, None);
        assert_eq!(paused(&metrics), []);
    }

    #[test]
    fn the_time_of_the_last_accepted_webhook_is_that_of_no_rejected_one() {
        let metrics = metrics();
        let ivr = metrics.source(&name("ivr"));
        let last = "postcall_webhook_last_accepted_timestamp_seconds{source=\"ivr\"}";
        ivr.webhook_answered(WebhookOutcome::Rejected, at(50), Duration::from_secs(1));
        assert_eq!(value(&metrics, last), 0.0);
        ivr.webhook_answered(WebhookOutcome::Created, at(60), Duration::from_secs(1));
        ivr.webhook_answered(WebhookOutcome::Unavailable, at(70), Duration::from_secs(6));
        assert_eq!(value(&metrics, last), 60.0);
        for class in ["accepted", "rejected", "failed"] {
            let count = format!("postcall_webhook_duration_seconds_count{{class=\"{class}\"}}");
            assert_eq!(value(&metrics, &count), 1.0);
        }
        let other = "postcall_webhook_last_accepted_timestamp_seconds{source=\"lab\"}";
        assert_eq!(value(&metrics, other), 0.0);
    }

    #[test]
    fn the_store_is_writable_again_when_it_recovers() {
        let metrics = metrics();
        metrics.commit_failed();
        assert_eq!(value(&metrics, "postcall_store_writable"), 0.0);
        metrics.recovered();
        assert_eq!(value(&metrics, "postcall_store_writable"), 1.0);
        assert_eq!(value(&metrics, "postcall_store_commit_failures_total"), 1.0);
    }
}
