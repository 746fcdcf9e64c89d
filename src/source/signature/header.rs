use crate::domain::Hook;

use super::refusal::Refusal;

/// The only value of a header, whatever the case of `name`. Of a header given twice one gateway
/// checks the first and the next the last, so it is refused.
pub fn only<'a>(hook: &'a Hook, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = hook
        .headers
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice());
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refusal::Duplicate),
    }
}

/// As [`only`], where the request is refused without it.
pub fn required<'a>(hook: &'a Hook, name: &str) -> Result<&'a [u8], Refusal> {
    only(hook, name)?.ok_or(Refusal::Missing)
}
