use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::accounts::{AccountList, AccountView, PauseView, ResumeResult};
use super::api::AdminApi;
use super::difference::Difference;
use super::error::{AdminError, Result};
use super::masking::cover;
use super::query::{PAGE, PAGE_MAX, Paging, SubmissionPage, SubmissionQuery};
use super::recent::{ActionSubject, RecentAction, RecentActions};
use super::requests::{
    BulkDiscardRequest, BulkReplayRequest, DiscardResult, EraseResult, ReplayPayload,
    ReplayRequest, ReplayResult, SkippedByReason,
};
use super::surveys::{SurveyList, SurveyView};
use super::throttle::Throttle;
use super::views::{SubmissionDetailView, SubmissionView};
use crate::clock::Clock;
use crate::domain::{CallUuid, Name, WebhookId};
use crate::store::{Page, Store, SubmissionFilter};
use crate::submission::{ActionOutcome, Replay, StateCounts, Submission, SubmissionId};
use crate::survey::SettingsMapper;
use crate::telemetry::{Action, Metrics};

/// Most characters of a comment.
const COMMENT_MAX: usize = 500;

/// Most submissions about one call that are erased in one transaction.
const ERASED_AT_ONCE: usize = 50;

/// How long one audit entry covers that the numbers of a submission are read.
const REVEALED_FOR: Duration = Duration::from_secs(15 * 60);

/// Why a replay leaves out a submission that would be mapped as before.
const UNCHANGED: &str = "unchanged";

/// The operator actions on a store.
pub struct AdminService {
    store: Arc<dyn Store>,
    config: RwLock<Arc<AdminConfig>>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Locked while a page is worked on: two operators at once are no faster than one.
    throttle: Mutex<Throttle>,
    recent: RecentActions,
}

/// What operator actions need of the settings.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// By which a replay maps.
    pub mapper: Arc<SettingsMapper>,
    /// How many submissions of one account are delivered in a second.
    pub rate: u32,
    /// Whether spans are exported, and have to be named.
    pub traces: bool,
}

impl AdminService {
    pub fn new(
        store: Arc<dyn Store>,
        config: AdminConfig,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let config = RwLock::new(Arc::new(config));
        Self {
            store,
            config,
            metrics,
            clock,
            throttle: Mutex::default(),
            recent: RecentActions::default(),
        }
    }

    /// Replaces the configuration from now on.
    pub fn change(&self, config: AdminConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// As [`Reader::version`](crate::store::Reader::version).
    pub fn version(&self) -> Option<u64> {
        self.store.version()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn config(&self) -> Arc<AdminConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Erases a call, with its quarantined webhooks in the store. `quarantined` are those that a running
    /// service has removed from its quarantine, whether or not the store has a copy of them.
    ///
    /// # Errors
    /// The store cannot be read or written; some of it may be erased.
    pub async fn erase_all(
        &self,
        call: &CallUuid,
        mut quarantined: BTreeSet<WebhookId>,
    ) -> Result<EraseResult> {
        quarantined.extend(self.store.erase_quarantined(call.clone()).await?);
        let quarantined = count(quarantined.len());
        if quarantined > 0 {
            tracing::info!(quarantined, "quarantined webhooks were erased");
        }
        let ids = self.store.of_call(call.clone()).await?;
        let mut erased = 0;
        for ids in ids.chunks(ERASED_AT_ONCE) {
            let outcomes = self.store.erase(ids.to_vec(), self.clock.now()).await?;
            erased += count(outcomes.iter().filter(|it| **it == ActionOutcome::Done).count());
        }
        self.count(Action::Erase, erased, ActionSubject::Call);
        Ok(EraseResult { erased, quarantined })
    }

    /// Operator actions since the start, the latest first.
    pub fn recent_actions(&self) -> Vec<RecentAction> {
        self.recent.list()
    }

    /// Names of the settings: accounts, and surveys.
    pub fn names(&self) -> (Vec<String>, Vec<String>) {
        let config = self.config();
        let accounts = config.mapper.accounts.iter().map(ToString::to_string);
        let surveys = config.mapper.surveys.keys().map(ToString::to_string);
        (accounts.collect(), surveys.collect())
    }

    /// Records that an operator reads the numbers of a submission's caller, once in a quarter of an hour for each
    /// session: a page that is loaded again says nothing new. Without a session no one tells readers apart, and
    /// each time is recorded.
    ///
    /// # Errors
    /// There is no such submission, nothing of it is left to read, or the store cannot be written.
    pub async fn reveal(&self, id: SubmissionId, session: Option<Uuid>) -> Result<()> {
        let since = self.clock.now().saturating_sub(REVEALED_FOR).unwrap_or(Timestamp::MIN);
        let subject = of_submission(id);
        if session.is_some_and(|session| self.recent.has_revealed(session, &subject, since)) {
            return Ok(());
        }
        only_done(&self.store.reveal(vec![id], self.clock.now()).await?)?;
        self.note(RecentAction { session, ..self.action(Action::Reveal, 1, subject) });
        Ok(())
    }

    /// Notes what was done to quarantined webhooks, of a source or of all.
    pub fn note_quarantine(&self, action: Action, webhooks: u64, source: Option<&Name>) {
        let subject = ActionSubject::Quarantine(source.map(ToString::to_string));
        self.note(self.action(action, u32::try_from(webhooks).unwrap_or(u32::MAX), subject));
    }

    /// Submissions of one page of a bulk action.
    async fn page(
        &self,
        filter: SubmissionFilter,
        cursor: &Option<String>,
        limit: Option<u32>,
    ) -> Result<(Vec<Submission>, Option<String>)> {
        let paging = Paging { cursor: cursor.clone(), limit };
        let (after, limit) = (paging.after()?, paging.limit_or(PAGE_MAX)?);
        let Page { submissions, next } = self.store.search(filter, after, limit).await?;
        Ok((submissions, next.map(|cursor| cursor.to_string())))
    }

    fn how(&self, payload: ReplayPayload, include_delivered: bool) -> Replay {
        Replay {
            same_payload: payload == ReplayPayload::Last,
            include_delivered,
            at: self.clock.now(),
        }
    }

    /// Fails unless the settings know the account or the store has something of it: no other name is
    /// written into the store.
    async fn check_account(&self, account: &Name) -> Result<()> {
        let known = self.accounts().await?.accounts;
        let is_known = known.iter().any(|known| known.account == account.as_str());
        is_known.then_some(()).ok_or_else(AdminError::unknown_account)
    }

    fn count_replays(&self, how: Replay, submissions: u32, subject: ActionSubject) {
        let action = if how.same_payload { Action::ReplaySamePayload } else { Action::Replay };
        self.count(action, submissions, subject);
    }

    fn count(&self, action: Action, times: u32, subject: ActionSubject) {
        if times > 0 {
            self.note(self.action(action, times, subject));
        }
    }

    fn action(&self, action: Action, times: u32, subject: ActionSubject) -> RecentAction {
        let at = self.clock.now();
        RecentAction { at, action, times, subject, detail: None, session: None }
    }

    fn note(&self, done: RecentAction) {
        let RecentAction { action, times, ref subject, ref detail, .. } = done;
        self.metrics.admin_action(action, times);
        let (mut submission, mut account, mut source) = (None, None, None);
        match subject {
            ActionSubject::Submission(id) => submission = Some(id.as_str()),
            ActionSubject::Account(name) => account = Some(name.as_str()),
            ActionSubject::Quarantine(name) => source = name.as_deref(),
            ActionSubject::Call | ActionSubject::Search => {}
        }
        tracing::info!(
            action = action.label(),
            times,
            submission,
            account,
            source,
            detail = detail.as_deref(),
            "operator action"
        );
        self.recent.add(done);
    }
}

#[async_trait(?Send)]
impl AdminApi for AdminService {
    async fn list(&self, query: &SubmissionQuery, paging: &Paging) -> Result<SubmissionPage> {
        let (after, limit) = (paging.after()?, paging.limit_or(PAGE)?);
        let page = self.store.search(query.filter()?, after, limit).await?;
        let config = self.config();
        let view = |submission: Submission| {
            let survey = config.mapper.surveys.get(&submission.survey).cloned();
            SubmissionView::of(submission, survey.as_deref())
        };
        Ok(SubmissionPage {
            submissions: page.submissions.into_iter().map(view).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        })
    }

    async fn show(&self, id: SubmissionId) -> Result<SubmissionDetailView> {
        let found = self.store.find(id).await?;
        let found = found.ok_or(ActionOutcome::Unknown)?;
        let config = self.config();
        let survey = config.mapper.surveys.get(&found.submission.survey).cloned();
        Ok(SubmissionDetailView::of(found, survey.as_deref(), config.traces))
    }

    async fn replay_one(&self, id: SubmissionId, options: ReplayRequest) -> Result<ReplayResult> {
        let how = self.how(options.payload, options.include_delivered);
        let mut result = ReplayResult { replayed: 1, ..ReplayResult::default() };
        if options.dry_run {
            let found = self.store.load(vec![id]).await?.pop().ok_or(ActionOutcome::Unknown)?;
            let mapper = &self.config().mapper;
            result.differences.push(Difference::preview(&found, how, &**mapper)?);
        } else {
            only_done(&self.store.replay(vec![id], how).await?)?;
            self.count_replays(how, 1, of_submission(id));
        }
        Ok(result)
    }

    async fn replay(&self, request: &BulkReplayRequest) -> Result<ReplayResult> {
        let state = Some(request.search.replayed_state());
        let filter = SubmissionQuery { state, ..request.search.clone() }.filter()?;
        let how = self.how(request.payload, request.include_delivered);
        let config = self.config();
        let preview =
            |submission: &Submission| Difference::preview(submission, how, &*config.mapper);

        if request.dry_run {
            let (found, next_cursor) = self.page(filter, &request.cursor, request.limit).await?;
            let mut result = ReplayResult { next_cursor, ..ReplayResult::default() };
            for submission in &found {
                match preview(submission) {
                    Ok(it) if request.only_changed && !it.changed => {
                        skip(&mut result.skipped, UNCHANGED);
                    }
                    Ok(difference) => result.differences.push(difference),
                    Err(refused) => skip(&mut result.skipped, refused.label()),
                }
            }
            result.replayed = count(result.differences.len());
            return Ok(result);
        }

        let mut throttle = self.throttle.lock().await;
        throttle.admit_replay(filter.account.as_ref(), self.clock.monotonic())?;
        let (mut found, next_cursor) = self.page(filter, &request.cursor, request.limit).await?;
        let looked_at = found.len();
        if request.only_changed {
            // What cannot be replayed stays in: the store says why.
            found.retain(|it| preview(it).map_or(true, |difference| difference.changed));
        }
        let unchanged = count(looked_at - found.len());
        let outcomes = match found.is_empty() {
            true => Vec::new(),
            false => self.store.replay(ids(&found), how).await?,
        };
        let (accounts, mut skipped) = tally(&found, &outcomes);
        if unchanged > 0 {
            skipped.insert(UNCHANGED.to_owned(), unchanged);
        }
        let replayed = accounts.values().sum();
        self.count_replays(how, replayed, ActionSubject::Search);
        let wait_ms = millis(throttle.replayed(accounts, config.rate, self.clock.monotonic()));
        Ok(ReplayResult { replayed, skipped, differences: Vec::new(), next_cursor, wait_ms })
    }

    async fn discard_one(&self, id: SubmissionId, comment: &str) -> Result<DiscardResult> {
        let comment = checked_comment(comment)?;
        only_done(&self.store.discard(vec![id], comment, self.clock.now()).await?)?;
        self.count(Action::Discard, 1, of_submission(id));
        Ok(DiscardResult { discarded: 1, ..DiscardResult::default() })
    }

    async fn discard(&self, request: &BulkDiscardRequest) -> Result<DiscardResult> {
        let comment = checked_comment(&request.reason)?;
        if request.search.state.is_none() {
            let fault = "say the state of what is to be discarded";
            return Err(AdminError::invalid("search.state", fault));
        }
        let filter = request.search.filter()?;

        let mut throttle = self.throttle.lock().await;
        throttle.admit_discard(self.clock.monotonic())?;
        let (found, next_cursor) = self.page(filter, &request.cursor, request.limit).await?;
        let outcomes = match found.is_empty() {
            true => Vec::new(),
            false => self.store.discard(ids(&found), comment, self.clock.now()).await?,
        };
        let (accounts, skipped) = tally(&found, &outcomes);
        let discarded = accounts.values().sum();
        self.count(Action::Discard, discarded, ActionSubject::Search);
        let wait_ms = millis(throttle.discarded(discarded, self.clock.monotonic()));
        Ok(DiscardResult { discarded, skipped, next_cursor, wait_ms })
    }

    async fn erase(&self, call: &CallUuid) -> Result<EraseResult> {
        self.erase_all(call, BTreeSet::new()).await
    }

    async fn accounts(&self) -> Result<AccountList> {
        let waiting: BTreeSet<Name> = self.store.accounts_waiting().await?.into_iter().collect();
        let pauses = self.store.statistics().await?.pauses;
        let mut pauses: BTreeMap<Name, PauseView> =
            pauses.into_iter().map(|(account, reason)| (account, reason.into())).collect();
        let in_settings = &self.config().mapper.accounts;
        let names: BTreeSet<Name> =
            in_settings.iter().chain(&waiting).chain(pauses.keys()).cloned().collect();
        let view = |name: Name| AccountView {
            account: name.to_string(),
            in_settings: in_settings.contains(&name),
            waiting: waiting.contains(&name),
            pause: pauses.remove(&name),
        };
        Ok(AccountList { accounts: names.into_iter().map(view).collect() })
    }

    async fn pause(&self, account: &Name, comment: &str) -> Result<AccountView> {
        let comment = checked_comment(comment)?;
        self.check_account(account).await?;
        let mut detail = comment.clone();
        cover(&mut detail);
        self.store.pause(account.clone(), comment, self.clock.now()).await?;
        let paused = self.action(Action::Pause, 1, ActionSubject::Account(account.to_string()));
        self.note(RecentAction { detail: Some(detail), ..paused });
        let mut accounts = self.accounts().await?.accounts.into_iter();
        accounts.find(|it| it.account == account.as_str()).ok_or_else(AdminError::unknown_account)
    }

    async fn resume(&self, account: &Name) -> Result<ResumeResult> {
        self.check_account(account).await?;
        let was_paused = self.store.resume(account.clone(), self.clock.now()).await?;
        let subject = ActionSubject::Account(account.to_string());
        self.count(Action::Resume, u32::from(was_paused), subject);
        Ok(ResumeResult { account: account.to_string(), was_paused })
    }

    async fn surveys(&self) -> Result<SurveyList> {
        let config = self.config();
        let surveys = config.mapper.surveys.iter();
        Ok(SurveyList { surveys: surveys.map(|(name, it)| SurveyView::of(name, it)).collect() })
    }

    async fn totals(&self) -> Result<StateCounts> {
        Ok(self.store.statistics().await?.counts)
    }
}

fn of_submission(id: SubmissionId) -> ActionSubject {
    ActionSubject::Submission(id.0.to_string())
}

fn ids(submissions: &[Submission]) -> Vec<SubmissionId> {
    submissions.iter().map(|submission| submission.id).collect()
}

fn only_done(outcomes: &[ActionOutcome]) -> Result<()> {
    match outcomes.first() {
        Some(ActionOutcome::Done) => Ok(()),
        refused => Err(refused.copied().unwrap_or(ActionOutcome::Unknown).into()),
    }
}

/// How many were done, by account, and how many were skipped.
fn tally(
    found: &[Submission],
    outcomes: &[ActionOutcome],
) -> (BTreeMap<Name, u32>, SkippedByReason) {
    let (mut accounts, mut skipped) = (BTreeMap::new(), SkippedByReason::new());
    for (submission, outcome) in found.iter().zip(outcomes) {
        match outcome {
            ActionOutcome::Done => *accounts.entry(submission.account.clone()).or_default() += 1,
            refused => skip(&mut skipped, refused.label()),
        }
    }
    (accounts, skipped)
}

fn skip(skipped: &mut SkippedByReason, why: &str) {
    *skipped.entry(why.to_owned()).or_default() += 1;
}

fn checked_comment(comment: &str) -> Result<String> {
    let comment = comment.trim();
    match comment.chars().count() {
        1..=COMMENT_MAX => Ok(comment.to_owned()),
        _ => Err(AdminError::invalid("reason", format!("expected 1 to {COMMENT_MAX} characters"))),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
