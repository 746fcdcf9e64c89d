use async_trait::async_trait;
use jiff::Timestamp;

use super::by_hand::{Cursor, Done, Dossier, Horizon, Mappable, Page, Replay, Search, Swept};
use super::contract::{
    Accepted, Arrival, Begun, Figures, LeaseRequest, Leased, Offer, Settled, Settlement, Store,
    StoreError, Ticket,
};
use crate::domain::{CallUuid, Name};
use crate::submission::SubmissionId;

/// Stands where a ledger that is too damaged to be opened would: it keeps nothing, hands out nothing,
/// and says of everything why.
pub struct DamagedLedger {
    path: String,
    fault: String,
}

impl DamagedLedger {
    pub fn new(path: String, fault: String) -> Self {
        Self { path, fault }
    }

    fn refuse<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::Damaged { path: self.path.clone(), fault: self.fault.clone() })
    }
}

#[async_trait]
impl Store for DamagedLedger {
    async fn accept(&self, _: Arrival) -> Result<Accepted, StoreError> {
        self.refuse()
    }

    async fn lease(&self, _: LeaseRequest) -> Result<Leased, StoreError> {
        self.refuse()
    }

    async fn begin(&self, _: Vec<Offer>, _: Timestamp) -> Result<Vec<Begun>, StoreError> {
        self.refuse()
    }

    async fn settle(&self, _: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.refuse()
    }

    async fn release(&self, _: Vec<Ticket>) -> Result<(), StoreError> {
        self.refuse()
    }

    async fn forget(&self, _: Timestamp) -> Result<usize, StoreError> {
        self.refuse()
    }

    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError> {
        self.refuse()
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        self.refuse()
    }

    async fn search(&self, _: Search, _: Option<Cursor>, _: usize) -> Result<Page, StoreError> {
        self.refuse()
    }

    async fn find(&self, _: SubmissionId) -> Result<Option<Dossier>, StoreError> {
        self.refuse()
    }

    async fn of_call(&self, _: CallUuid) -> Result<Vec<SubmissionId>, StoreError> {
        self.refuse()
    }

    async fn mappable(&self, _: Vec<SubmissionId>) -> Result<Vec<Mappable>, StoreError> {
        self.refuse()
    }

    async fn replay(&self, _: Vec<SubmissionId>, _: Replay) -> Result<Vec<Done>, StoreError> {
        self.refuse()
    }

    async fn discard(
        &self,
        _: Vec<SubmissionId>,
        _: String,
        _: Timestamp,
    ) -> Result<Vec<Done>, StoreError> {
        self.refuse()
    }

    async fn erase(&self, _: Vec<SubmissionId>, _: Timestamp) -> Result<Vec<Done>, StoreError> {
        self.refuse()
    }

    async fn hold(&self, _: Name, _: String, _: Timestamp) -> Result<(), StoreError> {
        self.refuse()
    }

    async fn resume(&self, _: Name, _: Timestamp) -> Result<bool, StoreError> {
        self.refuse()
    }

    async fn probe_now(&self, _: Vec<Name>, _: Timestamp) -> Result<(), StoreError> {
        self.refuse()
    }

    async fn sweep(&self, _: Horizon) -> Result<Swept, StoreError> {
        self.refuse()
    }

    async fn kept_more(&self) {
        std::future::pending().await
    }

    fn is_writable(&self) -> bool {
        false
    }

    fn damage(&self) -> Option<StoreError> {
        self.refuse::<()>().err()
    }

    async fn close(&self) {}
}
