//! Type check of conditions: a number is compared with numbers, a text with texts.
//!
//! Between a number and a text minijinja finds nothing equal, and an order that has nothing to do
//! with either value, so `score <= "2"` would rate a 10 as it rates a 1. The check looks at the
//! text of a condition: an operand that is more than a name or a literal has no type here.

use super::names::{Scope, Type};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Name(&'t str),
    Number(&'t str),
    /// Without its quotes.
    Text(&'t str),
    Sign(&'t str),
}

/// Signs that other languages have for `and`, `or`, `==` and `not`.
const FOREIGN: [(&str, &str); 4] = [("&&", "and"), ("||", "or"), ("=", "=="), ("!", "not")];

const SIGNS: [&str; 10] = ["==", "!=", "<=", ">=", "&&", "||", "//", "**", "<", ">"];

/// Whether each comparison of a name with a literal is one of equal types.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn check(text: &str, names: &Scope) -> Result<(), String> {
    let tokens = tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign("==" | "!=" | "<" | "<=" | ">" | ">=") => {
                let left = is_start(&tokens[..at.saturating_sub(1)])
                    .then(|| at.checked_sub(1).map(|at| tokens[at]))
                    .flatten();
                let right = is_end(tokens.get(at + 2..)).then(|| tokens.get(at + 1)).flatten();
                if let (Some(left), Some(right)) = (left, right) {
                    compared(left, *right, names)?;
                    compared(*right, left, names)?;
                }
            }
            Token::Name("in") if at > 0 => {
                let named = if tokens[at - 1] == Token::Name("not") { at - 2 } else { at - 1 };
                let is_list = tokens.get(at + 1) == Some(&Token::Sign("["));
                if is_list && is_start(&tokens[..named]) {
                    let items = tokens[at + 2..].iter().take_while(|it| **it != Token::Sign("]"));
                    items.into_iter().try_for_each(|item| compared(tokens[named], *item, names))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What to write in place of the first sign that conditions do not have.
pub fn foreign_sign(text: &str) -> Option<String> {
    let tokens = tokens(text);
    let found = tokens
        .iter()
        .find_map(|token| FOREIGN.iter().find(|(sign, _)| *token == Token::Sign(sign)));
    found.map(|(sign, word)| format!("there is no {sign} in conditions: write {word}"))
}

fn compared(name: Token<'_>, literal: Token<'_>, names: &Scope) -> Result<(), String> {
    let Token::Name(name) = name else { return Ok(()) };
    let known = names.find(name).and_then(|at| names.type_of(at));
    match (known, literal) {
        (Some(Type::Number), Token::Text(text)) if text.parse::<f64>().is_ok() => {
            Err(format!("{name} is a number: write {text} without quotes"))
        }
        (Some(Type::Number), Token::Text(text)) => {
            Err(format!("{name} is a number, and \"{text}\" is none"))
        }
        (Some(Type::Text), Token::Number(number)) => {
            Err(format!("{name} is a text: write \"{number}\" with quotes"))
        }
        _ => Ok(()),
    }
}

/// Whether an operand can start after these tokens, and nothing before it belongs to it.
fn is_start(before: &[Token<'_>]) -> bool {
    match before.last() {
        None => true,
        Some(Token::Sign(sign)) => matches!(*sign, "(" | "," | "["),
        Some(Token::Name(word)) => matches!(*word, "and" | "or" | "not" | "if" | "else"),
        Some(_) => false,
    }
}

/// Whether an operand can end before these tokens, and nothing after it belongs to it.
fn is_end(after: Option<&[Token<'_>]>) -> bool {
    match after.and_then(<[_]>::first) {
        None => true,
        Some(Token::Sign(sign)) => matches!(*sign, ")" | "," | "]"),
        Some(Token::Name(word)) => matches!(*word, "and" | "or" | "if" | "else"),
        Some(_) => false,
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let (token, length) = if first == '"' || first == '\'' {
            let length = quoted(rest, first);
            (Token::Text(rest[1..length].trim_end_matches(first)), length)
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !is_word(c) && c != '.').unwrap_or(rest.len());
            (Token::Number(&rest[..end]), end)
        } else if is_word(first) {
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            (Token::Name(&rest[..end]), end)
        } else {
            let one = first.len_utf8();
            let length =
                SIGNS.iter().find(|sign| rest.starts_with(**sign)).map_or(one, |it| it.len());
            (Token::Sign(&rest[..length]), length)
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Length in bytes of the quoted text at the start, its quotes included.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        let mut names = Scope::clone(&Scope::sample(&["score", "call-problem"], "campaign"));
        names.set_types([Some(Type::Number), Some(Type::Text)]);
        check(text, &names)
    }

    #[test]
    fn a_number_in_quotes_is_refused_in_every_comparison_with_a_number() {
        for text in [
            "score <= \"2\"",
            "score == '2'",
            "'2' > score",
            "not (score != '2')",
            "campaign == 'x' and score < '2'",
            "score in [1, '2']",
            "score not in ['2', 3]",
            "(1 if score < '2' else 0) == 1",
        ] {
            let message = "score is a number: write 2 without quotes";
            assert_eq!(checked(text), Err(message.to_owned()), "{text}");
        }
        let message = "score is a number, and \"good\" is none";
        assert_eq!(checked("score == 'good'"), Err(message.to_owned()));
    }

    #[test]
    fn a_number_without_quotes_is_refused_in_a_comparison_with_a_text() {
        for (text, name) in [("call_problem == 2", "call_problem"), ("2 == campaign", "campaign")] {
            let message = format!("{name} is a text: write \"2\" with quotes");
            assert_eq!(checked(text), Err(message), "{text}");
        }
    }

    #[test]
    fn comparisons_of_equal_types_pass_and_so_does_what_has_no_type_here() {
        for text in [
            "score <= 2",
            "call_problem == '2'",
            "campaign in ['2', \"it\\\"s 3\"]",
            "score ~ '' == '2'",
            "campaign | int == 2",
            "2 + score < 5",
            "'score == \"2\"' == campaign",
            "answered.score",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn signs_of_other_languages_are_answered_with_the_word_to_write() {
        for (text, word) in [
            ("score < 2 && campaign == 'x'", "there is no && in conditions: write and"),
            ("score < 2 || campaign == 'x'", "there is no || in conditions: write or"),
            ("score = 2", "there is no = in conditions: write =="),
            ("!answered.score", "there is no ! in conditions: write not"),
        ] {
            assert_eq!(foreign_sign(text).as_deref(), Some(word), "{text}");
        }
        assert_eq!(foreign_sign("score != 2 and campaign == 'a && b'"), None);
    }
}
