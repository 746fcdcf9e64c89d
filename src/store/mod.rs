//! Durability: what was received, what was decided, and nothing that was acknowledged is missing.
//!
//! A store decides nothing. What a webhook, a claim or an operator does to a submission is a
//! transition of [`submission`](crate::submission); what pauses an account is a rule of
//! [`account`](crate::account). `batch` runs those over a working set, `writer` commits it with
//! one sync for everything that waited, and a backend ([`sqlite`]) holds SQL and nothing else.
//!
//! The contract is [`Receive`], [`Queue`], [`Reader`], [`Admin`], [`Maintenance`] and [`Quarantine`]; `tests/it/store_contract.rs`
//! runs every promise of it on every backend. Only this module knows SQL.

mod backend;
mod batch;
mod checksum;
mod contract;
mod durability_risk;
mod error;
mod examination;
#[cfg(feature = "flaws")]
pub(crate) mod flaws;
mod header_lines;
mod lease;
mod model;
mod moving;
mod observer;
pub mod postgres;
mod selection;
mod serving;
mod spool;
pub mod sqlite;
mod tables;
mod writer;

pub use contract::{Admin, Maintenance, Quarantine, Queue, Reader, Receive, Store};
pub use durability_risk::DurabilityRisk;
pub use error::StoreError;
pub use examination::{Examination, Finding, FindingKind};
pub use lease::LEASE_MAX;
pub use model::{
    ClaimRequest, Claimed, ClockRecord, Cursor, Drained, FileSystem, MalformedCursor, OldestDue,
    Page, PurgeCounts, QuarantinedWebhook, ReceiveRequest, Received, RetentionCutoffs,
    SettledUnsent, Statistics, StoredWebhook, SubmissionDetail, SubmissionFilter, SurveyRevision,
    Tally, TallyFilter, TallyKey, WebhookContent,
};
pub use moving::{MoveError, Moved, MovedTable, move_store};
pub use observer::Observer;
pub use spool::{Spool, SpoolOptions};
