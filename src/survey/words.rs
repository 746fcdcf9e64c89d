//! Text as people say and write it.

/// What two ways to write the same answer have in common: lower case, single blanks, none around,
/// and no full stop or other mark at the end.
pub fn plain(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut plain = words.join(" ");
    plain.truncate(plain.trim_end_matches(['.', '!', '?', ' ']).len());
    plain
}

/// The words of a text, to look for phrases in.
#[derive(Debug)]
pub struct Words(String);

/// A word or several that may be mentioned, whole and in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase(String);

impl Words {
    pub fn of(text: &str) -> Self {
        Self(spaced(text))
    }

    pub fn mention(&self, phrase: &Phrase) -> bool {
        self.0.contains(&phrase.0)
    }
}

impl Phrase {
    /// None where there is no word in it.
    pub fn parse(text: &str) -> Option<Self> {
        let words = spaced(text);
        if words.trim().is_empty() { None } else { Some(Self(words)) }
    }

    pub fn as_str(&self) -> &str {
        self.0.trim()
    }
}

/// Lower case, one blank around each word, so that whole words are found as text. An apostrophe
/// belongs to its word.
fn spaced(text: &str) -> String {
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
        let mentions =
            |text: &str, phrase: &str| Words::of(text).mention(&Phrase::parse(phrase).unwrap());
        assert!(mentions("I could HEAR  myself, twice.", "hear myself"));
        assert!(mentions("Echo!", "echo"));
        assert!(mentions("it didn’t work", "didn't"));
        assert!(!mentions("an echoing hall", "echo"));
        assert!(!mentions("hear and myself", "hear myself"));
        assert_eq!(Phrase::parse(" ,. "), None);
    }
}
