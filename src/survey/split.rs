use std::ops::Range;

/// A condition taken apart at the `or`s and `and`s that stand outside quotes and brackets, or in
/// brackets around the whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<T> {
    One(T),
    All(Vec<Joined<T>>),
    Any(Vec<Joined<T>>),
}

impl<T> Joined<T> {
    /// The same of something else, unless there is none for one.
    pub fn try_map<U>(&self, map: &mut impl FnMut(&T) -> Option<U>) -> Option<Joined<U>> {
        match self {
            Self::One(one) => map(one).map(Joined::One),
            Self::All(nodes) => each(nodes, map).map(Joined::All),
            Self::Any(nodes) => each(nodes, map).map(Joined::Any),
        }
    }

    /// Whether it holds by a judge of the parts, which are asked in order and only as far as it
    /// matters.
    pub fn judge<E>(&self, judge: &mut dyn FnMut(&T) -> Result<bool, E>) -> Result<bool, E> {
        let (nodes, enough) = match self {
            Self::One(one) => return judge(one),
            Self::All(nodes) => (nodes, false),
            Self::Any(nodes) => (nodes, true),
        };
        for node in nodes {
            if node.judge(judge)? == enough {
                return Ok(enough);
            }
        }
        Ok(!enough)
    }
}

fn each<T, U>(
    nodes: &[Joined<T>],
    map: &mut impl FnMut(&T) -> Option<U>,
) -> Option<Vec<Joined<U>>> {
    nodes.iter().map(|node| node.try_map(map)).collect()
}

/// How deep brackets around brackets are looked into.
const DEPTH_MAX: usize = 16;

/// `text` is an expression; what is none comes back in some way.
pub fn split(text: &str) -> Joined<&str> {
    split_at_depth(text.trim(), 0)
}

fn split_at_depth(text: &str, depth: usize) -> Joined<&str> {
    let words = words_outside(text);
    let is = |sought: &str| words.iter().any(|word| text[word.clone()] == *sought);
    if is("if") || depth > DEPTH_MAX {
        return Joined::One(text);
    }
    for (word, join) in [("or", Joined::Any as fn(_) -> _), ("and", Joined::All as fn(_) -> _)] {
        if is(word) {
            let pieces = pieces(text, words.iter().filter(|found| text[(*found).clone()] == *word));
            let pieces = pieces.into_iter().map(|piece| split_at_depth(piece, depth));
            return join(pieces.collect());
        }
    }
    match within_brackets(text) {
        Some(inner) => split_at_depth(inner, depth + 1),
        None => Joined::One(text),
    }
}

fn pieces<'a, 'w>(text: &'a str, marks: impl Iterator<Item = &'w Range<usize>>) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for mark in marks {
        pieces.push(text[from..mark.start].trim());
        from = mark.end;
    }
    pieces.push(text[from..].trim());
    pieces
}

/// The words outside quotes and brackets; a name after a dot is none.
fn words_outside(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let outside = outside_quotes(text).filter(|(_, byte, depth)| *depth == 0 && is_word(*byte));
    for (at, ..) in outside {
        match words.last_mut() {
            Some(word) if word.end == at => word.end += 1,
            _ => words.push(at..at + 1),
        }
    }
    words.retain(|word| !text[..word.start].trim_end().ends_with('.'));
    words
}

/// What one pair of brackets around all of it holds, unless it is a list.
fn within_brackets(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('(')?;
    let ends = |(_, byte, depth): &(usize, u8, usize)| *depth == 1 && b",)]}".contains(byte);
    let (at, byte, _) = outside_quotes(text).find(ends)?;
    let is_whole = byte != b',' && at + 1 == text.len();
    is_whole.then(|| inner[..at - 1].trim())
}

/// Each byte outside quotes with its place, and within how many brackets it stands: an opening one
/// is outside of itself, a closing one inside.
pub fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, u8, usize)> + '_ {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    std::iter::from_fn(move || {
        while matches!(bytes.get(at)?, b'\'' | b'"') {
            at = end_of_quote(bytes, at);
        }
        let here = (at, *bytes.get(at)?, depth);
        match here.1 {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        Some(here)
    })
}

/// Behind the quote that begins at `at`.
fn end_of_quote(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(&byte) = bytes.get(end) {
        end += 1;
        match byte {
            b'\\' => end += 1,
            _ if byte == bytes[at] => break,
            _ => {}
        }
    }
    end.min(bytes.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The texts between quotes, for whoever wants to know what a condition compares with.
pub fn quoted(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut quoted = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\'' || byte == b'"' {
            let end = end_of_quote(bytes, at);
            if let Some(inner) = text.get(at + 1..end.saturating_sub(1)) {
                quoted.push(inner.replace('\\', ""));
            }
            at = end;
        } else {
            at += 1;
        }
    }
    quoted
}

/// The whole numbers outside quotes, each with its neighbours, as texts.
pub fn bare_numbers(text: &str) -> Vec<String> {
    let words = text.split(['\'', '"']).step_by(2).flat_map(|outside| {
        outside.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
    });
    let numbers = words.filter_map(|word| word.parse::<u32>().ok());
    let near =
        numbers.flat_map(|number| [number.saturating_sub(1), number, number.saturating_add(1)]);
    near.map(|number| number.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(joined: &Joined<&str>) -> String {
        let all = |nodes: &[Joined<&str>]| nodes.iter().map(written).collect::<Vec<_>>().join(" ");
        match joined {
            Joined::One(text) => format!("<{text}>"),
            Joined::All(nodes) => format!("all({})", all(nodes)),
            Joined::Any(nodes) => format!("any({})", all(nodes)),
        }
    }

    #[test]
    fn only_what_joins_whole_conditions_takes_them_apart() {
        for (text, expected) in [
            ("score < 3", "<score < 3>"),
            ("a and b or c", "any(all(<a> <b>) <c>)"),
            ("(a or b) and c", "all(any(<a> <b>) <c>)"),
            ("((a))", "<a>"),
            ("(a) or (b)", "any(<a> <b>)"),
            ("not (a or b)", "<not (a or b)>"),
            ("x == 'this or that' and y", "all(<x == 'this or that'> <y>)"),
            (r#"x == "it\" or" or y"#, r#"any(<x == "it\" or"> <y>)"#),
            ("a if b or c else d", "<a if b or c else d>"),
            ("a in [1, 2 or 3]", "<a in [1, 2 or 3]>"),
            ("(a or b, c)", "<(a or b, c)>"),
            ("order and android", "all(<order> <android>)"),
            ("answered.or and a", "all(<answered.or> <a>)"),
        ] {
            assert_eq!(written(&split(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_a_condition_compares_with_is_found() {
        assert_eq!(quoted(r#"a == 'x' or "y z" in b"#), ["x", "y z"]);
        assert_eq!(quoted("a == '"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn whatever_is_written_comes_apart_somehow(text in r#"([a-z(){}\[\]'"\\,. é]|or|and|if){0,40}"#) {
            let _ = (split(&text), quoted(&text));
        }
    }
}
