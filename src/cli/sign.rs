use std::fs;
use std::io::{Read, Write};

use anyhow::{Context, anyhow};
use clap::{ArgGroup, Args};
use jiff::Timestamp;
use uuid::Uuid;

use super::output::warn;
use super::payload::{self, GivenMethod, Payload};
use super::{Failure, InspectedSettings};
use crate::domain::{Advice, CallUuid, Method, WebhookId};
use crate::source::{ComposedAnswer, Source};
use crate::survey::Survey;

#[derive(Debug, Args)]
#[command(
    after_help = "--call and --digits build the request that the source's sender sends, from what the \
source reads; --query adds to it. --form, --json and --body send any other request. A call id that begins \
with postcall-test- is a test, however it is sent."
)]
#[command(group = ArgGroup::new("content").required(true).multiple(true).args(["digits", "form", "json", "body", "query"]))]
#[command(group = ArgGroup::new("as_body").multiple(false).args(["form", "json", "body"]))]
#[command(group = ArgGroup::new("composed").multiple(true).args(["call", "test", "question", "digits"]).conflicts_with("given"))]
#[command(group = ArgGroup::new("subject").multiple(false).args(["call", "test"]))]
#[command(group = ArgGroup::new("given").multiple(true).args(["form", "json", "body", "method", "headers"]))]
pub(super) struct Sign {
    /// A source of the settings
    source: String,
    /// The call that is rated: 1 to 64 letters, digits or hyphens
    #[arg(long, value_name = "ID", requires = "digits")]
    call: Option<CallUuid>,
    /// A test in place of a call: kept and shown by `postcall submissions`, never delivered
    #[arg(long, requires = "digits")]
    test: bool,
    /// The question that is answered; the survey's first without it
    #[arg(long, value_name = "NAME", requires = "digits")]
    question: Option<String>,
    /// What the caller pressed or said; empty for silence
    #[arg(long, visible_alias = "answer", value_name = "ANSWER", requires = "subject")]
    digits: Option<String>,
    /// A form as it is sent: 'CallSid=CA1&Digits=4'; @FILE reads it from a file, @- from the
    /// standard input
    #[arg(long, value_name = "TEXT")]
    form: Option<String>,
    /// JSON as it is sent, or @FILE
    #[arg(long, value_name = "TEXT")]
    json: Option<String>,
    /// Any body as it is sent, or @FILE; say what it is with --header
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// How it is sent; a GET has its form in the query
    #[arg(long, value_enum, value_name = "METHOD", ignore_case = true, default_value = "POST")]
    method: GivenMethod,
    /// The query that it is sent with, without the `?`
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// A header that it is sent with: 'Content-Type: application/json'
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = payload::header)]
    headers: Vec<(String, String)>,
    /// Address it there, not to the address that is signed: http://127.0.0.1:8080
    #[arg(long, value_name = "ORIGIN")]
    to: Option<String>,
    /// Post it instead of printing it, print the response, and fail unless the webhook is stored
    #[arg(long)]
    send: bool,
    #[command(flatten)]
    settings: InspectedSettings,
}

impl Sign {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = self.settings.load()?;
        let source = super::source(&settings, &self.source)?;
        let survey = &settings.surveys[&source.survey];
        let payload = self.payload(source, survey.first_question().as_str())?;
        if let Some(warning) = self.unknown_question(source, survey) {
            warn(warning);
        }
        let nonce = Uuid::now_v7().simple().to_string();
        let signed = payload.signed(source, &nonce, Timestamp::now()).context("signing")?;
        let url = match &self.to {
            Some(origin) => signed.url(&format!("{}{}", origin.trim_end_matches('/'), signed.path)),
            None => signed.url(&source.url.at(&signed.path)),
        };
        if self.send {
            return super::post::post(signed, &url);
        }
        writeln!(std::io::stdout(), "{}", curl(&signed, &url))?;
        Ok(())
    }

    /// It is signed all the same: how the service takes it may be what is tried.
    fn unknown_question(&self, source: &Source, survey: &Survey) -> Option<Advice> {
        let named = self.question.as_deref()?;
        let known: Vec<&str> = survey.questions().map(|name| name.as_str()).collect();
        let message = format!("survey {} has no question {named:?}", source.survey);
        (!known.contains(&named)).then(|| Advice::unknown_name(message, named, &known))
    }

    fn payload(&self, source: &Source, first_question: &str) -> Result<Payload, Failure> {
        let name = source.name.as_str();
        let test = self.test.then(|| CallUuid::of_test(Uuid::now_v7()));
        if let (Some(call), Some(answer)) = (self.call.as_ref().or(test.as_ref()), &self.digits) {
            let (call, question) = (call.as_str(), self.question.as_deref());
            let sample = ComposedAnswer { call, question, first_question, answer };
            let composed = source.compose(&sample).with_context(|| format!("source {name}"))?;
            let mut payload = Payload::of(composed);
            if let Some(added) = &self.query {
                payload.query = Some(with_added(payload.query.as_deref(), added));
            }
            if test.is_some() {
                let read =
                    source.call_of(&payload.webhook(WebhookId(Uuid::nil()), Timestamp::now()));
                if read != test {
                    return Err(anyhow!(
                        "--query names another call than the test's: leave that out"
                    )
                    .into());
                }
            }
            return Ok(payload);
        }
        let mut payload = Payload {
            method: self.method.into(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            ..Payload::to(name)
        };
        let given = [
            (&self.form, Some(payload::FORM)),
            (&self.json, Some(payload::JSON)),
            (&self.body, None),
        ];
        for (given, kind) in given {
            let Some(given) = given else { continue };
            let body = text(given)?;
            if payload.method == Method::Get {
                payload.query = Some(joined(payload.query, &body));
                continue;
            }
            payload.body = body.into_bytes();
            payload = match kind {
                Some(kind) => payload.with_type_of(kind),
                None => payload.with_type(),
            };
        }
        Ok(payload)
    }
}

/// The query with `added`, whose fields replace those of the same name.
fn with_added(query: Option<&str>, added: &str) -> String {
    let name = |field: &str| field.split('=').next().unwrap_or_default().to_owned();
    let names: Vec<_> = added.split('&').map(name).collect();
    let kept = query.unwrap_or_default().split('&');
    let kept = kept.filter(|field| !field.is_empty() && !names.contains(&name(field)));
    kept.chain([added]).collect::<Vec<_>>().join("&")
}

fn joined(query: Option<String>, form: &str) -> String {
    match query {
        Some(query) if !query.is_empty() => format!("{query}&{form}"),
        _ => form.to_owned(),
    }
}

/// As curl takes it: `@` and a file, or the text itself.
fn text(given: &str) -> Result<String, Failure> {
    let read = match given.strip_prefix('@') {
        None => return Ok(given.to_owned()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        Some(file) => fs::read_to_string(file),
    };
    let unreadable = |error| Failure::InvalidInput(format!("cannot read {}: {error}", &given[1..]));
    read.map_err(unreadable)
}

fn curl(signed: &Payload, url: &str) -> String {
    let mut line = format!("curl -sS -i -X {} {}", signed.method.name(), quoted(url));
    for (name, value) in &signed.headers {
        line.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    if signed.method == Method::Post {
        // curl takes an `@` for the name of a file.
        let data = if signed.body.starts_with(b"@") { "--data-raw" } else { "--data" };
        line.push_str(&format!(" {data} {}", quoted(&String::from_utf8_lossy(&signed.body))));
    }
    line
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
