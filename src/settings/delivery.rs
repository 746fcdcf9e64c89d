use std::time::Duration;

use super::written::{Place, Table};
use crate::domain::RetryPolicy;

/// How submissions go out.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// From the last word on a call to the first attempt.
    pub delay: Duration,
    /// Over the whole exchange with the destination, connecting included.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// How many attempts may be under way at once.
    pub in_flight: usize,
    /// How long a courier may hold a submission before another takes it over; longer than
    /// `timeout` by more than [`LEASE_MARGIN`].
    pub lease: Duration,
    /// How often an account on hold is tried.
    pub hold_probe: Duration,
    pub retry: RetryPolicy,
}

/// What a courier may need besides the exchange itself: to start it, and to write its end down.
pub const LEASE_MARGIN: Duration = Duration::from_secs(5);

const MOMENT: Duration = Duration::from_millis(1);

impl Delivery {
    pub(super) fn at(place: &Place<'_>) -> Option<Self> {
        let table = place.table(&[
            "delay",
            "timeout",
            "connect_timeout",
            "in_flight",
            "lease",
            "hold_probe",
            "retry",
        ])?;
        let delay = duration(&table, "delay", Duration::ZERO);
        let timeout = duration(&table, "timeout", MOMENT);
        let connect_timeout = duration(&table, "connect_timeout", MOMENT);
        let in_flight =
            table.need("in_flight", "a whole number").and_then(|place| place.whole(1..=1000));
        let lease = duration(&table, "lease", MOMENT);
        let hold_probe = duration(&table, "hold_probe", MOMENT);
        let retry = table.need("retry", "a table").and_then(|place| retry(&place));

        if let (Some(lease), Some(timeout)) = (lease, timeout)
            && lease <= timeout + LEASE_MARGIN
        {
            // A lease that ends while its attempt is under way has the answer delivered twice.
            table.get("lease")?.fault::<()>(format!(
                "must exceed delivery.timeout by more than {}s",
                LEASE_MARGIN.as_secs()
            ));
        }
        if let (Some(connect), Some(timeout)) = (connect_timeout, timeout)
            && connect > timeout
        {
            table.get("connect_timeout")?.fault::<()>("must not exceed delivery.timeout");
        }
        Some(Self {
            delay: delay?,
            timeout: timeout?,
            connect_timeout: connect_timeout?,
            in_flight: in_flight? as usize,
            lease: lease?,
            hold_probe: hold_probe?,
            retry: retry?,
        })
    }
}

fn retry(place: &Place<'_>) -> Option<RetryPolicy> {
    let table = place.table(&["first", "longest", "age", "unknown_call"])?;
    let first = duration(&table, "first", MOMENT);
    let longest = duration(&table, "longest", MOMENT);
    let age_max = duration(&table, "age", MOMENT);
    let unknown_call = duration(&table, "unknown_call", MOMENT);
    if let (Some(first), Some(longest)) = (first, longest)
        && first > longest
    {
        table.get("first")?.fault::<()>("must not exceed delivery.retry.longest");
    }
    Some(RetryPolicy {
        first: first?,
        longest: longest?,
        age_max: age_max?,
        unknown_call: unknown_call?,
    })
}

fn duration(table: &Table<'_>, key: &str, shortest: Duration) -> Option<Duration> {
    table.need(key, "a duration").and_then(|place| place.duration(shortest))
}
