//! The figures of a run, their medians, and the table that shows them.

use serde::Serialize;

/// Figures of one process in one run, or their medians.
#[derive(Serialize)]
pub struct Figures {
    /// Answers a second; each of the service's promises that the webhook is on disk.
    pub answers_per_s: f64,
    /// Webhooks by the time from the first request to the last delivery.
    pub end_to_end_per_s: Option<f64>,
    /// CPU time of the process a webhook, until all is delivered.
    pub cpu_us: f64,
    /// The same of the client and the stand-in of Plivo, which compete with it.
    pub client_cpu_us: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub peak_mb: f64,
    pub idle_mb: f64,
}

/// The service and the no-op in turn, over so many connections, or the medians of all such turns.
#[derive(Serialize)]
pub struct Turn {
    pub connections: usize,
    pub postcall: Figures,
    pub noop: Figures,
    /// The service's answers a second by the no-op's; at a fixed rate it would say nothing.
    pub of_noop: Option<f64>,
}

impl Turn {
    /// Of several turns over as many connections each.
    pub fn medians(turns: &[&Self]) -> Self {
        let of = |figures: fn(&Self) -> &Figures| {
            let median_of = |figure: fn(&Figures) -> f64| {
                median(turns.iter().map(|turn| figure(figures(turn))).collect())
            };
            let end_to_end = turns.iter().map(|turn| figures(turn).end_to_end_per_s);
            Figures {
                answers_per_s: median_of(|figures| figures.answers_per_s),
                end_to_end_per_s: end_to_end.collect::<Option<_>>().map(median),
                cpu_us: median_of(|figures| figures.cpu_us),
                client_cpu_us: median_of(|figures| figures.client_cpu_us),
                p50_ms: median_of(|figures| figures.p50_ms),
                p99_ms: median_of(|figures| figures.p99_ms),
                peak_mb: median_of(|figures| figures.peak_mb),
                idle_mb: median_of(|figures| figures.idle_mb),
            }
        };
        Self {
            connections: turns[0].connections,
            postcall: of(|turn| &turn.postcall),
            noop: of(|turn| &turn.noop),
            of_noop: turns.iter().map(|turn| turn.of_noop).collect::<Option<_>>().map(median),
        }
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

/// Two rows of the table.
pub fn rows(turn: &Turn) -> String {
    let row = |name, figures: &Figures, of_noop: Option<f64>| {
        format!(
            "| {} | {name} | {:.0} | {} | {} | {:.1} | {:.2} / {:.2} | {:.1} / {:.1} |",
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
    let postcall = row("Postcall", &turn.postcall, turn.of_noop);
    format!("{postcall}\n{}", row("actix no-op", &turn.noop, None))
}
