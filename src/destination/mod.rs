//! Where feedback goes, and what the responses mean.
//!
//! A [`Destination`] is where the feedback of one account goes. Each kind of destination builds its
//! requests and classifies the responses; a [`Client`] only exchanges the two over HTTP. This module
//! decides nothing that follows from a [`Verdict`], and only it knows awc.

mod client;
mod plivo;
mod post;
mod request;

pub use client::{Client, NoResponse, Response, Timeouts, Transport, tls};
pub use plivo::Plivo;
pub use post::Poster;
pub use request::{BasicAuth, Request};

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Account, AttemptResponse, CallUuid, Feedback, Verdict};

/// Where the feedback of one account goes, by the kind of API there.
#[derive(Debug, Clone)]
pub enum Destination {
    Plivo(Plivo),
}

impl Destination {
    /// The account on whose behalf calls are rated there.
    pub fn account(&self) -> &Arc<Account> {
        match self {
            Destination::Plivo(plivo) => &plivo.account,
        }
    }

    /// The request that reports this feedback about this call.
    pub fn request(&self, call: &CallUuid, feedback: &Feedback) -> Request {
        match self {
            Destination::Plivo(plivo) => plivo.request(call, feedback),
        }
    }

    /// What a complete response means. `retry_after` is how long the response asks to wait.
    pub fn classify(
        &self,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> (Verdict, AttemptResponse) {
        match self {
            Destination::Plivo(_) => plivo::classify(status, retry_after, body),
        }
    }
}
