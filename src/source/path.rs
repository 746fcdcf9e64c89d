use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, BASE64URL};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::form::Form;
use super::json;
use super::parsed_request::ParsedRequest;
use super::rejection::ParseError;

/// A path to a text in a webhook: a place to begin with, and steps into the text that is found
/// there. `form:payload > json:$.answers` looks into the JSON that a form's field holds.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPath {
    text: String,
    start: Start,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Start {
    /// The body of a POST, the query of a GET.
    Form(String),
    Query(String),
    Header(String),
    Json(JsonPath),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Form(String),
    Json(JsonPath),
    Base64,
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    #[error(
        "expected form:NAME, query:NAME, header:NAME or json:$.PATH; what follows ` > ` is json:$.PATH, form:NAME or base64"
    )]
    Unknown,
    #[error("no JSONPath (RFC 9535) at character {position}: {message}")]
    JsonPath { position: usize, message: String },
    #[error(
        "some body could make this JSONPath take for ever: name the way with at most one `..`, at most 16 names in lists, in filters `$` once and for one place only, at most 4 filters and 32 brackets"
    )]
    Endless,
}

/// What was found, if anything; or why nothing can be believed that might be there.
pub(super) type Found<'a> = Result<Option<Cow<'a, str>>, ParseError>;

impl FieldPath {
    /// The text at this place, where there is any: several are put on lines of their own.
    pub(super) fn find<'a>(&self, webhook: &ParsedRequest<'a>) -> Found<'a> {
        let mut found = match &self.start {
            Start::Form(name) => webhook.form(name).map(Cow::Borrowed),
            Start::Query(name) => webhook.query(name)?.map(Cow::Borrowed),
            Start::Header(name) => webhook.header(name)?.map(Cow::Borrowed),
            Start::Json(path) => webhook.json()?.and_then(|json| texts(path, json)).map(Cow::Owned),
        };
        for step in &self.steps {
            let Some(text) = found.filter(|text| !text.is_empty()) else { return Ok(None) };
            found = step.within(&text)?.map(Cow::Owned);
        }
        Ok(found)
    }

    /// The field of a form or query that it names: a second would be a second meaning.
    pub(super) fn field(&self) -> Option<&str> {
        match &self.start {
            Start::Form(name) | Start::Query(name) => Some(name),
            Start::Header(_) | Start::Json(_) => None,
        }
    }

    /// The field that it looks for in the body of a POST.
    pub(super) fn form_field(&self) -> Option<&str> {
        match &self.start {
            Start::Form(name) => Some(name),
            Start::Query(_) | Start::Header(_) | Start::Json(_) => None,
        }
    }

    /// The header that it names.
    pub(super) fn header(&self) -> Option<&str> {
        match &self.start {
            Start::Header(name) => Some(name),
            Start::Form(_) | Start::Query(_) | Start::Json(_) => None,
        }
    }

    /// Whether there is something where it begins, whatever it says.
    pub(super) fn may_find(&self, webhook: &ParsedRequest<'_>) -> bool {
        match &self.start {
            Start::Form(name) => webhook.form(name).is_some(),
            Start::Query(name) => matches!(webhook.query(name), Ok(Some(_))),
            Start::Header(name) => matches!(webhook.header(name), Ok(Some(_))),
            Start::Json(_) => matches!(webhook.json(), Ok(Some(_))),
        }
    }

    /// As it is written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it looks at the address that was called.
    pub(super) fn is_query(&self) -> bool {
        matches!(self.start, Start::Query(_))
    }

    /// The display name: the field or the header, otherwise the path itself.
    pub(super) fn name(&self) -> &str {
        match &self.start {
            Start::Form(name) | Start::Query(name) | Start::Header(name) => name,
            Start::Json(_) => &self.text,
        }
    }
}

impl Step {
    fn within(&self, text: &str) -> Result<Option<String>, ParseError> {
        match self {
            Step::Form(name) => {
                let form = Form::of(text.as_bytes())?;
                let mut values = form.body().filter(|(key, _)| key == name);
                match (values.next(), values.next()) {
                    (_, Some(_)) => Err(ParseError::Repeated(name.clone())),
                    (value, None) => Ok(value.map(|(_, value)| value.to_owned())),
                }
            }
            Step::Json(path) => Ok(texts(path, &json::parse(text.as_bytes())?)),
            Step::Base64 => {
                let bytes = BASE64
                    .decode(text.as_bytes())
                    .or_else(|_| BASE64URL.decode(text.as_bytes()))
                    .map_err(|_| ParseError::BrokenText)?;
                String::from_utf8(bytes).map(Some).map_err(|_| ParseError::BrokenText)
            }
        }
    }
}

/// `null` is as good as nothing, and so is what has no text of its own.
fn texts(path: &JsonPath, json: &Value) -> Option<String> {
    let mut lines = Vec::new();
    for node in path.query(json) {
        match node {
            Value::Array(items) => lines.extend(items.iter().filter_map(text)),
            other => lines.extend(text(other)),
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn text(value: &Value) -> Option<String> {
    /// Whole numbers below are exact, whether or not a fraction was written.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < EXACT => {
                // Of the two zeros, the one without a sign.
                format!("{:.0}", whole + 0.0)
            }
            _ => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl FromStr for FieldPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let mut parts = split(text, " > ").into_iter();
        let start = parts.next().unwrap_or_default();
        let start = match start.split_once(':').ok_or(BadPath::Unknown)? {
            ("form", name) => Start::Form(field(name)?),
            ("query", name) => Start::Query(field(name)?),
            ("header", name) => Start::Header(field(name)?.to_ascii_lowercase()),
            ("json", path) => Start::Json(json_path(path)?),
            _ => return Err(BadPath::Unknown),
        };
        let step = |part: &str| match part.split_once(':') {
            Some(("form", name)) => Ok(Step::Form(field(name)?)),
            Some(("json", path)) => Ok(Step::Json(json_path(path)?)),
            None if part == "base64" => Ok(Step::Base64),
            _ => Err(BadPath::Unknown),
        };
        let steps = parts.map(step).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), start, steps })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn field(name: &str) -> Result<String, BadPath> {
    if name.is_empty() || name != name.trim() { Err(BadPath::Unknown) } else { Ok(name.to_owned()) }
}

fn json_path(text: &str) -> Result<JsonPath, BadPath> {
    /// Most brackets in a path, any of which the parser may take for nested.
    const BRACKETS_MAX: usize = 32;
    /// Maximum filters: the parser tries the content of each several times, and nested ones again.
    const FILTERS_MAX: usize = 4;
    let bare = unquoted(text);
    if bare.matches(['(', '[']).count() > BRACKETS_MAX || bare.matches('?').count() > FILTERS_MAX {
        return Err(BadPath::Endless);
    }
    let path = JsonPath::parse(text).map_err(|error| BadPath::JsonPath {
        position: error.position().max(1),
        message: error.message().to_owned(),
    })?;
    if is_quick(text) { Ok(path) } else { Err(BadPath::Endless) }
}

/// Whether every place of a body is looked at a few times at most, whatever the body. A second `..`
/// looks at each once for each of its ancestors, and a filter that begins at `$` at all of them for
/// each that it tries.
fn is_quick(path: &str) -> bool {
    /// How often one place may be found by lists such as `['a','b']`, one after another.
    const TIMES_MAX: usize = 16;
    let path = unquoted(path);
    let mut listed = vec![1_usize];
    let mut times = 1_usize;
    for c in path.chars() {
        match c {
            '[' => listed.push(1),
            ',' => *listed.last_mut().expect("a path begins outside") += 1,
            ']' => times = times.saturating_mul(listed.pop().unwrap_or(1)),
            _ => {}
        }
    }
    // The first is where the path begins; two in one filter could be compared with each other.
    path.matches('$').count() <= 2
        && path.matches("..").count() <= 1
        && times <= TIMES_MAX
        && path.match_indices('$').skip(1).all(|(at, _)| names_one(&path[at + 1..]))
}

/// Whether what follows a `$` leads to one place: `.a`, `[0]`, and `['a']` without its quotes.
fn names_one(mut rest: &str) -> bool {
    loop {
        rest = rest.trim_start();
        if let Some(name) = rest.strip_prefix('.') {
            if name.starts_with(['.', '*']) {
                return false;
            }
            rest = name;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let Some((inside, after)) = inside.split_once(']') else { return false };
            if inside.contains(['*', '?', ':', ',', '[']) {
                return false;
            }
            rest = after;
        } else {
            match rest.strip_prefix(|c: char| c.is_alphanumeric() || c == '_') {
                Some(after) => rest = after,
                None => return true,
            }
        }
    }
}

/// Without quoted texts and their quotes.
fn unquoted(path: &str) -> String {
    let mut quote = None;
    let mut escaped = false;
    let mut kept = String::new();
    for c in path.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None => kept.push(c),
        }
    }
    kept
}

/// Splits at each `mark` outside brackets and quotes.
pub(super) fn split<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = find(rest, mark) {
        parts.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    parts.push(rest);
    parts
}

/// The index of the first `mark` outside brackets and quotes.
pub(super) fn find(text: &str, mark: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if let Some(open) = quote {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == open => quote = None,
                _ => {}
            }
            continue;
        }
        if depth == 0 && text[at..].starts_with(mark) {
            return Some(at);
        }
        match c {
            // Quotes mean something in a JSONPath only, and there only in brackets.
            '\'' | '"' if depth > 0 => quote = Some(c),
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn in_json(path: &str, json: &Value) -> Option<String> {
        texts(&json_path(path).unwrap(), json)
    }

    #[test]
    fn what_json_holds_is_read_as_the_text_a_person_would_see() {
        let json = json!({
            "text": "four", "empty": "", "whole": 4, "fraction": 4.0, "half": 4.5, "big": 1e300,
            "minus": -3.0, "naught": -0.0, "edge": 9_007_199_254_740_992.0, "yes": true, "null": null, "table": { "a": 1 },
            "list": ["Echo", null, 2.0, ["deep"]], "none": [],
        });
        for (path, expected) in [
            ("$.text", Some("four")),
            ("$.empty", Some("")),
            ("$.whole", Some("4")),
            ("$.fraction", Some("4")),
            ("$.half", Some("4.5")),
            ("$.big", Some("1e+300")),
            ("$.minus", Some("-3")),
            ("$.naught", Some("0")),
            // 9007199254740993.0 is the same.
            ("$.edge", Some("9007199254740992.0")),
            ("$.yes", Some("true")),
            ("$.null", None),
            ("$.missing", None),
            ("$.table", None),
            ("$.list", Some("Echo\n2")),
            ("$.list[*]", Some("Echo\n2\ndeep")),
            ("$.none", None),
            ("$['text','whole']", Some("four\n4")),
        ] {
            assert_eq!(in_json(path, &json).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn text_inside_text_is_looked_into() {
        let within = |steps: &str, text: &str| {
            let path: FieldPath = format!("form:x > {steps}").parse().unwrap();
            path.steps.iter().try_fold(Some(text.to_owned()), |found, step| match found {
                Some(text) => step.within(&text),
                None => Ok(None),
            })
        };
        let json = r#"{"a":"b=1&c=eyJkIjo0fQ%3D%3D"}"#;
        let all = "json:$.a > form:c > base64 > json:$.d";
        assert_eq!(within(all, json), Ok(Some("4".to_owned())));
        assert_eq!(within("json:$.z > form:c", json), Ok(None));
        assert_eq!(within("json:$.a", "{"), Err(ParseError::BrokenJson));
        assert_eq!(within("form:a", "a=%zz"), Err(ParseError::BrokenForm));
        assert_eq!(within("form:a", "a=1&a=2"), Err(ParseError::Repeated("a".to_owned())));
        for bad in ["?", "AAA", "/w=="] {
            assert_eq!(within("base64", bad), Err(ParseError::BrokenText), "{bad}");
        }
    }

    #[test]
    fn a_mark_in_brackets_or_quotes_parts_nothing() {
        let text = "json:$.a[?@.b > 3 && @.c == '] > '] > json:$.d";
        assert_eq!(split(text, " > "), ["json:$.a[?@.b > 3 && @.c == '] > ']", "json:$.d"]);
        assert_eq!(split("form:it's > base64", " > "), ["form:it's", "base64"]);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [
            "",
            "Digits",
            "form:",
            "form: Digits",
            "body:Digits",
            "json",
            "form:a > b",
            "base64",
            "form:a > header:b",
            "form:a >  json:$.b",
        ] {
            assert_eq!(bad.parse::<FieldPath>(), Err(BadPath::Unknown), "{bad}");
        }
        for (bad, at) in
            [("json:", 1), ("json:a.b", 1), ("json:$.a[?@.b = 1]", 9), ("form:a > json:$[", 1)]
        {
            match bad.parse::<FieldPath>() {
                Err(BadPath::JsonPath { position, .. }) => assert_eq!(position, at, "{bad}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_path_is_deep_enough_to_exhaust_the_stack() {
        for (open, close, times) in [
            ("(", ")", 31),
            ("!(", ")", 31),
            ("length(", ")", 31),
            ("value(", ")", 31),
            ("@[?", "]", 3),
            ("@[?", "]", 31),
            ("(", ")", 10_000),
        ] {
            // Whether it is taken or refused: it comes back.
            let _ = json_path(&format!("$[?{}@{}]", open.repeat(times), close.repeat(times)));
        }
    }

    #[test]
    fn a_path_that_a_body_could_make_endless_is_refused() {
        for bad in [
            "$..*..*",
            "$..a..b",
            "$[?@..a]..b",
            "$..[?@..a]",
            "$[?$..a]",
            "$[?count($[*]) > 1]",
            "$[?$.a[?@.b]]",
            "$[?$.a[1:]]",
            "$[?$.a == $.b]",
            "$[?@[?$.a[*]]]",
            "$[?$ .a ['b'] [ *]]",
            "$[*,*][*,*][*,*][*,*][*,*]",
            "$['a','b','c']['a','b','c']['a','b','c']",
            &format!("${}", "[0]".repeat(33)),
        ] {
            assert_eq!(json_path(bad), Err(BadPath::Endless), "{bad}");
        }
        for good in [
            "$..a[?@.b == '..[*]..']",
            "$[?@.b == $.c['e'][0] || @['$'] == 1].f[*]",
            "$.a[?@.b[?@.c == 1]]['d','e']",
            "$['..']['..']",
            "$['\\'..','..']",
            "$.form_response.answers[?@.field.ref == 'score'].choices['labels','other']",
        ] {
            assert!(json_path(good).is_ok(), "{good}: {:?}", json_path(good));
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_for_a_path(text in "(json:|form:)?[$.\\[\\]?@'\" a-z>=!:0-9]{0,24}") {
            if let Ok(path) = text.parse::<FieldPath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
