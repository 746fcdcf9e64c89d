//! What may be repeated of a text that names a secret.

/// Longest name of a variable that is repeated, in characters.
const LENGTH_MAX: usize = 64;

/// Whether a text is the name of a variable and hardly a secret in its place: capitals, digits and
/// `_`, beginning with a letter, and with a `_` if there is a digit.
pub(super) fn looks_like_a_variable(text: &str) -> bool {
    text.len() <= LENGTH_MAX
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && (text.contains('_') || !text.contains(|c: char| c.is_ascii_digit()))
}

/// The variable in a reference as shells write it: `$NAME` or `${NAME}`.
pub(super) fn shell_reference(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    Some(name).filter(|name| looks_like_a_variable(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_looks_like_a_variable_is_repeated() {
        for name in ["PLIVO_AUTH_TOKEN", "TOKEN", "TOKEN_2", "A"] {
            assert!(looks_like_a_variable(name), "{name}");
        }
        for secret in ["", "token", "AKIAIOSFODNN7EXAMPLE", "A-B", "1A_B", "_A", &"A".repeat(65)] {
            assert!(!looks_like_a_variable(secret), "{secret}");
        }
        assert_eq!(shell_reference("${A_TOKEN}"), Some("A_TOKEN"));
        assert_eq!(shell_reference("$A_TOKEN"), Some("A_TOKEN"));
        assert_eq!(shell_reference("${s3cr3t}"), None);
        assert_eq!(shell_reference("A_TOKEN"), None);
    }
}
