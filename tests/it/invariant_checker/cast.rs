use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use jiff::Timestamp;
use postcall::domain::{Method, Name, Webhook, WebhookId};
use postcall::source::{self, Source};
use uuid::Uuid;

/// How far apart the webhooks of one call may be sent, counted in calls.
const APART_MAX: usize = 60;

/// Most calls that the destination does not know. Five that would die of one cause pause their account
/// until another call is accepted, and after the last webhook there may be no other.
const UNKNOWN_MAX: usize = 4;

/// What must become of a call.
#[derive(Debug)]
pub struct Call {
    pub ending: Ending,
}

#[derive(Debug, PartialEq)]
pub enum Ending {
    Rated { rating: u64, issue: Option<&'static str> },
    Ignored(&'static str),
    UnknownCall,
    Unmapped,
}

/// One webhook that will be sent until it is answered.
pub struct Sending {
    pub request: Vec<u8>,
    pub call: String,
    pub question: &'static str,
    /// What the store must have; `None` is silence.
    pub answer: Option<String>,
}

/// Exactly `count` webhooks in the order in which they are sent first, and the calls they are about.
pub fn calls(
    sources: &BTreeMap<Name, Arc<Source>>,
    count: usize,
    chance: &mut Rng,
) -> (BTreeMap<String, Call>, Vec<Sending>) {
    let mut calls = BTreeMap::new();
    let mut webhooks = Vec::new();
    let mut unknown = 0;
    while webhooks.len() < count {
        let number = calls.len();
        let id = Uuid::from_u128(chance.u128(..)).to_string();
        let (source, said, ending) = scene(chance, count - webhooks.len());
        unknown += usize::from(ending == Ending::UnknownCall);
        if ending == Ending::UnknownCall && unknown > UNKNOWN_MAX {
            continue;
        }
        let mut at = number;
        for (question, digits) in said {
            webhooks.push((at, sending(&sources[source], &id, question, &digits, chance)));
            at = number + chance.usize(0..=APART_MAX);
        }
        calls.insert(id, Call { ending });
    }
    webhooks.sort_by_key(|(at, _)| *at);
    (calls, webhooks.into_iter().map(|(_, webhook)| webhook).collect())
}

type Said = Vec<(&'static str, String)>;

/// The source, what the caller says there, in at most `most` webhooks, and what it comes to. None of
/// it depends on the order of the webhooks.
fn scene(chance: &mut Rng, most: usize) -> (&'static str, Said, Ending) {
    let rating = chance.u64(1..=5);
    let digit = rating.to_string();
    let rated = |issue| Ending::Rated { rating, issue };
    let score = |said: &[&str]| said.iter().map(|said| ("score", (*said).to_owned())).collect();
    let (problem, issue) =
        chance.choice([("1", "ECHO"), ("2", "ONE_WAY_AUDIO"), ("3", "CALL_DROPPED")]).unwrap();
    let problem = ("problem", problem.to_owned());
    let (source, said, ending): (_, Said, _) = match chance.u32(0..100) {
        0..30 => ("quick", score(&[&digit]), rated(None)),
        30..40 => ("quick", score(&[&digit, &digit]), rated(None)),
        40..45 => ("quick", score(&["", &digit]), rated(None)),
        45..50 => ("quick", score(&["7", &digit]), rated(None)),
        50..54 => ("quick", score(&[""]), Ending::Ignored("no_answer")),
        54..57 => ("quick", score(&["9"]), Ending::Ignored("invalid_answer")),
        57..59 => ("quick", score(&[&digit]), Ending::UnknownCall),
        59..60 => ("quick", vec![("scoer", digit)], Ending::Unmapped),
        60..75 => ("ivr", vec![("score", digit), problem], rated(Some(issue))),
        75..90 => ("ivr", vec![problem, ("score", digit)], rated(Some(issue))),
        90..94 => ("ivr", vec![("score", digit), ("problem", String::new())], rated(None)),
        94..97 => ("ivr", vec![("score", digit)], rated(None)),
        _ => ("ivr", vec![problem], Ending::Ignored("no_score")),
    };
    if said.len() <= most { (source, said, ending) } else { scene(chance, most) }
}

fn sending(
    source: &Source,
    call: &str,
    question: &'static str,
    digits: &str,
    chance: &mut Rng,
) -> Sending {
    let query = source::encode([("question", question)]);
    let body = source::encode([
        ("CallUUID", call),
        ("CallStatus", "in-progress"),
        ("InputType", "dtmf"),
        ("Digits", digits),
    ]);
    let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let webhook = Webhook {
        id: WebhookId(Uuid::nil()),
        method: Method::Post,
        path: format!("/hooks/{}", source.name),
        query: Some(query.clone()),
        headers: [&form].into_iter().map(|(name, value)| (name, value)).collect(),
        body: body.clone().into_bytes(),
        received_at: Timestamp::UNIX_EPOCH,
    };
    let mut request = format!(
        "POST {}?{query} HTTP/1.1\r\nhost: surveys.example.com\r\ncontent-length: {}\r\n",
        webhook.path,
        body.len()
    );
    let signature = source.sign(&webhook, &chance.u64(..).to_string()).unwrap();
    for (name, value) in signature.into_iter().chain([form]) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    Sending {
        request: format!("{request}\r\n{body}").into_bytes(),
        call: call.to_owned(),
        question,
        answer: (!digits.is_empty()).then(|| digits.to_owned()),
    }
}
