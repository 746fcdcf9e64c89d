use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::Timestamp;

use super::ReadOnly;
use crate::domain::{CallUuid, Name};
use crate::store::by_hand::{
    Cursor, Done, Dossier, Horizon, Mappable, Page, Replay, Search, Swept,
};
use crate::store::contract::{
    Accepted, Arrival, Begun, Figures, LeaseRequest, Leased, Offer, Settled, Settlement, Store,
    StoreError, Ticket,
};
use crate::submission::SubmissionId;

/// A ledger that is only looked at, behind the contract: reading is as it is for whoever serves it,
/// and what would write is refused. It blocks where it reads, so it is for tools.
pub struct Onlooker(Mutex<ReadOnly>);

impl Onlooker {
    /// # Errors
    /// As [`ReadOnly::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self(Mutex::new(ReadOnly::open(path)?)))
    }

    fn ledger(&self) -> MutexGuard<'_, ReadOnly> {
        self.0.lock().expect("no reader panics")
    }
}

const REFUSED: StoreError = StoreError::OnlyLookedAt;

#[async_trait]
impl Store for Onlooker {
    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError> {
        self.ledger().accounts_waiting()
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        self.ledger().figures()
    }

    async fn search(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.ledger().search(&search, after, limit)
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<Dossier>, StoreError> {
        self.ledger().find(id)
    }

    async fn of_call(&self, call: CallUuid) -> Result<Vec<SubmissionId>, StoreError> {
        self.ledger().of_call(&call)
    }

    async fn mappable(&self, ids: Vec<SubmissionId>) -> Result<Vec<Mappable>, StoreError> {
        self.ledger().mappable(&ids)
    }

    async fn accept(&self, _: Arrival) -> Result<Accepted, StoreError> {
        Err(REFUSED)
    }

    async fn lease(&self, _: LeaseRequest) -> Result<Leased, StoreError> {
        Err(REFUSED)
    }

    async fn begin(&self, _: Vec<Offer>, _: Timestamp) -> Result<Vec<Begun>, StoreError> {
        Err(REFUSED)
    }

    async fn settle(&self, _: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        Err(REFUSED)
    }

    async fn release(&self, _: Vec<Ticket>) -> Result<(), StoreError> {
        Err(REFUSED)
    }

    async fn forget(&self, _: Timestamp) -> Result<usize, StoreError> {
        Err(REFUSED)
    }

    async fn replay(&self, _: Vec<SubmissionId>, _: Replay) -> Result<Vec<Done>, StoreError> {
        Err(REFUSED)
    }

    async fn discard(
        &self,
        _: Vec<SubmissionId>,
        _: String,
        _: Timestamp,
    ) -> Result<Vec<Done>, StoreError> {
        Err(REFUSED)
    }

    async fn erase(&self, _: Vec<SubmissionId>, _: Timestamp) -> Result<Vec<Done>, StoreError> {
        Err(REFUSED)
    }

    async fn hold(&self, _: Name, _: String, _: Timestamp) -> Result<(), StoreError> {
        Err(REFUSED)
    }

    async fn resume(&self, _: Name, _: Timestamp) -> Result<bool, StoreError> {
        Err(REFUSED)
    }

    async fn probe_now(&self, _: Vec<Name>, _: Timestamp) -> Result<(), StoreError> {
        Err(REFUSED)
    }

    async fn sweep(&self, _: Horizon) -> Result<Swept, StoreError> {
        Err(REFUSED)
    }

    /// Nobody tells an onlooker.
    async fn kept_more(&self) {
        std::future::pending().await
    }

    fn is_writable(&self) -> bool {
        false
    }

    async fn close(&self) {}
}
