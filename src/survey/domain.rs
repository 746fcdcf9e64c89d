use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use minijinja::Value;

use super::definition::DomainDefinition;
use super::value_type::ValueType;
use super::words;

/// The answers that a question knows. Whatever a caller says is either one of them, in the one way
/// in which it is written here, or outside.
#[derive(Debug, Default)]
pub struct Domain {
    kind: Kind,
    /// All of them, in order, each once, with the value that conditions and templates know it by;
    /// empty where any text is an answer, and where the domain could not be read.
    answers: Vec<(String, Value)>,
    written: String,
}

/// How what was said is recognised.
#[derive(Debug, Default)]
enum Kind {
    #[default]
    Invalid,
    Keys(BTreeMap<String, usize>),
    SeveralKeys(Vec<char>),
    Number {
        /// The least answer, in the smallest steps that there are.
        least: i64,
        decimals: u32,
    },
    Words(BTreeMap<String, usize>),
    SeveralWords(Vec<String>),
    Text {
        length: usize,
    },
}

/// What a caller keys to give the answers of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyed {
    /// One of these.
    OneOf(Vec<String>),
    /// Any of these keys, one after the other.
    AnyOf(Vec<char>),
}

/// An answer that the question knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<'a> {
    /// Among all of them, where they are finite.
    pub at: Option<usize>,
    pub text: Cow<'a, str>,
}

impl Domain {
    /// Most answers of one question, numbers aside.
    pub const ANSWERS_MAX: usize = 1000;
    /// Most keys of one answer.
    pub const KEYS_MAX: usize = 16;
    /// Most answers that can be given together: 1,023 sets.
    pub const SEVERAL_MAX: usize = 10;
    /// From 0 to 100 in hundredths.
    pub const NUMBERS_MAX: usize = 10_001;
    pub const DECIMALS_MAX: u32 = 4;
    /// Most characters of a text.
    pub const TEXT_MAX: usize = 4096;

    /// # Errors
    /// What is wrong first, and what would be right.
    pub fn compile(definition: &DomainDefinition) -> Result<Self, String> {
        match definition {
            DomainDefinition::Keys { answers, multiple } => keys(answers, *multiple),
            DomainDefinition::Number { from, to, decimals } => number(*from, *to, *decimals),
            DomainDefinition::Choices { choices, multiple } => self::choices(choices, *multiple),
            DomainDefinition::YesNo { yes, no } => yes_no(yes, no),
            DomainDefinition::Text { length } if (1..=Self::TEXT_MAX).contains(length) => {
                Ok(Self {
                    kind: Kind::Text { length: *length },
                    answers: Vec::new(),
                    written: "any text".to_owned(),
                })
            }
            DomainDefinition::Text { length } => {
                Err(format!("text is kept up to 1 to {} characters, not {length}", Self::TEXT_MAX))
            }
        }
    }

    /// The answer that `said` is.
    pub fn find<'a>(&'a self, said: &'a str) -> Option<Known<'a>> {
        let at = match &self.kind {
            Kind::Invalid => None,
            Kind::Keys(known) => {
                known.get(said).or_else(|| known.get(words::unstopped(said))).copied()
            }
            Kind::SeveralKeys(keys) => set_of_keys(keys, words::unstopped(said)),
            Kind::Number { least, decimals } => {
                let place = |said: &str| {
                    let steps = in_steps(said, *decimals)?.checked_sub(*least)?;
                    usize::try_from(steps).ok().filter(|at| *at < self.answers.len())
                };
                let is_thousands =
                    || in_thousands(said.trim(), *decimals).is_some_and(|it| place(&it).is_some());
                place(said.trim()).filter(|_| !is_thousands())
            }
            Kind::Words(known) => known.get(&words::plain(said)).copied(),
            Kind::SeveralWords(known) => set_of_words(known, said),
            Kind::Text { length } => return text(said, *length),
        }?;
        Some(self.at(at))
    }

    /// All answers, in order; none where any text is one.
    pub fn answers(&self) -> impl ExactSizeIterator<Item = &str> {
        self.answers.iter().map(|(text, _)| text.as_str())
    }

    /// What is keyed for the answers.
    ///
    /// # Errors
    /// Why not every answer can be keyed, as what follows the question's name.
    pub fn keyed(&self) -> Result<Keyed, String> {
        let texts: Vec<(&str, usize)> = match &self.kind {
            Kind::SeveralKeys(keys) => return Ok(Keyed::AnyOf(keys.clone())),
            Kind::SeveralWords(_) => return Err("takes several choices at once".to_owned()),
            Kind::Invalid | Kind::Text { .. } => return Err("takes any text".to_owned()),
            Kind::Number { .. } => self.answers().zip(0..).collect(),
            Kind::Keys(known) | Kind::Words(known) => {
                known.iter().map(|(text, at)| (text.as_str(), *at)).collect()
            }
        };
        let keyed: Vec<_> = texts.into_iter().filter(|(text, _)| is_keyed(text)).collect();
        let has_keys: BTreeSet<usize> = keyed.iter().map(|(_, at)| *at).collect();
        match self.answers().enumerate().find(|(at, _)| !has_keys.contains(at)) {
            Some((_, answer)) => Err(format!("has the answer {answer}, which has no keys")),
            None => Ok(Keyed::OneOf(keyed.into_iter().map(|(text, _)| text.to_owned()).collect())),
        }
    }

    /// The answer at a place.
    pub fn at(&self, at: usize) -> Known<'_> {
        Known { at: Some(at), text: Cow::Borrowed(&self.answers[at].0) }
    }

    /// What conditions see.
    pub fn value(&self, known: &Known<'_>) -> Value {
        match known.at {
            Some(at) => self.answers[at].1.clone(),
            None => Value::from(known.text.as_ref()),
        }
    }

    /// The type of what conditions see.
    pub fn value_type(&self) -> ValueType {
        // Of these answers, which are numbers if all are.
        let single = |answers: Vec<&(String, Value)>, are_numbers: bool| match are_numbers {
            true => ValueType::Number,
            false => ValueType::OneOf(answers.iter().map(|(text, _)| text.clone()).collect()),
        };
        let is_number = |value: &Value| value.is_number();
        match &self.kind {
            Kind::Invalid => ValueType::Unknown,
            Kind::Number { .. } => ValueType::Number,
            Kind::Text { .. } => ValueType::Text,
            Kind::Keys(_) | Kind::Words(_) => {
                let are_numbers = self.answers.iter().all(|(_, value)| is_number(value));
                single(self.answers.iter().collect(), are_numbers)
            }
            Kind::SeveralKeys(_) | Kind::SeveralWords(_) => {
                let members = self.answers.iter().enumerate();
                let members = members.filter(|(at, _)| (at + 1).is_power_of_two());
                let members: Vec<_> = members.map(|(_, member)| member).collect();
                let are_numbers = members.iter().all(|(_, set)| {
                    set.get_item_by_index(0).is_ok_and(|member| is_number(&member))
                });
                ValueType::List(Box::new(single(members, are_numbers)))
            }
        }
    }

    /// What templates see: several answers together are one text.
    pub fn shown(&self, known: &Known<'_>) -> Value {
        if self.is_several() { Value::from(known.text.as_ref()) } else { self.value(known) }
    }

    /// Where the answers stand that `written` names: one, or a range of numbers such as `0-6`.
    /// Where several can be given together: the sets that hold it.
    pub fn named(&self, written: &str) -> Vec<usize> {
        match &self.kind {
            Kind::SeveralKeys(_) | Kind::SeveralWords(_) => match self.find(written) {
                Some(Known { at: Some(at), .. }) if (at + 1).is_power_of_two() => {
                    (0..self.answers.len()).filter(|set| (set + 1) & (at + 1) != 0).collect()
                }
                _ => Vec::new(),
            },
            Kind::Text { .. } => Vec::new(),
            _ => match (self.find(written), self.range(written)) {
                (Some(Known { at: Some(at), .. }), _) => vec![at],
                (_, Some(range)) => range,
                _ => Vec::new(),
            },
        }
    }

    fn range(&self, written: &str) -> Option<Vec<usize>> {
        // The first character may be the sign of the lower end.
        let (at, _) = written.trim_start().match_indices('-').find(|(at, _)| *at > 0)?;
        let (from, to) = written.trim_start().split_at(at);
        let steps = |number: &str| in_steps(number, Self::DECIMALS_MAX);
        let (from, to) = (steps(from.trim())?, steps(to[1..].trim())?);
        let within = |answer: &str| steps(answer).is_some_and(|it| (from..=to).contains(&it));
        let found = self.answers().enumerate().filter(|(_, answer)| within(answer));
        Some(found.map(|(at, _)| at).collect())
    }

    /// Whether it could not be read, and its fault was reported.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.kind, Kind::Invalid)
    }

    /// Whether any text is an answer, so that they cannot be enumerated.
    pub fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Text { .. })
    }

    /// Whether an answer can be several at once.
    pub fn is_several(&self) -> bool {
        matches!(self.kind, Kind::SeveralKeys(_) | Kind::SeveralWords(_))
    }
}

impl fmt::Display for Domain {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Reads pieces such as `1-5`, `7`, `10`, `*`. The ends of a range are decimal numbers, written as
/// a caller would key them: without leading zeros.
fn keys(pieces: &[String], multiple: bool) -> Result<Domain, String> {
    let mut known = BTreeMap::new();
    let mut answers: Vec<String> = Vec::new();
    let mut add = |answer: String| {
        if !known.contains_key(&answer) {
            known.insert(answer.clone(), answers.len());
            answers.push(answer);
        }
        if answers.len() > Domain::ANSWERS_MAX { Err(too_many()) } else { Ok(()) }
    };
    for piece in pieces {
        match range(piece) {
            Some((from, to)) if from > to => {
                return Err(format!("{from}-{to} runs backwards: write {to}-{from}"));
            }
            Some((from, to)) => (from..=to).try_for_each(|number| add(number.to_string()))?,
            None if is_keys(piece) => add(piece.clone())?,
            None => {
                return Err(format!(
                    "{:?} is neither keys (digits, * and #, at most {}) nor a range such as 1-5",
                    shortened(piece),
                    Domain::KEYS_MAX
                ));
            }
        }
    }
    if answers.is_empty() {
        let what =
            "say what may be answered: a key such as 1, a range such as 1-5, or a list of these";
        return Err(what.to_owned());
    }
    let values = values(&answers);
    let written = pieces.join(", ");
    if !multiple {
        let answers = answers.into_iter().zip(values).collect();
        return Ok(Domain { kind: Kind::Keys(known), answers, written });
    }
    let mut keys = Vec::new();
    for answer in &answers {
        let mut chars = answer.chars();
        match (chars.next(), chars.next()) {
            (Some(key), None) => keys.push(key),
            _ => {
                return Err(format!(
                    "{answer} is more than one key: where several may be pressed in a row, each \
                     answer is one key"
                ));
            }
        }
    }
    let answers = sets(&answers, &values, "")?;
    let written = format!("{written}, one or several");
    Ok(Domain { kind: Kind::SeveralKeys(keys), answers, written })
}

/// Integers where all are, text otherwise.
fn values(answers: &[String]) -> Vec<Value> {
    let numbers: Option<Vec<_>> =
        answers.iter().map(|answer| canonical(answer).map(Value::from)).collect();
    numbers.unwrap_or_else(|| answers.iter().map(|answer| Value::from(answer.as_str())).collect())
}

/// Every set but the empty one; the set at `n` holds the members whose bits are in `n + 1`.
fn sets(
    members: &[String],
    values: &[Value],
    between: &str,
) -> Result<Vec<(String, Value)>, String> {
    if members.len() > Domain::SEVERAL_MAX {
        return Err(format!(
            "at most {} may be answered together: every set of them is an answer",
            Domain::SEVERAL_MAX
        ));
    }
    let set = |bits: usize| {
        let chosen = (0..members.len()).filter(move |member| bits & (1 << member) != 0);
        let texts: Vec<_> = chosen.clone().map(|member| members[member].as_str()).collect();
        let values: Vec<_> = chosen.map(|member| values[member].clone()).collect();
        (texts.join(between), Value::from(values))
    };
    Ok((1..1 << members.len()).map(set).collect())
}

fn number(from: i64, to: i64, decimals: u32) -> Result<Domain, String> {
    if from > to {
        return Err(format!(
            "from {from} to {to} there is no number: write the lesser one first, such as [0, 10]"
        ));
    }
    let steps =
        |scale: i64| Some((to.checked_sub(from)?.checked_mul(scale)?, from.checked_mul(scale)?));
    let scale = 10i64.pow(decimals.min(Domain::DECIMALS_MAX));
    let few = steps(scale).filter(|(count, _)| *count < Domain::NUMBERS_MAX as i64);
    let Some((count, least)) = few.filter(|_| decimals <= Domain::DECIMALS_MAX) else {
        return Err(format!(
            "a number has at most {} decimals, and a question at most {} numbers: narrow it",
            Domain::DECIMALS_MAX,
            Domain::NUMBERS_MAX
        ));
    };
    let answer = |steps: i64| {
        if steps % scale == 0 {
            let whole = steps / scale;
            return (whole.to_string(), Value::from(whole));
        }
        let sign = if steps < 0 { "-" } else { "" };
        let (whole, part) = (steps.abs() / scale, steps.abs() % scale);
        let text = format!("{sign}{whole}.{part:0width$}", width = decimals as usize);
        let text = text.trim_end_matches('0').to_owned();
        (text, Value::from(steps as f64 / scale as f64))
    };
    let answers = (least..=least + count).map(answer).collect();
    let written = match decimals {
        0 => format!("{from} to {to}"),
        1 => format!("{from} to {to} with a decimal"),
        more => format!("{from} to {to} with {more} decimals"),
    };
    Ok(Domain { kind: Kind::Number { least, decimals }, answers, written })
}

/// A decimal number in steps of its last decimal; a point or a comma before the decimals.
fn in_steps(text: &str, decimals: u32) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, part) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let part = part.trim_end_matches('0');
    let part_is_right = part.len() <= decimals as usize && (part.is_empty() || are_digits(part));
    if !are_digits(whole) || !part_is_right {
        return None;
    }
    let part: i64 = format!("{part:0<width$}", width = decimals as usize).parse().unwrap_or(0);
    let steps = whole.parse::<i64>().ok()?.checked_mul(10i64.pow(decimals))?.checked_add(part)?;
    Some(if negative { -steps } else { steps })
}

/// The text without the mark, if that may also separate thousands, as in `1,000`: if
/// that is an answer too, no one can tell which is meant.
fn in_thousands(text: &str, decimals: u32) -> Option<String> {
    let (whole, part) = text.split_once(['.', ','])?;
    let is_whole = (1..=3).contains(&whole.trim_start_matches('-').len()) && decimals < 3;
    (is_whole && part.len() == 3).then(|| format!("{whole}{part}"))
}

fn choices(choices: &[String], multiple: bool) -> Result<Domain, String> {
    if choices.is_empty() {
        return Err("say what may be chosen: a list of texts such as [Good, Bad]".to_owned());
    }
    if choices.len() > Domain::ANSWERS_MAX {
        return Err(too_many());
    }
    let known = words_known(choices.iter().map(String::as_str).zip(0..))?;
    let written = choices.join(", ");
    let texts: Vec<String> = choices.iter().map(|choice| choice.trim().to_owned()).collect();
    let values: Vec<Value> = texts.iter().map(|text| Value::from(text.as_str())).collect();
    if multiple {
        let answers = sets(&texts, &values, "; ")?;
        let known = texts.iter().map(|text| words::plain(text)).collect();
        let written = format!("{written}, one or several");
        return Ok(Domain { kind: Kind::SeveralWords(known), answers, written });
    }
    let answers = texts.into_iter().zip(values).collect();
    Ok(Domain { kind: Kind::Words(known), answers, written })
}

fn yes_no(yes: &[String], no: &[String]) -> Result<Domain, String> {
    let own = [("yes", 0), ("y", 0), ("true", 0), ("no", 1), ("n", 1), ("false", 1)];
    let mut known = words_known(own.into_iter())?;
    for (word, at) in yes.iter().map(|word| (word, 0)).chain(no.iter().map(|word| (word, 1))) {
        if known.insert(plain_word(word)?, at).is_some_and(|other| other != at) {
            return Err(alike(word));
        }
    }
    let answers = ["yes", "no"].map(|word| (word.to_owned(), Value::from(word))).to_vec();
    Ok(Domain { kind: Kind::Words(known), answers, written: "yes, no".to_owned() })
}

fn words_known<'a>(
    words: impl Iterator<Item = (&'a str, usize)>,
) -> Result<BTreeMap<String, usize>, String> {
    let mut known = BTreeMap::new();
    for (word, at) in words {
        if known.insert(plain_word(word)?, at).is_some() {
            return Err(alike(word));
        }
    }
    Ok(known)
}

/// As it is [compared](words::plain).
///
/// # Errors
/// There is no word in it.
pub fn plain_word(written: &str) -> Result<String, String> {
    match words::plain(written) {
        plain if plain.is_empty() => {
            Err(format!("{:?} is no text to choose: write a word", shortened(written)))
        }
        plain => Ok(plain),
    }
}

fn alike(word: &str) -> String {
    format!(
        "{:?} is the same as another choice: letters in upper or lower case, blanks, and \
         punctuation around it make no difference",
        shortened(word)
    )
}

fn too_many() -> String {
    format!("a question knows at most {} answers", Domain::ANSWERS_MAX)
}

/// Keys in a row, in any order, some twice, with blanks or commas between or not.
fn set_of_keys(keys: &[char], said: &str) -> Option<usize> {
    let mut bits = 0usize;
    for key in said.chars().filter(|c| !c.is_whitespace() && *c != ',') {
        bits |= 1 << keys.iter().position(|known| *known == key)?;
    }
    bits.checked_sub(1)
}

/// On lines of their own, or else between semicolons, or else between commas; between two may be nothing.
fn set_of_words(known: &[String], said: &str) -> Option<usize> {
    let find = |piece: &str| {
        let plain = words::plain(piece);
        known.iter().position(|known| *known == plain)
    };
    if let Some(only) = find(said) {
        return Some((1 << only) - 1);
    }
    let mut bits = 0usize;
    let between = ['\n', ';'].into_iter().find(|mark| said.contains(*mark)).unwrap_or(',');
    for piece in said.split(between).filter(|piece| !piece.trim().is_empty()) {
        bits |= 1 << find(piece)?;
    }
    bits.checked_sub(1)
}

/// Whatever it is, without the blanks around it, cut between two characters.
fn text(said: &str, length: usize) -> Option<Known<'_>> {
    let said = said.trim();
    let end = said.char_indices().nth(length).map_or(said.len(), |(end, _)| end);
    let said = said[..end].trim_end();
    if said.is_empty() { None } else { Some(Known { at: None, text: Cow::Borrowed(said) }) }
}

/// Whether a text consists of keys of a phone.
pub fn is_keyed(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b))
}

fn is_keys(piece: &str) -> bool {
    piece.len() <= Domain::KEYS_MAX && is_keyed(piece)
}

fn range(piece: &str) -> Option<(u32, u32)> {
    let (from, to) = piece.split_once('-')?;
    Some((canonical(from)?, canonical(to)?))
}

/// A number in the one way in which it is keyed.
fn canonical(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|number: &u32| number.to_string() == digits)
}

/// Long enough to find it in the settings.
fn shortened(piece: &str) -> String {
    piece.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::survey::samples::strings;

    fn keys_of(pieces: &[&str]) -> Result<Vec<String>, String> {
        keys(&strings(pieces), false).map(|domain| domain.answers().map(str::to_owned).collect())
    }

    fn assert_found(domain: &Domain, rows: &[(&str, Option<&str>)]) {
        for (said, expected) in rows {
            let found = domain.find(said).map(|known| known.text);
            assert_eq!(found.as_deref(), *expected, "{said}");
        }
    }

    #[test]
    fn answers_are_keys_or_ranges_or_lists_of_these() {
        for (pieces, expected) in [
            (&["1-5"][..], "1 2 3 4 5"),
            (&["8-11"], "8 9 10 11"),
            (&["7"], "7"),
            (&["3-3"], "3"),
            (&["10", "*", "#", "*1", "007"], "10 * # *1 007"),
            (&["1-3", "2", "9"], "1 2 3 9"),
        ] {
            let expected = expected.split(' ').map(str::to_owned).collect();
            assert_eq!(keys_of(pieces), Ok(expected), "{pieces:?}");
        }
        assert_eq!(keys_of(&["0-999"]).unwrap().len(), 1000);
    }

    #[test]
    fn what_no_caller_can_key_is_refused() {
        let refused = |pieces: &[&str], why: &str| {
            let fault = keys_of(pieces).unwrap_err();
            assert!(fault.contains(why), "{pieces:?}: {fault}");
        };
        for bad in
            ["", "yes", "1 - 5", "1-", "-5", "1-5-9", "01-05", "+1", "1,2", "1.5", "１", "*-#"]
        {
            refused(&[bad], &format!("{bad:?} is neither keys"));
        }
        refused(&[&"1".repeat(17)], &format!("{:?} is neither keys", "1".repeat(17)));
        refused(&[], "say what may be answered");
        refused(&["5-1"], "5-1 runs backwards: write 1-5");
        for many in [&["0-1000"][..], &["0-4294967295"], &["0-999", "*"]] {
            refused(many, "at most 1000 answers");
        }
    }

    #[test]
    fn a_key_that_was_spoken_may_be_written_as_a_sentence() {
        let domain = keys(&strings(&["1-5", "*"]), false).unwrap();
        for said in ["4", "4.", "4 ", " 4", "4\n", " 4! ", "4。", "4।"] {
            assert_found(&domain, &[(said, Some("4"))]);
        }
        assert_found(
            &domain,
            &["04", "4#", "4.0", "4..", "4,", ".4", ".", ""].map(|said| (said, None)),
        );
    }

    #[test]
    fn several_keys_in_a_row_are_a_set() {
        let domain = keys(&strings(&["1-3", "#"]), true).unwrap();
        assert_found(
            &domain,
            &[
                ("31", Some("13")),
                ("1", Some("1")),
                ("#22 1", Some("12#")),
                ("1,\n3", Some("13")),
                ("1 3.", Some("13")),
                ("14", None),
                ("", None),
                (" ", None),
            ],
        );
        assert_eq!(domain.answers().len(), 15);
        assert_eq!(domain.value(&domain.find("31").unwrap()).to_string(), "['1', '3']");
        assert_eq!(domain.named("1").len(), 8);
        assert!(domain.named("12").is_empty());
        assert!(keys(&strings(&["1-10"]), true).is_err());
        let many = keys(&strings(&["0-9", "*"]), true).unwrap_err();
        assert!(many.starts_with("at most 10 may be answered together"), "{many}");
    }

    #[test]
    fn a_number_has_one_way_to_be_written() {
        let whole = number(-1, 10, 0).unwrap();
        assert_found(
            &whole,
            &[
                ("7", Some("7")),
                ("07", Some("7")),
                (" 10.0 ", Some("10")),
                ("-1", Some("-1")),
                ("7.5", None),
                ("11", None),
                ("-2", None),
                ("seven", None),
                ("", None),
                ("1e1", None),
                ("99999999999999999999", None),
            ],
        );
        let tenths = number(0, 5, 1).unwrap();
        assert_found(
            &tenths,
            &[
                ("4,5", Some("4.5")),
                ("4.50", Some("4.5")),
                ("4.500", Some("4.5")),
                ("5", Some("5")),
                ("4.55", None),
            ],
        );
        // Who says a thousand has not said 1; where there is no thousand, nothing else is meant.
        let thousands = number(-5000, 5000, 0).unwrap();
        assert_found(&thousands, &["1,000", "1.000", "-1,000"].map(|said| (said, None)));
        assert_found(&thousands, &[("1000", Some("1000")), ("1.00", Some("1"))]);
        let below = number(-1, 0, 2).unwrap();
        assert_found(&below, &[("-0.5", Some("-0.5"))]);
        let around = number(-5, 5, 1).unwrap();
        let named = |written: &str| {
            let at = around.named(written);
            let text = |at: &usize| around.at(*at).text.into_owned();
            Some((text(at.first()?), text(at.last()?), at.len()))
        };
        let range = |from: &str, to: &str, count| Some((from.to_owned(), to.to_owned(), count));
        assert_eq!(named("-5--1"), range("-5", "-1", 41));
        assert_eq!(named("-0.5 - 1"), range("-0.5", "1", 16));
        assert_eq!(named("0-5"), range("0", "5", 51));
        assert_eq!(named("-5"), range("-5", "-5", 1));
        for bad in ["0-inf", "0-1e1", "nan-5", "-", "-5-", "--5", "1--1"] {
            assert_eq!(named(bad), None, "{bad}");
        }
        assert!(number(5, 1, 0).is_err());
        assert!(number(0, 100, 3).is_err());
        assert!(number(i64::MIN, i64::MAX, 4).is_err());
    }

    #[test]
    fn choices_are_found_however_they_are_written() {
        let domain = choices(&strings(&["Very good", "Bad"]), false).unwrap();
        assert_found(&domain, &[(" very GOOD. ", Some("Very good")), ("good", None)]);
        let bien = choices(&strings(&["Muy bien", "<5", ">5"]), false).unwrap();
        assert_found(&bien, &[("¡Muy bien!", Some("Muy bien")), ("“>5”", Some(">5"))]);
        for twice in ["good!", "“Good”", "¡good"] {
            let alike = choices(&strings(&["Good", twice]), false).unwrap_err();
            assert!(
                alike.starts_with(&format!("{twice:?} is the same as another choice")),
                "{alike}"
            );
        }
        let several = choices(&strings(&["Echo", "Delay", "Noise, hum"]), true).unwrap();
        assert_found(
            &several,
            &[
                ("delay, echo", Some("Echo; Delay")),
                ("noise, hum\nEcho", Some("Echo; Noise, hum")),
                ("noise, hum", Some("Noise, hum")),
                ("Delay;", Some("Delay")),
                ("Delay,", Some("Delay")),
                ("Delay;; Echo; ", Some("Echo; Delay")),
                ("\nDelay\n\nEcho\n", Some("Echo; Delay")),
                ("hum", None),
                ("Delay, hum", None),
                (" ; ;", None),
            ],
        );
    }

    #[test]
    fn yes_and_no_have_their_words() {
        let domain = yes_no(&strings(&["1", "ja"]), &strings(&["2", "nein"])).unwrap();
        assert_found(
            &domain,
            &[("Yes.", Some("yes")), ("JA", Some("yes")), ("2", Some("no")), ("maybe", None)],
        );
        let words = yes_no(&strings(&["はい", "हाँ", "sí"]), &[]).unwrap();
        for said in ["はい。", "हाँ।", "¡Sí!", "yes,", "yes…", "“Yes”"] {
            assert_found(&words, &[(said, Some("yes"))]);
        }
        assert!(yes_no(&strings(&["1"]), &strings(&["1"])).is_err());
        assert!(yes_no(&strings(&["no"]), &[]).is_err());
    }

    #[test]
    fn text_is_cut_between_characters() {
        let domain = Domain::compile(&DomainDefinition::Text { length: 3 }).unwrap();
        assert_found(&domain, &[("  é→😀x ", Some("é→😀")), (" \n ", None)]);
        assert!(Domain::compile(&DomainDefinition::Text { length: 0 }).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_found_again_as_it_is_kept(said in ".{0,20}|[0-9*#., -]{0,8}") {
            let domains = [
                keys(&strings(&["1-5", "*"]), false).unwrap(),
                keys(&strings(&["1-5", "*"]), true).unwrap(),
                number(-3, 20, 2).unwrap(),
                choices(&strings(&["a", "B c"]), true).unwrap(),
                Domain::compile(&DomainDefinition::Text { length: 7 }).unwrap(),
            ];
            for domain in &domains {
                if let Some(known) = domain.find(&said) {
                    let again = domain.find(&known.text);
                    prop_assert_eq!(Some(&known), again.as_ref());
                }
            }
        }
    }
}
