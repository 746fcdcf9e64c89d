//! Plivo as a function: it accepts, refuses, is slow, or is not there, as the seed wants.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use postcall::destination::{NoResponse, Request, Response, Transport};
use postcall::domain::Verdict;
use tokio::time::Instant;

/// Shared by all clients that a service ever makes.
#[derive(Clone)]
pub struct Plivo(Arc<Mutex<State>>);

struct State {
    chance: fastrand::Rng,
    /// How many of a hundred requests do not simply succeed.
    trouble: u8,
    requests: Vec<Received>,
}

/// A request that reached Plivo.
#[derive(Debug, Clone)]
pub struct Received {
    /// By a clock that no one steps.
    pub at: Instant,
    pub call: String,
    pub rating: f64,
    pub notes: String,
    /// Plivo keeps the feedback.
    pub accepted: bool,
    /// The service was told so; `None` while it was not told anything.
    pub told: Option<bool>,
}

/// What happens to a request.
enum Fate {
    Accepted,
    Status(u16, &'static str),
    /// Nothing arrives.
    Unreachable,
    /// It arrives, is kept or not, and no response comes.
    Lost {
        accepted: bool,
    },
    /// The response takes longer than anybody waits.
    Hangs {
        accepted: bool,
    },
}

impl Plivo {
    pub fn new(seed: u64) -> Self {
        let chance = fastrand::Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(State { chance, trouble: 0, requests: Vec::new() })))
    }

    pub fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.clone())
    }

    pub fn trouble(&self, percent: u8) {
        self.state().trouble = percent;
    }

    /// In order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

impl State {
    fn fate(&mut self) -> Fate {
        if self.chance.u8(..100) >= self.trouble {
            return Fate::Accepted;
        }
        let accepted = self.chance.bool();
        match self.chance.u8(..10) {
            0 => Fate::Status(401, r#"{"error":"authentication failed"}"#),
            1 => Fate::Status(404, r#"{"error":"not found"}"#),
            2 => Fate::Status(400, r#"{"error":"invalid notes"}"#),
            3 => Fate::Status(429, "{}"),
            4 | 5 => Fate::Status(503, "{}"),
            6 => Fate::Unreachable,
            7 | 8 => Fate::Lost { accepted },
            _ => Fate::Hangs { accepted },
        }
    }

    /// Returns its number.
    fn receive(&mut self, request: &Request, accepted: bool) -> usize {
        let (_, path) = request.url.split_once("/v1/Call/").expect("the address of feedback");
        let call = path.trim_end_matches('/').trim_end_matches("/Feedback").to_owned();
        let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
        let rating = body["rating"].as_f64().expect("a rating");
        let notes = body["notes"].as_str().unwrap_or_default().to_owned();
        let at = Instant::now();
        self.requests.push(Received { at, call, rating, notes, accepted, told: None });
        self.requests.len() - 1
    }
}

impl Transport for Plivo {
    fn post(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, NoResponse>> {
        Box::pin(async move {
            let (fate, latency, number) = {
                let mut state = self.state();
                let fate = state.fate();
                let latency = Duration::from_millis(state.chance.u64(..300));
                let accepted = match &fate {
                    Fate::Unreachable => {
                        let error = "no one listens".to_owned();
                        let verdict = Verdict::Unreachable;
                        return Err(NoResponse { verdict, status: None, error });
                    }
                    Fate::Accepted => true,
                    Fate::Lost { accepted } | Fate::Hangs { accepted } => *accepted,
                    Fate::Status(..) => false,
                };
                (fate, latency, state.receive(&request, accepted))
            };
            tokio::time::sleep(latency).await;
            let (status, body) = match fate {
                Fate::Accepted => (201, r#"{"api_id":"of-the-simulation","message":"accepted"}"#),
                Fate::Status(status, body) => (status, body),
                Fate::Hangs { .. } => std::future::pending().await,
                Fate::Lost { .. } | Fate::Unreachable => {
                    let error = "the connection was closed".to_owned();
                    let verdict = Verdict::UnknownResult;
                    return Err(NoResponse { verdict, status: None, error });
                }
            };
            self.state().requests[number].told = Some(status == 201);
            Ok(Response { status, retry_after: None, body: body.as_bytes().to_vec() })
        })
    }
}
