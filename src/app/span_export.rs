//! Spans leave for a collector of OpenTelemetry in batches, each of which is tried once: a collector that is
//! away costs spans, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::destination::Poster;
use crate::domain::{Credentials, Name};
use crate::settings::Otlp;
use crate::telemetry::{Metrics, Span, SpanResult, otlp_request};

/// Most spans of one request: far less than the 4 MiB that collectors take at least.
const BATCH_MAX: usize = 512;

/// How long a span waits for others.
const BATCH_EVERY: Duration = Duration::from_secs(1);

/// How long the collector may take for one batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last spans may take at the end.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// The export of spans, until it is stopped.
pub(super) struct SpanExport {
    stop: watch::Sender<()>,
    ended: JoinHandle<()>,
}

struct Exporter {
    otlp: Otlp,
    /// Names this process among those that serve.
    instance: String,
    collector: Poster,
    waiting: mpsc::Receiver<Span>,
    metrics: Arc<Metrics>,
    /// The last batch was not taken.
    is_failing: bool,
}

impl SpanExport {
    /// On the thread that is to run it.
    pub(super) fn start(
        otlp: Otlp,
        instance: String,
        waiting: mpsc::Receiver<Span>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let collector =
            Poster::new(otlp.endpoint.clone(), "application/x-protobuf", EXPORT_TIMEOUT);
        let exporter = Exporter { otlp, instance, collector, waiting, metrics, is_failing: false };
        let (stop, stopped) = watch::channel(());
        Self { stop, ended: actix_web::rt::spawn(exporter.run(stopped)) }
    }

    /// Exports what waits, within [`FLUSH_MAX`].
    pub(super) async fn stop(self) {
        drop(self.stop);
        // It ends by itself, unless it panicked.
        let _ = self.ended.await;
    }
}

impl Exporter {
    async fn run(mut self, mut stopped: watch::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                () = self.gather(&mut batch) => {}
            }
            self.export(&mut batch).await;
        }
        self.waiting.close();
        if tokio::time::timeout(FLUSH_MAX, self.flush(&mut batch)).await.is_err() {
            let lost = batch.len() + self.waiting.len();
            self.metrics.spans_left(SpanResult::NotExported, lost);
            tracing::warn!(lost, "the last spans were not exported in time");
        }
    }

    /// Waits for a span, and then for as many as are there soon. What is gathered is not lost if this is not
    /// awaited to its end.
    async fn gather(&mut self, batch: &mut Vec<Span>) {
        self.waiting.recv_many(batch, BATCH_MAX - batch.len()).await;
        let more = async {
            while batch.len() < BATCH_MAX {
                if self.waiting.recv_many(batch, BATCH_MAX - batch.len()).await == 0 {
                    break;
                }
            }
        };
        // A batch that is not full is exported all the same.
        let _ = tokio::time::timeout(BATCH_EVERY, more).await;
    }

    async fn flush(&mut self, batch: &mut Vec<Span>) {
        loop {
            while let Ok(span) = self.waiting.try_recv() {
                batch.push(span);
                if batch.len() == BATCH_MAX {
                    break;
                }
            }
            if batch.is_empty() {
                return;
            }
            self.export(batch).await;
        }
    }

    /// Empties the batch after it was tried.
    async fn export(&mut self, batch: &mut Vec<Span>) {
        let request = otlp_request(batch, &self.instance);
        let result = match self.post(request).await {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the collector takes spans again");
                }
                SpanResult::Exported
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let endpoint = &self.otlp.endpoint;
                    tracing::warn!(
                        endpoint,
                        error,
                        "spans are lost: the collector does not take them"
                    );
                }
                SpanResult::NotExported
            }
        };
        self.metrics.spans_left(result, batch.len());
        batch.clear();
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        let header = |(name, credentials): (&Name, &Arc<Credentials>)| {
            // If it cannot be read again, the known one is used.
            let _ = credentials.read_anew();
            (name.to_string(), credentials.first())
        };
        let headers: Vec<_> = self.otlp.headers.iter().map(header).collect();
        self.collector.post(&headers, body).await
    }
}
