//! The durable ledger: what was heard, what was decided, and nothing that was promised is missing.
//!
//! The store records decisions and never makes them. When an answer makes a submission due is the
//! survey's to say ([`CompletionPolicy`](crate::submission::CompletionPolicy)), what follows from a verdict is
//! [`RetryPolicy`](crate::submission::RetryPolicy)'s; this room writes both down, whole or not at all,
//! and says so only after the disk has it.
//!
//! [`Store`] is the one trait; [`sqlite`] keeps it. `tests/it/store_contract.rs` runs every
//! promise of the trait on every backend. Only this room knows SQL.

mod by_hand;
mod contract;
mod damaged;
mod observer;
pub mod sqlite;

pub use by_hand::{
    AttemptRecord, Cursor, Done, Dossier, Horizon, Intervention, KeptAnswer, KeptHook, LeftOut,
    MalformedCursor, Mappable, Page, Replay, SaidByHook, Search, Swept,
};
pub use contract::{
    Accepted, Arrival, Begun, Decision, Figures, Hold, KeptAttempt, Lease, LeaseRequest, Leased,
    Offer, Outcome, Settled, Settlement, Store, StoreError, SubmissionRow, Ticket,
};
pub use damaged::DamagedLedger;
pub use observer::Observer;
