//! Each preset against hooks as its sender sends them, and the feedback they must become.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use postcall::domain::{Answers, Hook, HookId, Method, Reported, Told};
use postcall::settings::Settings;
use postcall::source::{Reading, Refused, Source};
use postcall::survey::{Mapping, Survey};
use serde_json::Value;
use uuid::Uuid;
use yaml_rust2::{Yaml, YamlLoader};

#[test]
fn each_preset_has_samples() {
    let folder = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let names = |path: &str| -> BTreeSet<String> {
        fs::read_dir(folder(path))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("config/presets"), names("tests/surveys"));
    for (path, sample) in samples() {
        let preset = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let settings = sample["settings"].as_str().unwrap();
        assert!(settings.contains(&format!("preset: {preset}")), "{}", path.display());
    }
}

#[test]
fn each_sample_becomes_what_it_must() {
    for (path, sample) in samples() {
        let settings =
            Settings::from_yaml(sample["settings"].as_str().unwrap(), Default::default())
                .unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        let starts = sample["starts"].as_str().unwrap_or("2026-11-22T10:00:00Z");
        for case in sample["cases"].as_array().unwrap() {
            let case = Case { settings: &settings, starts: starts.parse().unwrap(), case };
            let what = format!("{}: {}", path.display(), case.case["name"].as_str().unwrap());
            assert_eq!(case.outcome(), case.expected(), "{what}");
            if let Some(call) = case.case["expect"]["call"].as_str() {
                assert_eq!(case.call().as_deref(), Some(call), "{what}");
            }
        }
    }
}

/// What comes of the hooks of a case, as the file writes it.
#[derive(Debug, PartialEq)]
enum Outcome {
    Feedback { rating: f64, issues: BTreeSet<String>, notes: Option<String> },
    Ignored(String),
    Dead(String),
    Refused(String),
    Skipped,
}

struct Case<'a> {
    settings: &'a Settings,
    starts: Timestamp,
    case: &'a Value,
}

impl Case<'_> {
    /// The last hook that is refused or skipped decides; else all that was heard of the call.
    fn outcome(&self) -> Outcome {
        let mut heard = Answers::default();
        let mut survey: Option<&Survey> = None;
        for hook in self.case["hooks"].as_array().unwrap() {
            let source = self.source(hook);
            let received_at = self.at(hook);
            match self.read(hook) {
                Err(refused) => return Outcome::Refused(refused.label().to_owned()),
                Ok(None) => return Outcome::Skipped,
                Ok(Some(reading)) => {
                    let asked = &*self.settings.surveys[&source.survey];
                    survey = Some(asked);
                    hear(&mut heard, reading, asked, received_at);
                }
            }
        }
        let wants_notes = self.case["expect"]["feedback"]["notes"].is_string();
        match survey.unwrap().map(&heard).mapping {
            Mapping::Feedback(feedback) => Outcome::Feedback {
                rating: feedback.rating().value(),
                issues: feedback.issues().map(|issue| issue.name().to_owned()).collect(),
                notes: feedback.notes().filter(|_| wants_notes).map(str::to_owned),
            },
            Mapping::Ignore { reason, .. } => Outcome::Ignored(reason.label().to_owned()),
            Mapping::Dead { reason, .. } => Outcome::Dead(reason.label().to_owned()),
        }
    }

    fn expected(&self) -> Outcome {
        let expect = &self.case["expect"];
        let text = |key: &str| expect[key].as_str().map(str::to_owned);
        if let Some(reason) = text("ignored") {
            return Outcome::Ignored(reason);
        }
        if let Some(reason) = text("dead") {
            return Outcome::Dead(reason);
        }
        if let Some(label) = text("refused") {
            return Outcome::Refused(label);
        }
        if expect["skipped"] == true {
            return Outcome::Skipped;
        }
        let feedback = &expect["feedback"];
        let issues = feedback["issues"].as_array().into_iter().flatten();
        Outcome::Feedback {
            rating: feedback["rating"].as_f64().unwrap(),
            issues: issues.map(|issue| issue.as_str().unwrap().to_owned()).collect(),
            notes: feedback["notes"].as_str().map(str::to_owned),
        }
    }

    /// The one call that all hooks are about.
    fn call(&self) -> Option<String> {
        let hooks = self.case["hooks"].as_array().unwrap();
        let calls: BTreeSet<String> =
            hooks.iter().map(|hook| self.read(hook).unwrap().unwrap().call.to_string()).collect();
        calls.into_iter().next().filter(|_| hooks.len() > 0)
    }

    fn source(&self, hook: &Value) -> &Source {
        &self.settings.sources[hook["source"].as_str().unwrap()]
    }

    fn at(&self, hook: &Value) -> Timestamp {
        let after = hook["at"].as_str().unwrap_or("0s").trim_end_matches('s');
        self.starts + SignedDuration::from_secs(after.parse().unwrap())
    }

    fn read(&self, hook: &Value) -> Result<Option<Reading>, Refused> {
        let source = self.source(hook);
        let mut sent = self.hook(hook);
        if hook["signed"] == true {
            sent = source.signed(sent, &format!("nonce-{}", self.at(hook).as_second())).unwrap();
        }
        source.read(&source.verify(sent)?)
    }

    fn hook(&self, hook: &Value) -> Hook {
        let (content_type, body) = match (&hook["form"], &hook["json"], &hook["body"]) {
            (Value::String(form), _, _) => {
                (Some("application/x-www-form-urlencoded"), form.clone())
            }
            (_, Value::Null, Value::String(body)) => (None, body.clone()),
            (_, Value::Null, _) => (None, String::new()),
            (_, json, _) => (Some("application/json"), json.to_string()),
        };
        let headers: BTreeMap<String, String> = hook["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .chain(content_type.map(|value| ("content-type".to_owned(), value.to_owned())))
            .collect();
        Hook {
            id: HookId(Uuid::from_u128(self.at(hook).as_second() as u128)),
            method: if hook["method"] == "GET" { Method::Get } else { Method::Post },
            path: format!("/hooks/{}", hook["source"].as_str().unwrap()),
            query: hook["query"].as_str().map(str::to_owned),
            headers: headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            body: body.into_bytes(),
            received_at: self.at(hook),
        }
    }
}

/// As the store does when it keeps a hook.
fn hear(heard: &mut Answers, reading: Reading, survey: &Survey, received_at: Timestamp) {
    let hook = HookId(Uuid::from_u128(received_at.as_second() as u128));
    for read in reading.answers {
        let first = || survey.first_question().as_str().to_owned();
        let question = read.question.unwrap_or_else(first);
        let reported = Reported { question, answer: read.answer, reader: read.reader };
        heard.hear(reported.heard(received_at, hook));
    }
    for (name, value) in reading.fields {
        heard.tell(name, Told { value, received_at, hook });
    }
    if reading.hung_up {
        heard.hang_up(received_at);
    }
    if reading.opted_out {
        heard.opt_out(received_at);
    }
}

fn samples() -> Vec<(PathBuf, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/surveys");
    let mut samples = Vec::new();
    for preset in fs::read_dir(root).unwrap() {
        for sample in fs::read_dir(preset.unwrap().path()).unwrap() {
            let path = sample.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let documents = YamlLoader::load_from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            samples.push((path, json(&documents[0])));
        }
    }
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Real(number) => number.parse::<f64>().unwrap().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Boolean(flag) => (*flag).into(),
        Yaml::Array(items) => items.iter().map(json).collect(),
        Yaml::Hash(table) => {
            let key = |key: &Yaml| key.as_str().unwrap().to_owned();
            Value::Object(table.iter().map(|(name, value)| (key(name), json(value))).collect())
        }
        Yaml::Null | Yaml::BadValue | Yaml::Alias(_) => Value::Null,
    }
}
