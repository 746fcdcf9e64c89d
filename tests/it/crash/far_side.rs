use std::collections::BTreeMap;
use std::net::SocketAddr;

use postcall::simulator::{Options, Simulator};
use serde_json::{Value, json};

use super::cast::Call;
use crate::process::Line;

/// How often an answer is cut off after the feedback was accepted.
pub const RESETS: usize = 60;

/// The stand-in of Plivo, and what it has heard.
pub struct FarSide {
    simulator: Simulator,
    heard: BTreeMap<String, Vec<(u64, Vec<String>)>>,
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

    /// It is busy, cuts answers off, answers late, and does not know some calls.
    pub fn be_troublesome<'a>(&self, unknown: impl Iterator<Item = (&'a String, &'a Call)>) {
        let plan = json!({
            "faults": [
                { "status": 503, "every": 11 },
                { "reset": "after", "every": 17, "times": RESETS },
                { "delay_ms": 20, "every": 4 },
            ],
            "unknown_calls": unknown.map(|(id, _)| id).collect::<Vec<_>>(),
        });
        let plan = plan.to_string();
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
                self.heard.entry(call.to_owned()).or_default().push(told(feedback));
                more.push(call.to_owned());
            }
            if page["next_cursor"].is_null() {
                return more;
            }
        }
    }

    /// What was heard of a call, as rating and issues.
    pub fn heard(&self, call: &str) -> &[(u64, Vec<String>)] {
        self.heard.get(call).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Rating and issues.
pub fn told(feedback: &Value) -> (u64, Vec<String>) {
    let issues = feedback["issues"].as_array().into_iter().flatten();
    let issues = issues.map(|issue| issue.as_str().unwrap().to_owned()).collect();
    (feedback["rating"].as_u64().unwrap(), issues)
}
