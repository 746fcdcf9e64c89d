use std::collections::BTreeMap;
use std::net::SocketAddr;

use postcall::simulator::{Options, Simulator};
use serde_json::{Value, json};

use super::cast::{Call, Ending};
use crate::process::Line;

/// What is said about one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub rating: u64,
    pub issues: Vec<String>,
    pub notes: Option<String>,
}

/// The stand-in of Plivo, and what it has heard.
pub struct FarSide {
    simulator: Simulator,
    heard: BTreeMap<String, Vec<Told>>,
    /// Where to read on.
    cursor: usize,
}

impl FarSide {
    pub fn start() -> Self {
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), Options::default()).unwrap();
        Self { simulator, heard: BTreeMap::new(), cursor: 0 }
    }

    pub fn address(&self) -> SocketAddr {
        self.simulator.addr()
    }

    /// Each of the `faults` befalls requests as the stand-in's control understands it, and the calls
    /// that must end so are unknown.
    pub fn be_troublesome(&self, faults: Value, calls: &BTreeMap<String, Call>) {
        let unknown = calls.iter().filter(|(_, call)| call.ending == Ending::UnknownCall);
        let unknown: Vec<_> = unknown.map(|(id, _)| id).collect();
        let plan = json!({ "faults": faults, "unknown_calls": unknown }).to_string();
        let request = format!(
            "PUT /simulator/faults HTTP/1.1\r\nhost: far.side\r\ncontent-length: {}\r\n\r\n{plan}",
            plan.len()
        );
        let mut line = Line::open(self.address()).unwrap();
        assert_eq!(line.exchange(request.as_bytes()).unwrap().status, 204);
    }

    /// The calls of which feedback was accepted since the last time. What had reached it when it is
    /// asked has been considered: it answers in turn.
    pub fn hear_more(&mut self) -> Vec<String> {
        let mut line = Line::open(self.address()).unwrap();
        let mut more = Vec::new();
        loop {
            let page = line.get(&format!("/simulator/feedback?cursor={}", self.cursor)).unwrap();
            let page: Value = serde_json::from_str(&page.body).unwrap();
            let feedback = page["feedback"].as_array().unwrap();
            self.cursor += feedback.len();
            for feedback in feedback {
                let call = feedback["call_uuid"].as_str().unwrap();
                self.heard.entry(call.to_owned()).or_default().push(Told::of(feedback));
                more.push(call.to_owned());
            }
            if page["next_cursor"].is_null() {
                return more;
            }
        }
    }

    pub fn heard(&self, call: &str) -> &[Told] {
        self.heard.get(call).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Told {
    pub fn of(feedback: &Value) -> Self {
        let issues = feedback["issues"].as_array().into_iter().flatten();
        Self {
            rating: feedback["rating"].as_u64().unwrap(),
            issues: issues.map(|issue| issue.as_str().unwrap().to_owned()).collect(),
            notes: feedback["notes"].as_str().map(str::to_owned),
        }
    }
}
