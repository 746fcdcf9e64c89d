use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::history;
use super::scenarios::{Scenario, Step};
use crate::app::{App, AppError};
use crate::cli::payload::Payload;
use crate::clock::Clock;
use crate::destination::Destination;
use crate::domain::{Credentials, Name};
use crate::random::Random;
use crate::settings::{Environment, Settings};
use crate::simulator::{Options, Simulator};
use crate::source::{Plivo, Scheme, Source};
use crate::store::SubmissionFilter;
use crate::store::sqlite::ReadOnly;
use crate::submission::{StateCounts, Submission};
use crate::telemetry::logs::{self, Stream};

const SETTINGS: &str = include_str!("../../../config/demo.yaml");

/// How often it is asked whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// More than the demo has submissions.
const ROWS_MAX: usize = 1000;

/// The stand-in, the service and its store in a temporary folder.
pub(super) struct DemoEnvironment {
    folder: TempDir,
    simulator: Simulator,
    /// By which the senders of the demo sign.
    sources: BTreeMap<Name, Arc<Source>>,
    public: SocketAddr,
    admin: SocketAddr,
    shutdown_signal: Option<oneshot::Sender<()>>,
    service: Option<JoinHandle<Result<(), AppError>>>,
}

/// What the store has.
pub(super) struct StoreSummary {
    pub rows: Vec<Submission>,
    pub totals: StateCounts,
}

impl DemoEnvironment {
    /// Starts both ends on ports that are free.
    ///
    /// The store has the calls of so many days before.
    pub fn set(days: u16) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("postcall-demo-").tempdir()?;
        let auth = Settings::from_yaml(SETTINGS, Environment::default())?
            .accounts
            .values()
            .map(|Destination::Plivo(plivo)| {
                let token = plivo.account.credentials.first();
                (plivo.auth_id.clone(), token.expose_secret().to_owned())
            })
            .next();
        let simulator = Simulator::start(any_port(), Options { auth, ..Options::default() })
            .context("starting the simulator")?;
        let environment: Environment = [
            ("POSTCALL__PUBLIC__LISTEN", any_port().to_string()),
            ("POSTCALL__ADMIN__LISTEN", any_port().to_string()),
            (
                "POSTCALL__STORE__URL",
                format!("sqlite:{}", folder.path().join("postcall.db").display()),
            ),
            ("POSTCALL__ACCOUNTS__DEMO__API", format!("http://{}", simulator.addr())),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let settings = Settings::from_yaml(SETTINGS, environment)?;
        let sources = settings.sources.clone();
        if days > 0 {
            let before = history::write(&settings, days, Timestamp::now());
            actix_web::rt::System::new().block_on(before).context("writing earlier calls")?;
        }
        logs::init(settings.logs.format, &settings.logs.filter, Stream::Stderr)?;
        let app = App::build(settings, Clock::system(), Random::system())?;
        let (public, admin) = (app.public_address(), app.admin_address());
        let (shutdown_signal, falls) = oneshot::channel();
        let service = std::thread::Builder::new().name("service".to_owned()).spawn(move || {
            // No one changes its settings.
            let (_, rereads) = mpsc::channel(1);
            let shutdown_signal = async {
                // The end comes also where the stage is gone.
                let _ = falls.await;
            };
            actix_web::rt::System::new().block_on(app.run(rereads, shutdown_signal))
        })?;
        let (shutdown_signal, service) = (Some(shutdown_signal), Some(service));
        Ok(Self { folder, simulator, sources, public, admin, shutdown_signal, service })
    }

    /// Sends one webhook and answers what the sender received: the outcome of a kept webhook, or the
    /// status of a refusal.
    pub async fn place(&self, scenario: &Scenario, step: &Step) -> anyhow::Result<String> {
        let source = self.sources.get(scenario.source).context("a source of the demo")?;
        let question = step.question;
        let callback = Payload::pressed(scenario.source, &scenario.call, question, &step.digits);
        let nonce = Uuid::now_v7().simple().to_string();
        let signer = if step.forged { &forger_of(source) } else { source };
        let signed = callback.signed(signer, &nonce, Timestamp::now())?;
        let url = signed.url(&format!("http://{}{}", self.public, signed.path));
        let request = signed
            .headers
            .iter()
            .fold(awc::Client::default().post(url), |request, (name, value)| {
                request.insert_header((name.as_str(), value.as_str()))
            });
        let response = request.send_body(signed.body).await.map_err(|e| anyhow!("{e}"))?;
        match response.headers().get("postcall-outcome") {
            Some(outcome) => Ok(outcome.to_str()?.to_owned()),
            None => Ok(response.status().as_u16().to_string()),
        }
    }

    pub async fn let_plivo_fail(&self, times: u32) -> anyhow::Result<()> {
        let faults = json!({"faults": [{"status": 503, "times": times}]});
        let url = format!("http://{}/simulator/faults", self.simulator.addr());
        let answer =
            awc::Client::default().put(url).send_json(&faults).await.map_err(|e| anyhow!("{e}"))?;
        if !answer.status().is_success() {
            bail!("the simulator answered {}", answer.status());
        }
        Ok(())
    }

    pub async fn until_plivo_refused(&self, times: u64, patience: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.simulator_says("summary").await?["refused"]["503"] != times {
            if began.elapsed() > patience {
                bail!("the simulator was not asked {times} times");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Whether everything was settled before the patience ran out.
    pub async fn until_settled(&self, patience: Duration) -> anyhow::Result<bool> {
        let began = Instant::now();
        while self.store()?.totals.waiting() > 0 {
            if began.elapsed() > patience {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(true)
    }

    pub fn store(&self) -> anyhow::Result<StoreSummary> {
        let store = ReadOnly::open(&self.store_file())?;
        let rows = store.search(&SubmissionFilter::default(), None, ROWS_MAX)?.submissions;
        Ok(StoreSummary { rows, totals: store.statistics()?.counts })
    }

    /// What the stand-in accepted, by call.
    pub async fn received(&self) -> anyhow::Result<BTreeMap<String, Vec<Value>>> {
        let answer = self.simulator_says("feedback").await?;
        let mut received: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for feedback in answer["feedback"].as_array().into_iter().flatten() {
            let call = feedback["call_uuid"].as_str().context("feedback is about a call")?;
            received.entry(call.to_owned()).or_default().push(feedback.clone());
        }
        Ok(received)
    }

    /// Where to look.
    pub fn signposts(&self) -> String {
        format!(
            "\n  webhooks  http://{public}/hooks/quick and /hooks/ivr\n  \
             console   http://{admin}/console/\n  \
             metrics   http://{admin}/metrics\n  \
             probes    http://{admin}/readyz\n  \
             Plivo     http://{simulator}/simulator/feedback\n  \
             store     {store}\n",
            public = self.public,
            admin = self.admin,
            simulator = self.simulator.addr(),
            store = self.store_file().display(),
        )
    }

    /// Ends the service as an operator would, and waits for it.
    pub fn shutdown(&mut self) -> anyhow::Result<()> {
        drop(self.shutdown_signal.take());
        match self.service.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => Ok(ended?),
            Some(Err(_)) => bail!("the service panicked"),
        }
    }

    fn store_file(&self) -> PathBuf {
        self.folder.path().join("postcall.db")
    }

    async fn simulator_says(&self, what: &str) -> anyhow::Result<Value> {
        let url = format!("http://{}/simulator/{what}", self.simulator.addr());
        let mut answer =
            awc::Client::default().get(url).send().await.map_err(|e| anyhow!("{e}"))?;
        Ok(answer.json().await?)
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Someone who knows the address and not the token.
fn forger_of(source: &Source) -> Source {
    let mut account = (*source.account).clone();
    account.credentials = Credentials::fixed(vec!["not the token".into()]).into();
    Source {
        name: source.name.clone(),
        account: account.into(),
        survey: source.survey.clone(),
        accepts: source.accepts,
        signature: Scheme::Plivo(Plivo::default()),
        readers: source.readers.clone(),
        has_ids: source.has_ids,
        repeats_count: source.repeats_count,
        url: source.url.clone(),
        reply: source.reply.clone(),
        on_reject: source.on_reject,
        quarantine: source.quarantine,
    }
}
