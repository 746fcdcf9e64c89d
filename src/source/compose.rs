//! A request as a source's sender would send it, built from the source's own extractors.

use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::extractor::{Condition, Extractor};
use super::form::{Form, encode};
use super::path::{FieldPath, split};
use super::read::Asked;
use super::signature::Scheme;
use super::{Accepts, Source};
use crate::domain::{Answer, CallUuid, Headers, Method, Webhook, WebhookId};

/// The content of a composed request: one answer to one question about one call.
#[derive(Debug, Clone, Copy)]
pub struct ComposedAnswer<'a> {
    pub call: &'a str,
    /// None names no question in the request, if the source permits that.
    pub question: Option<&'a str>,
    /// The survey's first question.
    pub first_question: &'a str,
    /// Empty for silence.
    pub answer: &'a str,
}

/// Why no request of a source can be composed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotCompose {
    #[error("the source reads no question {0:?}; one of {1}")]
    UnknownQuestion(String, String),
    #[error(
        "no request can be built from what the source reads: give the request with --form, --json or --body"
    )]
    NoPlace,
}

/// Most combinations of extractors that are tried.
const TRIALS_MAX: usize = 4096;

/// A request that is being filled in. Text within text is written by the steps of a path.
#[derive(Debug, Clone, Default)]
struct Draft {
    form: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    json: Value,
}

impl Source {
    /// Builds the request in which this source's sender reports `sample`, unsigned: the first
    /// combination of the source's extractors whose request is read back as exactly that.
    ///
    /// # Errors
    /// The source does not read the question, or nothing that can be written is read back.
    pub fn compose(&self, sample: &ComposedAnswer<'_>) -> Result<Webhook, CannotCompose> {
        let (question, answers) = match &self.readers.asked {
            Asked::One { question, answer } => (question.as_slice(), answer.as_slice()),
            Asked::Several(several) => {
                let asked = sample.question.unwrap_or(sample.first_question);
                let found = several.iter().find(|(name, _)| name.as_str() == asked);
                let (_, extractors) = found.ok_or_else(|| {
                    let known: Vec<_> = several.iter().map(|(name, _)| name.as_str()).collect();
                    CannotCompose::UnknownQuestion(asked.to_owned(), known.join(", "))
                })?;
                (&[][..], extractors.as_slice())
            }
        };
        let named = sample.question.filter(|_| !question.is_empty());
        let filters: Vec<Option<&Condition>> = some(&self.readers.filter);
        let questions: Vec<Option<&Extractor>> =
            if named.is_some() { question.iter().map(Some).collect() } else { vec![None] };
        let mut calls: Vec<&Extractor> = self.readers.call.iter().collect();
        if matches!(self.signature, Scheme::Plivo(_)) {
            // Plivo itself names the call in the form; the query is for another call.
            calls.sort_by_key(|extractor| extractor.is_query());
        }
        let mut trials = 0;
        for seed in [self.habits(), Draft::default()] {
            for call in &calls {
                for filter in &filters {
                    for question in &questions {
                        for answer in answers {
                            trials += 1;
                            if trials > TRIALS_MAX {
                                return Err(CannotCompose::NoPlace);
                            }
                            let mut draft = seed.clone();
                            let written = draft.meet(*filter).is_some()
                                && draft.read_by(call, sample.call).is_some()
                                && question.is_none_or(|extractor| {
                                    draft.read_by(extractor, named.unwrap_or_default()).is_some()
                                })
                                && draft.read_by(answer, sample.answer).is_some();
                            let Some(webhook) = written.then(|| self.request(&draft)).flatten()
                            else {
                                continue;
                            };
                            if self.reads_back(&webhook, sample) {
                                return Ok(webhook);
                            }
                        }
                    }
                }
            }
        }
        Err(CannotCompose::NoPlace)
    }

    /// The call that a request which is not signed yet is about; none if no call is read from it.
    pub fn call_of(&self, webhook: &Webhook) -> Option<CallUuid> {
        let verified = self.signature.believe(webhook.clone(), self.accepts).ok()?;
        Some(self.read(&verified).ok()??.call)
    }

    /// Fields that every request of the source's sender has.
    fn habits(&self) -> Draft {
        let fields: &[(&str, &str)] = match &self.signature {
            Scheme::Plivo(_) => &[
                ("CallStatus", "in-progress"),
                ("Direction", "inbound"),
                ("InputType", "dtmf"),
                ("Digits", ""),
                ("Speech", ""),
            ],
            Scheme::Twilio(_) => &[
                ("CallSid", "CA00000000000000000000000000000000"),
                ("CallStatus", "in-progress"),
                ("Direction", "inbound"),
            ],
            _ => &[],
        };
        let form = fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Draft { form: form.collect(), ..Draft::default() }
    }

    /// None if the source takes no such body.
    fn request(&self, draft: &Draft) -> Option<Webhook> {
        let (kind, body) = match (&draft.json, draft.form.is_empty()) {
            (Value::Null, _) if self.accepts != Accepts::Json => {
                ("application/x-www-form-urlencoded", encoded(&draft.form))
            }
            (Value::Null, _) => return None,
            (json, true) if self.accepts != Accepts::Form => ("application/json", json.to_string()),
            _ => return None,
        };
        let mut headers: Headers = [("content-type", kind)].into_iter().collect();
        for (name, value) in &draft.headers {
            headers.push(name, value.as_bytes());
        }
        Some(Webhook {
            id: WebhookId(Uuid::nil()),
            method: Method::Post,
            path: format!("/hooks/{}", self.name),
            query: (!draft.query.is_empty()).then(|| encoded(&draft.query)),
            headers,
            body: body.into_bytes(),
            received_at: Timestamp::UNIX_EPOCH,
        })
    }

    fn reads_back(&self, webhook: &Webhook, sample: &ComposedAnswer<'_>) -> bool {
        let Ok(trusted) = self.signature.believe(webhook.clone(), self.accepts) else {
            return false;
        };
        let Ok(Some(reading)) = self.read(&trusted) else { return false };
        let asked = sample.question.unwrap_or(sample.first_question);
        let answers = reading
            .answers
            .iter()
            .filter(|read| read.question.as_deref().unwrap_or(sample.first_question) == asked);
        let answers: Vec<_> = answers.map(|read| &read.answer).collect();
        let is_silence = sample.answer.is_empty();
        reading.call.as_str() == sample.call
            && (is_silence || reading.answers.len() == 1)
            && matches!(&answers[..], [Answer::Silence] if is_silence)
                | matches!(&answers[..], [Answer::Given(text)] if text == sample.answer)
            && !reading.hung_up
            && !reading.opted_out
    }
}

impl Draft {
    /// Writes `text` where `extractor` finds it.
    fn read_by(&mut self, extractor: &Extractor, text: &str) -> Option<()> {
        self.meet(extractor.condition())?;
        let path = extractor.path();
        fits(path.last_name(), text).then_some(())?;
        self.put(path, scalar(text))
    }

    /// Writes what `condition` requires; what must be absent is not written.
    fn meet(&mut self, condition: Option<&Condition>) -> Option<()> {
        match condition.map(|condition| (condition.path(), condition.wanted())) {
            None | Some((_, None)) => Some(()),
            Some((path, Some(value))) => self.put(path, scalar(value)),
        }
    }

    fn put(&mut self, path: &FieldPath, value: Value) -> Option<()> {
        let parts = path.parts();
        let (start, steps) = parts.split_first()?;
        let (kind, name) = start.split_once(':')?;
        match kind {
            "json" => written_at(&mut self.json, name, steps, value),
            "form" => put_field(&mut self.form, name, steps, value),
            "query" => put_field(&mut self.query, name, steps, value),
            "header" => put_field(&mut self.headers, name, steps, value),
            _ => None,
        }
    }
}

impl FieldPath {
    fn parts(&self) -> Vec<&str> {
        split(self.text(), " > ")
    }

    /// The last name that it looks for, without marks.
    fn last_name(&self) -> &str {
        let last = self.text().rsplit(['.', ':']).next().unwrap_or_default();
        last.split('[').next().unwrap_or_default()
    }
}

/// Whether senders write such a text under such a name.
fn fits(name: &str, text: &str) -> bool {
    match name {
        "Digits" | "digits" | "dtmf" => {
            text.bytes().all(|b| b.is_ascii_digit() || b"*#,".contains(&b))
        }
        "number" => text.is_empty() || text.parse::<f64>().is_ok(),
        "boolean" => matches!(text, "true" | "false"),
        _ => true,
    }
}

/// Whole numbers and flags as JSON has them. An extractor takes them for the same text.
fn scalar(text: &str) -> Value {
    match text.parse::<u32>() {
        Ok(number) if number.to_string() == text => number.into(),
        _ if text == "true" => true.into(),
        _ if text == "false" => false.into(),
        _ => text.into(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `known` with `value` at the place that `steps` lead to.
fn written(known: &str, steps: &[&str], value: Value) -> Option<String> {
    let Some((step, rest)) = steps.split_first() else { return Some(plain(&value)) };
    match step.split_once(':') {
        None => {
            let inner = BASE64.decode(known.as_bytes()).ok()?;
            let inner = String::from_utf8(inner).ok()?;
            Some(BASE64.encode(written(&inner, rest, value)?.as_bytes()))
        }
        Some(("json", path)) => {
            let mut json =
                if known.is_empty() { Value::Null } else { serde_json::from_str(known).ok()? };
            written_at(&mut json, path, rest, value)?;
            Some(json.to_string())
        }
        Some((_, name)) => {
            let form = Form::of(known.as_bytes()).ok()?;
            let mut fields: Vec<_> =
                form.body().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            put_field(&mut fields, name, rest, value)?;
            Some(encoded(&fields))
        }
    }
}

fn put_field(
    fields: &mut Vec<(String, String)>,
    name: &str,
    steps: &[&str],
    value: Value,
) -> Option<()> {
    let at = fields.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
        fields.push((name.to_owned(), String::new()));
        fields.len() - 1
    });
    fields[at].1 = written(&fields[at].1, steps, value)?;
    Some(())
}

fn written_at(json: &mut Value, path: &str, steps: &[&str], value: Value) -> Option<()> {
    let slot = slot(json, path.strip_prefix('$')?)?;
    *slot = match steps {
        [] => value,
        _ => written(slot.as_str().unwrap_or_default(), steps, value)?.into(),
    };
    Some(())
}

/// The place that a JSONPath leads to, made if it is missing: names, indices, the first of a list of
/// names, and a filter for one name with one text. None for any other path.
fn slot<'a>(json: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    if path.is_empty() {
        return Some(json);
    }
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        return if is_name { slot(member(json, name)?, rest) } else { None };
    }
    let (inner, rest) = path.strip_prefix('[')?.split_once(']')?;
    if let Some(filter) = inner.strip_prefix("?@") {
        let (place, text) = filter.split_once("==")?;
        let (place, text) = (place.trim(), unquoted(text.trim())?);
        let items = list(json)?;
        let is_it =
            |item: &mut Value| slot(&mut item.clone(), place).is_some_and(|slot| *slot == text);
        let at = match items.iter_mut().position(is_it) {
            Some(at) => at,
            None => {
                let mut item = Value::Null;
                *slot(&mut item, place)? = text.into();
                items.push(item);
                items.len() - 1
            }
        };
        return slot(&mut items[at], rest);
    }
    if let Ok(index) = inner.parse::<usize>() {
        let items = list(json)?;
        // A gap would be an answer of its own.
        (index <= items.len()).then_some(())?;
        if index == items.len() {
            items.push(Value::Null);
        }
        return slot(&mut items[index], rest);
    }
    slot(member(json, unquoted(inner.split(',').next()?.trim())?)?, rest)
}

fn unquoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains('\\')).then_some(inner)
}

fn member<'a>(json: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    if json.is_null() {
        *json = Value::Object(Map::new());
    }
    Some(json.as_object_mut()?.entry(name).or_insert(Value::Null))
}

fn list(json: &mut Value) -> Option<&mut Vec<Value>> {
    if json.is_null() {
        *json = Value::Array(Vec::new());
    }
    json.as_array_mut()
}

fn encoded(fields: &[(String, String)]) -> String {
    encode(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Each of them, or none if there is nothing to meet.
fn some<T>(items: &[T]) -> Vec<Option<&T>> {
    if items.is_empty() { vec![None] } else { items.iter().map(Some).collect() }
}
