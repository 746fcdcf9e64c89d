//! The bracket that a YAML text leaves open: a parser reports only the later line where it fails.

/// The line and the column, each from 1, of the innermost bracket that is open where `line` begins.
/// Brackets in quotes and comments do not count.
pub(super) fn innermost_open(text: &str, line: usize) -> Option<(usize, usize)> {
    let mut open = Vec::new();
    for (number, written) in text.lines().enumerate().take(line.saturating_sub(1)) {
        let mut quote = None;
        let mut before = ' ';
        for (at, c) in written.chars().enumerate() {
            match (quote, c) {
                (None, '#') if before.is_whitespace() => break,
                // Within a word it is an apostrophe.
                (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
                (None, '{' | '[') => open.push((number + 1, at + 1)),
                (None, '}' | ']') => drop(open.pop()),
                (Some(opened), _) if opened == c && before != '\\' => quote = None,
                _ => {}
            }
            before = c;
        }
    }
    open.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_open_bracket_is_found() {
        for (text, line, expected) in [
            ("a: { b: [1,\nc: 2\n", 2, Some((1, 9))),
            ("a: { b: [1]\nc: 2\n", 2, Some((1, 4))),
            ("a: { b: '[' } # {\nc: 2\n", 2, None),
            ("a: it's {\nb: \"\\\"{\"\nc: 1", 3, Some((1, 9))),
            ("a: {\n", 1, None),
            ("", 0, None),
        ] {
            assert_eq!(innermost_open(text, line), expected, "{text}");
        }
    }
}
