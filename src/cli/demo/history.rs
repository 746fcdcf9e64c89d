use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};

use crate::app;
use crate::cli::payload::Payload;
use crate::clock::Clock;
use crate::domain::{Attempt, AttemptResponse, CallUuid, Name, Verdict, WebhookId};
use crate::random::Random;
use crate::settings::{Settings, StoreUrl};
use crate::source::Source;
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{ClaimRequest, ClockRecord, Maintenance, Queue, Receive, ReceiveRequest};
use crate::submission::{Claim, DeadReason, Decision, Mapper, Settlement, SubmissionKey};

/// The same calls in every demo.
const SEED: u64 = 20_260_504;

/// Calls of a weekday; there are fewer at the weekend.
const CALLS_A_DAY: f64 = 40.0;

/// Campaigns, and how likely a caller of each gives a low rating. One is worse than the others, of which
/// the smallest differ by chance alone.
const CAMPAIGNS: [(&str, f64, f64); 5] = [
    ("renewals", 0.40, 0.12),
    ("welcome", 0.25, 0.12),
    ("billing", 0.20, 0.34),
    ("winback", 0.10, 0.14),
    ("pilot", 0.05, 0.12),
];

/// What a caller does.
struct Caller {
    source: &'static str,
    campaign: &'static str,
    /// The questions that are asked, with the keys; empty for silence.
    pressed: Vec<(Option<&'static str>, String)>,
    /// What becomes of the attempts.
    deliveries: Deliveries,
}

enum Deliveries {
    Accepted,
    AcceptedAtLast,
    Rejected,
}

/// Writes calls of the days before `now` into the store of the settings, as the service would have.
///
/// # Errors
/// The store cannot be written, or the settings are not those of the demo.
pub async fn write(settings: &Settings, days: u16, now: Timestamp) -> anyhow::Result<()> {
    let StoreUrl::Sqlite(path) = &settings.store.url else { bail!("the demo's store is a file") };
    let store = SqliteStore::open(sqlite::Options {
        path: path.clone(),
        write_queue: settings.store.write_queue,
        lease: settings.delivery.lease,
        clock: Clock::system(),
        observer: Arc::new(()),
    })?;
    let writer =
        Writer { settings, mapper: app::mapper(settings), store, random: Random::seeded(SEED) };
    let day = SignedDuration::from_hours(24);
    for before in (1..=i32::from(days)).rev() {
        let begins = now - day * before;
        for (number, at) in writer.times(begins).into_iter().enumerate() {
            let call = format!("call-{}-{number:02}", begins.strftime("%m%d"));
            // The last week is worse than the weeks before.
            writer.call(&call, &writer.caller(if before <= 7 { 1.6 } else { 1.0 }), at).await?;
        }
    }
    // As the service leaves it: its clock went on until now.
    let record = ClockRecord { trusted: now, wall: now, unconfirmed_for: None };
    writer.store.record_clock(record).await?;
    writer.store.close().await;
    Ok(())
}

struct Writer<'a> {
    settings: &'a Settings,
    mapper: Arc<dyn Mapper>,
    store: SqliteStore,
    random: Random,
}

impl Writer<'_> {
    /// When the calls of a day end, most of them about noon.
    fn times(&self, begins: Timestamp) -> Vec<Timestamp> {
        let is_weekend = matches!(begins.strftime("%u").to_string().as_str(), "6" | "7");
        let calls = CALLS_A_DAY * if is_weekend { 0.3 } else { 0.8 + 0.4 * self.random.fraction() };
        let time = |_| {
            let share = (self.random.fraction() + self.random.fraction()) / 2.0;
            begins + SignedDuration::from_secs_f64(share * 86_000.0)
        };
        let mut times: Vec<Timestamp> = (0..calls as usize).map(time).collect();
        times.sort();
        times
    }

    fn is(&self, likely: f64) -> bool {
        self.random.fraction() < likely
    }

    fn caller(&self, worse: f64) -> Caller {
        let mut share = self.random.fraction();
        let (campaign, _, low) = CAMPAIGNS
            .into_iter()
            .find(|(_, of, _)| {
                share -= of;
                share < 0.0
            })
            .unwrap_or(CAMPAIGNS[0]);
        let score = match self.random.fraction() {
            _ if self.is(low * worse) => {
                if self.is(0.4) {
                    "1"
                } else {
                    "2"
                }
            }
            it if it < 0.15 => "3",
            it if it < 0.5 => "4",
            _ => "5",
        };
        let score = match self.random.fraction() {
            it if it < 0.14 => "",
            it if it < 0.17 => "9",
            _ => score,
        };
        let deliveries = match self.random.fraction() {
            it if it < 0.01 => Deliveries::Rejected,
            it if it < 0.04 => Deliveries::AcceptedAtLast,
            _ => Deliveries::Accepted,
        };
        if self.is(0.35) {
            let pressed = vec![(None, score.to_owned())];
            return Caller { source: "quick", campaign, pressed, deliveries };
        }
        let mut pressed = vec![(Some("score"), score.to_owned())];
        if ["1", "2", "3", "4"].contains(&score) && self.is(0.75) {
            let problem = match self.random.fraction() {
                it if it < 0.5 => "1",
                it if it < 0.8 => "2",
                _ => "3",
            };
            pressed.push((Some("problem"), problem.to_owned()));
        }
        Caller { source: "ivr", campaign, pressed, deliveries }
    }

    async fn call(&self, call: &str, caller: &Caller, mut at: Timestamp) -> anyhow::Result<()> {
        let source = self.settings.sources.get(caller.source).context("a source of the demo")?;
        let from = 14_155_550_000_u64 + (self.random.fraction() * 9999.0) as u64;
        for (question, digits) in &caller.pressed {
            at += SignedDuration::from_millis(3000 + (self.random.fraction() * 9000.0) as i64);
            let mut payload = Payload::pressed(caller.source, call, *question, digits);
            payload.body.extend(format!("&From={from}&To=14155550199").bytes());
            if let Some(query) = &mut payload.query {
                query.push_str(&format!("&campaign={}", caller.campaign));
            }
            self.receive(source, payload, at).await?;
        }
        // What is not complete is waited for.
        let mut now = at + SignedDuration::from_secs(4);
        for _ in 0..2 {
            for claim in self.claim(&source.account.name, now).await? {
                self.settle(claim, &caller.deliveries, now).await?;
            }
            now += SignedDuration::from_secs(2);
        }
        Ok(())
    }

    async fn receive(
        &self,
        source: &Source,
        payload: Payload,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let id = self.random.uuid_v7(at);
        let signed = payload.signed(source, &id.simple().to_string(), at)?;
        let verified = source.verify(signed.webhook(WebhookId(id), at))?;
        let reading = source.read(&verified)?.context("it is one of its source's webhooks")?;
        let survey = self.settings.surveys[&source.survey].clone();
        let key = SubmissionKey {
            account: source.account.name.clone(),
            survey: source.survey.clone(),
            call: reading.call.clone(),
        };
        let request = ReceiveRequest {
            webhook: verified.into_webhook(),
            source: source.name.clone(),
            key,
            idempotency_key: reading.identity.clone(),
            extraction: reading.into_report(survey.first_question()),
            trace: None,
            policy: survey,
        };
        self.store.receive(request).await?;
        Ok(())
    }

    async fn claim(&self, account: &Name, now: Timestamp) -> anyhow::Result<Vec<Claim>> {
        let request = ClaimRequest {
            wanted: vec![(account.clone(), 10)],
            now,
            latest_due: Timestamp::MAX,
            leased: Vec::new(),
            probe_interval: Duration::from_secs(60),
            settings_may_differ: false,
            mapper: self.mapper.clone(),
        };
        Ok(self.store.claim(request).await?.claims)
    }

    async fn settle(
        &self,
        claim: Claim,
        deliveries: &Deliveries,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let took = SignedDuration::from_millis(90 + (self.random.fraction() * 400.0) as i64);
        let finished_at = at + took;
        let call: &CallUuid = &claim.key.call;
        let (verdict, status, decision) = match deliveries {
            Deliveries::Rejected => {
                let reason = DeadReason::Rejected;
                (Verdict::Rejected, 400, Decision::Dead { reason, pause: None })
            }
            Deliveries::AcceptedAtLast if claim.attempts == 0 => {
                let verdict = Verdict::Throttled { retry_after: None };
                (verdict, 503, Decision::Retry { at: at + SignedDuration::from_secs(1) })
            }
            Deliveries::Accepted | Deliveries::AcceptedAtLast => {
                (Verdict::Accepted, 201, Decision::Delivered)
            }
        };
        let text = match status {
            201 => format!("{{\"api_id\": \"{}\"}}", claim.token.submission),
            400 => format!("{{\"error\": \"invalid issue for call {call}\"}}"),
            _ => "{\"error\": \"try again\"}".to_owned(),
        };
        let reply = AttemptResponse {
            status: Some(status),
            request_id: (status == 201).then(|| claim.token.submission.to_string()),
            error: None,
            text,
        };
        let attempt = Attempt { verdict, reply, finished_at };
        self.store.settle(vec![Settlement { token: claim.token, attempt, decision }]).await?;
        Ok(())
    }
}
