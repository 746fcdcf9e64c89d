//! The figures of a run, their medians, and the table that shows them.

use serde::Serialize;

/// Figures of what was measured in one run, or their medians.
#[derive(Serialize)]
pub struct Figures {
    /// Answers a second; each of the service's promises that the webhook is on disk.
    pub answers_per_s: f64,
    /// Webhooks by the time from the first request to the last delivery.
    pub end_to_end_per_s: Option<f64>,
    /// CPU time of the processes a webhook, until all is delivered.
    pub cpu_us: f64,
    /// The same of the database's server.
    pub server_cpu_us: Option<f64>,
    /// The same of the client and the stand-in of Plivo, which compete with it.
    pub client_cpu_us: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub peak_mb: f64,
    pub idle_mb: f64,
}

/// What is measured, and its figures.
#[derive(Serialize)]
pub struct Measured {
    pub name: &'static str,
    #[serde(flatten)]
    pub figures: Figures,
    /// Its answers a second by those of the no-op in the same turn; at a fixed rate it would say nothing.
    pub of_noop: Option<f64>,
}

/// Everything that is measured in turn, over so many connections, or the medians of all such turns. The no-op
/// comes last.
#[derive(Serialize)]
pub struct Turn {
    pub connections: usize,
    pub measured: Vec<Measured>,
}

impl Turn {
    /// Of several turns over as many connections each.
    pub fn medians(turns: &[&Self]) -> Self {
        let medians_of = |at: usize| {
            let all = || turns.iter().map(|turn| &turn.measured[at]);
            let median_of =
                |figure: fn(&Figures) -> f64| median(all().map(|it| figure(&it.figures)).collect());
            let median_of_some = |figure: fn(&Measured) -> Option<f64>| {
                all().map(figure).collect::<Option<_>>().map(median)
            };
            let figures = Figures {
                answers_per_s: median_of(|figures| figures.answers_per_s),
                end_to_end_per_s: median_of_some(|it| it.figures.end_to_end_per_s),
                cpu_us: median_of(|figures| figures.cpu_us),
                server_cpu_us: median_of_some(|it| it.figures.server_cpu_us),
                client_cpu_us: median_of(|figures| figures.client_cpu_us),
                p50_ms: median_of(|figures| figures.p50_ms),
                p99_ms: median_of(|figures| figures.p99_ms),
                peak_mb: median_of(|figures| figures.peak_mb),
                idle_mb: median_of(|figures| figures.idle_mb),
            };
            let of_noop = median_of_some(|it| it.of_noop);
            Measured { name: turns[0].measured[at].name, figures, of_noop }
        };
        let measured = (0..turns[0].measured.len()).map(medians_of).collect();
        Self { connections: turns[0].connections, measured }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The head of the table, in Markdown.
pub const HEAD: &str = "\
| connections | | durable/s | of no-op | end to end/s | CPU µs a webhook | p50 / p99 ms | peak / idle MB |
|---:|---|---:|---:|---:|---:|---:|---:|";

/// A row of the table for each that was measured.
pub fn rows(turn: &Turn) -> String {
    let row = |Measured { name, figures, of_noop }: &Measured| {
        let server = figures.server_cpu_us.map_or(String::new(), |cpu| format!(" + {cpu:.1}"));
        format!(
            "| {} | {name} | {:.0} | {} | {} | {:.1}{server} | {:.2} / {:.2} | {:.1} / {:.1} |",
            turn.connections,
            figures.answers_per_s,
            of_noop.map_or("–".to_owned(), |ratio| format!("{ratio:.3}")),
            figures.end_to_end_per_s.map_or("–".to_owned(), |rate| format!("{rate:.0}")),
            figures.cpu_us,
            figures.p50_ms,
            figures.p99_ms,
            figures.peak_mb,
            figures.idle_mb,
        )
    };
    turn.measured.iter().map(row).collect::<Vec<_>>().join("\n")
}
