//! Payloads as people have them at hand: a request as it went over the wire, what `curl -v` or a
//! proxy logged of it, or a bare body.

use std::str::from_utf8;

use super::curl;
use crate::cli::payload::Payload;
use crate::domain::Method;

/// What a file holds.
pub(super) enum Content {
    /// Requests, one after another; at least one.
    Messages(Vec<Message>),
    Body(Vec<u8>),
}

/// One request, and what is odd about how it was written down.
pub(in crate::cli) struct Message {
    pub payload: Payload,
    pub notes: Vec<String>,
}

/// Why a request cannot be read; the line is counted from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(super) struct Malformed {
    line: usize,
    message: String,
}

/// A line without its end, and its number.
struct Line<'a> {
    number: usize,
    text: &'a [u8],
    /// With its end.
    whole: &'a [u8],
}

/// A request line.
struct Start {
    method: Method,
    path: String,
    query: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Content, Malformed> {
    let lines = lines(bytes);
    let is_log = lines.iter().any(|line| sent(line.text).is_some_and(is_start));
    let lines = if is_log { as_sent(lines) } else { lines };
    let first = lines.iter().position(|line| !line.text.is_empty());
    match first {
        Some(first) if is_start(lines[first].text) => {
            messages(&lines[first..]).map(Content::Messages)
        }
        Some(first) if let Some(read) = from_utf8(bytes).ok().and_then(curl::read) => {
            let line = lines[first].number;
            let payload = read.map_err(|message| Malformed { line, message })?;
            Ok(Content::Messages(vec![Message { payload, notes: Vec::new() }]))
        }
        _ => Ok(Content::Body(without_line_end(bytes).to_vec())),
    }
}

fn messages(lines: &[Line<'_>]) -> Result<Vec<Message>, Malformed> {
    let starts = (0..lines.len()).filter(|&at| is_start(lines[at].text));
    let mut bounds: Vec<usize> = starts.collect();
    bounds.push(lines.len());
    bounds.windows(2).map(|bounds| message(&lines[bounds[0]..bounds[1]])).collect()
}

fn message(lines: &[Line<'_>]) -> Result<Message, Malformed> {
    let (first, rest) = lines.split_first().expect("a message has its request line");
    let Start { method, path, query } = start(first)?;
    let head_ends = rest.iter().position(|line| line.text.is_empty()).unwrap_or(rest.len());
    let headers = rest[..head_ends].iter().map(header).collect::<Result<_, _>>()?;
    let after_head = rest.get(head_ends + 1..).unwrap_or_default();
    let body = after_head.iter().flat_map(|line| line.whole).copied().collect::<Vec<u8>>();

    let mut payload = Payload { method, path, query, headers, body };
    let length = payload.header("content-length").and_then(|length| length.trim().parse().ok());
    let mut notes = Vec::new();
    cut(&mut payload.body, length);
    if let Some(length) = length.filter(|length| *length != payload.body.len()) {
        let found = payload.body.len();
        notes.push(if found == 0 {
            format!("its body of {length} bytes is not there: curl -v does not print it; append it")
        } else {
            format!("Content-Length says {length} bytes, and the body has {found}; all are taken")
        });
    }
    Ok(Message { payload, notes })
}

/// Editors end a file with the end of a line, which was not sent.
fn cut(body: &mut Vec<u8>, length: Option<usize>) {
    match length {
        Some(length) if body.len() >= length && body[length..].trim_ascii().is_empty() => {
            body.truncate(length);
        }
        _ => body.truncate(without_line_end(body).len()),
    }
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn start(line: &Line<'_>) -> Result<Start, Malformed> {
    let fault = |message: &str| Malformed { line: line.number, message: message.to_owned() };
    let text = from_utf8(line.text).map_err(|_| fault("the request line is not text"))?;
    let mut words = text.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        _ => return Err(fault("webhooks come by GET and POST")),
    };
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    Ok(Start { method, path: path.to_owned(), query })
}

fn header(line: &Line<'_>) -> Result<(String, String), Malformed> {
    let text = String::from_utf8_lossy(line.text);
    let header = text.split_once(':').filter(|(name, _)| !name.contains(' '));
    let (name, value) = header.ok_or_else(|| Malformed {
        line: line.number,
        message: "expected a header such as Content-Type: …, or a blank line before the body"
            .to_owned(),
    })?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn is_start(text: &[u8]) -> bool {
    let mut words = text.split(|&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    let (target, version) = (words.next(), words.next().unwrap_or_default());
    !method.is_empty()
        && method.iter().all(u8::is_ascii_uppercase)
        && target.is_some_and(|target| !target.is_empty())
        && version.starts_with(b"HTTP/")
        && words.next().is_none()
}

/// The request in a log of curl: lines with `> `, and those between them and the response without
/// any mark.
fn as_sent(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    let (mut sending, mut kept) = (false, Vec::new());
    for line in lines {
        if let Some(text) = sent(line.text) {
            sending |= is_start(text);
            let skipped = line.text.len() - text.len();
            kept.push(Line { number: line.number, text, whole: &line.whole[skipped..] });
        } else if line.text.starts_with(b"<") {
            sending = false;
        } else if sending && !is_remark(line.text) {
            kept.push(line);
        }
    }
    kept
}

/// The text behind the mark of a line that was sent.
fn sent(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b">")?;
    Some(rest.strip_prefix(b" ").unwrap_or(rest))
}

/// What curl says for itself.
fn is_remark(line: &[u8]) -> bool {
    [&b"* "[..], b"} [", b"{ ["].iter().any(|mark| line.starts_with(mark))
}

fn lines(bytes: &[u8]) -> Vec<Line<'_>> {
    let whole = bytes.split_inclusive(|&byte| byte == b'\n');
    let line = |(number, whole): (usize, _)| Line { number, text: without_line_end(whole), whole };
    (1..).zip(whole).map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIRE: &str = "POST /hooks/ivr?question=score HTTP/1.1\r\nHost: s.example.com\r\n\
                        X-Empty:\r\nContent-Length: 19\r\n\r\nCallUUID=c&Digits=4";

    fn all(text: &str) -> Vec<Message> {
        match read(text.as_bytes()) {
            Ok(Content::Messages(messages)) => messages,
            Ok(Content::Body(_)) => panic!("a bare body"),
            Err(malformed) => panic!("{malformed}"),
        }
    }

    fn only(text: &str) -> Payload {
        let [message] = <[Message; 1]>::try_from(all(text)).ok().expect("one message");
        assert!(message.notes.is_empty());
        message.payload
    }

    fn body(text: &str) -> String {
        String::from_utf8(only(text).body).unwrap()
    }

    #[test]
    fn a_request_is_read_as_it_went_over_the_wire() {
        let payload = only(WIRE);
        assert_eq!((payload.method, &*payload.path), (Method::Post, "/hooks/ivr"));
        assert_eq!(payload.query.as_deref(), Some("question=score"));
        assert_eq!(payload.header("host"), Some("s.example.com"));
        assert_eq!(payload.header("X-EMPTY"), Some(""));
        assert_eq!(payload.body, b"CallUUID=c&Digits=4");
    }

    #[test]
    fn an_editors_line_ends_are_not_part_of_the_body() {
        for text in [
            format!("{WIRE}\n"),
            format!("\n{WIRE}\r\n\r\n"),
            WIRE.replace("\r\n", "\n"),
            WIRE.replace("Content-Length: 19\r\n", "") + "\n",
        ] {
            assert_eq!(body(&text), "CallUUID=c&Digits=4");
        }
        let with_line_end = WIRE.replace("19", "20") + "\n";
        assert_eq!(body(&with_line_end), "CallUUID=c&Digits=4\n");
    }

    #[test]
    fn what_curl_logged_is_read_without_its_marks_and_without_the_answer() {
        let log = "* Connected to s.example.com\n> POST /hooks/ivr HTTP/2\n> Host: s.example.com\n\
                   > Content-Type: application/x-www-form-urlencoded\n> \nCallUUID=c&Digits=4\n\
                   * upload completely sent off\n< HTTP/2 200\n< content-type: application/xml\n< \n\
                   <Response/>\n> GET /hooks/ivr?Digits=5 HTTP/1.1\n>\n";
        let messages = all(log);
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].payload.body, b"CallUUID=c&Digits=4");
        assert_eq!(messages[0].payload.headers.len(), 2);
        assert_eq!(messages[1].payload.query.as_deref(), Some("Digits=5"));
        assert!(messages[1].payload.body.is_empty());
    }

    #[test]
    fn several_requests_may_follow_one_another() {
        let messages = all(&format!("{WIRE}\r\n\r\n{WIRE}\r\n"));
        assert_eq!(messages.len(), 2);
        assert!(messages.iter().all(|message| message.payload.body == b"CallUUID=c&Digits=4"));
    }

    #[test]
    fn an_address_before_the_path_is_no_part_of_it() {
        let payload = only("GET https://s.example.com/hooks/ivr?a=b HTTP/1.1\n\n");
        assert_eq!((&*payload.path, payload.query.as_deref()), ("/hooks/ivr", Some("a=b")));
    }

    #[test]
    fn a_length_that_is_not_the_bodys_is_noted() {
        let length = |text: &str| all(text)[0].notes.join("\n");
        assert!(length(&WIRE.replace("19", "18")).contains("says 18 bytes, and the body has 19"));
        let (head, _) = WIRE.split_once("CallUUID").unwrap();
        assert!(length(head).contains("of 19 bytes is not there"));
    }

    #[test]
    fn what_is_no_request_is_a_body() {
        for bare in ["{\"a\":1}", "CallUUID=c&Digits=4", "", "POST it somewhere"] {
            assert!(
                matches!(read(bare.as_bytes()), Ok(Content::Body(body)) if body == bare.as_bytes())
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let length = |text: &str| read(text.as_bytes()).err().unwrap().to_string();
        assert_eq!(length("PUT /hooks/ivr HTTP/1.1\n\n"), "line 1: webhooks come by GET and POST");
        assert!(
            length("GET /hooks/ivr HTTP/1.1\nDigits=4\n").starts_with("line 2: expected a header")
        );
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_it_is_read_or_refused(
            at in 0..WIRE.len(),
            gone in 0..30usize,
            typed in "[\\PC\r\n:> ]{0,12}",
            noise in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let end = (at + gone).min(WIRE.len());
            let _ = read(format!("{}{typed}{}", &WIRE[..at], &WIRE[end..]).as_bytes());
            let _ = read(&[WIRE.as_bytes(), &noise].concat());
            let _ = read(&noise);
        }
    }
}
