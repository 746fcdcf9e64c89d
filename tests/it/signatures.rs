//! Every signature that Plivo's own libraries made, through the public listener of a running service.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use postcall::source::encode;
use serde::Deserialize;

use crate::test_env::TestEnv;
use crate::wire::{Reply, exchange, request};

const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    method: String,
    url: String,
    form: Vec<(String, String)>,
    body: String,
    headers: BTreeMap<String, String>,
    auth_token: String,
    expected_valid: bool,
}

#[test]
fn every_vector_is_refused_exactly_where_plivos_libraries_refuse_it() {
    let vectors = vectors();
    let test_env = world_of(&vectors);
    for vector in &vectors {
        let reply = vector.request().send(&test_env, &vector.id);
        let expected = match vector.expected_valid {
            false => 401,
            true if vector.can_be_read() => 200,
            true => 400,
        };
        assert_eq!(reply.status, expected, "{}: {}", vector.id, reply.text);
    }
    let refused = vectors.iter().filter(|vector| !vector.expected_valid).count();
    let figures = test_env.figures();
    let mismatches = vectors.iter().map(|vector| {
        let labels = format!("reason=\"signature_mismatch\",source=\"{}\"", vector.id);
        figures.of(&format!("webhook_rejections_total{{{labels}}}"))
    });
    assert_eq!(mismatches.sum::<f64>(), refused as f64);
}

#[test]
fn a_changed_parameter_nonce_or_token_is_refused() {
    let vectors: Vec<Vector> = vectors().into_iter().filter(|v| v.expected_valid).collect();
    let test_env = world_of(&vectors);
    for vector in &vectors {
        let id = &vector.id;
        vector.request().send(&test_env, &format!("{id}-of-another-token")).assert_status(401);

        let mut changed = vector.request();
        for (name, value) in &mut changed.headers {
            if name.ends_with("-Nonce") {
                value.push('0');
            }
        }
        changed.send(&test_env, id).assert_status(401);

        // V2 covers neither form nor query, which is why it must be typed out.
        if !vector.is_v3() {
            continue;
        }
        let mut added = vector.request();
        added.query.push_str("&tenant=evil");
        added.send(&test_env, id).assert_status(401);
        let mut pressed = vector.request();
        match &*vector.method {
            "GET" => pressed.query.push_str("&Digits=1"),
            _ => pressed.body.push_str("&Digits=1"),
        }
        pressed.send(&test_env, id).assert_status(401);
        for (at, (name, value)) in vector.form.iter().enumerate() {
            let mut otherwise = vector.form.clone();
            otherwise[at] = (name.clone(), format!("{value}1"));
            vector.request_with(&otherwise).send(&test_env, id).assert_status(401);
        }
    }
    assert!(test_env.store.is_empty());
}

#[test]
fn v2_is_not_accepted_where_it_is_not_typed_out() {
    let vectors: Vec<Vector> = vectors().into_iter().filter(|v| !v.is_v3()).collect();
    let test_env = world_with(&vectors, "[v3, ma-v3]");
    for vector in &vectors {
        vector.request().send(&test_env, &vector.id).assert_status(401);
    }
    assert_eq!(vectors.len(), 3);
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../fixtures/signature-vectors.json");
    let vectors = serde_json::from_str::<Vectors>(text).unwrap().vectors;
    assert_eq!(vectors.len(), 23);
    vectors
}

fn world_of(vectors: &[Vector]) -> TestEnv {
    world_with(vectors, "[v3, ma-v3, v2, ma-v2]")
}

/// One source for each vector, with the vector's address and an account of its own; and one more
/// beside it, whose account has another token.
fn world_with(vectors: &[Vector], signature: &str) -> TestEnv {
    let (mut accounts, mut sources) = (String::new(), String::new());
    for Vector { id, url, auth_token, .. } in vectors {
        let url = &url[..url.find(['?', '#']).unwrap_or(url.len())];
        for (name, token) in [
            (id.clone(), auth_token.clone()),
            (format!("{id}-of-another-token"), format!("{auth_token}x")),
        ] {
            writeln!(
                accounts,
                "  {name}: {{ auth_id: MA, auth_token: {{ value: {token} }}, api: \"@plivo@\" }}"
            )
            .unwrap();
            writeln!(
                sources,
                "  {name}: {{ preset: plivo, account: {name}, survey: quick, url: \"{url}\", \
                 signature: {signature} }}"
            )
            .unwrap();
        }
    }
    let mut test_env = TestEnv::of(&format!(
        r#"
public: {{ listen: "127.0.0.1:0" }}
admin: {{ listen: "127.0.0.1:0" }}
store: {{ url: "sqlite:@folder@/store.db" }}
accounts:
{accounts}
sources:
{sources}
surveys:
  quick: {{ questions: [{{ name: score, answers: 1-5 }}], rating: {{ question: score }} }}
shutdown: {{ drain_delay: 0s }}
"#
    ));
    test_env.start();
    test_env
}

impl Vector {
    fn is_v3(&self) -> bool {
        self.headers.keys().any(|name| name.contains("V3"))
    }

    /// Whether it names a call, and gives not more than one answer.
    fn can_be_read(&self) -> bool {
        let in_query = if self.method == "GET" { &self.url[..] } else { "" };
        let given = |name: &str| {
            in_query.matches(&format!("{name}=")).count()
                + self.form.iter().filter(|(given, _)| given == name).count()
        };
        given("CallUUID") == 1 && given("Digits") <= 1
    }

    /// What Plivo sends for it.
    fn request(&self) -> Request {
        Request { body: self.body.clone(), ..self.request_with(&self.form) }
    }

    /// The same with another form.
    fn request_with(&self, form: &[(String, String)]) -> Request {
        let form = encode(form.iter().map(|(name, value)| (&**name, &**value)));
        let without_fragment = self.url.split('#').next().unwrap();
        let query = without_fragment.split_once('?').map_or("", |(_, query)| query).to_owned();
        let headers = self.headers.clone().into_iter().collect();
        if self.method == "GET" {
            let query = [query, form].into_iter().filter(|part| !part.is_empty());
            let query = query.collect::<Vec<_>>().join("&");
            Request { method: "GET", query, headers, body: String::new() }
        } else {
            Request { method: "POST", query, headers, body: form }
        }
    }
}

struct Request {
    method: &'static str,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn send(&self, test_env: &TestEnv, source: &str) -> Reply {
        let target = match &*self.query {
            "" => format!("/hooks/{source}"),
            query => format!("/hooks/{source}?{query}"),
        };
        let headers: Vec<(&str, &str)> = [("content-type", FORM)]
            .into_iter()
            .chain(self.headers.iter().map(|(name, value)| (&**name, &**value)))
            .collect();
        exchange(test_env.public(), &request(self.method, &target, &headers, self.body.as_bytes()))
    }
}
