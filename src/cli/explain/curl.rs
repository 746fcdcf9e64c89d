//! A curl command, as `postcall sign` prints it and as people copy it from documents.

use crate::cli::payload::{self, Payload};
use crate::domain::Method;

/// The request that the command sends; none if the text is no curl command.
///
/// # Errors
/// What cannot be read of the command.
pub(super) fn read(text: &str) -> Option<Result<Payload, String>> {
    let rest = text.trim_start().strip_prefix("curl")?;
    rest.starts_with(char::is_whitespace).then(|| request(&words(rest)?))
}

fn request(words: &[String]) -> Result<Payload, String> {
    let mut words = words.iter();
    let (mut method, mut url, mut headers) = (None, None, Vec::new());
    let mut bodies: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "-X" | "--request" => method = Some(value()?.as_str()),
            "-H" | "--header" => headers.push(payload::header(value()?)?),
            "-d" | "--data" | "--data-binary" => match value()? {
                file if file.starts_with('@') => {
                    return Err(format!("the body is in the file {}: write it here", &file[1..]));
                }
                text => bodies.push(text),
            },
            "--data-raw" => bodies.push(value()?),
            "-sS" | "-s" | "-S" | "-i" | "-v" | "--silent" | "--include" | "--verbose" => {}
            "--url" => url = Some(value()?.as_str()),
            option if option.starts_with('-') => {
                return Err(format!(
                    "cannot read the option {option} of curl; known: -X, -H, -d, --data-raw, \
                     --data-binary, --url"
                ));
            }
            address => url = Some(address),
        }
    }
    let method = match method {
        Some("GET") => Method::Get,
        None if bodies.is_empty() => Method::Get,
        Some("POST") | None => Method::Post,
        Some(other) => return Err(format!("the method is {other}; expected GET or POST")),
    };
    let url = url.ok_or("the curl command has no address")?;
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let target = after_scheme.find(['/', '?']).map_or("/", |at| &after_scheme[at..]);
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let body = bodies.join("&").into_bytes();
    let payload = Payload { method, path: path.to_owned(), query, headers, body };
    Ok(payload.with_type())
}

/// The words of a POSIX shell's command, without expansions.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut chars = text.trim_end().chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, '\\') => match (chars.next(), quote) {
                (Some('\n'), _) => {}
                (Some(c), None) | (Some(c @ ('"' | '\\' | '$' | '`')), _) => {
                    word.get_or_insert_default().push(c);
                }
                (Some(c), _) => word.get_or_insert_default().extend(['\\', c]),
                (None, _) => return Err("the curl command ends with a backslash".to_owned()),
            },
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote of the curl command is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curl_command_is_read_as_the_request_that_it_sends() {
        let text = "curl -sS -i -X POST 'https://s.example.com/hooks/ivr?a=b#c' \\\n  -H 'X-It: it'\\''s' \
                    -H \"Content-Type: text/plain\" --data-raw '@x' -d \"a \\\"b\\\"\"\n";
        let payload = read(text).unwrap().unwrap();
        assert_eq!((payload.method, &*payload.path), (Method::Post, "/hooks/ivr"));
        assert_eq!(payload.query.as_deref(), Some("a=b"));
        assert_eq!(payload.header("x-it"), Some("it's"));
        assert_eq!(payload.header("content-type"), Some("text/plain"));
        assert_eq!(payload.body, b"@x&a \"b\"");
        let get = read("curl https://s.example.com").unwrap().unwrap();
        assert_eq!((get.method, &*get.path), (Method::Get, "/"));
    }

    #[test]
    fn a_curl_command_that_cannot_be_read_is_refused() {
        let rejected = |text: &str| read(text).unwrap().err().unwrap();
        assert!(rejected("curl 'x").contains("not closed"));
        assert!(rejected("curl -F a=b http://x/").contains("option -F"));
        assert!(rejected("curl -d @f http://x/").contains("file f"));
        assert!(rejected("curl -X PUT http://x/").contains("expected GET or POST"));
        assert!(read("curly=1&Digits=4").is_none());
    }
}
