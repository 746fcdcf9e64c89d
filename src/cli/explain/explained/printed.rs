//! The explanation as text.

use std::fmt;

use jiff::SignedDuration;

use super::{AnswerTrace, Assembled, Explained, Heeded, Outcome, Reading, Webhook};
use crate::cli::preview::Reply;
use crate::source::SignatureAttempt;
use crate::submission::State;

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (webhook, number) in self.webhooks.iter().zip(1..) {
            writeln!(f, "webhook {number}, from {}", webhook.from)?;
            writeln!(f, "{webhook}")?;
        }
        for submission in &self.submissions {
            write!(f, "{submission}")?;
        }
        if self.submissions.is_empty() {
            writeln!(f, "Nothing would be stored, so nothing would be sent.")?;
        }
        Ok(())
    }
}

impl Explained {
    /// What each step makes of it, in order: the step, of what, and the text.
    pub fn steps(&self) -> Vec<(&'static str, String, String)> {
        let webhooks = || {
            let named = |(it, number): (_, usize)| (it, format!("webhook {number}"));
            self.webhooks.iter().zip(1..).map(named)
        };
        let calls = || self.submissions.iter().map(|it| (it, format!("call {}", it.call)));
        let extracted = webhooks().map(|(it, subject)| {
            ("extract", subject, fmt::from_fn(|f| it.extracted(f)).to_string())
        });
        let merged = calls()
            .map(|(it, subject)| ("merge", subject, fmt::from_fn(|f| it.merged(f)).to_string()));
        let mapped = calls()
            .map(|(it, subject)| ("map", subject, fmt::from_fn(|f| it.mapped(f)).to_string()));
        let requested = calls().filter_map(|(it, subject)| {
            let text = fmt::from_fn(|f| it.requested(f)).to_string();
            (!text.is_empty()).then_some(("request", subject, text))
        });
        let replied = webhooks().map(|(it, subject)| {
            ("reply", subject, fmt::from_fn(|f| row(f, "reply", &reply(&it.reply))).to_string())
        });
        let steps = extracted.chain(merged).chain(mapped).chain(requested).chain(replied);
        steps.collect()
    }
}

/// One line under its head; further lines of `text` stand below the first.
fn row(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    writeln!(f, "{}", format!("  {head:<11} {first}").trim_end())?;
    lines.try_for_each(|line| writeln!(f, "{}", format!("{:<14}{line}", "").trim_end()))
}

impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        row(f, "request", &format!("{} {}{query}", self.method, self.path))?;
        if self.body_bytes > 0 {
            let kind = self.content_type.as_deref().unwrap_or("no type");
            row(f, "body", &format!("{} bytes, {kind}", self.body_bytes))?;
        }
        for note in &self.notes {
            row(f, "note", note)?;
        }
        let schemes = self.schemes.join(", ");
        match &self.rejected {
            None if self.schemes == ["none"] => row(f, "signature", "none is asked for")?,
            None => row(f, "signature", &format!("holds ({schemes})"))?,
            Some(rejected) => {
                row(f, "REJECTED", &format!("{}: {}", rejected.reason, rejected.detail))?;
                if rejected.explained {
                    row(f, "", "what follows is what it would come to if it were believed")?;
                }
            }
        }
        let mut known = None;
        for tried in self.tried.iter().flatten() {
            if known != Some((tried.scheme, &tried.headers)) {
                row(f, "looked at", &looked_at(tried))?;
                known = Some((tried.scheme, &tried.headers));
            }
            row(f, "tried", &verdict(tried))?;
        }
        self.read(f)?;
        row(f, "reply", &reply(&self.reply))?;
        match &self.reply_if_believed {
            Some(believed) => row(f, "if signed", &reply(believed)),
            None => Ok(()),
        }
    }
}

impl Webhook {
    /// Without its signature.
    fn extracted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rejected) = &self.rejected {
            row(f, "REJECTED", &format!("{}: {}", rejected.reason, rejected.detail))?;
        }
        self.read(f)
    }

    fn read(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.read {
            None => Ok(()),
            Some(Reading::Skipped { .. }) => {
                row(f, "skipped", "it is none of this source's webhooks")
            }
            Some(Reading::Kept(reported)) => fmt::Display::fmt(reported, f),
        }
    }
}

impl fmt::Display for AnswerTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "call", &self.call)?;
        for heeded in &self.answers {
            row(f, "answer", &format!("{heeded}, from {}", heeded.reader))?;
        }
        for (name, value) in &self.fields {
            row(f, "field", &format!("{name} = {value:?}"))?;
        }
        if self.hung_up {
            row(f, "hang-up", "the call is over")?;
        }
        if self.opted_out {
            row(f, "opt-out", "the caller does not want to be asked")?;
        }
        match &self.id {
            Some(id) => row(f, "id", id),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Heeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Some(answer) => write!(f, "{} = {answer:?} ({})", self.question, self.standing),
            None => write!(f, "{}: {}", self.question, self.standing),
        }
    }
}

/// Whether there is a signature and it matches, and what it is made over.
fn verdict(SignatureAttempt { headers, signed, matches, .. }: &SignatureAttempt) -> String {
    let is_there = headers.iter().any(|(_, count)| *count > 0);
    let (verdict, over) = match (matches, is_there) {
        (true, _) => ("it matches", " what is made over"),
        (false, true) => ("it does not match", " what is made over"),
        (false, false) => ("there is none", ": it would be made over"),
    };
    match signed {
        Some(signed) => format!("{verdict}{over}\n{signed}"),
        None => verdict.to_owned(),
    }
}

/// Where a signature should stand.
fn looked_at(SignatureAttempt { scheme, headers, .. }: &SignatureAttempt) -> String {
    let headers = headers.iter().map(|(name, count)| match count {
        0 => format!("{name} (missing)"),
        1 => name.clone(),
        count => format!("{name} ({count} times)"),
    });
    format!("{} ({scheme})", headers.collect::<Vec<_>>().join(", "))
}

fn reply(reply: &Reply) -> String {
    let Reply { status, content_type, headers, body } = reply;
    let mut text = format!("{status} {}", content_type.unwrap_or("without a body"));
    for (name, value) in headers {
        text.push_str(&format!("\n{name}: {value}"));
    }
    if !body.is_empty() {
        text.push_str(&format!("\n{body}"));
    }
    text
}

impl Assembled {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.trace_text.is_empty() { Ok(()) } else { row(f, "trace", &self.trace_text) }
    }

    fn merged(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "submission", &self.id)?;
        for heeded in &self.answers {
            row(f, "said", &heeded.to_string())?;
        }
        let wait = SignedDuration::try_from_secs_f64(self.due_in).unwrap_or_default();
        let due = format!("due {wait:#} after the last word");
        if self.complete {
            row(f, "complete", &due)
        } else {
            row(f, State::Collecting.label(), &format!("{due}, if nothing more comes"))
        }
    }

    fn mapped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Feedback { feedback, .. } => row(f, "feedback", &feedback.to_string())?,
            Outcome::Ignored { reason, detail } => {
                let detail = detail.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
                row(f, "ignored", &format!("{reason}{detail}"))?;
            }
            Outcome::Dead { reason, detail } => row(f, "DEAD", &format!("{reason}: {detail}"))?,
        }
        self.trace(f)
    }

    fn requested(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome::Feedback { request, .. } = &self.outcome else { return Ok(()) };
        row(f, "request", &format!("{} {}", request.method, request.url))?;
        for (name, value) in &request.headers {
            row(f, "", &format!("{name}: {value}"))?;
        }
        row(f, "", &request.body)
    }
}

impl fmt::Display for Assembled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, survey, account, .. } = self;
        writeln!(f, "call {call}, survey {survey}, account {account}")?;
        self.merged(f)?;
        self.mapped(f)?;
        self.requested(f)
    }
}
