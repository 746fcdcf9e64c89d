//! What may be repeated of a text that names a secret.

/// Longest name of a variable that is repeated, in characters.
const LENGTH_MAX: usize = 64;

/// One of them is in a name of small letters, which a passphrase could be as well.
const WORDS: [&str; 8] =
    ["auth", "key", "password", "secret", "secrets", "token", "tokens", "user"];

/// Longest path that is repeated, in bytes.
const PATH_MAX: usize = 256;

/// Whether a text is the name of a variable and hardly a secret in its place: capitals, digits and
/// `_`, beginning with a letter, and with a `_` if there is a digit; or small letters and `_` with the word for a secret.
pub(super) fn looks_like_a_variable(text: &str) -> bool {
    let capitals = || {
        text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            && (text.contains('_') || !text.contains(|c: char| c.is_ascii_digit()))
    };
    let words = || {
        text.split('_').any(|word| WORDS.contains(&word))
            && text.contains('_')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    text.len() <= LENGTH_MAX && (capitals() || words())
}

/// Whether a text is the path of a file and hardly a secret in its place: two folders or more from the root, without
/// capitals, which Base64 has.
pub(super) fn looks_like_a_path(text: &str) -> bool {
    let is_of_a_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/._-".contains(&b);
    text.len() <= PATH_MAX
        && text.starts_with('/')
        && text.matches('/').count() > 1
        && text.bytes().all(is_of_a_name)
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
        for name in ["PLIVO_AUTH_TOKEN", "TOKEN", "TOKEN_2", "A", "plivo_auth_token"] {
            assert!(looks_like_a_variable(name), "{name}");
        }
        let key = "whsec_mfkqtrwjuprd";
        let long = "A".repeat(65);
        for secret in [
            "",
            "token",
            "AKIAIOSFODNN7EXAMPLE",
            "A-B",
            "1A_B",
            "_A",
            "_a",
            "a_1",
            key,
            "correct_horse_battery_staple",
            &long,
        ] {
            assert!(!looks_like_a_variable(secret), "{secret}");
        }
        assert!(looks_like_a_path("/run/secrets/postcall/auth-token.1"));
        for secret in ["", "/token", "a/b/c", "/aGk/x/y", "/a/b c", &format!("/a/{long}")] {
            assert!(!looks_like_a_path(secret), "{secret}");
        }
        assert_eq!(shell_reference("${A_TOKEN}"), Some("A_TOKEN"));
        assert_eq!(shell_reference("$A_TOKEN"), Some("A_TOKEN"));
        assert_eq!(shell_reference("${s3cr3t}"), None);
        assert_eq!(shell_reference("A_TOKEN"), None);
    }
}
