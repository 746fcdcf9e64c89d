//! What a caller can key on a phone to answer a question.

use super::domain::{Keyed, is_keyed};
use super::question::Question;

/// The keys that answer a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keypad {
    /// Every key that occurs in an answer, each once, in the order `0123456789*#`.
    pub keys: String,
    /// Most keys of one answer; at least 1.
    pub length_max: usize,
}

/// The keys of a phone, in the order in which they are written.
const KEYS: &str = "0123456789*#";

impl Keypad {
    /// The keys for all answers of a question and for the opt-outs that can be keyed.
    ///
    /// # Errors
    /// Why not every answer can be keyed, as what follows the question's name.
    pub(super) fn of(question: &Question) -> Result<Self, String> {
        let keyed = question.domain.keyed()?;
        let opt_outs = question.opt_outs().filter(|text| is_keyed(text)).map(str::to_owned);
        let (answers, length_max) = match keyed {
            Keyed::OneOf(answers) => (answers, 1),
            // Each key once is enough to say all of them.
            Keyed::AnyOf(keys) => (keys.iter().map(char::to_string).collect(), keys.len()),
        };
        let answers: Vec<String> = answers.into_iter().chain(opt_outs).collect();
        let occurs = |key: &char| answers.iter().any(|answer| answer.contains(*key));
        let longest = answers.iter().map(String::len).max().unwrap_or(1);
        Ok(Self {
            keys: KEYS.chars().filter(occurs).collect(),
            length_max: length_max.max(longest),
        })
    }

    /// The key that ends an answer of fewer keys than the longest: `#`, or `*` if an answer has a `#`.
    /// `None` if answers have one key only, or have both.
    pub fn finish_key(&self) -> Option<char> {
        ['#', '*'].into_iter().find(|key| self.length_max > 1 && !self.keys.contains(*key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::definition::{DomainDefinition, QuestionDefinition};
    use crate::survey::question::Questions;

    fn keys(answers: &[&str], multiple: bool) -> DomainDefinition {
        let answers = answers.iter().map(|it| (*it).to_owned()).collect();
        DomainDefinition::Keys { answers, multiple }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|it| (*it).to_owned()).collect()
    }

    fn number(from: i64, to: i64, decimals: u32) -> DomainDefinition {
        DomainDefinition::Number { from, to, decimals }
    }

    fn question(domain: DomainDefinition, opt_out: &[&str]) -> Questions {
        let definition = QuestionDefinition {
            opt_out: texts(opt_out),
            ..QuestionDefinition::new("score".parse().unwrap(), domain)
        };
        let mut faults = Vec::new();
        let questions = Questions::compile(&[definition], &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        questions
    }

    /// Every text of up to so many keys.
    fn rows(keys: &str, length_max: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length_max {
            last = last
                .iter()
                .flat_map(|row| keys.chars().map(move |key| format!("{row}{key}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all.split_off(1)
    }

    #[test]
    fn keypad_permits_each_answer_and_of_single_keys_nothing_else() {
        let good_bad = DomainDefinition::YesNo { yes: texts(&["1"]), no: texts(&["2", "bad"]) };
        let choices =
            DomainDefinition::Choices { choices: texts(&["1", "3", "#"]), multiple: false };
        for (domain, opt_out, keys, length) in [
            (keys(&["1-5"], false), &[][..], "12345", 1),
            (keys(&["7", "*", "#"], false), &[], "7*#", 1),
            (keys(&["1-3"], false), &["9", "stop"], "1239", 1),
            (keys(&["1-10"], false), &[], "0123456789", 2),
            (keys(&["10", "20"], false), &[], "012", 2),
            (keys(&["1", "2", "4"], true), &[], "124", 3),
            (number(0, 9, 0), &[], "0123456789", 1),
            (number(0, 10, 0), &[], "0123456789", 2),
            (number(1, 3, 0), &["00"], "0123", 2),
            (good_bad, &[], "12", 1),
            (choices, &[], "13#", 1),
        ] {
            let questions = question(domain, opt_out);
            let question = questions.at(0);
            let keypad = Keypad::of(question).unwrap();
            assert_eq!((&*keypad.keys, keypad.length_max), (keys, length));
            let is_answer =
                |row: &String| question.domain.find(row).is_some() || question.is_opt_out(row);
            let permitted = rows(&keypad.keys, keypad.length_max);
            if length == 1 {
                assert!(permitted.iter().all(is_answer), "{permitted:?}");
            }
            // Each key is needed, and nothing that can be keyed is missing.
            let answers: Vec<_> = permitted.iter().filter(|row| is_answer(row)).collect();
            for key in keypad.keys.chars() {
                assert!(answers.iter().any(|answer| answer.contains(key)), "{key}");
            }
            let others = rows(KEYS, keypad.length_max.min(3) + 1);
            let missing = others.iter().filter(|row| is_answer(row) && !permitted.contains(row));
            let missing: Vec<_> = missing.filter(|row| is_canonical(question, row)).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    }

    /// Not with zeros in front of a number, nor a key twice.
    fn is_canonical(question: &Question, row: &str) -> bool {
        let has_zeros = row.len() > 1 && row.starts_with('0');
        let mut keys: Vec<char> = row.chars().collect();
        keys.sort_unstable();
        keys.dedup();
        !has_zeros && (!question.domain.is_several() || keys.len() == row.len())
    }

    #[test]
    fn keypad_has_a_finish_key_that_no_answer_has() {
        let finish = |answers: &[&str]| {
            Keypad::of(question(keys(answers, false), &[]).at(0)).unwrap().finish_key()
        };
        assert_eq!(finish(&["1-5"]), None);
        assert_eq!(finish(&["1-10"]), Some('#'));
        assert_eq!(finish(&["1-10", "#"]), Some('*'));
        assert_eq!(finish(&["10", "*", "#"]), None);
    }

    #[test]
    fn question_that_keys_cannot_answer_has_no_keypad() {
        let choices = |choices: &[&str], multiple| DomainDefinition::Choices {
            choices: texts(choices),
            multiple,
        };
        for (domain, why) in [
            (DomainDefinition::Text { length: 9 }, "takes any text"),
            (number(0, 1, 1), "has the answer 0.1, which has no keys"),
            (number(-1, 1, 0), "has the answer -1, which has no keys"),
            (choices(&["1", "fair"], false), "has the answer fair, which has no keys"),
            (choices(&["1", "2"], true), "takes several choices at once"),
            (
                DomainDefinition::YesNo { yes: texts(&["1"]), no: Vec::new() },
                "has the answer no, which has no keys",
            ),
        ] {
            assert_eq!(Keypad::of(question(domain, &["9"]).at(0)), Err(why.to_owned()));
        }
    }
}
