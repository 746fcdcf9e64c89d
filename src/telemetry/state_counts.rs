use std::sync::{Arc, Mutex};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Registry};

use super::families::{counter, families, gauges};
use crate::submission::{State, StateCounts};

/// State counts of the store, as metrics. They are set and collected under one lock, so every scrape sees
/// the figures of one moment, and what was accepted is always the sum of the states.
#[derive(Clone)]
pub(super) struct StateCountMetrics(Arc<Open>);

struct Open {
    totals: Mutex<StateCounts>,
    families: Families,
    registry: Registry,
}

families! {
    struct Families {
        /// Submissions by state. Each accepted submission is in exactly one.
        submissions: IntGaugeVec = gauges(["state"]),
        /// Submissions accepted since the store began: the sum of all states.
        submissions_accepted_total: IntCounter = counter,
    }
}

impl StateCountMetrics {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let families = Families::register(&registry);
        Self(Arc::new(Open { totals: Mutex::default(), families, registry }))
    }

    pub(super) fn set(&self, totals: StateCounts) {
        *self.0.totals.lock().expect("no holder of the lock panics") = totals;
    }
}

impl Collector for StateCountMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let Families { submissions, submissions_accepted_total } = &self.0.families;
        [submissions.desc(), submissions_accepted_total.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let totals = self.0.totals.lock().expect("no holder of the lock panics");
        let set = |gauge: &IntGauge, total| gauge.set(i64::try_from(total).unwrap_or(i64::MAX));
        for (state, total) in by_label(&totals) {
            set(&self.0.families.submissions.with_label_values(&[state]), total);
        }
        // A counter that was read from the store: it goes back only if the store is another one.
        let accepted = &self.0.families.submissions_accepted_total;
        if totals.accepted < accepted.get() {
            accepted.reset();
        }
        accepted.inc_by(totals.accepted - accepted.get());
        self.0.registry.gather()
    }
}

/// The totals in the order of [`State::LABELS`].
fn by_label(totals: &StateCounts) -> impl Iterator<Item = (&'static str, u64)> {
    let StateCounts { accepted: _, collecting, pending, delivered, ignored, dead, discarded } =
        *totals;
    State::LABELS.into_iter().zip([collecting, pending, delivered, ignored, dead, discarded])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_total_is_shown_under_the_label_of_its_state() {
        let mut totals = StateCounts::default();
        let states = State::ONE_OF_EACH;
        for (state, total) in states.into_iter().zip(1..) {
            *totals.of_mut(state) = total;
        }
        let shown: Vec<_> = by_label(&totals).collect();
        assert_eq!(shown, states.map(|state| (state.label(), totals.of(state))));
    }
}
