//! The API, as a client on the same host asks it.

use serde_json::Value;

use super::TestEnv;
use crate::wire::{Reply, exchange, request};

const JSON: (&str, &str) = ("content-type", "application/json");

impl TestEnv {
    /// What the API answers to a GET.
    pub fn get(&self, path: &str) -> Reply {
        self.api("GET", path, &[], b"")
    }

    /// What it answers to a POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.api("POST", path, &[JSON], body.to_string().as_bytes())
    }

    /// As [`get`](Self::get), where all goes well.
    #[track_caller]
    pub fn got(&self, path: &str) -> Value {
        let reply = self.get(path);
        reply.assert_status(200);
        reply.body
    }

    /// As [`post`](Self::post), where all goes well.
    #[track_caller]
    pub fn posted(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, body);
        reply.assert_status(200);
        reply.body
    }

    /// By the host's own name, with these headers.
    pub fn api(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.api_by("localhost", method, path, headers, body)
    }

    /// By another name.
    pub fn api_by(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let asked = request(method, &format!("/api/v1{path}"), headers, body);
        let asked = String::from_utf8(asked).unwrap();
        let asked = asked.replacen("host: any.host", &format!("host: {host}"), 1);
        exchange(self.private(), &asked)
    }

    /// The id of the one submission about a call.
    #[track_caller]
    pub fn id_of(&self, call: &str) -> String {
        let listed = self.got(&format!("/submissions?call={call}"));
        let found = listed["submissions"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{listed}");
        found[0]["id"].as_str().unwrap().to_owned()
    }
}
