//! A line of the settings file as a diagnostic shows it, without what may be a secret.

use super::secret_name::looks_like_a_variable;
use crate::domain::closest;

/// A line of a file, and what of it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLine {
    /// As it is written, without a comment behind it; if it may hold a secret, `…` in place of each
    /// word that is not a key.
    pub text: String,
    /// Where what is at fault begins in `text`, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// Words of keys below which secrets are.
const SECRET_WORDS: [&str; 6] = ["token", "secret", "passw", "credential", "bearer", "auth"];

/// Sections in which a misspelt key of any form may be that of a secret.
const SECRET_SECTIONS: [&str; 2] = ["accounts:", "admin:"];

/// Keys of secrets, which may be misspelt.
const SECRET_KEYS: [&str; 8] =
    ["auth_token", "token", "secret", "password", "bearer", "signature", "value", "key"];

/// Keys that are shown beside a secret.
const SHOWN_KEYS: [&str; 39] = [
    "accounts",
    "admin",
    "sources",
    "listen",
    "token",
    "auth_id",
    "auth_token",
    "api",
    "allow_http",
    "issue_names",
    "preset",
    "account",
    "survey",
    "signature",
    "hmac",
    "standard",
    "twilio",
    "vonage",
    "telnyx",
    "bearer",
    "basic",
    "user",
    "password",
    "secret",
    "header",
    "key",
    "algorithm",
    "encoding",
    "prefix",
    "timestamp",
    "format",
    "id",
    "signed_payload",
    "max_age",
    "max_skew",
    "public_key",
    "env",
    "file",
    "value",
];

/// Words of a signature that are no secret.
const SHOWN_WORDS: [&str; 6] = ["v3", "ma-v3", "v2", "ma-v2", "none", "-"];

/// In place of a word that may be a secret.
const HIDDEN: char = '…';

impl SourceLine {
    /// With the key or the value that begins there; `line` and `column` count from 1, the column in
    /// characters. `None` if there is no such line.
    pub(super) fn of(text: &str, line: usize, column: usize) -> Option<Self> {
        Self::up_to(text, line, column, token_end)
    }

    /// With so many characters from there.
    pub(super) fn of_part(text: &str, line: usize, column: usize, length: usize) -> Option<Self> {
        Self::up_to(text, line, column, |written, start| {
            let behind = written[start..].char_indices().nth(length);
            behind.map_or(written.len(), |(at, _)| start + at)
        })
    }

    /// `end` finds the end of what begins at some place of the line, in bytes.
    fn up_to(
        text: &str,
        line: usize,
        column: usize,
        end: impl Fn(&str, usize) -> usize,
    ) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let at = line.checked_sub(1)?;
        let written = *lines.get(at)?;
        let start = written.char_indices().nth(column.saturating_sub(1));
        let start = start.map_or(written.len(), |(start, _)| start);
        let end = end(written, start);
        let text = without_comment(written);
        let text = if text.len() < end { written } else { text };
        let shown = Self { text: text.to_owned(), start, end };
        Some(if may_hold_a_secret(&lines, at) { shown.masked() } else { shown })
    }

    fn masked(&self) -> Self {
        let mut masked = Self { text: String::new(), start: 0, end: 0 };
        let mut rest = self.text.as_str();
        let mut key = "";
        while !rest.is_empty() {
            let from = self.text.len() - rest.len();
            let length = rest.find(is_separator).unwrap_or(rest.len());
            let (piece, behind) = if length == 0 {
                rest.split_at(rest.chars().next().map_or(0, char::len_utf8))
            } else {
                rest.split_at(length)
            };
            let before = masked.text.len();
            let is_key = behind.starts_with(':') && SHOWN_KEYS.contains(&piece);
            let is_variable = key == "env" && looks_like_a_variable(piece);
            if length == 0 || is_key || is_variable || SHOWN_WORDS.contains(&piece) {
                masked.text.push_str(piece);
            } else {
                masked.text.push(HIDDEN);
            }
            if length > 0 {
                key = piece;
            }
            let to = from + piece.len();
            if (from..to).contains(&self.start) {
                masked.start = before;
            }
            if from < self.end && self.end <= to {
                masked.end = masked.text.len();
            }
            rest = behind;
        }
        if self.start >= self.text.len() {
            masked.start = masked.text.len();
        }
        masked.end = masked.end.max(masked.start);
        masked
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || "{}[],:\"'#".contains(c)
}

/// Whether the line, or one that it is below, speaks of a secret, or is in a section of secrets.
fn may_hold_a_secret(lines: &[&str], at: usize) -> bool {
    if speaks_of_a_secret(lines[at]) {
        return true;
    }
    let mut indent = depth(lines[at]);
    let above = lines[..at].iter().rev().filter(|line| !is_blank(line));
    for line in above {
        if depth(line) < indent {
            indent = depth(line);
            if speaks_of_a_secret(line) {
                return true;
            }
        }
    }
    lines[bracketed_since(lines, at)..at].iter().any(|line| speaks_of_a_secret(line))
}

/// Twice the indentation; the items of a list are below a key of the same indentation.
fn depth(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    2 * indent + usize::from(line.trim_start().starts_with('-'))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The line since which a bracket is open where the line `at` begins; `at` if none is.
fn bracketed_since(lines: &[&str], at: usize) -> usize {
    let mut open = 0usize;
    let mut since = at;
    for (number, line) in lines[..at].iter().enumerate() {
        for c in line.chars() {
            match c {
                '{' | '[' => {
                    if open == 0 {
                        since = number;
                    }
                    open += 1;
                }
                '}' | ']' => open = open.saturating_sub(1),
                _ => {}
            }
        }
    }
    if open == 0 { at } else { since }
}

/// The line before its comment; the whole line if a quote is open where one may begin.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return line[..at].trim_end(),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

fn speaks_of_a_secret(line: &str) -> bool {
    let line = without_comment(line);
    let has_password = line.split_once("://").is_some_and(|(_, address)| address.contains('@'));
    if has_password || SECRET_SECTIONS.iter().any(|section| line.starts_with(section)) {
        return true;
    }
    line.split(is_separator).filter(|word| !word.is_empty()).any(|word| {
        let word = word.to_lowercase();
        SECRET_WORDS.iter().any(|secret| word.contains(secret))
            || word.ends_with("key")
            || closest(&word, &SECRET_KEYS).is_some()
    })
}

/// Where the key or the value ends that begins at `start`.
fn token_end(line: &str, start: usize) -> usize {
    let token = &line[start..];
    let mut characters = token.char_indices();
    let length = match characters.next() {
        None => 0,
        Some((_, quote @ ('"' | '\''))) => {
            let mut is_escaped = false;
            let end = characters.find(|(_, c)| {
                let ends = *c == quote && !is_escaped;
                is_escaped = *c == '\\' && quote == '"' && !is_escaped;
                ends
            });
            end.map_or(token.len(), |(at, _)| at + 1)
        }
        Some((_, c @ ('{' | '[' | '|' | '>' | '&' | '*' | '!'))) => c.len_utf8(),
        Some(_) => {
            let open = line[..start].matches(['{', '[']).count();
            let is_within = open > line[..start].matches(['}', ']']).count();
            let ends = |(at, c): &(usize, char)| {
                let behind = &token[at + c.len_utf8()..];
                match c {
                    ':' => behind.is_empty() || behind.starts_with(' '),
                    ' ' => behind.starts_with('#'),
                    ',' | '}' | ']' => is_within,
                    _ => false,
                }
            };
            let end = characters.find(ends).map_or(token.len(), |(at, _)| at);
            token[..end].trim_end_matches([' ', '\t', ',', '}', ']']).len()
        }
    };
    start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, column: usize) -> (String, String) {
        let SourceLine { text, start, end } = SourceLine::of(text, line, column).unwrap();
        let at_fault = text[start..end].to_owned();
        (text, at_fault)
    }

    #[test]
    fn a_line_is_shown_with_what_is_at_fault() {
        for (line, column, at_fault) in [
            ("  delays: 60s", 3, "delays"),
            ("  delays: 60s", 11, "60s"),
            ("a: { b: '#1', c: x y }", 15, "c"),
            ("a: { b: 1, c: x y }", 15, "x y"),
            ("a: { b: 1, c: x y }", 4, "{"),
            ("when: \"a \\\" b\"", 7, "\"a \\\" b\""),
            ("é: 'x'", 4, "'x'"),
            ("a:", 9, ""),
        ] {
            assert_eq!(shown(line, 1, column), (line.to_owned(), at_fault.to_owned()), "{line}");
        }
        assert_eq!(SourceLine::of("a: 1\n", 2, 1), None);
        let commented = ("delay: 60".to_owned(), "60".to_owned());
        assert_eq!(shown("delay: 60  # not the token", 1, 8), commented);
    }

    #[test]
    fn a_line_that_may_hold_a_secret_shows_only_its_keys() {
        for (text, line, expected) in [
            (
                "main: { auth_id: MAX, auth_token: { env: A_TOKEN } }",
                1,
                "…: { auth_id: …, auth_token: { env: A_TOKEN } }",
            ),
            ("auth_token: s3cr3t", 1, "auth_token: …"),
            ("auth_tokn: s3cr3t", 1, "…: …"),
            ("api_key: s3cr3t", 1, "…: …"),
            ("auth_token:\n  - env: s3cr3t", 2, "  - env: …"),
            ("auth_token:\n- s3cr3t", 2, "- …"),
            ("signature:\n  bearer:\n\n    # why\n    s3cr3t: s3cr3t", 5, "    …: …"),
            ("a: { secret: {\nvalue: s3cr3t,\ns3cr3t } }", 3, "… } }"),
            ("token: |\n  s3cr3t", 2, "  …"),
            ("accounts:\n  main:\n    pwd: s3cr3t", 3, "    …: …"),
            ("url: https://user:s3cr3t@example.com", 1, "…: …:…:…"),
        ] {
            assert_eq!(SourceLine::of(text, line, 1).unwrap().text, expected, "{text}");
        }
        assert_eq!(
            shown("a: { auth_token: s3cr3t }", 1, 18),
            ("…: { auth_token: … }".to_owned(), "…".to_owned())
        );
        let beside = "auth_token: x\nname: shown\n";
        assert_eq!(SourceLine::of(beside, 2, 1).unwrap().text, "name: shown");
    }
}
