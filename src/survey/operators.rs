use super::split::outside_quotes;
use crate::domain::Advice;

/// Operators of other languages, and what conditions have in their place; longer ones first.
const OPERATORS: [(&str, &str); 11] = [
    ("===", "=="),
    ("!==", "!="),
    ("&&", "and"),
    ("||", "or"),
    ("<>", "!="),
    ("=>", ">="),
    ("=<", "<="),
    ("==", ""),
    ("!=", ""),
    ("=", "=="),
    ("!", "not"),
];
/// Operators that are followed by `=`, and are right.
const COMPARISONS: [&str; 2] = ["<=", ">="];
/// Words that are operators only in lower case.
const WORDS: [(&str, &str); 4] = [("AND", "and"), ("OR", "or"), ("NOT", "not"), ("IN", "in")];

/// The operator to use, for a condition with a syntax error that has one of another language.
pub fn hint(text: &str) -> Option<Advice> {
    let mut next = 0;
    for (at, ..) in outside_quotes(text) {
        if at < next || !text.is_char_boundary(at) {
            continue;
        }
        let rest = &text[at..];
        if COMPARISONS.iter().any(|it| rest.starts_with(it)) {
            next = at + 2;
            continue;
        }
        let operator = OPERATORS.iter().find(|(wrong, _)| rest.starts_with(wrong));
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let begins_a_word = !text[..at].ends_with(is_word);
        let word = WORDS.iter().filter(|_| begins_a_word).find(|(wrong, _)| {
            rest.strip_prefix(wrong).is_some_and(|rest| !rest.starts_with(is_word))
        });
        match operator.or(word) {
            Some((right, "")) => next = at + right.len(),
            Some((wrong, right)) => {
                let message = format!("`{wrong}` is not an operator of conditions: use `{right}`");
                return Some(Advice::from(message).at(at..at + wrong.len()));
            }
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_of_another_language_is_answered_with_the_right_one() {
        for (text, wrong, right) in [
            ("score < 3 && solved == \"no\"", "&&", "and"),
            ("score < 3 || score == 5", "||", "or"),
            ("score = 1", "=", "=="),
            ("score <= 2 and problem = 1", "=", "=="),
            ("score === 1", "===", "=="),
            ("score !== 1", "!==", "!="),
            ("!answered.score", "!", "not"),
            ("score <> 1", "<>", "!="),
            ("score => 1", "=>", ">="),
            ("score =< 1", "=<", "<="),
            ("score < 3 AND problem == 1", "AND", "and"),
            ("NOT answered.score", "NOT", "not"),
        ] {
            let expected = format!("`{wrong}` is not an operator of conditions: use `{right}`");
            let hint = hint(text).unwrap();
            assert_eq!(hint.message, expected, "{text}");
            assert_eq!(&text[hint.part.unwrap()], wrong, "{text}");
        }
        for text in [
            "score <= 2 and score >= 1 or score != 3 and score == 4",
            "campaign == 'a && b = !c'",
            "ORDER == 'é'",
            "score <",
        ] {
            assert_eq!(hint(text), None, "{text}");
        }
    }
}
