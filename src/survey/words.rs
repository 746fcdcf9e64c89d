//! Text as people say and write it.

use std::borrow::Borrow;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// What ends a sentence.
const STOPS: [char; 14] =
    ['.', '!', '?', '。', '｡', '．', '！', '？', '।', '۔', '؟', '։', '።', '។'];

/// What two ways to write the same answer have in common: lower case, composed letters, one kind of
/// apostrophe, single blanks, and no blanks or punctuation around. What is punctuation only is kept, but for stops.
pub fn plain(text: &str) -> String {
    let text: String = text.nfc().map(straight).collect();
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let plain = words.join(" ");
    match plain.trim_matches(is_punctuation) {
        "" => plain.trim_end_matches(|c| c == ' ' || STOPS.contains(&c)).to_owned(),
        plain => plain.to_owned(),
    }
}

/// Without blanks around and one stop at the end, with which speech engines write what was said.
pub fn unstopped(said: &str) -> &str {
    let said = said.trim();
    said.strip_suffix(STOPS).unwrap_or(said)
}

/// Blanks, stops, quotation marks, brackets and the like of any script, and invisible marks of direction; not what tells
/// answers apart: symbols (`<5`), keys (`*`, `#`), `-1`, `50%`.
fn is_punctuation(c: char) -> bool {
    let is_silent = || {
        c.general_category_group() == GeneralCategoryGroup::Punctuation
            || c.general_category() == GeneralCategory::Format
    };
    !"*#-%&@/\\".contains(c) && (c.is_whitespace() || is_silent())
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
        assert_eq!(plain(" 。"), "");
        for written in ["“Yes”", "yes,", "yes…", "‘Yes.’", "(yes)", "—Yes;", "\u{200f}yes\u{200f}"]
        {
            assert_eq!(plain(written), "yes", "{written}");
        }
        for (written, word) in
            [("¡Sí!", "sí"), ("はい。", "はい"), ("हाँ।", "हाँ"), ("はい！", "はい")]
        {
            assert_eq!(plain(written), word);
        }
        for says in ["*", "#", "<5", "50%", "-1", "c++", "c#", "👎", "—", "ក់"] {
            assert_eq!(plain(says), says);
        }
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
