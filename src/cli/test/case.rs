use std::time::Duration;

use jiff::Timestamp;

use super::expected::Expectation;
use crate::cli::payload::Payload;
use crate::domain::{Advice, Method};
use crate::settings::{Context, Cursor, Diagnostic, Environment, Table, all, parse_duration};
use crate::source;

/// What a file of cases holds.
pub(super) struct Suite {
    /// A whole settings file of its own.
    pub settings: Option<OwnSettings>,
    pub cases: Vec<Case>,
}

pub(super) struct OwnSettings {
    pub text: String,
    /// The line before its first.
    pub line: usize,
    /// How many columns its lines are indented.
    pub indent: usize,
}

/// Some webhooks, and what they must come to.
pub(super) struct Case {
    pub name: String,
    pub line: usize,
    /// At least one, in order of arrival.
    pub webhooks: Vec<Step>,
    pub expect: Expectation,
}

/// One webhook.
pub(in crate::cli) struct Step {
    /// Its path in the file.
    pub path: String,
    /// Nothing where the settings' only one is meant.
    pub source: Option<String>,
    pub at: Timestamp,
    pub sender: Sender,
    /// What its sender has to hear.
    pub reply: Option<String>,
    /// Addressed to no one yet.
    payload: Payload,
}

/// Who sends a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Sender {
    /// The source's own: it is signed when it is sent.
    SignedPayload,
    /// The author of the case: it is sent as written.
    AsWritten,
    /// Who is believed without a signature, for senders that only themselves can sign for.
    Believed,
}

/// Where the time of a case starts, unless its file says otherwise.
const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Suite {
    /// # Errors
    /// Everything that is wrong with the text.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let context = context(file, text);
        let root = context.parse(text);
        let mut suite = root.and_then(|root| suite(&Cursor::free(&root, &context)));
        if let Some(own) = suite.as_mut().and_then(|suite| suite.settings.as_mut()) {
            own.indent = text.lines().nth(own.line).map_or(0, indentation);
        }
        match (context.into_sorted(), suite) {
            (faults, Some(suite)) if faults.is_empty() => Ok(suite),
            (faults, _) => Err(faults),
        }
    }
}

/// Webhooks alone, as a case has them.
///
/// # Errors
/// Everything that is wrong with the text.
pub(in crate::cli) fn parse_webhooks(text: &str) -> Result<Vec<Step>, Vec<Diagnostic>> {
    let context = context(WEBHOOKS_FILE, text);
    let root = context.parse(text);
    let webhooks = root.and_then(|root| webhooks(&Cursor::free(&root, &context), START));
    match (context.into_sorted(), webhooks) {
        (faults, Some(webhooks)) if faults.is_empty() => Ok(webhooks),
        (faults, _) => Err(faults),
    }
}

/// A fault of such a webhook, by its path.
pub(in crate::cli) fn fault_of_webhook(text: &str, path: &str, advice: Advice) -> Vec<Diagnostic> {
    fault(WEBHOOKS_FILE, text, path, advice)
}

/// The name of a text that is no file.
const WEBHOOKS_FILE: &str = "webhooks";

fn context(file: &str, text: &str) -> Context {
    Context::of(Some(file.into()), Environment::default()).showing(text)
}

/// A fault that shows when the case runs, with its line; `path` is that of a value of the file.
pub(super) fn fault(file: &str, text: &str, path: &str, advice: Advice) -> Vec<Diagnostic> {
    let context = context(file, text);
    if let Some(root) = context.parse(text) {
        Cursor::free(&root, &context).fault_below::<()>(path, advice);
    }
    context.into_sorted()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

impl Step {
    /// The request to the source of that name.
    pub fn payload(&self, source: &str) -> Payload {
        Payload { path: Payload::to(source).path, ..self.payload.clone() }
    }
}

fn suite(cursor: &Cursor<'_>) -> Option<Suite> {
    let table = cursor.table_of(&["settings", "starts", "cases"])?;
    let settings = table.get("settings").and_then(|cursor| {
        let text = cursor.written("a whole settings file as text: `settings: |`")?;
        Some(OwnSettings { text: text.to_owned(), line: cursor.line(), indent: 0 })
    });
    let start = table.get("starts").map_or(Some(START), |cursor| {
        const MOMENT: &str = "a moment such as 2026-05-04T10:00:00Z";
        let moment = cursor.written(MOMENT)?.parse().ok();
        moment.or_else(|| cursor.fault(format!("expected {MOMENT}")))
    });
    let cases = table.need("cases", &format!("a list of {CASE}"))?.list(CASE)?;
    let start = start.unwrap_or(START);
    Some(Suite { settings, cases: all(cases.iter().map(|cursor| case(cursor, start)))? })
}

const CASE: &str = "{ name: …, webhooks: […], expect: {…} }";

fn case(cursor: &Cursor<'_>, start: Timestamp) -> Option<Case> {
    const NAME: &str = "a sentence that says what happens";
    const EXPECT: &str = "what it comes to, such as { ignored: no_answer }";
    let table = cursor.table_of(&["name", "webhooks", "expect"])?;
    let name = table.need("name", NAME).and_then(|cursor| match cursor.written(NAME)? {
        "" => cursor.expected(NAME),
        name => Some(name.to_owned()),
    });
    let webhooks = table
        .need("webhooks", &format!("a list of {WEBHOOKS}"))
        .and_then(|cursor| webhooks(&cursor, start));
    let expect = table.need("expect", EXPECT).and_then(|cursor| Expectation::at(&cursor));
    Some(Case { name: name?, line: cursor.line(), webhooks: webhooks?, expect: expect? })
}

const WEBHOOKS: &str = "webhooks such as { source: ivr, form: \"CallUUID=c-1&Digits=4\" }";

fn webhooks(cursor: &Cursor<'_>, start: Timestamp) -> Option<Vec<Step>> {
    let items = cursor.list(WEBHOOKS)?;
    if items.is_empty() {
        return cursor.fault(format!("expected a list of {WEBHOOKS}, with one at least"));
    }
    let mut clock = Clock { start, named: start, now: start, has_run: false };
    all(items.iter().map(|cursor| step(cursor, &mut clock)))
}

/// The time of one case.
struct Clock {
    start: Timestamp,
    /// The latest moment that is written.
    named: Timestamp,
    /// When the last webhook arrived.
    now: Timestamp,
    /// A webhook has arrived.
    has_run: bool,
}

fn step(cursor: &Cursor<'_>, clock: &mut Clock) -> Option<Step> {
    let table = cursor.table_of(&[
        "source", "method", "query", "headers", "form", "json", "body", "at", "signed", "verified",
        "reply",
    ])?;
    let text = |key: &str, what: &str| {
        let cursor = table.get(key)?;
        cursor.written(what).map(str::to_owned)
    };
    let source = text("source", "the name of a source");
    let method = table.get("method").map_or(Some(Method::Post), |cursor| {
        cursor.word(&[("POST", Method::Post), ("GET", Method::Get)])
    });
    let query = table.get("query").map(|cursor| pairs(&cursor)).unwrap_or_default();
    let headers = table.get("headers").map_or(Some(Vec::new()), |cursor| headers(&cursor));
    let body = body(&table);
    let at = match table.get("at") {
        Some(cursor) => clock.moment(&cursor),
        None => Some(clock.next()),
    };
    clock.has_run = true;
    let sender = sender(&table);
    Some(Step {
        path: cursor.path().to_owned(),
        source,
        at: at?,
        sender: sender?,
        reply: text("reply", "what its sender hears"),
        payload: Payload {
            method: method?,
            query,
            headers: headers?,
            body: body?,
            ..Payload::to("")
        }
        .with_type(),
    })
}

/// Text as it is sent, or a table of names and values.
fn pairs(cursor: &Cursor<'_>) -> Option<String> {
    const WHAT: &str = "text such as \"CallUUID=c-1&Digits=4\", or a table of names and values";
    if !cursor.is_table() {
        return cursor.written(WHAT).map(str::to_owned);
    }
    let entries = cursor.entries(WHAT)?;
    let pairs: Option<Vec<_>> =
        entries.iter().map(|(name, cursor)| Some((*name, cursor.written("a value")?))).collect();
    Some(source::encode(pairs?))
}

fn headers(cursor: &Cursor<'_>) -> Option<Vec<(String, String)>> {
    let entries = cursor.entries("a table of names and values")?;
    let header = |(name, cursor): &(&str, Cursor<'_>)| {
        let text = cursor.written("the value of a header")?;
        Some(((*name).to_owned(), text.to_owned()))
    };
    entries.iter().map(header).collect()
}

fn body(table: &Table<'_>) -> Option<Vec<u8>> {
    let given = ["form", "json", "body"].map(|key| (key, table.get(key)));
    let mut given = given.into_iter().filter_map(|(key, cursor)| Some((key, cursor?)));
    let (key, cursor) = match (given.next(), given.next()) {
        (None, _) => return Some(Vec::new()),
        (Some(only), None) => only,
        (Some((one, _)), Some((other, cursor))) => {
            return cursor.fault(format!(
                "there is {one} already: a webhook has one of form, json, body; leave out {other}"
            ));
        }
    };
    match key {
        "form" => pairs(&cursor).map(String::into_bytes),
        "json" => Some(cursor.json().to_string().into_bytes()),
        _ => cursor.written("the body as it is sent").map(|text| text.as_bytes().to_vec()),
    }
}

fn sender(table: &Table<'_>) -> Option<Sender> {
    let signed = table.get("signed").map(|cursor| cursor.flag()).unwrap_or(Some(true));
    let verified = table.get("verified").map(|cursor| cursor.flag()).unwrap_or(Some(false));
    match (signed?, verified?) {
        (_, true) if table.get("signed").is_some() => table
            .cursor()
            .fault("a webhook that is verified: true is believed as it is; leave signed out"),
        (_, true) => Some(Sender::Believed),
        (true, false) => Some(Sender::SignedPayload),
        (false, false) => Some(Sender::AsWritten),
    }
}

impl Clock {
    /// The moment of a webhook that has none of its own. Of one instant the service would not know which came last.
    fn next(&mut self) -> Timestamp {
        if self.has_run {
            self.now = self.now.checked_add(Duration::from_micros(1)).unwrap_or(self.now);
        }
        self.now
    }

    /// A moment such as `2026-05-04T10:00:00Z`, or a time since the start of the case.
    fn moment(&mut self, cursor: &Cursor<'_>) -> Option<Timestamp> {
        const WHAT: &str = "a time since the start of the case such as 90s, 10m, 2h or 3d, or a moment such as \
             2026-05-04T10:00:00Z";
        let text = cursor.written(WHAT)?;
        let moment = match text.parse::<Timestamp>() {
            Ok(moment) if !self.has_run => {
                self.start = moment;
                self.named = moment;
                self.now = moment;
                moment
            }
            Ok(moment) => moment,
            Err(_) => {
                match parse_duration(text).and_then(|since| self.start.checked_add(since).ok()) {
                    Some(moment) => moment,
                    None => return cursor.expected(WHAT),
                }
            }
        };
        if moment < self.named {
            return cursor
                .fault("webhooks stand in the order in which they arrive: this one is earlier");
        }
        self.named = moment;
        self.now = self.now.max(moment);
        Some(self.now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = r#"settings: |
  public: { url: https://s.example.com }
starts: 2026-05-04T10:00:00Z
cases:
  - name: it happens
    webhooks:
      - { source: ivr, form: { a: "1" }, query: "question=score", at: 3d, signed: false }
      - { source: ivr, method: GET, json: [{ a: 1.5 }], at: 2026-06-04T10:00:00Z, headers: { x: y } }
    expect: { feedback: { rating: 4.5, issues: [ECHO], notes: "" }, call: c-1, answers: { a: 04 } }
  - &again { name: again, webhooks: [{ body: x, reply: y }], expect: [{ call: c-1, dead: unmapped }] }
  - *again
"#;

    #[test]
    fn a_file_of_cases_is_read_as_it_is_written() {
        let suite = Suite::parse("f", FILE).unwrap();
        let [first, ..] = &suite.cases[..] else { panic!("there are cases") };
        let [one, two] = &first.webhooks[..] else { panic!("there are two webhooks") };
        assert_eq!(one.at.to_string(), "2026-05-07T10:00:00Z");
        assert_eq!(two.at.to_string(), "2026-06-04T10:00:00Z");
        assert_eq!(one.payload("ivr").path, "/hooks/ivr");
        assert_eq!(one.payload("ivr").body, b"a=1");
        assert_eq!(two.payload("ivr").body, br#"[{"a":1.5}]"#);
        assert_eq!((one.sender, two.sender), (Sender::AsWritten, Sender::SignedPayload));
        assert_eq!(first.expect.calls[0].answers, [("a".to_owned(), "04".to_owned())]);
        assert_eq!(suite.cases.len(), 3);
    }

    #[test]
    fn webhooks_without_a_time_of_their_own_arrive_one_after_another() {
        let webhooks = "[{ at: 1s }, {}, { at: 1s }, { body: x }, { at: 2s }]";
        let steps = parse_webhooks(webhooks).unwrap();
        let since: Vec<_> =
            steps.iter().map(|step| step.at.duration_since(START).as_micros()).collect();
        assert_eq!(since, [1_000_000, 1_000_001, 1_000_001, 1_000_002, 2_000_000]);
    }

    proptest! {
        #[test]
        fn no_slip_of_the_hand_ends_in_a_panic(
            at in 0..FILE.len(),
            gone in 0..40usize,
            typed in "[a-z0-9 \\n:{}\\[\\]'\"#,.&*!|>~-]{0,8}",
        ) {
            let end = (at + gone).min(FILE.len());
            let text = format!("{}{typed}{}", &FILE[..at], &FILE[end..]);
            if let Err(faults) = Suite::parse("f", &text) {
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|it| it.to_string().starts_with("f:")), "{faults:?}");
            }
        }
    }
}
