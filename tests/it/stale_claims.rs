//! A claim that has ended before its request begins.

use std::sync::Arc;
use std::time::Duration;

use postcall::app;
use postcall::clock::Clock;
use postcall::delivery::{Context, Dispatcher};
use postcall::destination::Client;
use postcall::random::Random;
use postcall::settings::{Environment, Settings};
use postcall::store::sqlite::{Options, SqliteStore};
use postcall::store::{Observer, Reader, Receive, SubmissionFilter};
use postcall::submission::{State, StateCounts};
use postcall::telemetry::{LabelSets, Metrics};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::store_contract::spoken::{at, complete};
use crate::test_env::{Plivo, SETTINGS, TOKEN};

const LEASE: Duration = Duration::from_secs(60);

/// The process does not run for a time after each commit that is observed.
struct Suspended(Clock, Duration);

impl Observer for Suspended {
    fn committed(&self, _took: Duration, _group: usize, _totals: StateCounts) {
        self.0.advance(self.1);
    }
}

/// How many requests are made of one submission, and its attempts, if the process is suspended for a time
/// between the claim and the request.
async fn requests_after(suspended: Duration) -> (u64, Vec<&'static str>, State) {
    let (plivo, folder) = (Plivo::start(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let settings = SETTINGS
        .replace("@folder@", folder.path().to_str().unwrap())
        .replace("@plivo@", &format!("http://{}", plivo.address()));
    let settings = Settings::from_yaml(&settings, Environment::default()).unwrap();
    let clock = Clock::manual(at(1000));
    let store = SqliteStore::open(Options {
        path: folder.path().join("store.db"),
        write_queue: 10,
        lease: LEASE,
        clock: clock.clone(),
        observer: Arc::new(Suspended(clock.clone(), suspended)),
    });
    let store = Arc::new(store.unwrap());
    store.receive(complete(0, "c-1")).await.unwrap();
    let (_config, config) = watch::channel(Arc::new(app::delivery_config(&settings)));
    let mut dispatcher = Dispatcher::new(Context {
        spool: None,
        store: store.clone(),
        config,
        metrics: Arc::new(Metrics::new(&LabelSets::default(), &settings.hash)),
        clock: clock.clone(),
        random: Random::seeded(1),
        client: Arc::new(Client::new),
    });
    dispatcher.run_once(clock.now()).await.unwrap();
    dispatcher.idle().await.unwrap();
    let submissions =
        store.search(SubmissionFilter::default(), None, 10).await.unwrap().submissions;
    let attempts = submissions[0].document.attempts.iter().filter_map(|it| it.response.as_ref());
    let verdicts = attempts.map(|response| response.verdict.label()).collect();
    (plivo.requests(), verdicts, submissions[0].state)
}

#[test]
fn a_claim_that_has_ended_before_its_request_is_given_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let in_time = requests_after(LEASE / 2).await;
        assert_eq!(in_time, (1, vec!["accepted"], State::Delivered));
        let too_late = requests_after(LEASE).await;
        assert_eq!(too_late, (0, vec!["local_error"], State::Pending));
    });
}
