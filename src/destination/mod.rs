//! Who is told, and what their answer means.
//!
//! A [`Destination`] is where the feedback of one account goes; a [`Client`] hands it over and
//! makes a [`Verdict`](crate::domain::Verdict) of what comes back. This room decides nothing that
//! follows from a verdict, and only it knows awc.

mod client;
mod plivo;

pub use client::{Client, Timeouts, tls};
pub use plivo::Plivo;

use std::sync::Arc;

use crate::domain::{Account, CallUuid, Feedback};

/// Where the feedback of one account goes.
#[derive(Debug, Clone)]
pub enum Destination {
    Plivo(Plivo),
}

impl Destination {
    pub fn account(&self) -> &Arc<Account> {
        match self {
            Destination::Plivo(plivo) => &plivo.account,
        }
    }

    /// The body that tells this feedback.
    pub fn body(&self, feedback: &Feedback) -> String {
        match self {
            Destination::Plivo(plivo) => plivo.body(feedback),
        }
    }

    /// The address that feedback about this call is posted to.
    pub fn url(&self, call: &CallUuid) -> String {
        match self {
            Destination::Plivo(plivo) => plivo.url(call),
        }
    }
}
