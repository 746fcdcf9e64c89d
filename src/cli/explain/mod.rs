//! `explain`: what would become of a webhook.

mod curl;
mod explained;
mod message;

use std::cell::OnceCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use uuid::Uuid;

use super::payload::{self, GivenMethod, Payload};
use super::preview::{Preview, Trust};
use super::{Failure, InspectedSettings, Output, watch};
use crate::domain::{Method, WebhookId};
use crate::settings::Settings;
use crate::source::{SignatureAttempt, Source};

pub(super) use explained::{Arrived, Explained};
pub(super) use message::Message;

use message::Content;

#[derive(Debug, Args)]
#[command(after_help = WHAT_IS_READ)]
pub(super) struct Explain {
    /// What arrived, in order; `-` or none reads the standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The source that it came to; without it, the one that the request's path names
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// How a bare body came
    #[arg(long, value_enum, value_name = "METHOD", ignore_case = true)]
    method: Option<GivenMethod>,
    /// The query that a bare body came with, without the `?`
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// A header that a bare body came with: 'Content-Type: application/json'
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = payload::header)]
    headers: Vec<(String, String)>,
    /// When it arrived, for signatures that grow old: 2026-05-04T10:00:00Z; now without it
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Print each text that the signature may have been made over, and where it was looked for
    #[arg(long)]
    explain_signature: bool,
    /// Explain again whenever the settings file or a FILE changes, until Ctrl-C; the standard input is read
    /// once
    #[arg(long)]
    watch: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    settings: InspectedSettings,
    /// The content of the standard input, once it is read.
    #[arg(skip)]
    stdin: OnceCell<Vec<u8>>,
}

const WHAT_IS_READ: &str = "\
A file holds a request as it went over the wire:

    POST /hooks/ivr?question=score HTTP/1.1
    Content-Type: application/x-www-form-urlencoded

    CallUUID=my-call-1&Digits=4

or what `curl -v` logged of one, with `> ` before each line, or several of these one after another,
or the curl command that `postcall sign` prints. Anything else is a bare body, which needs --source.
All are taken for webhooks that arrived in this order; nothing is kept and nothing is sent. A webhook whose
signature is missing or wrong is reported, and explained all the same.

Exit codes: 0 explained, or --watch ended by Ctrl-C; 1 the service would refuse one of the webhooks, 2 usage
or a file that cannot be read, 78 bad settings.";

/// Longest file that is read, in bytes: many times what the public listener takes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

impl Explain {
    pub(super) fn run(self) -> Result<(), Failure> {
        let as_asked = |failure: Failure| match self.output {
            Output::Text => failure,
            Output::Json => failure.printed_as_json(),
        };
        let explain = || self.explain().map_err(as_asked);
        if !self.watch {
            return explain();
        }
        let files = self.files.iter().filter(|file| !is_stdin(file)).cloned();
        let settings = self.settings.file.find().map_err(as_asked)?;
        let watched: Vec<_> = std::iter::once(settings).chain(files).collect();
        watch::repeat(&watched, explain)
    }

    fn explain(&self) -> Result<(), Failure> {
        let settings = self.settings.load_with_notes()?;
        let mut preview = Preview::of(&settings);
        let mut explained = Explained::default();
        let first = self.at.unwrap_or_else(Timestamp::now);
        for ((from, message), after) in self.messages()?.into_iter().zip(0..) {
            // Of one instant the service would not know which came last.
            let at = first.checked_add(Duration::from_micros(after)).unwrap_or(first);
            let source = self.source_of(&settings, &message.payload)?;
            let received = preview.receive(source, &message.payload, at, Trust::Anybody);
            let tried = self.tried(source, &message.payload, at);
            let arrived = Arrived { from, source, message: &message, at, tried };
            explained.webhook(arrived, &received, &preview);
        }
        explained.submissions(&mut preview, &settings);
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Text => write!(out, "{explained}")?,
            Output::Json => writeln!(out, "{:#}", explained.to_json())?,
        }
        if explained.is_rejected() { Err(Failure::Printed(1)) } else { Ok(()) }
    }

    /// With the name of the file that each comes from.
    fn messages(&self) -> Result<Vec<(String, Message)>, Failure> {
        let stdin = [PathBuf::from("-")];
        let mut all = Vec::new();
        for file in if self.files.is_empty() { &stdin } else { self.files.as_slice() } {
            let name =
                if is_stdin(file) { "standard input".into() } else { file.to_string_lossy() };
            let content = self
                .bytes(file)
                .map_err(|error| Failure::InvalidInput(format!("cannot read {name}: {error}")))?;
            let content = message::read(&content)
                .map_err(|error| Failure::InvalidInput(format!("{name}, {error}")))?;
            let messages = match content {
                Content::Messages(messages) if self.describes_a_body() => {
                    let first = &messages[0].payload.path;
                    return Err(Failure::InvalidInput(format!(
                        "{name} holds a request to {first}: --method, --query and --header are \
                         for a bare body; write them into the request"
                    )));
                }
                Content::Messages(messages) => messages,
                Content::Body(body) => vec![self.around(body)?],
            };
            all.extend(messages.into_iter().map(|message| (name.clone().into_owned(), message)));
        }
        Ok(all)
    }

    fn bytes(&self, file: &Path) -> std::io::Result<Vec<u8>> {
        // A GET has no body, so nothing is read.
        if self.files.is_empty() && matches!(self.method, Some(GivenMethod::Get)) {
            return Ok(Vec::new());
        }
        if let Some(read) = self.stdin.get().filter(|_| is_stdin(file)) {
            return Ok(read.clone());
        }
        let read = super::read_file(file, FILE_BYTES_MAX)?;
        if self.watch && is_stdin(file) {
            let _ = self.stdin.set(read.clone());
        }
        Ok(read)
    }

    fn describes_a_body(&self) -> bool {
        self.method.is_some() || self.query.is_some() || !self.headers.is_empty()
    }

    /// The request that a bare body came in.
    fn around(&self, body: Vec<u8>) -> Result<Message, Failure> {
        let Some(source) = &self.source else {
            return Err(Failure::InvalidInput(
                "a bare body does not say where it came to: --source NAME".to_owned(),
            ));
        };
        let payload = Payload {
            method: self.method.map_or(Method::Post, Method::from),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body,
            ..Payload::to(source)
        };
        Ok(Message { payload: payload.with_type(), notes: Vec::new() })
    }

    /// Nothing where it was not asked for, or where no signature is even looked at.
    fn tried(
        &self,
        source: &Source,
        payload: &Payload,
        at: Timestamp,
    ) -> Option<Vec<SignatureAttempt>> {
        let webhook = payload.webhook(WebhookId(Uuid::nil()), at);
        self.explain_signature.then(|| source.explain_signature(&webhook).unwrap_or_default())
    }

    fn source_of<'a>(
        &self,
        settings: &'a Settings,
        payload: &Payload,
    ) -> Result<&'a Source, Failure> {
        let named = self.source.as_deref();
        let name = named.or_else(|| payload.path.rsplit('/').next()).unwrap_or_default();
        super::source(settings, name)
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}
