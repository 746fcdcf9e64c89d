use std::time::Duration;

use super::shape::{Kind, Shape, key};
use super::written::{Place, Table};
use crate::submission::{RetryPolicy, UnknownResult};

/// How submissions go out.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// From the last word on a call to the first attempt.
    pub delay: Duration,
    /// Over the whole exchange with the destination, connecting included.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// How many attempts of one account may be under way at once.
    pub in_flight: usize,
    /// How many attempts of one account may begin in a second.
    pub rate: u32,
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
    pub(super) const SHAPE: Shape = Shape::of(&[
        key(
            "delay",
            Kind::Duration(Duration::ZERO),
            "How long to wait after the last word on a call: feedback on a live call is undocumented.",
        ),
        key("timeout", Kind::Duration(MOMENT), "Over one whole exchange with Plivo."),
        key("connect_timeout", Kind::Duration(MOMENT), "Over connecting alone."),
        key(
            "in_flight",
            Kind::Whole(1, 1000),
            "How many attempts of one account may be under way at once; fewer while Plivo is slow.",
        ),
        key(
            "rate",
            Kind::Whole(1, 100_000),
            "How many attempts of one account may begin in a second; Plivo documents 300 in 5s.",
        ),
        key(
            "lease",
            Kind::Duration(MOMENT),
            "How long one attempt may hold a submission; more than timeout and 5s.",
        ),
        key(
            "hold_probe",
            Kind::Duration(MOMENT),
            "How often an account that is held is tried, at the latest.",
        ),
        key(
            "unknown_result",
            Kind::Word(|| vec!["retry", "dead"]),
            "What follows where nobody can say whether Plivo heard: retry, or dead: a person looks at it.",
        ),
        key(
            "retry",
            Kind::Table(&RETRY),
            "When to try again: waits double from `first` to `longest`, with jitter.",
        ),
    ]);

    pub(super) fn at(place: &Place<'_>) -> Option<Self> {
        let table = place.table()?;
        let delay = duration(&table, "delay");
        let timeout = duration(&table, "timeout");
        let connect_timeout = duration(&table, "connect_timeout");
        let in_flight = table.need("in_flight", "a whole number").and_then(|place| place.whole());
        let rate = table.need("rate", "a whole number").and_then(|place| place.whole());
        let lease = duration(&table, "lease");
        let hold_probe = duration(&table, "hold_probe");
        let unknown_result = table.need("unknown_result", "retry or dead").and_then(|place| {
            place.word(&[("retry", UnknownResult::Retry), ("dead", UnknownResult::Dead)])
        });
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
            rate: u32::try_from(rate?).expect("a rate is bounded"),
            lease: lease?,
            hold_probe: hold_probe?,
            retry: RetryPolicy { unknown_result: unknown_result?, ..retry? },
        })
    }
}

const RETRY: Shape = Shape::of(&[
    key("first", Kind::Duration(MOMENT), "The most that the first wait may be."),
    key(
        "longest",
        Kind::Duration(MOMENT),
        "The most that any wait may be, one that Plivo's Retry-After asks for included.",
    ),
    key("age", Kind::Duration(MOMENT), "When a submission is given up."),
    key(
        "unknown_call",
        Kind::Duration(MOMENT),
        "When a submission is given up whose call Plivo does not know.",
    ),
]);

fn retry(place: &Place<'_>) -> Option<RetryPolicy> {
    let table = place.table()?;
    let first = duration(&table, "first");
    let longest = duration(&table, "longest");
    let age_max = duration(&table, "age");
    let unknown_call = duration(&table, "unknown_call");
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
        unknown_result: UnknownResult::Retry,
    })
}

fn duration(table: &Table<'_>, key: &str) -> Option<Duration> {
    table.need(key, "a duration").and_then(|place| place.duration())
}
