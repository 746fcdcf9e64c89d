//! What has to hold after a history, whatever happened in it.

use std::collections::BTreeMap;
use std::path::Path;

use postcall::store::sqlite::{ReadOnly, examine};
use postcall::store::{Finding, SubmissionFilter};
use postcall::submission::State;
use postcall::telemetry::WebhookOutcome;

use super::calls::{self, CALLS, Sent};
use super::destination::{Plivo, Received};
use super::history::Record;
use super::machine::{Machine, webhooks};

/// After a crash: what was delivered and is not known to be is offered once more, at least.
pub fn note_forgotten(machine: &Machine, plivo: &Plivo, record: &mut Record) {
    let store = ReadOnly::open(&machine.folder.path().join("postcall.db")).unwrap();
    let found = store.search(&SubmissionFilter::default(), None, 1000).unwrap().submissions;
    let requests = plivo.requests();
    for call in 0..CALLS {
        let name = calls::name(call);
        let is_delivered = |it: &postcall::submission::Submission| {
            it.call.as_ref().is_some_and(|call| call.as_str() == name)
                && it.state == State::Delivered
        };
        let attempts =
            found.iter().filter(|it| it.call.as_ref().is_some_and(|it| it.as_str() == name));
        let attempts: u32 = attempts.map(|it| it.document.attempts_made).sum();
        let heard = requests.iter().filter(|it| it.call == name).count();
        record.unheard[call] |= attempts as usize > heard;
        let was_accepted = requests.iter().any(|it| it.call == name && it.accepted);
        if was_accepted && !found.iter().any(is_delivered) {
            record.forgotten[call] += 1;
        }
    }
}

pub async fn all_is_settled(machine: &Machine) {
    let counts = machine.store.statistics().await.expect("statistics").counts;
    assert!(counts.balance(), "the state counts do not add up: {counts:?}");
    if counts.collecting + counts.pending > 0 {
        let all = machine.store.search(SubmissionFilter::default(), None, 1000).await.unwrap();
        let waiting = all.submissions.into_iter().filter(|it| it.state.is_waiting());
        panic!("not settled in time: {:#?}", waiting.collect::<Vec<_>>());
    }
}

/// Every call that a webhook was acknowledged about has its submission.
pub async fn submissions_are_kept(machine: &Machine, record: &Record) {
    for sent in record.sent.iter().filter(|sent| promises_submission(sent)) {
        if record.is_removed(sent.call) {
            continue;
        }
        let name = calls::name(sent.call);
        let ids = machine.store.of_call(name.parse().unwrap()).await.unwrap();
        assert!(!ids.is_empty(), "the submission of {name} is lost: {sent:?}");
    }
}

fn promises_submission(sent: &Sent) -> bool {
    use WebhookOutcome::{Created, Duplicate, Late, Updated};
    matches!(sent.acknowledged, Some((_, Created | Updated | Duplicate | Late)))
}

/// A webhook that was told to be on disk is on disk.
pub fn acknowledged_webhooks_are_kept(folder: &Path, record: &Record) {
    use WebhookOutcome::{Created, Late, Updated};
    let kept = webhooks(folder);
    for sent in &record.sent {
        let is_promised = matches!(sent.acknowledged, Some((_, Created | Updated | Late)));
        if is_promised && !record.is_removed(sent.call) {
            assert!(kept.contains_key(&sent.id), "a webhook is lost: {sent:?}");
        }
    }
}

pub fn store_is_sound(folder: &Path, record: &Record) {
    let mut findings = examine(&folder.join("postcall.db")).expect("the store opens").findings;
    // What was changed on disk once it had settled is found by no one else.
    let (changed, others): (Vec<_>, Vec<_>) =
        findings.drain(..).partition(|it| it.words.ends_with("does not have its checksum"));
    assert!(changed.len() <= record.corrupted.len(), "more is changed than was: {changed:?}");
    // What a row counted as before it was changed cannot be read any more.
    let is_of_a_change =
        |it: &&Finding| !record.corrupted.is_empty() && it.words.starts_with("the tallies of");
    let others: Vec<_> = others.iter().filter(|it| !is_of_a_change(it)).collect();
    assert!(others.is_empty(), "the store is not sound: {others:?}");
}

pub fn removed_calls_leave_no_byte(folder: &Path, record: &Record) {
    let store = ReadOnly::open(&folder.join("postcall.db")).unwrap();
    let found = store.search(&SubmissionFilter::default(), None, 1000).unwrap().submissions;
    for call in (0..CALLS).filter(|call| record.is_removed(*call)) {
        let name = calls::name(call);
        // It was not erased after all, or there was nothing to erase yet.
        if found.iter().any(|it| it.call.as_ref().is_some_and(|it| it.as_str() == name)) {
            continue;
        }
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let left = memchr::memmem::find(&bytes, name.as_bytes());
            assert_eq!(left, None, "{name} was erased or purged and is in {}", path.display());
        }
    }
}

/// A rating is one that a caller gave in this call and, the first time, the one that counts.
pub fn ratings_are_what_callers_said(requests: &[Received], record: &Record) {
    for (number, request) in requests.iter().enumerate() {
        let call = calls::number(&request.call);
        let ratings =
            || record.sent.iter().filter(move |it| it.call == call && it.rating().is_some());
        assert!(
            ratings().any(|sent| sent.rating() == Some(request.rating)),
            "no caller gave this rating: {request:?}"
        );
        assert!(["A", "B"].contains(&&*request.notes), "no settings give these notes: {request:?}");
        let is_first = !requests[..number].iter().any(|earlier| earlier.call == request.call);
        let is_changed = record.erased.contains(&call) || record.corrupted.contains(&call);
        // What came after an attempt that may have arrived is late, also if that was never heard.
        let is_doubtful = is_changed || record.unheard[call];
        if !is_first || is_doubtful || record.replays[call] > 0 {
            continue;
        }
        // Another answer counts before it for certain, if it was acknowledged before the request.
        let keeps_last = calls::source(call) != "first";
        let is_before = |one: &Sent, other: &Sent| match keeps_last {
            // Of two that came last in one microsecond, it is the one that came first later.
            true => one.received_at > other.received_at,
            false => (one.received_at, one.id) < (other.received_at, other.id),
        };
        let need_count = |sent: &Sent| record.full.get(&call).is_none_or(|at| sent.sent_at < *at);
        let was_known = |sent: &Sent| {
            promises_submission(sent)
                && need_count(sent)
                && sent.acknowledged.is_some_and(|(at, _)| at < request.at)
        };
        let counts =
            |sent: &Sent| !ratings().any(|other| was_known(other) && is_before(other, sent));
        assert!(
            ratings().any(|sent| sent.rating() == Some(request.rating) && counts(sent)),
            "another answer counts: {request:?}, of {:#?}",
            ratings().collect::<Vec<_>>()
        );
    }
}

/// Feedback is accepted once, unless the service was never told so, could not write it down before it
/// ended, or was asked to send it again.
pub fn nothing_is_delivered_twice(requests: &[Received], record: &Record) {
    for call in (0..CALLS).filter(|call| calls::source(*call) != "resend") {
        let of_call = || requests.iter().filter(|it| it.call == calls::name(call) && it.accepted);
        let untold = of_call().filter(|it| it.told.is_none()).count();
        let excused = untold + record.replays[call] + record.forgotten[call];
        assert!(
            of_call().count() <= 1 + excused,
            "delivered too often, {excused} excused: {:#?}",
            of_call().collect::<Vec<_>>()
        );
    }
}

/// The same answer to the same question, once more, is a duplicate.
pub fn repeats_are_recognised(record: &Record) {
    use WebhookOutcome::{Created, Late, Updated};
    for (number, sent) in record.sent.iter().enumerate() {
        let Some((_, Created | Updated | Late)) = sent.acknowledged else { continue };
        let is_answer = sent.answer.is_some() && calls::source(sent.call) == "first";
        let is_doubtful = record.is_removed(sent.call) || record.corrupted.contains(&sent.call);
        if !is_answer || is_doubtful {
            continue;
        }
        let is_same = |it: &&Sent| {
            (it.call, it.question, it.answer) == (sent.call, sent.question, sent.answer)
                && it.acknowledged.is_some_and(|(at, _)| at < sent.sent_at)
        };
        let earlier = record.sent[..number].iter().find(is_same);
        assert!(earlier.is_none(), "{sent:?} is the same as {earlier:?}");
    }
}

/// Most webhooks that are kept of a call: 256 that count, 256 that are late, and 256 beyond them; and a
/// few that bring no answer.
const WEBHOOKS_MAX: usize = 800;

pub fn webhooks_of_a_call_are_bounded(folder: &Path) {
    let mut kept = BTreeMap::<i64, usize>::new();
    for submission in webhooks(folder).into_values() {
        *kept.entry(submission).or_default() += 1;
    }
    assert!(kept.values().all(|count| *count <= WEBHOOKS_MAX), "{kept:?}");
}
