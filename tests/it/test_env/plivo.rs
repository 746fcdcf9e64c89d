//! Plivo, as its stand-in plays it.

use postcall::simulator::{Options, Simulator};
use serde_json::{Value, json};

use super::{AUTH_ID, TOKEN};
use crate::wire::{exchange, request};

pub struct Plivo(Simulator);

impl Plivo {
    /// It knows one account.
    pub fn start() -> Self {
        let auth = Some((AUTH_ID.to_owned(), TOKEN.to_owned()));
        let anywhere = ([127, 0, 0, 1], 0).into();
        Self(Simulator::start(anywhere, Options { auth, ..Options::default() }).unwrap())
    }

    pub fn address(&self) -> String {
        self.0.addr().to_string()
    }

    /// `{"status": 503, "times": 2}` and the like; the first that strikes is the only one.
    pub fn fails(&self, faults: Value) {
        self.plan(json!({ "faults": faults }));
    }

    pub fn is_well(&self) {
        self.plan(json!({}));
    }

    pub fn does_not_know(&self, call: &str) {
        self.plan(json!({ "unknown_calls": [call] }));
    }

    pub fn knows_none_of(&self, calls: &[String]) {
        self.plan(json!({ "unknown_calls": calls }));
    }

    /// Issues are spelled as its error text spells them, not as its table of arguments does.
    pub fn spells_otherwise(&self) {
        self.plan(json!({ "spelling": "error" }));
    }

    /// What it accepted about this call.
    pub fn heard_about(&self, call: &str) -> Vec<Value> {
        let heard = self.ask(&format!("feedback?call_uuid={call}"));
        heard["feedback"].as_array().unwrap().clone()
    }

    /// All that it accepted, the first first.
    pub fn heard(&self) -> Vec<Value> {
        let mut heard = Vec::new();
        let mut cursor = 0.into();
        loop {
            let page = self.ask(&format!("feedback?cursor={cursor}"));
            heard.extend(page["feedback"].as_array().unwrap().iter().cloned());
            match page.get("next_cursor") {
                Some(next) => cursor = next.clone(),
                None => return heard,
            }
        }
    }

    /// How many requests reached it, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.summary()["requests"].as_u64().unwrap()
    }

    pub fn summary(&self) -> Value {
        self.ask("summary")
    }

    fn ask(&self, what: &str) -> Value {
        let reply =
            exchange(self.0.addr(), &request("GET", &format!("/simulator/{what}"), &[], b""));
        reply.assert_status(200);
        reply.body
    }

    fn plan(&self, plan: Value) {
        let plan = plan.to_string();
        exchange(self.0.addr(), &request("PUT", "/simulator/faults", &[], plan.as_bytes()))
            .assert_status(204);
    }
}
