//! BY HAND: what a person finds in the ledger, and does to it.
//!
//! [`Triage`] is one set of actions for whoever asks: the API on the private door, the command line
//! at a ledger that nobody serves, and what comes later. What they say and hear lies here as well, so
//! that all of them speak the same; it can be written as JSON and read again.
//!
//! This room does nothing by itself. It asks the ledger, which knows what may be done with what, and
//! the surveys, for what a submission would come to today.

mod accounts;
mod actions;
mod difference;
mod error;
mod export;
mod feedback;
mod object;
mod pace;
mod problem;
mod search;
mod submission;
mod terms;
mod totals;

pub use accounts::{Accounts, Holding, Resumed, ShownAccount, ShownHold};
pub use actions::{
    DiscardPage, Discarded, Discarding, Erased, Erasing, ReplayPage, Replayed, Replaying, Rules,
};
pub use difference::{After, Before, Difference};
pub use error::TriageError;
pub use export::{Exporting, Format};
pub use feedback::ShownFeedback;
pub use object::only_object;
pub use problem::ApiProblem;
pub use search::{Listed, PAGE, PAGE_MAX, Paging, Sought};
pub use submission::{
    LastAttempt, Shown, ShownAnswer, ShownAttempt, ShownHook, ShownIntervention, ShownLeftOut,
    StateName, Submission,
};
pub use terms::Terms;
pub use totals::ShownTotals;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Mutex;

use self::pace::Pace;
use crate::domain::Name;
use crate::store::{Done, Mappable, Replay, Search, Store};
use crate::submission::SubmissionId;
use crate::telemetry::{Action, Metrics};

/// Most characters of a reason that a person gives.
const REASON_MAX: usize = 500;

/// How many submissions are given up in a second: as quick as a person may want it, and slow enough
/// that hooks do not wait for it.
const DISCARDED_A_SECOND: u32 = 2000;

/// Most submissions about one call that are erased in one transaction.
const ERASED_AT_ONCE: usize = 50;

/// Why something is left out that would come to what it did.
const UNCHANGED: &str = "unchanged";

/// What a person does by hand, whoever asks for it.
pub struct Triage {
    store: Arc<dyn Store>,
    terms: RwLock<Arc<Terms>>,
    metrics: Arc<Metrics>,
    /// Held while a page is worked on: two people at once are no quicker than one.
    pace: Mutex<Pace>,
}

impl Triage {
    pub fn new(store: Arc<dyn Store>, terms: Terms, metrics: Arc<Metrics>) -> Self {
        let (terms, pace) = (RwLock::new(Arc::new(terms)), Mutex::default());
        Self { store, terms, metrics, pace }
    }

    /// As for [`new`](Self::new), from now on.
    pub fn change(&self, terms: Terms) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }

    /// A page of what is found, the latest first.
    ///
    /// # Errors
    /// A condition, a cursor or a limit that is none, or what the ledger says.
    pub async fn list(&self, sought: &Sought, paging: &Paging) -> Result<Listed, TriageError> {
        let (after, limit) = (paging.after()?, paging.limit_or(PAGE)?);
        let page = self.store.search(sought.search()?, after, limit).await?;
        Ok(Listed {
            submissions: page.rows.into_iter().map(Submission::from).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        })
    }

    /// All that is known of one submission.
    ///
    /// # Errors
    /// There is none, or what the ledger says.
    pub async fn show(&self, id: SubmissionId) -> Result<Shown, TriageError> {
        let found = self.store.find(id).await?;
        found.map(Shown::from).ok_or(TriageError::UnknownSubmission)
    }

    /// Offers one submission again, or shows what would come of it.
    ///
    /// # Errors
    /// It cannot be offered again, or what the ledger says.
    pub async fn replay_one(
        &self,
        id: SubmissionId,
        how: Replaying,
        now: Timestamp,
    ) -> Result<Replayed, TriageError> {
        let Replaying { rules, accepted, dry_run } = how;
        let how = Replay { as_was: rules == Rules::AsWas, accepted_too: accepted, at: now };
        if dry_run {
            let Foreseen { done, differences } = self.foresee(vec![id], how).await?;
            only_done(done[0])?;
            return Ok(Replayed { replayed: 1, differences, ..Replayed::default() });
        }
        let done = self.offer_again(vec![id], how).await?;
        only_done(done.first().copied().unwrap_or(Done::Unknown))?;
        self.note_replay(1, how);
        Ok(Replayed { replayed: 1, ..Replayed::default() })
    }

    /// Offers a page of what is found again, or shows what would come of it.
    ///
    /// # Errors
    /// A condition, a cursor or a limit that is none; that what was replayed before is still being
    /// delivered; or what the ledger says.
    pub async fn replay(&self, page: &ReplayPage, now: Timestamp) -> Result<Replayed, TriageError> {
        let mut sought = page.search.clone();
        sought.state = sought.state.or(Some(StateName::Dead));
        let how =
            Replay { as_was: page.rules == Rules::AsWas, accepted_too: page.accepted, at: now };
        let paging = Paging { cursor: page.cursor.clone(), limit: page.limit };
        let search = sought.search()?;

        if page.dry_run {
            return self.look(search, &paging, how, page.only_changed).await;
        }
        let mut pace = self.pace.lock().await;
        pace.replay(search.account.as_ref(), Instant::now())?;
        let (mut found, next_cursor) = self.part(search, &paging).await?;
        let unchanged = self.leave_out_unchanged(page.only_changed, &mut found, how).await?;
        let ids = found.iter().map(|(id, _)| *id).collect();
        let done = self.offer_again(ids, how).await?;
        let (replayed, left_out) = counted(&done, unchanged);
        let mut wait = Duration::ZERO;
        if replayed > 0 {
            self.note_replay(replayed, how);
            wait = pace.replayed(accounts_of(&found, &done), &self.terms(), Instant::now());
        }
        let wait_ms = millis(wait);
        Ok(Replayed { replayed, left_out, differences: Vec::new(), next_cursor, wait_ms })
    }

    /// Gives one submission up for good.
    ///
    /// # Errors
    /// It cannot be given up, the reason is none, or what the ledger says.
    pub async fn discard_one(
        &self,
        id: SubmissionId,
        how: &Discarding,
        now: Timestamp,
    ) -> Result<Discarded, TriageError> {
        let reason = checked_reason(&how.reason)?;
        let done = self.store.discard(vec![id], reason, now).await?;
        only_done(done.first().copied().unwrap_or(Done::Unknown))?;
        self.note(Action::Discard, 1);
        Ok(Discarded { discarded: 1, ..Discarded::default() })
    }

    /// Gives a page of what is found up for good.
    ///
    /// # Errors
    /// As for [`replay`](Self::replay), and that the search has no state or the reason is none.
    pub async fn discard(
        &self,
        page: &DiscardPage,
        now: Timestamp,
    ) -> Result<Discarded, TriageError> {
        let reason = checked_reason(&page.reason)?;
        if page.search.state.is_none() {
            return Err(TriageError::unreadable(
                "search.state",
                "say the state of what is to be discarded",
            ));
        }
        let paging = Paging { cursor: page.cursor.clone(), limit: page.limit };
        let search = page.search.search()?;

        let mut pace = self.pace.lock().await;
        pace.discard(Instant::now())?;
        let (found, next_cursor) = self.part(search, &paging).await?;
        let ids: Vec<_> = found.into_iter().map(|(id, _)| id).collect();
        let done = match ids.is_empty() {
            true => Vec::new(),
            false => self.store.discard(ids, reason, now).await?,
        };
        let (discarded, left_out) = counted(&done, 0);
        let mut wait = Duration::ZERO;
        if discarded > 0 {
            self.note(Action::Discard, discarded);
            wait = pace.discarded(discarded, Instant::now());
        }
        Ok(Discarded { discarded, left_out, next_cursor, wait_ms: millis(wait) })
    }

    /// Forgets all that was said on a call.
    ///
    /// # Errors
    /// What names no call, or what the ledger says.
    pub async fn erase(&self, how: &Erasing, now: Timestamp) -> Result<Erased, TriageError> {
        let call = how.call.parse().map_err(|error| TriageError::unreadable("call", error))?;
        let ids = self.store.of_call(call).await?;
        let mut erased = 0;
        for ids in ids.chunks(ERASED_AT_ONCE) {
            let done = self.store.erase(ids.to_vec(), now).await?;
            erased += count(done.iter().filter(|done| **done == Done::Done).count());
        }
        if erased > 0 {
            self.note(Action::Erase, erased);
        }
        Ok(Erased { erased })
    }

    /// Those of the settings and those that the ledger has something of.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn accounts(&self) -> Result<Accounts, TriageError> {
        let waiting: BTreeSet<Name> = self.store.accounts_waiting().await?.into_iter().collect();
        let holds = self.store.figures().await?.holds;
        let mut holds: BTreeMap<Name, ShownHold> =
            holds.into_iter().map(|hold| (hold.account.clone(), hold.into())).collect();
        let terms = self.terms();
        let names: BTreeSet<Name> =
            terms.accounts.iter().chain(&waiting).chain(holds.keys()).cloned().collect();
        let shown = |name: Name| ShownAccount {
            account: name.to_string(),
            in_settings: terms.accounts.contains(&name),
            waiting: waiting.contains(&name),
            hold: holds.remove(&name),
        };
        Ok(Accounts { accounts: names.into_iter().map(shown).collect() })
    }

    /// Delivers nothing for an account until a person resumes it.
    ///
    /// # Errors
    /// Nobody knows the account, the reason is none, or what the ledger says.
    pub async fn hold(
        &self,
        account: &str,
        how: &Holding,
        now: Timestamp,
    ) -> Result<ShownAccount, TriageError> {
        let reason = checked_reason(&how.reason)?;
        let known = self.known_account(account).await?;
        self.store.hold(known, reason, now).await?;
        self.note(Action::Hold, 1);
        let accounts = self.accounts().await?.accounts;
        let held = accounts.into_iter().find(|shown| shown.account == account);
        held.ok_or(TriageError::UnknownAccount)
    }

    /// Ends the hold of an account, whatever its cause.
    ///
    /// # Errors
    /// Nobody knows the account, or what the ledger says.
    pub async fn resume(&self, account: &str, now: Timestamp) -> Result<Resumed, TriageError> {
        let known = self.known_account(account).await?;
        let was_held = self.store.resume(known, now).await?;
        if was_held {
            self.note(Action::Resume, 1);
        }
        Ok(Resumed { account: account.to_owned(), was_held })
    }

    /// How many submissions there are in each state.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn totals(&self) -> Result<ShownTotals, TriageError> {
        Ok(self.store.figures().await?.totals.into())
    }

    fn terms(&self) -> Arc<Terms> {
        self.terms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A page of what is found: which, whose, and where to go on.
    async fn part(&self, search: Search, paging: &Paging) -> Result<Part, TriageError> {
        let (after, limit) = (paging.after()?, paging.limit_or(PAGE_MAX)?);
        let page = self.store.search(search, after, limit).await?;
        let found = page.rows.into_iter().map(|row| (row.id, row.key.account)).collect();
        Ok((found, page.next.map(|cursor| cursor.to_string())))
    }

    /// Where it is wished for, takes out what would come to what it did, and answers how many. What
    /// cannot be offered again stays in: the ledger says why.
    async fn leave_out_unchanged(
        &self,
        is_wished_for: bool,
        found: &mut Found,
        how: Replay,
    ) -> Result<u32, TriageError> {
        if !is_wished_for {
            return Ok(0);
        }
        let ids = found.iter().map(|(id, _)| *id).collect();
        let differences = self.foresee(ids, how).await?.differences;
        let same = differences.into_iter().filter(|it| !it.changed).map(|it| it.id);
        let same: BTreeSet<String> = same.collect();
        found.retain(|(id, _)| !same.contains(&id.to_string()));
        Ok(count(same.len()))
    }

    async fn offer_again(
        &self,
        ids: Vec<SubmissionId>,
        how: Replay,
    ) -> Result<Vec<Done>, TriageError> {
        // The ledger need not write for nothing.
        if ids.is_empty() { Ok(Vec::new()) } else { Ok(self.store.replay(ids, how).await?) }
    }

    /// What would come of a page.
    async fn look(
        &self,
        search: Search,
        paging: &Paging,
        how: Replay,
        only_changed: bool,
    ) -> Result<Replayed, TriageError> {
        let (found, next_cursor) = self.part(search, paging).await?;
        let ids = found.into_iter().map(|(id, _)| id).collect();
        let Foreseen { done, mut differences } = self.foresee(ids, how).await?;
        let foreseen = differences.len();
        differences.retain(|it| it.changed || !only_changed);
        let unchanged = count(foreseen - differences.len());
        let (replayed, left_out) = counted(&done, unchanged);
        let replayed = replayed - unchanged;
        Ok(Replayed { replayed, left_out, differences, next_cursor, wait_ms: 0 })
    }

    /// What would come of a replay of these, in their order.
    async fn foresee(&self, ids: Vec<SubmissionId>, how: Replay) -> Result<Foreseen, TriageError> {
        let known = self.store.mappable(ids.clone()).await?;
        let known: HashMap<SubmissionId, Mappable> =
            known.into_iter().map(|known| (known.row.id, known)).collect();
        let terms = self.terms();
        let mut foreseen = Foreseen::default();
        for id in ids {
            let done = known.get(&id).map_or(Done::Unknown, |known| would_be(known, how));
            if let (Done::Done, Some(known)) = (done, known.get(&id)) {
                foreseen.differences.push(Difference::of(known, how.as_was, &terms));
            }
            foreseen.done.push(done);
        }
        Ok(foreseen)
    }

    /// A name that the settings know, or that has something in the ledger: nothing else is written
    /// into it.
    async fn known_account(&self, account: &str) -> Result<Name, TriageError> {
        let name: Name = account.parse().map_err(|_| TriageError::UnknownAccount)?;
        if self.terms().accounts.contains(&name) {
            return Ok(name);
        }
        let known = self.accounts().await?.accounts;
        let is_known = known.iter().any(|known| known.account == account);
        is_known.then_some(name).ok_or(TriageError::UnknownAccount)
    }

    fn note_replay(&self, submissions: u32, how: Replay) {
        self.note(if how.as_was { Action::ReplayAsWas } else { Action::Replay }, submissions);
    }

    fn note(&self, action: Action, times: u32) {
        self.metrics.done_by_hand(action, times);
        tracing::info!(action = action.label(), times, "done by hand");
    }
}

/// The found, whose they are, and where to go on.
type Part = (Found, Option<String>);

type Found = Vec<(SubmissionId, Name)>;

/// What would become of each, and what those would come to that would be offered again.
#[derive(Default)]
struct Foreseen {
    done: Vec<Done>,
    differences: Vec<Difference>,
}

/// What the ledger would answer, as far as it can be seen from outside.
fn would_be(known: &Mappable, how: Replay) -> Done {
    let row = &known.row;
    let is_under_way = row.last_attempt.as_ref().is_some_and(|last| last.verdict.is_none());
    match StateName::from(row.state) {
        _ if row.gone_at.is_some() => Done::Gone,
        StateName::Discarded => Done::Gone,
        StateName::Collecting | StateName::Pending if is_under_way => Done::UnderWay,
        StateName::Collecting | StateName::Pending => Done::Waiting,
        StateName::Delivered if !how.accepted_too => Done::Accepted,
        _ if how.as_was && known.offered.is_none() => Done::NeverOffered,
        StateName::Delivered | StateName::Ignored | StateName::Dead => Done::Done,
    }
}

fn only_done(done: Done) -> Result<(), TriageError> {
    match done {
        Done::Done => Ok(()),
        Done::Unknown => Err(TriageError::UnknownSubmission),
        other => Err(TriageError::Refused(other)),
    }
}

/// How many were done, and how many were left out, by why.
fn counted(done: &[Done], unchanged: u32) -> (u32, BTreeMap<String, u32>) {
    let (mut times, mut left_out) = (0, BTreeMap::new());
    for done in done {
        match done {
            Done::Done => times += 1,
            other => *left_out.entry(other.label().to_owned()).or_default() += 1,
        }
    }
    if unchanged > 0 {
        left_out.insert(UNCHANGED.to_owned(), unchanged);
    }
    (times, left_out)
}

/// How many were done, of each account.
fn accounts_of(found: &[(SubmissionId, Name)], done: &[Done]) -> BTreeMap<Name, u32> {
    let mut accounts = BTreeMap::new();
    for ((_, account), _) in found.iter().zip(done).filter(|(_, done)| **done == Done::Done) {
        *accounts.entry(account.clone()).or_default() += 1;
    }
    accounts
}

fn checked_reason(reason: &str) -> Result<String, TriageError> {
    let reason = reason.trim();
    match reason.chars().count() {
        1..=REASON_MAX => Ok(reason.to_owned()),
        _ => {
            Err(TriageError::unreadable("reason", format!("expected 1 to {REASON_MAX} characters")))
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
