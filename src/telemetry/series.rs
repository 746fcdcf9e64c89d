use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, Opts};

use super::families::declared;

/// A family of counters whose label values callers or operators choose.
pub(super) type Counters = Series<IntCounter>;

/// A family of histograms whose label values callers or operators choose.
pub(super) type Histograms = Series<Histogram>;

/// A family whose series differ in each of their label values. The vectors of `prometheus` find a
/// series by a hash of all values without anything between them: (`1`, `11`) and (`11`, `1`) would be
/// one series there.
pub(super) struct Series<M>(Arc<Inner<M>>);

struct Inner<M> {
    desc: Desc,
    labels: Vec<String>,
    make: Box<dyn Fn(Opts) -> M + Send + Sync>,
    known: Mutex<BTreeMap<Vec<String>, M>>,
}

impl Counters {
    pub fn counters(name: &str, help: &str, labels: Vec<String>) -> Self {
        Self::new(name, help, labels, |opts| declared(IntCounter::with_opts(opts)))
    }

    /// As [`counters`](Self::counters), for a declared family.
    pub fn of<const N: usize>(labels: [&'static str; N]) -> impl Fn(&str, &str) -> Self {
        move |name, help| Self::counters(name, help, labels.map(str::to_owned).to_vec())
    }
}

impl Histograms {
    pub fn histograms(name: &str, help: &str, labels: Vec<String>, bounds: &[f64]) -> Self {
        let bounds = bounds.to_vec();
        Self::new(name, help, labels, move |opts| {
            let opts = HistogramOpts::from(opts).buckets(bounds.clone());
            declared(Histogram::with_opts(opts))
        })
    }
}

impl<M: Clone> Series<M> {
    fn new(
        name: &str,
        help: &str,
        labels: Vec<String>,
        make: impl Fn(Opts) -> M + Send + Sync + 'static,
    ) -> Self {
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels.clone(), [].into());
        let (desc, make) = (declared(desc), Box::new(make));
        Self(Arc::new(Inner { desc, labels, make, known: Mutex::default() }))
    }

    /// The series with these values, in the order of the labels.
    pub fn with(&self, values: &[&str]) -> M {
        let Inner { desc, labels, make, known } = &*self.0;
        assert_eq!(values.len(), labels.len(), "{}", desc.fq_name);
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let series = known.entry(values).or_insert_with_key(|values| {
            let labels = labels.iter().cloned().zip(values.iter().cloned()).collect();
            make(Opts::new(&desc.fq_name, &desc.help).const_labels(labels))
        });
        series.clone()
    }
}

impl<M> Clone for Series<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Collector> Collector for Series<M> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut each = known.values().flat_map(Collector::collect);
        let Some(mut family) = each.next() else { return Vec::new() };
        for mut other in each {
            family.mut_metric().append(&mut other.take_metric());
        }
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::super::families::registered;
    use super::*;

    #[test]
    fn series_whose_label_values_join_to_the_same_text_are_two() {
        let registry = Registry::new();
        let counters = Counters::of(["question", "answer"])("asked_total", "What was answered.");
        let counters = registered(&registry, counters);
        counters.with(&["score1", "1"]).inc();
        counters.with(&["score", "11"]).inc_by(2);
        counters.with(&["score1", "1"]).inc();
        insta::assert_snapshot!(
            TextEncoder::new().encode_to_string(&registry.gather()).unwrap(),
            @r#"
        # HELP asked_total What was answered.
        # TYPE asked_total counter
        asked_total{answer="1",question="score1"} 2
        asked_total{answer="11",question="score"} 2
        "#
        );
    }
}
