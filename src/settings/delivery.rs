use std::time::Duration;

use super::cursor::Cursor;
use super::section::{Section, duration, section, table, whole, word, words};
use crate::store::LEASE_MAX;
use crate::submission::{RetryPolicy, UnknownResult};

section! {
    /// How submissions go out.
    #[derive(Debug, Clone)]
    pub struct Delivery {
        /// How long to wait after the last answer on a call: feedback on a live call is undocumented.
        delay: Duration = duration(Duration::ZERO),
        /// Over one whole exchange with Plivo.
        timeout: Duration = duration(MOMENT),
        /// Over connecting alone.
        connect_timeout: Duration = duration(MOMENT),
        /// How many attempts of one account may be under way at once; fewer while Plivo is slow.
        max_concurrency: usize = whole(1, 1000),
        /// How many attempts of one account may begin in a second; Plivo documents 300 in 5s.
        rate: u32 = whole(1, 100_000),
        /// How long one attempt may hold a submission; more than timeout and 5s, and at most 10m.
        lease: Duration = duration(MOMENT),
        /// The longest time between two probes of a paused account.
        probe_interval: Duration = duration(MOMENT),
        /// What follows if it is unknown whether Plivo got the feedback: retry, or dead for an operator to decide.
        on_unknown_result: UnknownResult = word(),
        /// When to try again: waits double from `initial_backoff` to `max_backoff`, with jitter.
        retry: RetryPolicy = table(),
    }
    check |table| {
        if let (Some(lease), Some(timeout)) = (lease, timeout)
            && lease <= timeout + LEASE_MARGIN
        {
            // A lease that ends while its attempt is under way has the answer delivered twice.
            let margin = LEASE_MARGIN.as_secs();
            let message = format!("must exceed delivery.timeout by more than {margin}s");
            table.fault_at::<()>("lease", message);
        }
        if lease.is_some_and(|lease| lease > LEASE_MAX) {
            table.fault_at::<()>("lease", "must be at most 10m");
        }
        if connect_timeout.zip(timeout).is_some_and(|(connect, timeout)| connect > timeout) {
            table.fault_at::<()>("connect_timeout", "must not exceed delivery.timeout");
        }
    }
}

section! {
    impl RetryPolicy {
        /// The most that the first wait may be.
        initial_backoff: Duration = duration(MOMENT),
        /// The most that any wait may be, one that Plivo's Retry-After asks for included.
        max_backoff: Duration = duration(MOMENT),
        /// When a submission is given up.
        max_age: Duration = duration(MOMENT),
        /// When a submission is given up whose call Plivo does not know.
        not_found_max_age: Duration = duration(MOMENT),
    }
    with { on_unknown_result: UnknownResult::Retry }
    check |table| {
        if initial_backoff.zip(max_backoff).is_some_and(|(first, longest)| first > longest) {
            table.fault_at::<()>("initial_backoff", "must not exceed delivery.retry.max_backoff");
        }
    }
}

words! {
    UnknownResult { "retry" => Retry, "dead" => Dead }
}

/// What a dispatcher may need besides the exchange itself: to start it, and to write its end down.
pub const LEASE_MARGIN: Duration = Duration::from_secs(5);

const MOMENT: Duration = Duration::from_millis(1);

impl Delivery {
    /// With the policy for unknown results as part of that for retries, which goes by it.
    pub(super) fn read(cursor: &Cursor<'_>) -> Option<Self> {
        let mut delivery = Self::at(cursor)?;
        delivery.retry.on_unknown_result = delivery.on_unknown_result;
        Some(delivery)
    }
}
