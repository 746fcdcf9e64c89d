//! One page, one file.

pub(super) mod accounts;
pub(super) mod audit;
pub(super) mod bulk_replay;
pub(super) mod call;
pub(super) mod discard;
pub(super) mod erase;
pub(super) mod insights;
pub(super) mod login;
pub(super) mod outcome;
pub(super) mod overview;
pub(super) mod playground;
pub(super) mod problem;
pub(super) mod quarantine;
pub(super) mod replay;
pub(super) mod setup;
pub(super) mod submission;
pub(super) mod submissions;
