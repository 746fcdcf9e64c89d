//! Text as people say and write it.

use std::borrow::Borrow;

/// What two ways to write the same answer have in common: lower case, single blanks, none around,
/// and no full stop or other mark at the end.
pub fn plain(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut plain = words.join(" ");
    plain.truncate(plain.trim_end_matches(['.', '!', '?', ' ']).len());
    plain
}

/// A word or several that may be mentioned, [spaced]; none where there is no word in it.
pub fn phrase(text: &str) -> Option<String> {
    Some(spaced(text)).filter(|words| !words.trim().is_empty())
}

/// Lower case, one blank around each word, so that whole words are found in it as text. An
/// apostrophe belongs to its word.
pub fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 2);
    spaced.push(' ');
    for c in text.chars() {
        match c {
            '\'' | '’' => spaced.push('\''),
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
    }

    #[test]
    fn only_whole_words_are_mentioned() {
        let mentions = |text: &str, of: &str| spaced(text).contains(&phrase(of).unwrap());
        assert!(mentions("I could HEAR  myself, twice.", "hear myself"));
        assert!(mentions("Echo!", "echo"));
        assert!(mentions("it didn’t work", "didn't"));
        assert!(!mentions("an echoing hall", "echo"));
        assert!(!mentions("hear and myself", "hear myself"));
        assert_eq!(phrase(" ,. "), None);
    }
}
