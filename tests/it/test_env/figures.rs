//! The figures, as Prometheus scrapes them.

use std::collections::BTreeMap;

use super::TestEnv;

/// One scrape.
#[derive(Debug)]
pub struct Figures(BTreeMap<String, f64>);

impl TestEnv {
    pub fn figures(&self) -> Figures {
        let page = self.ask("/metrics");
        page.assert_status(200);
        Figures::read(&page.text)
    }
}

impl Figures {
    pub fn read(page: &str) -> Self {
        let samples = page.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        Self(samples.collect())
    }

    pub fn has(&self, series: &str) -> bool {
        self.0.contains_key(&format!("postcall_{series}"))
    }

    /// `webhooks_total{outcome="created",source="quick"}`: labels in the order of their names.
    #[track_caller]
    pub fn of(&self, series: &str) -> f64 {
        let known = self.0.get(&format!("postcall_{series}"));
        *known.unwrap_or_else(|| panic!("there is no postcall_{series}"))
    }
}
