//! The scripted day: everything that callers, operators and time do to a service, in an order that no seed
//! decides.

use std::collections::BTreeSet;
use std::time::Duration;

use postcall::admin::{AdminApi, ReplayRequest};
use postcall::domain::{CallUuid, Webhook};
use postcall::store::SubmissionFilter;
use postcall::submission::{State, SubmissionId};

use super::calls::{self, Sent};
use super::history::{Failing, History, Limits, Lines, PATIENCE, play};
use super::machine::Edition;

const SEED: u64 = 5;

/// Short enough that the calls of the first hours are purged, down to the last row.
const RETENTION: &str = "{ bodies: 30s, submissions: 60s, outcomes: 110s }";

/// The token that the sender has first, and then the settings.
const NEW_TOKEN: &str = "the-token-after-its-rotation";

/// Calls that retention removes to the last row, and one of which it leaves the outcome.
const GONE: [usize; 2] = [0, 1];
const PURGED: usize = 6;

/// A call that is pending while its account is paused, and delivered then.
const PAUSED: usize = 3;
/// One that is discarded and erased, with what the quarantine has about it.
const ERASED: usize = 4;
/// One that is delivered, replayed, and delivered once more for a changed answer.
const REPLAYED: usize = 2;
/// One that is ignored for its hang-up, and opened again by an answer.
const HUNG_UP: usize = 5;
/// One whose signature is of a token that comes into force later.
const QUARANTINED: usize = 7;

/// Plays the day with calls of the file system that fail; returns how many there were.
///
/// # Panics
/// A promise was broken.
pub fn play_day(failing: Option<Failing>) -> usize {
    play(async move {
        let limits = Limits { steps: 0, troubles: Default::default() };
        let edition = Edition { retention: RETENTION, ..Edition::default() };
        let is_undisturbed = failing.is_none();
        let failing = failing.unwrap_or(0..0);
        let lines = Lines::Kept(vec![format!("calls {failing:?} fail")]);
        let mut day = Day(History::begin(SEED, limits, lines, edition, failing));
        day.first_hours().await;
        let submissions = day.submissions().await;
        if is_undisturbed {
            let calls = submissions.iter().filter(|(call, _)| call.is_some()).count();
            assert_eq!((submissions.len(), calls), (1, 0), "retention has passed: {submissions:?}");
        }
        day.operators().await;
        day.after_a_restart().await;
        let calls = day.0.calls();
        if is_undisturbed {
            day.was_what_it_is_to_be().await;
        }
        day.0.end().await;
        calls
    })
}

struct Day(History);

impl Day {
    /// Calls that nothing is left of, at the end of retention.
    async fn first_hours(&mut self) {
        for call in GONE {
            self.says(call, "score", Some("2"));
        }
        self.passes(50).await;
        self.says(PURGED, "score", Some("4"));
        self.passes(75).await;
        self.0.record.borrow_mut().old = GONE.into_iter().chain([PURGED]).collect();
        let retention = Edition::default().retention;
        self.0.reload(Edition { retention, ..self.0.edition });
    }

    /// All that an operator can do.
    async fn operators(&mut self) {
        let main = "main".parse().unwrap();
        let admin = self.0.machine().admin.clone();
        let paused = admin.pause(&main, "of the day").await;
        self.0.tell(format_args!("pause: {:?}", paused.is_ok()));
        self.says(PAUSED, "score", Some("3"));
        self.says(PAUSED, "problem", Some("1"));
        self.says(ERASED, "score", Some("1"));
        self.says(REPLAYED, "score", Some("5"));
        self.says(HUNG_UP, "score", None);
        self.passes(6).await;
        self.says(HUNG_UP, "score", Some("2"));
        self.is_quarantined(ERASED, "5").await;
        self.is_quarantined(QUARANTINED, "4").await;
        self.passes(2).await;
        if let Some(id) = self.submission(ERASED).await {
            let discarded = admin.discard_one(id, "of the day").await;
            self.0.tell(format_args!("discard: {:?}", discarded.is_ok()));
        }
        self.erase(ERASED).await;
        self.0.environs.plivo.trouble(100);
        let resumed = admin.resume(&main).await;
        self.0.tell(format_args!("resume: {:?}", resumed.is_ok()));
        self.passes(1).await;
        self.0.environs.plivo.trouble(0);
        if let Some(id) = self.submission(REPLAYED).await {
            self.0.record.borrow_mut().replays[REPLAYED] += 1;
            let options = ReplayRequest { include_delivered: true, ..ReplayRequest::default() };
            let replayed = admin.replay_one(id, options).await;
            self.0.tell(format_args!("replay: {:?}", replayed.is_ok()));
        }
        self.passes(3).await;
        self.says(REPLAYED, "score", Some("4"));
        self.passes(3).await;
    }

    async fn after_a_restart(&mut self) {
        self.0.restart_on_this_disk().await;
        self.says(PAUSED, "score", Some("3"));
        self.passes(2).await;
        self.0.reload(Edition { notes: "B", token: NEW_TOKEN, ..self.0.edition });
        self.says(HUNG_UP, "score", Some("1"));
        self.passes(8).await;
    }

    /// Nothing of the day is there in name alone.
    async fn was_what_it_is_to_be(&self) {
        let submissions = self.submissions().await;
        let state_of = |call: usize| {
            let name = calls::name(call).parse::<CallUuid>().unwrap();
            submissions.iter().find(|(of, _)| of.as_ref() == Some(&name)).map(|(_, state)| *state)
        };
        let removed: BTreeSet<_> = (0..calls::CALLS).filter(|it| state_of(*it).is_none()).collect();
        assert_eq!(removed, GONE.into_iter().chain([ERASED, PURGED]).collect());
        assert_eq!(submissions.len(), 6, "the outcomes of two of them are left");
        for call in [REPLAYED, HUNG_UP, QUARANTINED] {
            assert_eq!(state_of(call), Some(State::Delivered), "{}", calls::name(call));
        }
        let requests = self.0.environs.plivo.requests();
        let of = |call: usize| requests.iter().filter(move |it| it.call == calls::name(call));
        assert!(of(REPLAYED).count() >= 3, "delivered, replayed, and delivered for another answer");
        assert_eq!(of(ERASED).count(), 0, "it is discarded before its account is resumed");
        assert!(of(PAUSED).count() >= 2, "Plivo had trouble");
    }

    fn says(&mut self, call: usize, question: &'static str, answer: Option<&'static str>) {
        let sent = self.sent(call, question, answer);
        self.0.send(sent, PATIENCE, Duration::ZERO);
    }

    fn sent(&self, call: usize, question: &'static str, answer: Option<&'static str>) -> Sent {
        let now = self.0.environs.clock.now();
        let id = self.0.environs.random.uuid_v7(now);
        Sent { question, answer, ..Sent::of_new_caller(call, now, id) }
    }

    /// The sender has a token already that the settings do not have.
    async fn is_quarantined(&mut self, call: usize, answer: &'static str) {
        let sent = self.sent(call, "score", Some(answer));
        let mut webhook = sent.webhook();
        webhook.path = "/hooks/signed".to_owned();
        let settings = Edition { token: NEW_TOKEN, ..self.0.edition }.settings();
        let webhook: Webhook = settings.sources["signed"].signed(webhook, "a-nonce").unwrap();
        self.0.record.borrow_mut().sent.push(sent);
        let ingest = &self.0.machine().ingest;
        let endpoint = ingest.endpoint("signed").expect("a source");
        let received = ingest.receive(&endpoint, webhook).await;
        assert!(received.is_err(), "no token of the settings verifies it");
        self.0.tell(format_args!("quarantined: {answer} of {}", calls::name(call)));
    }

    async fn erase(&mut self, call: usize) {
        self.0.record.borrow_mut().erased.insert(call);
        let name = calls::name(call).parse().unwrap();
        let machine = self.0.machine();
        let erasure = machine.ingest.begin_erasure(&name).await;
        let erased = machine.admin.erase_all(&name, erasure.removed.clone()).await;
        drop(erasure);
        self.0.tell(format_args!("erase: {:?}", erased.is_ok()));
    }

    /// `None` if there is none, or the store cannot be read.
    async fn submission(&self, call: usize) -> Option<SubmissionId> {
        let store = &self.0.machine().store;
        store.of_call(calls::name(call).parse().unwrap()).await.ok()?.first().copied()
    }

    /// What is left of all submissions, as far as the store can be read.
    async fn submissions(&self) -> Vec<(Option<CallUuid>, State)> {
        let store = &self.0.machine().store;
        let page = store.search(SubmissionFilter::default(), None, 100).await;
        let found = page.map(|page| page.submissions).unwrap_or_default();
        found.into_iter().map(|it| (it.call, it.state)).collect()
    }

    async fn passes(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}
