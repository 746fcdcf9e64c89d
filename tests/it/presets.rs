//! Each preset has webhooks as its sender sends them beside the feedback that they must become.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use postcall::domain::{Method, Webhook, WebhookId};
use postcall::settings::Settings;
use postcall::source::Source;
use proptest::prelude::*;
use uuid::Uuid;

use crate::process::{self, Home};

#[test]
fn each_preset_has_samples_that_use_it() {
    let presets = files("config/presets").iter().map(|path| name(path)).collect::<BTreeSet<_>>();
    let folders = files("tests/surveys");
    assert_eq!(presets, folders.iter().map(|path| name(path)).collect());
    for folder in &folders {
        let samples = files(folder);
        assert!(!samples.is_empty(), "{}", folder.display());
        for sample in samples {
            let text = fs::read_to_string(&sample).unwrap();
            let uses = format!("preset: {}", name(folder));
            assert!(text.contains(&uses), "{}", sample.display());
        }
    }
}

#[test]
fn the_samples_of_every_preset_become_the_feedback_they_must() {
    let samples: Vec<PathBuf> = files("tests/surveys").iter().flat_map(files).collect();
    let arguments = samples.iter().map(|sample| sample.to_str().unwrap());
    let arguments: Vec<_> = std::iter::once("test").chain(arguments).collect();
    // Each brings its own settings.
    let ran = process::run(&arguments, &Home::new("").settings());
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

/// A source of each preset that anybody can send to.
fn open_to_all() -> Vec<Arc<Source>> {
    let presets = files("config/presets");
    let sources = presets.iter().map(|path| {
        let preset = name(path);
        format!(
            "  {preset}: {{ preset: {preset}, account: main, survey: quick, signature: none }}\n"
        )
    });
    let text = format!(
        "accounts: {{ main: {{ auth_id: MA, auth_token: {{ value: unused }} }} }}\n\
         surveys: {{ quick: {{ questions: [{{ name: score, answers: 1-5 }}], rating: {{ question: score }}, \
         fields: [from, to] }} }}\nstore: {{ url: \"sqlite:none.db\" }}\nsources:\n{}",
        sources.collect::<String>()
    );
    let settings = Settings::from_yaml(&text, Default::default());
    settings.unwrap_or_else(|error| panic!("{error}")).sources.into_values().collect()
}

/// Much of what the presets look for, and what breaks it.
const JSON: &str = r#"([\[\]{}:, ]|"(call_uuid|score|data|payload|client_state|form_response|answers|field|ref|dtmf|msg|event_type|speech|type)":|"(eyJhIjoxfQ==|\{|c-1|score|\\ud800|\\u0000)"|-?[0-9]{1,3}(\.0|e[0-9]{3})?|null|true){0,40}"#;
const FORM: &str = "((call_uuid|CallUUID|CallSid|question|Digits|Speech|InputType|score|event_id|%[0-9a-z]{2}|[+]|\\PC)(=|&|=1&)?){0,12}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_is_sent_makes_a_preset_panic(
        json in JSON, form in FORM, query in prop::option::of(FORM), bytes: Vec<u8>, header: Vec<u8>, by_get: bool,
    ) {
        let sources = open_to_all();
        let form = form.into_bytes();
        let bodies = [("json", json.into_bytes()), ("json", bytes.clone()), ("x-www-form-urlencoded", bytes), ("x-www-form-urlencoded", form)];
        for (source, (kind, body)) in sources.iter().flat_map(|source| bodies.iter().map(move |body| (source, body))) {
            let webhook = Webhook {
                id: WebhookId(Uuid::nil()),
                method: if by_get { Method::Get } else { Method::Post },
                path: "/hooks/x".to_owned(),
                query: query.clone(),
                headers: [
                    ("content-type", format!("application/{kind}").as_bytes()),
                    ("authorization", &header),
                ]
                .into_iter()
                .collect(),
                body: body.clone(),
                received_at: Timestamp::UNIX_EPOCH,
            };
            if let Ok(verified) = source.verify(webhook) {
                let _ = source.read(&verified);
            }
        }
    }
}

fn files(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}
