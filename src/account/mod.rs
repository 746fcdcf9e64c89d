//! Delivery rules of an account: when it is paused and resumes, and when a paused account may be
//! probed. As pure as [`submission`](crate::submission).

mod cause;
mod pause;
#[cfg(test)]
mod tests;

pub use cause::PauseCause;
pub use pause::{Claimable, Pause, PauseReason};
