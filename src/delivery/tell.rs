//! What is told of a decision: figures and logs follow what the ledger has, not what was hoped.

use super::in_hand::Decided;
use super::parts::Terms;
use crate::account::PauseCause;
use crate::domain::Name;
use crate::store::{Decision, Settled};
use crate::submission::{DeadReason, SubmissionId};
use crate::telemetry::Metrics;

pub(super) fn tell(decided: &Decided, settled: Settled, terms: &Terms, metrics: &Metrics) {
    let submission = decided.submission();
    match settled {
        Settled::Done => {}
        Settled::NewerAnswers => {
            return tracing::info!(%submission, "decided on older answers; the newer ones are kept");
        }
        Settled::LeaseLost => {
            return tracing::warn!(%submission, "the lease ran out; nothing was overwritten");
        }
    }
    let account = &decided.account;
    // A survey may have left the settings, and what is no label is none.
    let survey = Some(&decided.survey).filter(|name| terms.surveys.contains_key(*name));
    match &decided.settlement.decision {
        Decision::Delivered { attempt } => {
            let api_id = attempt.reply.request_id.as_deref();
            if decided.again {
                tracing::info!(%submission, api_id, "delivered again");
                metrics.submission_resent(survey);
            } else {
                tracing::info!(%submission, api_id, "delivered");
                if let (Some(survey), Some((feedback, latency))) = (survey, &decided.delivered) {
                    metrics.feedback_delivered(survey, feedback, *latency);
                }
            }
            if decided.probe {
                tracing::info!(%account, "the account is heard again: it resumes");
            }
            metrics.account_heard(account);
        }
        Decision::Ignored { reason, .. } => {
            tracing::info!(%submission, reason = reason.label(), "ignored");
            metrics.submission_ignored(survey, *reason);
        }
        Decision::Unsent { reason, .. } => {
            // The detail may name a question as its sender wrote it; the ledger has it.
            let reason_label = reason.label();
            tracing::error!(%submission, reason = reason_label, "dead: {}", why_unsent(*reason));
            metrics.submission_died(survey, *reason);
        }
        Decision::Dead { attempt, reason } => {
            tell_death(submission, *reason, attempt.reply.status);
            metrics.submission_died(survey, *reason);
            metrics.account_answered(account, attempt.verdict);
        }
        Decision::DeadAndHold { attempt, reason, cause, .. } => {
            tell_death(submission, *reason, attempt.reply.status);
            metrics.submission_died(survey, *reason);
            tell_hold(submission, account, *cause, attempt.reply.status);
            metrics.account_held(account, *cause);
        }
        Decision::Retry { attempt, at } => {
            let (verdict, status) = (attempt.verdict.label(), attempt.reply.status);
            tracing::warn!(%submission, verdict, status, next_at = %at, "to be tried again");
            metrics.account_answered(account, attempt.verdict);
        }
        Decision::Hold { attempt, cause, .. } => {
            tell_hold(submission, account, *cause, attempt.reply.status);
            metrics.account_held(account, *cause);
        }
    }
}

fn tell_death(submission: SubmissionId, reason: DeadReason, status: Option<u16>) {
    let reason = reason.label();
    tracing::error!(%submission, reason, status, "dead: it cannot be delivered");
}

/// What the far side said is with the ledger: it may repeat what callers said.
fn tell_hold(submission: SubmissionId, account: &Name, cause: PauseCause, status: Option<u16>) {
    match cause {
        PauseCause::Misconfigured | PauseCause::Operator => {
            tracing::error!(%submission, %account, status, "the account is held: the destination does not take its credentials or address; mend them, it resumes by itself");
        }
        PauseCause::Refusals => {
            tracing::error!(%submission, %account, status, "the account is held: most of its submissions would die of one cause, and wait instead; `postcall accounts` shows what the destination says; mend it, the account resumes by itself");
        }
        PauseCause::Unreachable => {
            tracing::warn!(%submission, %account, "the account is held: the destination cannot be reached; its submissions wait and spend nothing until one gets through");
        }
    }
}

/// Why a person has to look at what was not sent.
fn why_unsent(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Unrated => "nothing rates the call, and the survey wants that seen",
        DeadReason::Incomplete => "the survey is incomplete, and wants that seen",
        DeadReason::UnknownResult => "it may have arrived, and the settings want that seen",
        DeadReason::Unmapped
        | DeadReason::Refused
        | DeadReason::UnknownCall
        | DeadReason::TooOld => "the settings do not say what it means",
    }
}
