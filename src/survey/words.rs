//! Text as people say and write it.

use std::borrow::Borrow;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// What ends a sentence.
const STOPS: [char; 14] =
    ['.', '!', '?', '。', '｡', '．', '！', '？', '।', '۔', '؟', '։', '።', '។'];

/// What two ways to write the same answer have in common: lower case, composed letters, one kind of
/// apostrophe, single blanks, and no blanks or punctuation around. What has neither letter nor digit (`:-)`) keeps its
/// punctuation, but for stops.
pub fn plain(text: &str) -> String {
    let text: String = text.nfc().map(straight).collect();
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let plain = words.join(" ");
    if plain.contains(char::is_alphanumeric) {
        plain.trim_matches(is_punctuation).to_owned()
    } else {
        plain.trim_end_matches(|c| c == ' ' || STOPS.contains(&c)).to_owned()
    }
}

/// Without blanks around and one stop at the end, with which speech engines write what was said.
pub fn unstopped(said: &str) -> &str {
    let said = said.trim();
    said.strip_suffix(STOPS).unwrap_or(said)
}

/// Blanks, stops, quotation marks, brackets and the like of any script, and invisible marks of direction; not what tells
/// answers apart: symbols (`<5`), keys (`*`, `#`), `50%`, and what may be a minus (`-1`, also typographic).
fn is_punctuation(c: char) -> bool {
    let is_silent = || {
        c.general_category_group() == GeneralCategoryGroup::Punctuation
            || c.general_category() == GeneralCategory::Format
    };
    !"*#%&@/\\-\u{2010}\u{2011}\u{2012}–－﹣".contains(c) && (c.is_whitespace() || is_silent())
}

/// A word or several that may be mentioned, [spaced]; none where there is no word in it.
pub fn phrase(text: &str) -> Option<String> {
    Some(spaced(text)).filter(|words| !words.trim().is_empty())
}

/// Lower case, composed letters of ordinary width, one blank around each word, so that whole words are found in it as
/// text. After an apostrophe within a word another may begin (`l'echo`), before it none ends (`can't`). Katakana in a
/// row are a word, and each character of another script without blanks.
pub fn spaced(text: &str) -> String {
    const SOFT_HYPHEN: char = '\u{ad}';
    let text = of_ordinary_width(text);
    let mut spaced = String::with_capacity(text.len() + 2);
    separate(&mut spaced);
    let mut chars = text.nfc().filter(|c| *c != SOFT_HYPHEN).map(straight).peekable();
    let mut was_katakana = false;
    while let Some(c) = chars.next() {
        if std::mem::replace(&mut was_katakana, is_katakana(c)) != was_katakana {
            separate(&mut spaced);
        }
        let mut is_within =
            || !spaced.ends_with(' ') && chars.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '\'' if is_within() => spaced.push_str("' "),
            c if is_unspaced(c) => {
                separate(&mut spaced);
                spaced.extend([c, ' ']);
            }
            c if c.is_alphanumeric() => {
                spaced.extend(c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c }));
            }
            _ => separate(&mut spaced),
        }
    }
    separate(&mut spaced);
    spaced
}

fn of_ordinary_width(text: &str) -> String {
    let mut ordinary = String::with_capacity(text.len());
    for c in text.chars() {
        if ('\u{ff00}'..='\u{ffef}').contains(&c) {
            ordinary.extend(c.nfkc());
        } else {
            ordinary.push(c);
        }
    }
    ordinary
}

/// By one blank from what follows.
fn separate(spaced: &mut String) {
    if !spaced.ends_with(' ') {
        spaced.push(' ');
    }
}

/// Whether its script is written without blanks between words: Thai, Lao, Burmese, Khmer, hiragana or Han.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '々'
        | '\u{3040}'..='\u{309f}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Words of other languages are written in it, so that where they begin and end can be seen.
fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}')
}

/// With a straight apostrophe in place of a typographic one.
fn straight(c: char) -> char {
    if matches!(c, '‘' | '’' | 'ʼ' | '＇' | '′') { '\'' } else { c }
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
        for says in [
            "*",
            "#",
            "<5",
            "50%",
            "-1",
            "–1",
            "\u{2011}1",
            "a-",
            "a–",
            "c++",
            "c#",
            "👎",
            "—",
            "ក់",
            ":-)",
            ":-(",
            "=)",
        ] {
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
        for quoted in
            ["there was an 'echo' twice", "an ‘echo’", "ʼechoʼ", "l’echo", "ｅｃｈｏ", "e\u{ad}cho"]
        {
            assert!(mentions(quoted, "echo"), "{quoted}");
        }
        for apostrophe in ['\'', '‘', '’', 'ʼ', '＇', '′'] {
            assert!(mentions(&format!("it didn{apostrophe}t work"), "didn't"), "{apostrophe}");
        }
        assert!(mentions("il y avait de l'écho", "écho"));
        assert!(mentions("il y avait de l'écho", "l’écho"));
        assert!(mentions("c'era dell’eco", "eco"));
        assert!(!mentions("I can't complain", "can"));
        assert!(!mentions("l'echoing", "echo"));
        assert!(mentions("ΗΧΟΣ", "ηχος"));
        assert!(mentions("ηχος", "ΗΧΟΣ"));
        assert!(mentions("通话中有回声很严重", "回声"));
        assert!(!mentions("通话中有回音", "回声"));
        assert!(mentions("我的wifi信号不好", "WiFi信号"));
        assert!(mentions("ｴｺｰがひどい", "エコー"));
        assert!(mentions("エコー ノイズ", "エコー・ノイズ"));
        assert!(mentions("wifiエラー", "wifi"));
        assert!(!mentions("プラグが抜けた", "ラグ"));
        assert!(mentions("Zoom™ cut", "zoom"));
        assert!(mentions("มีเสียงก้องมาก", "เสียงก้อง"));
        assert!(mentions("se entrecorto\u{301}", "entrecortó"));
        assert!(mentions("se entrecortó", "entrecorto\u{301}"));
        assert!(!mentions("an echoing hall", "echo"));
        assert!(!mentions("hear and myself", "hear myself"));
        assert_eq!(phrase(" ,. "), None);
    }
}
