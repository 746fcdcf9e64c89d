//! Metrics and log lines about decisions: they follow what the store has recorded.

use super::in_flight::Decided;
use super::options::DeliveryConfig;
use super::punctuality::Punctuality;
use crate::account::PauseCause;
use crate::domain::{Attempt, CallUuid, Feedback, Issue, Name};
use crate::store::SettledUnsent;
use crate::submission::{DeadReason, Decision, Settled, State, SubmissionId};
use crate::telemetry::{DeliveryResult, Metrics};

/// Reports a decision that was recorded.
pub(super) fn decided(
    decided: &Decided,
    settled: Settled,
    config: &DeliveryConfig,
    punctuality: &Punctuality,
    metrics: &Metrics,
) {
    let submission = decided.settlement.token.submission;
    let call = &decided.call;
    let (account, attempt) = (&decided.account, &decided.settlement.attempt);
    match settled {
        Settled::Done => {}
        Settled::NewerAnswers => {
            if let Decision::Dead { pause: Some((cause, _)), .. } = decided.settlement.decision {
                paused(submission, call, account, cause, attempt, metrics);
            }
            return tracing::debug!(%submission, %call, "answers arrived during its last attempt: it is due with them");
        }
        Settled::LeaseLost => {
            return tracing::warn!(%submission, %call, console = page_of(submission), "the lease expired, or it was erased, before its result was recorded; nothing was overwritten");
        }
    }
    let trace_id = metrics.spans().map(|_| submission.attempt_span(decided.number).trace);
    let trace_id = trace_id.map(tracing::field::display);
    let survey = configured(&decided.survey, config);
    let settled_on_time = match decided.settlement.decision {
        Decision::Delivered => punctuality.of(decided.due_since, Some(attempt.finished_at)),
        Decision::Dead { .. } => punctuality.of(decided.due_since, None),
        Decision::Retry { .. } | Decision::SetAside { .. } | Decision::Pause { .. } => None,
    };
    match settled_on_time {
        Some(true) => metrics.delivery_due(account, DeliveryResult::OnTime, 1),
        Some(false) => metrics.delivery_due(account, DeliveryResult::Missed, 1),
        None => {}
    }
    match decided.settlement.decision {
        Decision::Delivered => {
            let api_id = attempt.reply.request_id.as_deref();
            let feedback = decided.delivered.as_ref().map(|(feedback, _)| feedback);
            let rating = feedback.map(|feedback| feedback.rating().value());
            let issues = feedback.map(issues);
            tracing::debug!(%submission, %call, trace_id, api_id, rating, issues, redelivery = decided.redelivery, "delivered");
            if decided.redelivery {
                metrics.submission_resent(survey);
            } else if let (Some(survey), Some((feedback, latency))) = (survey, &decided.delivered) {
                metrics.feedback_delivered(survey, feedback, &decided.fields, *latency);
            }
            if decided.probe {
                tracing::info!(%account, "the account is accepted again: it resumes");
            }
            metrics.account_heard(account);
        }
        Decision::Dead { reason, pause } => {
            let status = attempt.reply.status;
            let reason_label = reason.label();
            tracing::error!(%submission, %call, trace_id, reason = reason_label, status, console = page_of(submission), "dead: it cannot be delivered");
            metrics.submission_died(survey, reason);
            match pause {
                Some((cause, _)) => paused(submission, call, account, cause, attempt, metrics),
                None => metrics.account_answered(account, attempt.verdict),
            }
        }
        Decision::Retry { at } => {
            let (verdict, status) = (attempt.verdict.label(), attempt.reply.status);
            tracing::warn!(%submission, %call, trace_id, verdict, status, next_at = %at, console = page_of(submission), "to be tried again");
            metrics.account_answered(account, attempt.verdict);
        }
        Decision::SetAside { at } => {
            let status = attempt.reply.status;
            tracing::warn!(%submission, %call, trace_id, status, next_at = %at, console = page_of(submission), "set aside: most of what its source brings would die of this, and waits instead");
            metrics.submission_set_aside(&decided.sources);
            metrics.account_answered(account, attempt.verdict);
        }
        Decision::Pause { cause, .. } => paused(submission, call, account, cause, attempt, metrics),
    }
}

/// The path of the console's page of accounts.
const ACCOUNTS: &str = "/console/accounts";

/// The path of the console's page of a submission.
fn page_of(submission: SubmissionId) -> String {
    format!("/console/submissions/{}", submission.0)
}

/// Issues for a log line. Notes are never logged: they may say what a caller said.
fn issues(feedback: &Feedback) -> String {
    feedback.issues().map(Issue::name).collect::<Vec<_>>().join(",")
}

/// Reports a submission that was settled without an attempt.
pub(super) fn unsent(settled: &SettledUnsent, config: &DeliveryConfig, metrics: &Metrics) {
    let SettledUnsent { id: submission, call, survey, state, is_first_claim } = settled;
    let call = call.as_ref().map(tracing::field::display);
    let survey = configured(survey, config);
    match state {
        State::Ignored(reason) => {
            tracing::debug!(%submission, call, reason = reason.label(), "ignored");
            metrics.submission_ignored(survey, *reason);
        }
        State::Dead(reason) => {
            // The detail may name a question as its sender wrote it; the store has it.
            let reason_label = reason.label();
            tracing::error!(%submission, call, reason = reason_label, console = page_of(*submission), "dead: {}", why_unsent(*reason));
            metrics.submission_died(survey, *reason);
        }
        // Once of each.
        State::Pending if !is_first_claim => {}
        State::Pending => {
            tracing::warn!(%submission, call, console = page_of(*submission), "the settings here do not say what it means; those of another replica may: it is claimed again, and is dead ten minutes after its last answer");
        }
        State::Collecting | State::Delivered | State::Discarded => {}
    }
}

/// A survey may have left the settings, and only theirs are labels.
fn configured<'a>(survey: &'a Name, config: &DeliveryConfig) -> Option<&'a Name> {
    Some(survey).filter(|name| config.mapper.surveys.contains_key(*name))
}

/// What the destination said is in the store: it may repeat what callers said.
fn paused(
    submission: SubmissionId,
    call: &CallUuid,
    account: &Name,
    cause: PauseCause,
    attempt: &Attempt,
    metrics: &Metrics,
) {
    let status = attempt.reply.status;
    match cause {
        PauseCause::AccountRejected | PauseCause::Operator => {
            tracing::error!(%submission, %call, %account, status, console = ACCOUNTS, "the account is paused: the destination does not take its credentials or address; correct them, it resumes by itself");
        }
        PauseCause::Rejections => {
            tracing::error!(%submission, %call, %account, status, console = ACCOUNTS, "the account is paused: most of its submissions would die of one cause, and wait instead; `postcall accounts` shows what the destination says; correct it, the account resumes by itself");
        }
        PauseCause::Unreachable => {
            tracing::warn!(%submission, %call, %account, console = ACCOUNTS, "the account is paused: the destination cannot be reached; its submissions wait and spend nothing until one gets through");
        }
    }
    metrics.account_paused(account, cause);
}

fn why_unsent(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Unrated => "nothing rates the call, and the survey sets on_no_rating: dead",
        DeadReason::Incomplete => "the survey is incomplete, and sets on_incomplete: dead",
        DeadReason::UnknownResult => {
            "it may have arrived, and the settings say on_unknown_result: dead"
        }
        DeadReason::Corrupt => "it was changed on disk",
        DeadReason::Unmapped
        | DeadReason::Rejected
        | DeadReason::UnknownCall
        | DeadReason::TooOld => "the settings do not say what it means",
    }
}
