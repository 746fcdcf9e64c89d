//! Delivery rules of an account: when it is paused, and when a paused account may be probed. As pure
//! as [`submission`](crate::submission).

mod cause;

pub use cause::{PauseCause, UnknownPauseCause};
