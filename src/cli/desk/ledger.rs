use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::DeskError;
use crate::domain::Name;
use crate::settings::Settings;
use crate::store::sqlite::{Onlooker, Options, SqliteStore};
use crate::store::{Store, StoreError};
use crate::submission::SubmissionId;
use crate::telemetry::{LabelSets, Metrics};
use crate::triage::{
    Accounts, DiscardPage, Discarded, Discarding, Erased, Erasing, Format, Holding, Listed,
    PAGE_MAX, Paging, ReplayPage, Replayed, Replaying, Resumed, Shown, ShownAccount, ShownTotals,
    Sought, Terms, Triage, TriageError,
};

/// A ledger that no service has open, or that is only looked at.
pub(in crate::cli) struct Ledger(Triage);

impl Ledger {
    /// Whether or not a service has it open. Without settings it is not known which accounts they
    /// have.
    pub fn to_read(path: &Path, settings: Option<&Settings>) -> anyhow::Result<Self> {
        let store = Onlooker::open(path)?;
        Ok(Self(Triage::new(Arc::new(store), terms(settings), figures())))
    }

    /// # Errors
    /// A service has it open, or it cannot be opened.
    pub fn to_act(path: &Path, settings: &Settings) -> Result<Self, StoreError> {
        // Whoever means another file must not be given an empty one.
        path.metadata().map_err(|error| StoreError::Open {
            path: path.display().to_string(),
            source: error.into(),
        })?;
        let figures = figures();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(Options {
            path: path.to_owned(),
            queue: settings.store.queue,
            lease: settings.delivery.lease,
            clock: Arc::new(Timestamp::now),
            observer: figures.clone(),
        })?);
        Ok(Self(Triage::new(store, terms(Some(settings)), figures)))
    }

    pub async fn list(&self, sought: &Sought, paging: &Paging) -> Result<Listed, DeskError> {
        Ok(self.0.list(sought, paging).await?)
    }

    pub async fn show(&self, id: SubmissionId) -> Result<Shown, DeskError> {
        Ok(self.0.show(id).await?)
    }

    pub async fn replay_one(
        &self,
        id: SubmissionId,
        how: Replaying,
    ) -> Result<Replayed, DeskError> {
        Ok(self.0.replay_one(id, how, now()).await?)
    }

    pub async fn replay(&self, page: &ReplayPage) -> Result<Replayed, DeskError> {
        Ok(self.0.replay(page, now()).await?)
    }

    pub async fn discard_one(
        &self,
        id: SubmissionId,
        how: &Discarding,
    ) -> Result<Discarded, DeskError> {
        Ok(self.0.discard_one(id, how, now()).await?)
    }

    pub async fn discard(&self, page: &DiscardPage) -> Result<Discarded, DeskError> {
        Ok(self.0.discard(page, now()).await?)
    }

    pub async fn erase(&self, whom: &Erasing) -> Result<Erased, DeskError> {
        Ok(self.0.erase(whom, now()).await?)
    }

    pub async fn export(
        &self,
        sought: &Sought,
        format: Format,
        out: &mut impl Write,
    ) -> Result<(), DeskError> {
        let mut paging = Paging { cursor: None, limit: Some(PAGE_MAX) };
        out.write_all(&format.head()).map_err(anyhow::Error::from)?;
        loop {
            let page = self.0.list(sought, &paging).await?;
            for submission in &page.submissions {
                out.write_all(&format.line(submission)).map_err(anyhow::Error::from)?;
            }
            match page.next_cursor {
                Some(next) => paging.cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    pub async fn accounts(&self) -> Result<Accounts, DeskError> {
        Ok(self.0.accounts().await?)
    }

    pub async fn hold(&self, account: &Name, why: &Holding) -> Result<ShownAccount, DeskError> {
        Ok(self.0.hold(account.as_str(), why, now()).await?)
    }

    pub async fn resume(&self, account: &Name) -> Result<Resumed, DeskError> {
        Ok(self.0.resume(account.as_str(), now()).await?)
    }

    pub async fn totals(&self) -> Result<ShownTotals, DeskError> {
        Ok(self.0.totals().await?)
    }
}

impl From<TriageError> for DeskError {
    fn from(error: TriageError) -> Self {
        match error {
            TriageError::UnknownSubmission
            | TriageError::UnknownAccount
            | TriageError::Refused(_) => DeskError::Refused(error.to_string()),
            TriageError::TooSoon { wait } => DeskError::TooSoon { wait },
            TriageError::Unreadable { .. } | TriageError::Store(_) => {
                DeskError::Other(error.into())
            }
        }
    }
}

fn terms(settings: Option<&Settings>) -> Terms {
    // Nothing is delivered meanwhile, so there is no pace to keep; the courier keeps its own.
    let rate = u32::MAX;
    match settings {
        None => Terms { surveys: BTreeMap::new(), accounts: BTreeSet::new(), rate },
        Some(settings) => Terms {
            surveys: settings.surveys.clone(),
            accounts: settings.accounts.keys().cloned().collect(),
            rate,
        },
    }
}

/// Nobody scrapes a tool.
fn figures() -> Arc<Metrics> {
    Arc::new(Metrics::new(&LabelSets::default(), "none"))
}

/// The ledger keeps microseconds.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
