//! Text as people say and write it.

use std::borrow::Borrow;

use unicode_normalization::UnicodeNormalization;

/// What two ways to write the same answer have in common: lower case, composed letters, one kind of
/// apostrophe, single blanks, none around, and no full stop or other mark at the end.
pub fn plain(text: &str) -> String {
    let text: String = text.nfc().map(straight).collect();
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut plain = words.join(" ");
    plain.truncate(plain.trim_end_matches(['.', '!', '?', ' ']).len());
    plain
}

/// A word or several that may be mentioned, [spaced]; none where there is no word in it.
pub fn phrase(text: &str) -> Option<String> {
    Some(spaced(text)).filter(|words| !words.trim().is_empty())
}

/// Lower case, composed letters, one blank around each word, so that whole words are found in it as text. An
/// apostrophe belongs to its word.
pub fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 2);
    spaced.push(' ');
    for c in text.nfc().map(straight) {
        match c {
            '\'' => spaced.push('\''),
            c if c.is_alphanumeric() => spaced.extend(c.to_lowercase()),
            _ if spaced.ends_with(' ') => {}
            _ => spaced.push(' '),
        }
    }
    if !spaced.ends_with(' ') {
        spaced.push(' ');
    }
    spaced
}

/// With a straight apostrophe in place of a typographic one.
fn straight(c: char) -> char {
    if c == '’' { '\'' } else { c }
}

/// The first of some texts, and how many more there are.
pub fn listed<T: Borrow<str>>(texts: &[T], most: usize) -> String {
    match texts.len().saturating_sub(most) {
        0 => texts.join(", "),
        more => format!("{} and {more} more", texts[..most].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_answer_may_be_written_in_many_ways() {
        for written in ["Very good", " very  GOOD. ", "very good!?", "VERY\tGOOD ."] {
            assert_eq!(plain(written), "very good", "{written}");
        }
        assert_eq!(plain(" .. "), "");
        assert_eq!(plain("Cafe\u{301} d’or"), plain("café d'or"));
        assert_eq!(plain("CAFE\u{301}"), "café");
    }

    #[test]
    fn only_whole_words_are_mentioned() {
        let mentions = |text: &str, of: &str| spaced(text).contains(&phrase(of).unwrap());
        assert!(mentions("I could HEAR  myself, twice.", "hear myself"));
        assert!(mentions("Echo!", "echo"));
        assert!(mentions("it didn’t work", "didn't"));
        assert!(mentions("se entrecorto\u{301}", "entrecortó"));
        assert!(mentions("se entrecortó", "entrecorto\u{301}"));
        assert!(!mentions("an echoing hall", "echo"));
        assert!(!mentions("hear and myself", "hear myself"));
        assert_eq!(phrase(" ,. "), None);
    }
}
