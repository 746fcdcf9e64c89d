mod printed;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::message::Message;
use crate::cli::payload::Payload;
use crate::cli::preview::{Kept, Preview, Previewed, Received, Reply, Understood};
use crate::domain::{Answer, Feedback, WebhookId};
use crate::settings::Settings;
use crate::source::{Rejection, SignatureAttempt, SignatureError, Source};
use crate::submission::{AnswerValidity, CompletionPolicy, Mapping};
use crate::survey::{Mapped, Survey};

/// The explanation of some webhooks, as text and as JSON.
#[derive(Debug, Default, Serialize)]
pub(in crate::cli) struct Explained {
    webhooks: Vec<Webhook>,
    submissions: Vec<Assembled>,
}

/// One webhook, as the service would see it.
#[derive(Debug, Serialize)]
struct Webhook {
    /// The file that it was read from.
    from: String,
    source: String,
    method: &'static str,
    path: String,
    query: Option<String>,
    content_type: Option<String>,
    body_bytes: usize,
    at: String,
    /// What is odd about how it was written down.
    notes: Vec<String>,
    schemes: Vec<&'static str>,
    /// How its signature was looked for, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<Vec<SignatureAttempt>>,
    /// Why it would not be taken.
    rejected: Option<RejectedWebhook>,
    /// Nothing where it could not be read.
    read: Option<Reading>,
    reply: Reply,
    /// What its sender would hear if it were believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_if_believed: Option<Reply>,
}

#[derive(Debug, Serialize)]
struct RejectedWebhook {
    reason: &'static str,
    detail: String,
    /// Whether it was read all the same.
    explained: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Reading {
    Skipped { skipped: bool },
    Kept(AnswerTrace),
}

/// What a webhook says.
#[derive(Debug, Serialize)]
struct AnswerTrace {
    call: String,
    answers: Vec<Heeded>,
    fields: BTreeMap<String, String>,
    hung_up: bool,
    opted_out: bool,
    id: Option<String>,
}

/// One answer, and how it counts.
#[derive(Debug, Serialize)]
struct Heeded {
    question: String,
    /// Nothing for silence.
    answer: Option<String>,
    reader: String,
    standing: &'static str,
}

/// What the webhooks of one call come to.
#[derive(Debug, Serialize)]
struct Assembled {
    id: String,
    account: String,
    survey: String,
    call: String,
    /// In order of arrival.
    answers: Vec<Heeded>,
    complete: bool,
    due_at: String,
    /// Seconds after the last webhook.
    due_in: f64,
    outcome: Outcome,
    #[serde(skip)]
    trace_text: String,
    trace: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Feedback { feedback: Value, request: Request },
    Ignored { reason: &'static str, detail: Option<String> },
    Dead { reason: &'static str, detail: String },
}

#[derive(Debug, Serialize)]
struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// A webhook as it was given.
pub(in crate::cli) struct Arrived<'a> {
    pub from: String,
    pub source: &'a Source,
    pub message: &'a Message,
    pub at: Timestamp,
    /// How its signature was looked for, where that was asked.
    pub tried: Option<Vec<SignatureAttempt>>,
}

impl Explained {
    /// Adds the result of a webhook that was just received.
    pub fn webhook(&mut self, arrived: Arrived<'_>, received: &Received, preview: &Preview<'_>) {
        let Arrived { from, source, message, at, tried } = arrived;
        let payload = &message.payload;
        let explained = received.understood.is_ok();
        let rejected = match (&received.disbelieved, &received.understood) {
            (Some(rejected), _) => Some((rejected.label(), rejected.to_string())),
            (None, Err(refusal)) => Some((refusal.label(), refusal.to_string())),
            (None, Ok(_)) => None,
        };
        let mut notes = message.notes.clone();
        if let (Some(_), Err(refusal)) = (&received.disbelieved, &received.understood) {
            notes.push(format!("nor could it be read: {refusal}"));
        }
        if let Some(Rejection::Signature(SignatureError::Missing)) = &received.disbelieved {
            notes.extend(signing_headers(source, payload, at));
        }
        if received.disbelieved.is_some() {
            notes.extend(other_host(source, payload));
        }
        self.webhooks.push(Webhook {
            from,
            source: source.name.to_string(),
            method: payload.method.name(),
            path: payload.path.clone(),
            query: payload.query.clone(),
            content_type: payload.header("content-type").map(str::to_owned),
            body_bytes: payload.body.len(),
            at: at.to_string(),
            notes,
            schemes: source.signature.labels(),
            tried,
            rejected: rejected.map(|(reason, detail)| RejectedWebhook {
                reason,
                detail,
                explained,
            }),
            read: received.understood.as_ref().ok().map(|read| reading(read, preview)),
            reply: received.reply_in_earnest.as_ref().unwrap_or(&received.reply).clone(),
            reply_if_believed: received
                .reply_in_earnest
                .as_ref()
                .filter(|_| explained)
                .map(|_| received.reply.clone()),
        });
    }

    /// Adds what the webhooks come to, once nothing more comes.
    pub fn submissions(&mut self, preview: &mut Preview<'_>, settings: &Settings) {
        preview.finish();
        let submissions = preview.submissions().iter();
        self.submissions = submissions.filter_map(|it| assembled(it, settings)).collect();
    }

    /// Whether the service would refuse any of the webhooks.
    pub fn is_rejected(&self) -> bool {
        self.webhooks.iter().any(|webhook| webhook.rejected.is_some())
    }

    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("it is made of texts, numbers and lists")
    }
}

/// Which headers the source signs with, of each of its schemes.
fn signing_headers(source: &Source, payload: &Payload, at: Timestamp) -> Option<String> {
    let webhook = payload.webhook(WebhookId(Uuid::nil()), at);
    let attempts = source.explain_signature(&webhook).ok()?;
    let headers: BTreeSet<_> =
        attempts.iter().flat_map(|tried| &tried.headers).map(|(name, _)| name.as_str()).collect();
    let headers: Vec<_> = headers.into_iter().collect();
    Some(format!("the source signs with {}", headers.join(", ")))
}

/// Where the sender called another address than the settings have, and signed that.
fn other_host(source: &Source, payload: &Payload) -> Option<String> {
    let host = payload.header("host")?;
    let called = source.url.at(&payload.path);
    let is_known = called.split("://").nth(1).is_some_and(|it| it.split('/').next() == Some(host));
    (source.signature.signs_address() && !is_known).then(|| {
        format!(
            "its Host is {host}, and the settings (public.url, or the source's url) have {called}: \
             what the sender calls is what it signs"
        )
    })
}

fn reading(understood: &Understood, preview: &Preview<'_>) -> Reading {
    let Understood::Kept(Kept { call, report, id, submission, .. }) = understood else {
        return Reading::Skipped { skipped: true };
    };
    let survey = &preview.submissions()[*submission].survey;
    let answers =
        report.answers.iter().map(|it| heeded(survey, &it.question, &it.answer, &it.reader));
    Reading::Kept(AnswerTrace {
        call: call.to_string(),
        answers: answers.collect(),
        fields: report
            .fields
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect(),
        hung_up: report.hung_up,
        opted_out: report.opted_out,
        id: id.clone(),
    })
}

/// `None` if nothing was received.
fn assembled(submission: &Previewed, settings: &Settings) -> Option<Assembled> {
    let Previewed { key, survey, submission: merged, mapped } = submission;
    let (answers, mapped) = (merged.as_ref()?.answers(), mapped.as_ref()?);
    let due = submission.due()?;
    let last = answers.last_new_at()?;
    Some(Assembled {
        id: key.id().to_string(),
        account: key.account.to_string(),
        survey: key.survey.to_string(),
        call: key.call.to_string(),
        answers: answers
            .recorded()
            .map(|it| heeded(survey, &it.question, &it.answer, &it.reader))
            .collect(),
        complete: due.complete,
        due_at: due.at.to_string(),
        due_in: due.at.duration_since(last).as_secs_f64(),
        outcome: outcome(submission, mapped, settings),
        trace_text: mapped.trace.to_string(),
        trace: serde_json::from_str(&mapped.trace.to_json()).unwrap_or_default(),
    })
}

fn outcome(submission: &Previewed, mapped: &Mapped, settings: &Settings) -> Outcome {
    match &mapped.mapping {
        Mapping::Feedback(feedback) => Outcome::Feedback {
            feedback: spelled(feedback),
            request: request(submission, feedback, settings),
        },
        Mapping::Ignore { reason, detail } => {
            Outcome::Ignored { reason: reason.label(), detail: detail.clone() }
        }
        Mapping::Dead { reason, detail } => {
            Outcome::Dead { reason: reason.label(), detail: detail.clone() }
        }
    }
}

fn spelled(feedback: &Feedback) -> Value {
    let issues: Vec<&str> = feedback.issues().map(|issue| issue.name()).collect();
    json!({ "rating": feedback.rating(), "issues": issues, "notes": feedback.notes() })
}

/// As it would leave, but for the token.
fn request(submission: &Previewed, feedback: &Feedback, settings: &Settings) -> Request {
    let destination = &settings.accounts[&submission.key.account];
    let request = destination.request(&submission.key.call, feedback);
    Request {
        method: "POST",
        url: request.url,
        headers: vec![
            ("Authorization", request.authorization.to_string()),
            ("Content-Type", request.content_type.to_owned()),
        ],
        body: request.body,
    }
}

/// How an answer counts.
fn heeded(survey: &Survey, question: &str, answer: &Answer, reader: &str) -> Heeded {
    let text = answer.text();
    Heeded {
        question: question.to_owned(),
        answer: (!text.is_empty()).then(|| text.to_owned()),
        reader: reader.to_owned(),
        standing: match survey.validity(question, answer) {
            AnswerValidity::Silence => "silence",
            AnswerValidity::OutsideDomain => "outside the domain",
            AnswerValidity::InDomain => "in the domain",
        },
    }
}
