use std::fs;
use std::io::{Read, Write};

use anyhow::{Context, anyhow};
use clap::{ArgGroup, Args};
use jiff::Timestamp;
use uuid::Uuid;

use super::payload::{self, GivenMethod, Payload, method_name};
use super::{Failure, SettingsFile};
use crate::domain::{CallUuid, Method};
use crate::source::{Accepts, Source};

#[derive(Debug, Args)]
#[command(
    after_help = "--call and --digits make a callback as Plivo sends it; --form, --json, --body and \
--query send whatever another sender does."
)]
#[command(group = ArgGroup::new("said").required(true).multiple(true).args(["digits", "form", "json", "body", "query"]))]
#[command(group = ArgGroup::new("as_body").multiple(false).args(["form", "json", "body"]))]
#[command(group = ArgGroup::new("as_plivo").multiple(true).args(["call", "question", "digits"]).conflicts_with("as_sent"))]
#[command(group = ArgGroup::new("as_sent").multiple(true).args(["form", "json", "body", "method", "query", "headers"]))]
pub(super) struct Sign {
    /// A source of the settings
    source: String,
    /// The call that is rated: 1 to 64 letters, digits or hyphens
    #[arg(long, value_name = "ID", requires = "digits")]
    call: Option<CallUuid>,
    /// The question that is answered; the survey's first without it
    #[arg(long, value_name = "NAME", requires = "digits")]
    question: Option<String>,
    /// What the caller pressed; empty for silence
    #[arg(long, value_name = "DIGITS", requires = "call")]
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
    /// Send it there, not to the address that is signed: http://127.0.0.1:8080
    #[arg(long, value_name = "ORIGIN")]
    to: Option<String>,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Sign {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = self.settings.load()?;
        let source = super::source(&settings, &self.source)?;
        let payload = self.payload(source)?;
        let nonce = Uuid::now_v7().simple().to_string();
        let signed = payload.signed(source, &nonce, Timestamp::now()).context("signing")?;
        let url = match &self.to {
            Some(origin) => signed.url(&format!("{}{}", origin.trim_end_matches('/'), signed.path)),
            None => signed.url(&source.url.at(&signed.path)),
        };
        writeln!(std::io::stdout(), "{}", curl(&signed, &url))?;
        Ok(())
    }

    fn payload(&self, source: &Source) -> Result<Payload, Failure> {
        let name = source.name.as_str();
        if let (Some(call), Some(digits)) = (&self.call, &self.digits) {
            if source.accepts == Accepts::Json {
                let message = "takes JSON, and --call and --digits make a form: give --json";
                return Err(anyhow!("source {name} {message}").into());
            }
            return Ok(Payload::pressed(name, call.as_str(), self.question.as_deref(), digits));
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
    let unreadable = |error| Failure::Unreadable(format!("cannot read {}: {error}", &given[1..]));
    read.map_err(unreadable)
}

fn curl(signed: &Payload, url: &str) -> String {
    let mut line = format!("curl -sS -i -X {} {}", method_name(signed.method), quoted(url));
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
