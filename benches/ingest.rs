//! What one webhook costs in an HTTP worker, without the network and without the store: its
//! signature is verified, it is read and answered; then the same through the whole HTTP service, as
//! a webhook that its source filters out.
//!
//! `cargo bench --bench ingest` prints the medians of many rounds, and fails above a bound. With a
//! number, `cargo bench --bench ingest -- 2`, it makes so many rounds: for a profiler.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, web};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use postcall::clock::Clock;
use postcall::domain::{Method, Webhook, WebhookId};
use postcall::http::{self, PublicListener, RootSpan};
use postcall::ingest::Ingest;
use postcall::random::Random;
use postcall::settings::{Environment, Settings};
use postcall::source::{self, Source};
use postcall::store::sqlite::SqliteStore;
use postcall::telemetry::{LabelSets, Metrics};
use tracing_actix_web::TracingLogger;
use uuid::Uuid;

/// What verifying and reading one webhook may cost at the median.
const BOUND: Duration = Duration::from_micros(20);
const ROUNDS: usize = 300;
const WEBHOOKS_PER_ROUND: u32 = 200;

const SETTINGS: &str = r#"
public: { url: https://surveys.example.com }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: made-up-auth-token } }
sources:
  ivr: { preset: plivo, account: main, survey: quality }
  filtered: { preset: plivo, account: main, survey: quality, extract: { filter: "form:Event" } }
surveys:
  quality: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }
"#;

fn main() -> anyhow::Result<ExitCode> {
    let rounds = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(ROUNDS);
    let settings = Settings::from_yaml(SETTINGS, Environment::default())?;
    let source = settings.sources.get("ivr").context("a source of the settings")?;
    let sent = Sent::to(source)?;
    ensure!(read(source, sent.webhook()), "it is verified and read");
    let alone = median(rounds, || read(source, sent.webhook()));
    println!("one webhook verified and read: {alone:?} at the median");

    let sent = Sent::to(settings.sources.get("filtered").context("a source of the settings")?)?;
    let served = actix_web::rt::System::new().block_on(async {
        let service = init_service(
            App::new()
                .wrap(TracingLogger::<RootSpan>::new())
                .configure(http::public(public(settings))),
        )
        .await;
        let mut took = Vec::new();
        for _ in 0..rounds {
            let requests = (0..WEBHOOKS_PER_ROUND).map(|_| sent.request().to_request());
            took.push(round_served(&service, requests.collect()).await?);
        }
        took.sort_unstable();
        anyhow::Ok(took[took.len() / 2])
    })?;
    println!("one webhook served and filtered out: {served:?} at the median");
    if alone > BOUND {
        println!("verifying and reading takes more than {BOUND:?}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// What one webhook takes, at the median of the rounds.
fn median(rounds: usize, webhook: impl Fn() -> bool) -> Duration {
    let round = || {
        let begun = Instant::now();
        for _ in 0..WEBHOOKS_PER_ROUND {
            black_box(webhook());
        }
        begun.elapsed() / WEBHOOKS_PER_ROUND
    };
    let mut took: Vec<Duration> = (0..rounds).map(|_| round()).collect();
    took.sort_unstable();
    took[rounds / 2]
}

/// What one webhook takes through the HTTP service, over a round.
async fn round_served<R, B>(
    service: &impl Service<R, Response = ServiceResponse<B>, Error = Error>,
    requests: Vec<R>,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for request in requests {
        let response = service.call(request).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(response.status().is_success(), "{}", response.status());
    }
    Ok(begun.elapsed() / WEBHOOKS_PER_ROUND)
}

/// All that a worker does with a webhook but to wait for the store.
fn read(source: &Source, webhook: Webhook) -> bool {
    let Ok(verified) = source.verify(webhook) else { return false };
    let Ok(Some(reading)) = source.read(&verified) else { return false };
    let report = black_box(reading.into_report(&source.survey));
    let reply = black_box(source.reply_with(None));
    black_box(verified.into_webhook());
    report.answers.len() == 1 && !reply.body().is_empty()
}

/// The service as it is, above a store that is not asked.
fn public(settings: Settings) -> web::Data<PublicListener> {
    let names = settings.sources.keys().map(|name| (name.clone(), vec!["v3"])).collect();
    let labels = LabelSets { sources: names, ..LabelSets::default() };
    let metrics = Arc::new(Metrics::new(&labels, &settings.hash));
    let store = Arc::new(SqliteStore::damaged("", ""));
    let Settings { sources, surveys, replies, .. } = settings;
    let ingest = Ingest::new(&sources, &surveys, &replies, store, metrics.clone(), Clock::system());
    web::Data::new(PublicListener {
        ingest: Arc::new(ingest),
        metrics,
        body_timeout: Duration::from_secs(5),
        clock: Clock::system(),
        random: Random::system(),
    })
}

/// One signed webhook with the fields and headers that Plivo sends.
struct Sent {
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Sent {
    fn to(source: &Source) -> anyhow::Result<Self> {
        let call = "0f7ea9b2-4d53-4b3f-9d3c-2b1c1a3c5d7e";
        let body = source::encode([
            ("CallUUID", call),
            ("From", "15550100001"),
            ("To", "15550100002"),
            ("CallStatus", "in-progress"),
            ("Direction", "inbound"),
            ("ALegUUID", call),
            ("ALegRequestUUID", call),
            ("InputType", "dtmf"),
            ("Digits", "4"),
            ("Speech", ""),
            ("SpeechConfidenceScore", ""),
            ("BillRate", "0.0085"),
            ("SessionStart", "2026-11-28 12:00:00.123456"),
            ("ParentAuthID", "MAXXXXXXXXXXXXXXXXXX"),
            ("RouteType", "sip"),
        ]);
        let headers = [
            ("host", "surveys.example.com"),
            ("user-agent", "Plivo"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip, deflate"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-length", &body.len().to_string()),
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-proto", "https"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut sent =
            Self { path: format!("/hooks/{}", source.name), headers: headers.into(), body };
        let signature = source.sign(&sent.webhook(), "0f7ea9b24d534b3f9d3c2b1c1a3c5d7e")?;
        sent.headers.extend(signature);
        Ok(sent)
    }

    fn webhook(&self) -> Webhook {
        Webhook {
            id: WebhookId(Uuid::nil()),
            method: Method::Post,
            path: self.path.clone(),
            query: None,
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            body: self.body.clone().into_bytes(),
            received_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn request(&self) -> TestRequest {
        let request = TestRequest::post().uri(&self.path).set_payload(self.body.clone());
        let with = |request: TestRequest, (name, value): &(String, String)| {
            request.insert_header((name.as_str(), value.as_str()))
        };
        self.headers.iter().fold(request, with)
    }
}
