use std::fmt::Debug;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// Declares a struct of metrics. A field's name, after `postcall_`, is the metric's name, its doc
/// comment is the help text, and what follows `=` makes it: so none of them can drift apart.
macro_rules! families {
    (
        $(#[$of_struct:meta])*
        struct $families:ident {
            $( $(#[doc = $help:literal])+ $name:ident: $kind:ty = $make:expr, )+
        }
    ) => {
        $(#[$of_struct])*
        pub(super) struct $families {
            $( $(#[doc = $help])+ pub(super) $name: $kind, )+
        }

        impl $families {
            pub(super) fn register(registry: &prometheus::Registry) -> Self {
                Self {
                    $( $name: $crate::telemetry::families::registered(
                        registry,
                        $make(
                            concat!("postcall_", stringify!($name)),
                            concat!($($help),+).trim_start(),
                        ),
                    ), )+
                }
            }
        }
    };
}
pub(super) use families;

pub(super) fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    declared(registry.register(Box::new(collector.clone())));
    collector
}

pub(super) fn counter(name: &str, help: &str) -> IntCounter {
    declared(IntCounter::new(name, help))
}

pub(super) fn gauge(name: &str, help: &str) -> IntGauge {
    declared(IntGauge::new(name, help))
}

pub(super) fn seconds(name: &str, help: &str) -> Gauge {
    declared(Gauge::new(name, help))
}

pub(super) fn counters<const N: usize>(
    labels: [&'static str; N],
) -> impl Fn(&str, &str) -> IntCounterVec {
    move |name, help| declared(IntCounterVec::new(Opts::new(name, help), &labels))
}

pub(super) fn gauges<const N: usize>(
    labels: [&'static str; N],
) -> impl Fn(&str, &str) -> IntGaugeVec {
    move |name, help| declared(IntGaugeVec::new(Opts::new(name, help), &labels))
}

pub(super) fn histogram(bounds: &'static [f64]) -> impl Fn(&str, &str) -> Histogram {
    move |name, help| {
        declared(Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec())))
    }
}

pub(super) fn seconds_by<const N: usize>(
    labels: [&'static str; N],
) -> impl Fn(&str, &str) -> GaugeVec {
    move |name, help| declared(GaugeVec::new(Opts::new(name, help), &labels))
}

pub(super) fn histograms<const N: usize>(
    labels: [&'static str; N],
    bounds: &'static [f64],
) -> impl Fn(&str, &str) -> HistogramVec {
    move |name, help| {
        let opts = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        declared(HistogramVec::new(opts, &labels))
    }
}

pub(super) fn declared<T, E: Debug>(made: Result<T, E>) -> T {
    made.expect("metrics are declared once, with valid names and labels")
}
