//! Operations of a transaction, run over a working set of submissions and written back at its end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::backend::{Backend, Corrupt, CountsDelta, KeyUse, Stored, Touched, UnreadablePause};
#[cfg(feature = "flaws")]
use super::flaws;
use super::lease::LeaseEnds;
use super::model::{
    ClaimRequest, Claimed, ClockRecord, PurgeCounts, QuarantinedWebhook, ROWS_PER_MICROSECOND,
    ReceiveRequest, Received, RetentionCutoffs, SettledUnsent, SurveyRevision, first_row,
};
use super::observer::Observer;
use super::selection::Turns;
use crate::account::{Claimable, Pause};
use crate::clock::whole_microseconds;
use crate::domain::{Attempt, CallUuid, IdempotencyKey, Name, WebhookId};
use crate::submission::{
    ActionOutcome, Answers, Arrival, ChangedAnswerPolicy, Claim, ClaimContext, ClaimOutcome,
    Decision, Document, FieldValues, LeaseToken, LimitedMapper, Outcome, Replay, RetentionLevel,
    Settled, Settlement, State, StateCounts, Submission, SubmissionId, Tallies,
};

/// Most submissions of one account that one claim settles without an attempt.
const UNSENT_MAX: usize = 64;

/// Most leases that expire in one transaction, most submissions that retention touches in one, and
/// most idempotency keys that are forgotten in one: webhooks wait meanwhile.
pub(super) const EXPIRED_MAX: usize = 1000;
const PURGED_MAX: usize = 200;
const KEYS_FORGOTTEN_MAX: usize = 500;

/// Most submissions that no claim finds that are set aside in one transaction.
const UNCLAIMABLE_MAX: usize = 200;
/// Most submissions that are not found as they are that are corrected in one transaction.
const MISFILED_MAX: usize = 200;
/// Most submissions of one account whose due time one claim brings forward.
const BROUGHT_FORWARD_MAX: usize = 200;

/// Submissions and pauses that a transaction reads and changes.
///
/// If only this writer changes rows, what is in flight stays here after the transaction: its
/// settlement comes next.
#[derive(Default)]
pub(super) struct WorkingSet {
    entries: HashMap<i64, Entry>,
    rows: HashMap<SubmissionId, i64>,
    /// In the order in which all processes write them.
    pauses: BTreeMap<Name, (Option<Pause>, Change)>,
    /// Pairs of account and survey that the database has.
    scopes: HashSet<(Name, Name)>,
    /// No row above this one is in use.
    highest_row: Option<i64>,
    /// The values of fields that are distinguished, once something is claimed.
    field_values: Option<FieldValues>,
}

struct Entry {
    submission: Submission,
    change: Change,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Insert,
    Update,
    Delete,
}

/// Frees all claims of an earlier process, and sets aside what no claim would find; returns the counts
/// afterwards. For a store that is being opened.
pub fn free_claims<B: Backend>(
    backend: &B,
    observer: &dyn Observer,
) -> Result<StateCounts, B::Error> {
    backend.begin(&Touched::default())?;
    let mut set = WorkingSet::default();
    let mut batch = Batch::new(backend, &mut set, Timestamp::MAX);
    let freed = batch.expire_leases(&[], Duration::ZERO)?;
    batch.set_unclaimable_aside()?;
    batch.flush()?;
    let Batch { counts, tallies, corruption, .. } = batch;
    backend.add_counts(&counts)?;
    if !tallies.is_empty() {
        backend.add_tallies(&tallies)?;
    }
    let counts = backend.counts()?;
    backend.commit()?;
    corruption.report(observer);
    if freed > 0 {
        tracing::warn!(freed, "claims of a process that has ended are freed");
    }
    Ok(counts)
}

impl WorkingSet {
    /// After a commit: only what is in flight is needed again. What another process may have changed
    /// meanwhile is not believed.
    pub fn committed(&mut self, is_exclusive: bool) {
        if !is_exclusive {
            let scopes = std::mem::take(&mut self.scopes);
            let field_values = self.field_values.take();
            *self = Self { scopes, field_values, ..Self::default() };
            return;
        }
        let rows = &mut self.rows;
        self.entries.retain(|_, entry| {
            let stays = entry.submission.is_in_flight();
            if !stays {
                rows.remove(&entry.submission.id);
            }
            stays
        });
    }

    /// After a failure nothing that was changed here may be believed.
    pub fn clear(&mut self) {
        // Values only limit what is distinguished: one too many does no harm, and reading them takes long.
        let field_values = self.field_values.take();
        *self = Self { field_values, ..Self::default() };
    }
}

/// Why content was removed in a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// By an operator, who waits for it to be gone.
    Erased,
    /// By retention.
    Purged,
}

/// A claim of a transaction of which it is not known whether it was committed.
#[derive(Clone, Copy)]
pub(super) struct UnconfirmedClaim {
    pub token: LeaseToken,
    lease_until: Timestamp,
}

/// A transaction in progress.
pub(super) struct Batch<'a, B: Backend> {
    backend: &'a B,
    set: &'a mut WorkingSet,
    /// The store's clock when the transaction began; leases go by it.
    clock: Timestamp,
    pub counts: CountsDelta,
    pub tallies: Tallies,
    /// Something was removed: the log, where it still is, has to be truncated.
    pub removed: Option<Removed>,
    /// Something may have become due.
    pub wakes: bool,
    /// Corrupt rows that were found, to be reported once they are set aside in a commit.
    pub corruption: Corruption,
}

/// Rows that are not what was written.
#[derive(Default)]
pub(super) struct Corruption {
    /// Submissions that were set aside: which, of which survey, in which state they are now, and what is
    /// wrong with them.
    pub submissions: Vec<(SubmissionId, Name, State, &'static str)>,
    /// Accounts whose pause could not be read.
    pub pauses: Vec<Name>,
    /// How many rows were not found as they are, or found and not there.
    pub misfiled: usize,
}

impl Corruption {
    /// Logs what was found, and reports it.
    pub fn report(&self, observer: &dyn Observer) {
        for (submission, survey, state, fault) in &self.submissions {
            let advice = match state {
                State::Dead(_) => "look at its webhooks, then discard it",
                _ => "it had ended before, and stays as it was",
            };
            let label = state.label();
            tracing::error!(%submission, state = label, "it was changed on disk ({fault}): {advice}");
            if matches!(state, State::Dead(_)) {
                observer.set_aside(survey);
            }
        }
        if self.misfiled > 0 {
            tracing::error!(
                rows = self.misfiled,
                "what finds the submissions that wait did not fit them, and is corrected: was the database \
                 restored in part, or changed by another program?"
            );
        }
        for account in &self.pauses {
            tracing::error!(
                %account,
                "the account is paused: whether it was cannot be read; `postcall accounts resume` \
                 ends it"
            );
        }
    }
}

impl<'a, B: Backend> Batch<'a, B> {
    pub fn new(backend: &'a B, set: &'a mut WorkingSet, clock: Timestamp) -> Self {
        let (counts, tallies) = (CountsDelta::default(), Tallies::default());
        let corruption = Corruption::default();
        Self { backend, set, clock, counts, tallies, removed: None, wakes: false, corruption }
    }

    /// Does something beside the working set, which is written first and not believed afterwards.
    pub fn apart<T>(
        &mut self,
        action: impl FnOnce(&B) -> Result<T, B::Error>,
    ) -> Result<T, B::Error> {
        self.flush()?;
        self.set.clear();
        action(self.backend)
    }

    /// Receives a webhook; `None` where other bytes came with its idempotency key.
    pub fn receive(
        &mut self,
        id: SubmissionId,
        request: &ReceiveRequest,
    ) -> Result<Option<Received>, B::Error> {
        let received_at = whole_microseconds(request.webhook.received_at);
        let mut key = request.idempotency_key.clone();
        if let Some(key) = &mut key {
            // Where the first answer counts, no repeat brings another back.
            key.expires |= request.policy.changed_answers() == ChangedAnswerPolicy::KeepFirst;
        }
        let key = key.as_ref();
        #[cfg(feature = "flaws")]
        let key = key.filter(|_| !flaws::has(flaws::Flaw::NoRecordOfRepeats));
        if let Some(key) = key {
            match self.backend.insert_key(&request.source, key, id, received_at)? {
                KeyUse::First => {}
                KeyUse::Same(submission) => return self.duplicate(submission).map(Some),
                KeyUse::Other => return Ok(None),
            }
        }
        let row = self.find(id)?;
        let mut known = row.map(|row| self.set.entries[&row].submission.clone());
        #[cfg(feature = "flaws")]
        let received_at = flaws::arrival_time(received_at, known.as_ref());
        let before = known.as_ref().map(|known| known.state);
        let arrival = Arrival {
            id,
            key: &request.key,
            extraction: &request.extraction,
            received_at,
            webhook: request.webhook.id,
            trace: request.trace,
        };
        let receipt = Submission::receive(&mut known, &arrival, &*request.policy);
        #[cfg(feature = "flaws")]
        let receipt = flaws::receipt(receipt);
        let submission = known.expect("receiving leaves a submission");
        let outcome = receipt.outcome;
        let answers = submission.document.all_answers().into_owned();
        let row = match (row, before) {
            (Some(row), Some(before)) => {
                if receipt.modified {
                    self.counts.moved(before, submission.state);
                    let cells = self.set.entries[&row].submission.cells();
                    self.tallies.moved(cells, submission.cells());
                    self.replace(row, submission);
                }
                row
            }
            _ => self.insert(submission)?,
        };
        let is_forgotten = match outcome {
            // Nothing is kept of it, not even the webhook's name; but where its answer counts again, and its
            // signature covers no time, it could be sent once more and bring that back.
            Outcome::Purged | Outcome::Excess => {
                !receipt.modified || key.is_none_or(|key| key.expires)
            }
            Outcome::Duplicate => {
                let own_key = IdempotencyKey::of_webhook(request.webhook.id);
                !receipt.modified && key == Some(&own_key)
            }
            _ => false,
        };
        // Once it is known what it brings: a repeat would take a place again and again.
        if receipt.modified || !is_forgotten {
            self.backend.spool(request)?;
        }
        if outcome.keeps_webhook() {
            self.backend.insert_webhook(row, request, outcome)?;
        } else if let Some(key) = key.filter(|_| is_forgotten) {
            self.backend.delete_key(&request.source, key)?;
        }
        self.wakes |= matches!(outcome, Outcome::Created | Outcome::Updated);
        Ok(Some(Received {
            submission: id,
            outcome,
            changed: receipt.changed,
            answers,
            spooled: false,
        }))
    }

    /// Ends claims of this process of which it does not know: their transaction was committed, and it got
    /// no answer. Nothing was sent. Returns those that need not be looked for again; the others may still
    /// be committed, until their lease is over.
    pub fn give_back(
        &mut self,
        claims: &[UnconfirmedClaim],
        lease: Duration,
        at: Timestamp,
    ) -> Result<Vec<LeaseToken>, B::Error> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let ends = LeaseEnds::at(self.clock, lease);
        let is_over = |claim: &&UnconfirmedClaim| ends.has_ended(claim.lease_until);
        let mut done: Vec<_> = claims.iter().filter(is_over).map(|claim| claim.token).collect();
        let rows = self.backend.expired(LeaseEnds::ALL, EXPIRED_MAX)?;
        self.prefetch(&rows)?;
        for row in rows {
            if !self.fetch(row)? {
                continue;
            }
            let submission = &self.set.entries[&row].submission;
            // An earlier claim of the same one may be among them, and was given back.
            let is_of =
                |it: &LeaseToken| it.submission == submission.id && submission.is_leased_by(it);
            if let Some(token) = claims.iter().map(|claim| claim.token).find(is_of) {
                let attempt = Attempt::not_begun("the claim was not answered", at);
                let decision = Decision::Retry { at };
                self.settle(&Settlement { token, attempt, decision })?;
                done.push(token);
            }
        }
        Ok(done)
    }

    /// Claims that have started, should the commit have no answer.
    pub fn unconfirmed(&self, claimed: &Claimed) -> Vec<UnconfirmedClaim> {
        let lease_until = self.clock + claimed.lease;
        let of = |claim: &Claim| UnconfirmedClaim { token: claim.token, lease_until };
        claimed.claims.iter().map(of).collect()
    }

    /// Whether the submission exists.
    #[cfg(feature = "flaws")]
    pub fn knows(&mut self, id: SubmissionId) -> Result<bool, B::Error> {
        Ok(self.find(id)?.is_some())
    }

    /// What was answered before is answered again.
    fn duplicate(&mut self, submission: SubmissionId) -> Result<Received, B::Error> {
        let known = self.find(submission)?.map(|row| &self.set.entries[&row].submission);
        let outcome = match known {
            Some(known) if known.is_purged() => Outcome::Purged,
            _ => Outcome::Duplicate,
        };
        let answers =
            known.map_or_else(Answers::default, |known| known.document.all_answers().into_owned());
        Ok(Received { submission, outcome, changed: false, answers, spooled: false })
    }

    /// Claims what is due for the accounts of a request.
    pub fn claim(
        &mut self,
        request: &ClaimRequest,
        turns: &mut Turns,
        lease: Duration,
    ) -> Result<Claimed, B::Error> {
        self.expire_leases(&request.leased, lease)?;
        let others_serve = self.backend.others_serve();
        let mut claimed = Claimed { lease, others_serve, ..Claimed::default() };
        for (account, wanted) in &request.wanted {
            let next = self.claim_of(account, *wanted, request, turns, lease, &mut claimed)?;
            claimed.next_due_at = claimed.next_due_at.into_iter().chain(next).min();
        }
        Ok(claimed)
    }

    /// Returns when the next submission of the account is due, where it gave less than was wanted.
    fn claim_of(
        &mut self,
        account: &Name,
        wanted: usize,
        request: &ClaimRequest,
        turns: &mut Turns,
        lease: Duration,
        claimed: &mut Claimed,
    ) -> Result<Option<Timestamp>, B::Error> {
        if !self.backend.leads(account)? {
            return Ok(None);
        }
        let (now, before) = (request.now, claimed.claims.len());
        let pause = self.pause_of(account)?.cloned();
        let claimable = pause
            .as_ref()
            .map_or(Claimable::Freely, |pause| pause.claimable(now, request.probe_interval));
        let context = ClaimContext {
            now,
            lease_until: self.clock + lease,
            paused_for: pause.as_ref().and_then(Pause::cause),
            paused_in_all: pause.map(|pause| pause.paused_in_all(now)).unwrap_or_default(),
            longest_wait: request.latest_due.duration_since(now).try_into().unwrap_or_default(),
            settings_may_differ: request.settings_may_differ,
        };
        let most = match claimable {
            Claimable::Never => return Ok(None),
            Claimable::Freely => wanted,
            Claimable::Probe { is_due, .. } => wanted.min(usize::from(is_due)),
        };
        self.bring_forward(account, request.latest_due)?;
        let mut values = match self.set.field_values.take() {
            Some(values) => values,
            None => self.backend.field_values()?,
        };
        let mapper = LimitedMapper { mapper: &*request.mapper, values: Mutex::new(&mut values) };
        let mut unsent_room = UNSENT_MAX;
        loop {
            let room = most - (claimed.claims.len() - before);
            let rows = match claimable {
                Claimable::Freely => turns.select(account, now, room, |after, until, limit| {
                    Ok(self.due(account, after, until, limit)?.into_iter().map(|it| it.1).collect())
                })?,
                _ if room == 0 => Vec::new(),
                _ => {
                    self.flush()?;
                    self.backend.least_claimed(account, now, unsent_room)?
                }
            };
            if rows.is_empty() || unsent_room == 0 {
                break;
            }
            self.prefetch(&rows)?;
            for row in rows {
                if claimed.claims.len() - before == most {
                    break;
                }
                if !self.fetch(row)? {
                    unsent_room = unsent_room.saturating_sub(1);
                    continue;
                }
                let submission = &self.set.entries[&row].submission;
                if !submission.is_due(now) || submission.account != *account {
                    // It was set aside, or what found it does not fit it and is written again.
                    self.write_again(row);
                    unsent_room = unsent_room.saturating_sub(1);
                    continue;
                }
                match self.modify(row, |it| it.claim(&context, &mapper)) {
                    ClaimOutcome::Started(mut claim) => {
                        claim.sources = self.backend.sources(row)?;
                        claimed.claims.push(*claim);
                    }
                    ClaimOutcome::Unsent => {
                        let Submission { id, call, survey, state, fence, .. } =
                            &self.set.entries[&row].submission;
                        let settled = SettledUnsent {
                            id: *id,
                            call: call.clone(),
                            survey: survey.clone(),
                            state: *state,
                            is_first_claim: *fence == 1,
                        };
                        claimed.settled.push(settled);
                        unsent_room = unsent_room.saturating_sub(1);
                    }
                }
            }
        }
        self.set.field_values = Some(values);
        let is_probed = claimed.claims.len() > before && claimable != Claimable::Freely;
        if is_probed {
            self.modify_pause(account, |pause| pause.probe_from(now + request.probe_interval))?;
        }
        if claimed.claims.len() - before == wanted {
            return Ok(None);
        }
        let next = self.next_due(account)?;
        Ok(next.map(|due| match claimable {
            Claimable::Probe { .. } if is_probed => due.max(now + request.probe_interval),
            Claimable::Probe { at, .. } => due.max(at),
            _ => due,
        }))
    }

    /// Brings due times forward to the latest that may be.
    fn bring_forward(&mut self, account: &Name, latest: Timestamp) -> Result<(), B::Error> {
        let due = self.due(account, latest, Timestamp::MAX, BROUGHT_FORWARD_MAX)?;
        let rows: Vec<i64> = due.into_iter().map(|(_, row)| row).collect();
        self.prefetch(&rows)?;
        for row in rows {
            if self.fetch(row)? {
                self.modify(row, |submission| submission.bring_forward(latest));
            }
        }
        Ok(())
    }

    /// Records the end of an attempt. Repeated, it changes nothing, and what came of it is returned again.
    pub fn settle(&mut self, settlement: &Settlement) -> Result<Settled, B::Error> {
        let Some(row) = self.find(settlement.token.submission)? else {
            return Ok(Settled::LeaseLost);
        };
        #[cfg(feature = "flaws")]
        let settlement = &flaws::settlement(settlement, &self.set.entries[&row].submission);
        let submission = &self.set.entries[&row].submission;
        if !submission.is_leased_by(&settlement.token) {
            return Ok(submission.settled_before(settlement));
        }
        let settled = self.modify(row, |submission| submission.settle(settlement));
        self.wakes |= settled == Settled::NewerAnswers;
        let account = self.set.entries[&row].submission.account.clone();
        let Settlement { attempt, decision, .. } = settlement;
        let at = attempt.finished_at;
        match decision {
            Decision::Delivered => self.modify_pause(&account, |pause| pause.accepted(at))?,
            Decision::Retry { .. } | Decision::SetAside { .. } | Decision::Dead { .. }
                if attempt.verdict.is_connected() =>
            {
                self.modify_pause(&account, |pause| pause.answered(at))?;
            }
            Decision::Retry { .. }
            | Decision::SetAside { .. }
            | Decision::Dead { .. }
            | Decision::Pause { .. } => {}
        }
        let pause = match *decision {
            Decision::Dead { pause, .. } => pause,
            Decision::Pause { cause, probe_at, .. } => Some((cause, probe_at)),
            Decision::Delivered | Decision::Retry { .. } | Decision::SetAside { .. } => None,
        };
        if let Some((cause, probe_at)) = pause {
            let mut paused = self.pause_of(&account)?.cloned();
            match &mut paused {
                Some(paused) => paused.pause(cause, attempt, probe_at),
                None => paused = Some(Pause::new(cause, attempt, probe_at)),
            }
            self.set.pauses.insert(account, (paused, Change::Update));
        }
        Ok(settled)
    }

    /// Frees claims whose lease has expired by the store's clock, and renews the leases of those that
    /// are still worked on; returns how many were freed.
    pub fn expire_leases(
        &mut self,
        leased: &[LeaseToken],
        lease: Duration,
    ) -> Result<usize, B::Error> {
        let (mut expired, ends) = (0, LeaseEnds::at(self.clock, lease));
        loop {
            let rows = self.backend.expired(ends, EXPIRED_MAX)?;
            let found = rows.len();
            let mut changed = 0;
            self.prefetch(&rows)?;
            for row in rows {
                if !self.fetch(row)? {
                    continue;
                }
                let submission = &self.set.entries[&row].submission;
                let is_of = |token: &LeaseToken| token.submission == submission.id;
                if leased.iter().any(|it| is_of(it) && submission.is_leased_by(it)) {
                    let lease_until = self.clock + lease;
                    self.modify(row, |submission| submission.lease_until = Some(lease_until));
                    changed += 1;
                } else if submission.lease_until.is_none_or(|end| !ends.has_ended(end)) {
                    // It was settled in this transaction and is not written yet, what found it does
                    // not fit it, or it is this process's and has not ended.
                    self.write_again(row);
                } else {
                    self.modify(row, Submission::expire);
                    expired += 1;
                    changed += 1;
                }
            }
            if found < EXPIRED_MAX || changed == 0 {
                return Ok(expired);
            }
            self.flush()?;
        }
    }

    pub fn replay(&mut self, id: SubmissionId, how: Replay) -> Result<ActionOutcome, B::Error> {
        self.wakes = true;
        self.act(id, |submission| submission.replay(how))
    }

    pub fn discard(
        &mut self,
        id: SubmissionId,
        comment: &str,
        at: Timestamp,
    ) -> Result<ActionOutcome, B::Error> {
        self.act(id, |submission| submission.discard(comment, at))
    }

    pub fn reveal(&mut self, id: SubmissionId, at: Timestamp) -> Result<ActionOutcome, B::Error> {
        self.act(id, |submission| submission.reveal(at))
    }

    pub fn erase(&mut self, id: SubmissionId, at: Timestamp) -> Result<ActionOutcome, B::Error> {
        let Some(row) = self.find(id)? else { return Ok(ActionOutcome::Unknown) };
        let Submission { account, call, .. } = &self.set.entries[&row].submission;
        let (account, call) = (account.clone(), call.clone());
        let outcome = self.modify(row, |submission| submission.erase(at));
        if outcome == ActionOutcome::Done {
            self.delete_content(row, id)?;
            if let Some(call) = call {
                // What the destination said of the account may name the call.
                self.modify_pause(&account, |pause| pause.erase_call(call.as_str()))?;
            }
            self.removed = Some(Removed::Erased);
        }
        Ok(outcome)
    }

    pub fn load_quarantine(&mut self) -> Result<Vec<QuarantinedWebhook>, B::Error> {
        let (loaded, unreadable) = self.backend.load_quarantine()?;
        self.note_purged(unreadable);
        Ok(loaded)
    }

    /// Adds webhooks to the quarantine and removes some.
    pub fn save_quarantine(
        &mut self,
        added: &[QuarantinedWebhook],
        removed: &[WebhookId],
    ) -> Result<(), B::Error> {
        added.iter().try_for_each(|kept| self.backend.insert_quarantined(kept))?;
        for id in removed {
            let deleted = self.backend.delete_quarantined(*id)?;
            self.note_purged(deleted);
        }
        Ok(())
    }

    /// Removes from the quarantine what may be about a call, and returns the ids.
    pub fn erase_quarantined(&mut self, call: &CallUuid) -> Result<Vec<WebhookId>, B::Error> {
        let erased = self.backend.delete_quarantined_about(call)?;
        if !erased.is_empty() {
            self.removed = Some(Removed::Erased);
        }
        Ok(erased)
    }

    fn note_purged(&mut self, rows: usize) {
        if rows > 0 {
            self.removed.get_or_insert(Removed::Purged);
        }
    }

    fn act(
        &mut self,
        id: SubmissionId,
        action: impl FnOnce(&mut Submission) -> ActionOutcome,
    ) -> Result<ActionOutcome, B::Error> {
        match self.find(id)? {
            Some(row) => Ok(self.modify(row, action)),
            None => Ok(ActionOutcome::Unknown),
        }
    }

    pub fn pause(&mut self, account: &Name, comment: &str, at: Timestamp) -> Result<(), B::Error> {
        let mut paused = self.pause_of(account)?.cloned();
        match &mut paused {
            Some(paused) => paused.pause_by_operator(comment, at),
            None => paused = Some(Pause::by_operator(comment, at)),
        }
        self.set.pauses.insert(account.clone(), (paused, Change::Update));
        Ok(())
    }

    pub fn resume(&mut self, account: &Name, at: Timestamp) -> Result<bool, B::Error> {
        self.wakes = true;
        let mut was_paused = false;
        self.modify_pause(account, |pause| was_paused = pause.resume(at))?;
        Ok(was_paused)
    }

    pub fn probe_now(&mut self, account: &Name, at: Timestamp) -> Result<(), B::Error> {
        self.wakes = true;
        self.modify_pause(account, |pause| pause.probe_now(at))
    }

    /// Removes some of what is old. What needs least room goes first, so that there is always some.
    pub fn purge(&mut self, cutoffs: &RetentionCutoffs) -> Result<PurgeCounts, B::Error> {
        self.flush()?;
        self.correct_misfiled()?;
        self.set_unclaimable_aside()?;
        let (mut counts, mut room) = (PurgeCounts::default(), PURGED_MAX);
        for row in self.purgeable(RetentionLevel::Outcome, cutoffs.outcomes, &mut room)? {
            self.backend.count_deleted(self.set.entries[&row].submission.state)?;
            self.change(row, Change::Delete);
            counts.outcomes += 1;
        }
        for level in [RetentionLevel::Stripped, RetentionLevel::Full] {
            for row in self.purgeable(level, cutoffs.submissions, &mut room)? {
                let id = self.set.entries[&row].submission.id;
                self.delete_content(row, id)?;
                let at = self.clock;
                self.modify(row, |submission| submission.purge(at));
                counts.submissions += 1;
            }
        }
        self.flush()?;
        for row in self.purgeable(RetentionLevel::Full, cutoffs.bodies, &mut room)? {
            self.backend.strip_webhooks(row)?;
            self.modify(row, Submission::strip);
            counts.bodies += 1;
        }
        if counts != PurgeCounts::default() {
            self.removed.get_or_insert(Removed::Purged);
        }
        Ok(counts)
    }

    fn purgeable(
        &mut self,
        level: RetentionLevel,
        before: Timestamp,
        room: &mut usize,
    ) -> Result<Vec<i64>, B::Error> {
        let rows = self.backend.purgeable(level, before, *room)?;
        *room -= rows.len();
        self.prefetch(&rows)?;
        for row in &rows {
            self.fetch(*row)?;
        }
        // What was set aside stays until an operator decides, and another process may have purged it meanwhile.
        let is_purgeable = |row: &i64| {
            self.set.entries.get(row).is_some_and(|Entry { submission, .. }| {
                submission.is_purgeable()
                    && submission.retention == level
                    && submission.settled_at.is_some_and(|at| at < before)
            })
        };
        Ok(rows.into_iter().filter(is_purgeable).collect())
    }

    /// Sets aside some of what no claim finds.
    pub fn set_unclaimable_aside(&mut self) -> Result<(), B::Error> {
        let rows = self.backend.unclaimable(UNCLAIMABLE_MAX)?;
        self.prefetch(&rows)?;
        for row in rows {
            self.fetch(row)?;
        }
        Ok(())
    }

    /// Has some of what is not found as it is written again.
    fn correct_misfiled(&mut self) -> Result<(), B::Error> {
        let rows = self.backend.misfiled(MISFILED_MAX)?;
        self.prefetch(&rows)?;
        for row in &rows {
            if self.fetch(*row)? {
                self.write_again(*row);
            }
        }
        self.wakes |= !rows.is_empty();
        self.corruption.misfiled += rows.len();
        self.flush()
    }

    fn delete_content(&self, row: i64, id: SubmissionId) -> Result<(), B::Error> {
        self.backend.delete_keys_of(row, id)?;
        self.backend.delete_webhooks(row)
    }

    pub fn forget_keys(&mut self, before: Timestamp) -> Result<usize, B::Error> {
        self.backend.delete_keys_before(before, KEYS_FORGOTTEN_MAX)
    }

    pub fn fold_counts(&mut self) -> Result<bool, B::Error> {
        self.backend.fold_counts()
    }

    pub fn record_clock(&mut self, record: ClockRecord) -> Result<(), B::Error> {
        self.backend.record_clock(record)
    }

    pub fn record_surveys(
        &mut self,
        surveys: &[(Name, String)],
        at: Timestamp,
    ) -> Result<(), B::Error> {
        let known = self.backend.survey_revisions()?;
        for (survey, digest) in surveys {
            let last = known.iter().rfind(|it| it.survey == *survey);
            if last.is_none_or(|last| last.digest != *digest) {
                let (survey, digest) = (survey.clone(), digest.clone());
                let revision = SurveyRevision { survey, since: at, digest };
                self.backend.insert_survey_revision(&revision)?;
            }
        }
        Ok(())
    }

    /// Writes what was changed.
    pub fn flush(&mut self) -> Result<(), B::Error> {
        let mut changed: Vec<i64> = self
            .set
            .entries
            .iter()
            .filter(|(_, entry)| entry.change != Change::None)
            .map(|(row, _)| *row)
            .collect();
        // In the order of the table, so that neighbours share a page.
        changed.sort_unstable();
        for row in changed {
            let Entry { submission, change } = &self.set.entries[&row];
            match change {
                Change::None => {}
                Change::Insert => self.backend.insert(row, submission)?,
                Change::Update => self.backend.update(row, submission)?,
                Change::Delete => {
                    self.backend.delete(row)?;
                    let id = submission.id;
                    self.set.rows.remove(&id);
                    self.set.entries.remove(&row);
                    continue;
                }
            }
            self.change(row, Change::None);
        }
        for (account, (pause, change)) in &mut self.set.pauses {
            if let (Some(pause), Change::Update) = (pause, *change) {
                self.backend.save_pause(account, pause)?;
                *change = Change::None;
            }
        }
        Ok(())
    }

    /// The row of a submission, which is in the working set from now on.
    fn find(&mut self, id: SubmissionId) -> Result<Option<i64>, B::Error> {
        if let Some(row) = self.set.rows.get(&id) {
            return Ok(Some(*row));
        }
        match self.backend.find(id)? {
            Some(stored) => self.admit(stored).map(Some),
            None => Ok(None),
        }
    }

    /// Has the backend read rows at once that are about to be fetched.
    fn prefetch(&self, rows: &[i64]) -> Result<(), B::Error> {
        let unknown = rows.iter().filter(|row| !self.set.entries.contains_key(row));
        let rows: Vec<i64> = unknown.copied().collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.backend.prefetch(&Touched { rows, ..Touched::default() })
    }

    /// Brings a row that was found into the working set; returns whether there is one.
    fn fetch(&mut self, row: i64) -> Result<bool, B::Error> {
        if self.set.entries.contains_key(&row) {
            return Ok(true);
        }
        match self.backend.load(row)? {
            Some(stored) => self.admit(stored).map(|_| true),
            None => Ok(false),
        }
    }

    /// Has a row written that no transition changes.
    fn write_again(&mut self, row: i64) {
        if self.set.entries[&row].change == Change::None {
            self.change(row, Change::Update);
        }
    }

    /// Brings what was found into the working set. What is not what was written is set aside first, so
    /// that it is neither sent nor found again.
    fn admit(&mut self, stored: Stored) -> Result<i64, B::Error> {
        let Stored { row, submission, corrupt } = stored;
        if self.set.entries.get(&row).is_some_and(|entry| entry.submission.id != submission.id) {
            // Another process has used the row since it was chosen here.
            return Err(B::conflict());
        }
        if let Some(Corrupt { counted_as, fault, document }) = corrupt {
            let mut was = Submission { state: counted_as, ..submission.clone() };
            was.document = Document::read(&document).unwrap_or_default();
            self.tallies.moved(was.cells(), submission.cells());
            let counted_as = self.counted(counted_as)?;
            self.counts.moved(counted_as, submission.state);
            self.backend.replace(row, &submission)?;
            self.backend.insert_scope(&submission.account, &submission.survey)?;
            self.backend.insert_corrupt_document(row, &document)?;
            let Submission { id, survey, state, .. } = &submission;
            self.corruption.submissions.push((*id, survey.clone(), *state, fault));
        }
        self.add(row, submission, Change::None);
        Ok(row)
    }

    /// That state, or another one if none is counted in it, so that the counts balance.
    fn counted(&self, state: State) -> Result<State, B::Error> {
        let counts = self.counts.apply(&self.backend.counts()?);
        let all = State::all().max_by_key(|other| counts.of(*other));
        Ok(if counts.of(state) > 0 { state } else { all.unwrap_or(state) })
    }

    fn add(&mut self, row: i64, submission: Submission, change: Change) {
        self.set.rows.insert(submission.id, row);
        self.set.entries.insert(row, Entry { submission, change });
    }

    fn insert(&mut self, submission: Submission) -> Result<i64, B::Error> {
        let row = self.free_row(submission.accepted_at)?;
        self.counts.created(submission.state);
        let scope = (submission.account.clone(), submission.survey.clone());
        if !self.set.scopes.contains(&scope) {
            self.backend.insert_scope(&scope.0, &scope.1)?;
            self.set.scopes.insert(scope);
        }
        self.add(row, submission, Change::Insert);
        Ok(row)
    }

    /// A row that is free, in the order of acceptance.
    fn free_row(&mut self, accepted_at: Timestamp) -> Result<i64, B::Error> {
        let highest = match self.set.highest_row {
            Some(highest) => highest,
            // Another process may use rows at any time.
            None if !B::EXCLUSIVE => i64::MAX,
            None => self.backend.highest_row(i64::MIN, i64::MAX)?.unwrap_or(i64::MIN),
        };
        let mut row = first_row(accepted_at);
        if row <= highest {
            // Several in one microsecond, or a clock that moved back.
            loop {
                let last = (row.div_euclid(ROWS_PER_MICROSECOND) + 1) * ROWS_PER_MICROSECOND - 1;
                match self.backend.highest_row(row, last)? {
                    Some(used) => row = used + 1,
                    None if self.set.entries.contains_key(&row) => row += 1,
                    None => break,
                }
            }
        }
        self.set.highest_row = Some(highest.max(row));
        Ok(row)
    }

    fn replace(&mut self, row: i64, submission: Submission) {
        let entry = self.set.entries.get_mut(&row).expect("the row is in the working set");
        entry.submission = submission;
        self.change(row, Change::Update);
    }

    fn modify<T>(&mut self, row: i64, transition: impl FnOnce(&mut Submission) -> T) -> T {
        let entry = self.set.entries.get_mut(&row).expect("the row is in the working set");
        let (before, cells) = (entry.submission.state, entry.submission.cells());
        let result = transition(&mut entry.submission);
        self.counts.moved(before, entry.submission.state);
        self.tallies.moved(cells, entry.submission.cells());
        self.change(row, Change::Update);
        result
    }

    /// A row that is not written yet stays to be inserted.
    fn change(&mut self, row: i64, change: Change) {
        let entry = self.set.entries.get_mut(&row).expect("the row is in the working set");
        if !(entry.change == Change::Insert && change == Change::Update) {
            entry.change = change;
        }
    }

    /// Rows of an account that are due, with what this transaction has changed.
    fn due(
        &self,
        account: &Name,
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, i64)>, B::Error> {
        let entries = &self.set.entries;
        let of_account = |entry: &&Entry| entry.submission.account == *account;
        let changed = entries.values().filter(|entry| entry.change == Change::Update);
        let is_current = |(_, row): &(Timestamp, i64)| {
            entries.get(row).is_none_or(|it| it.change == Change::None)
        };
        let mut due = self.backend.due(account, after, until, limit)?;
        if due.len() == limit && !due.iter().all(is_current) {
            let outdated = changed.filter(of_account).count();
            due = self.backend.due(account, after, until, limit.saturating_add(outdated))?;
        }
        due.retain(is_current);
        for (row, entry) in entries {
            let submission = &entry.submission;
            if matches!(entry.change, Change::Insert | Change::Update)
                && of_account(&entry)
                && submission.due_at > after
                && submission.is_due(until)
            {
                due.push((submission.due_at, *row));
            }
        }
        due.sort_unstable();
        due.truncate(limit);
        Ok(due)
    }

    fn next_due(&self, account: &Name) -> Result<Option<Timestamp>, B::Error> {
        let next = self.due(account, Timestamp::MIN, Timestamp::MAX, 1)?;
        Ok(next.first().map(|(at, _)| *at))
    }

    fn pause_of(&mut self, account: &Name) -> Result<Option<&Pause>, B::Error> {
        if !self.set.pauses.contains_key(account) {
            let pause = match self.backend.pause(account)?.transpose() {
                Ok(pause) => (pause, Change::None),
                Err(UnreadablePause) => {
                    self.corruption.pauses.push(account.clone());
                    (Some(Pause::unreadable(self.clock)), Change::Update)
                }
            };
            self.set.pauses.insert(account.clone(), pause);
        }
        Ok(self.set.pauses[account].0.as_ref())
    }

    /// Changes the pause of an account that was ever paused.
    fn modify_pause(
        &mut self,
        account: &Name,
        modify: impl FnOnce(&mut Pause),
    ) -> Result<(), B::Error> {
        self.pause_of(account)?;
        if let Some((Some(pause), change)) = self.set.pauses.get_mut(account) {
            let before = pause.clone();
            modify(pause);
            if *pause != before {
                *change = Change::Update;
            }
        }
        Ok(())
    }
}
