use std::fmt;

use crate::domain::Name;

use super::definition::{Fault, QuestionDefinition};

/// All that a survey asks, in order.
#[derive(Debug)]
pub struct Questions(Vec<Question>);

#[derive(Debug)]
pub struct Question {
    pub name: Name,
    pub domain: Domain,
}

/// The answers that a question knows, as the texts that a caller's keys produce; in the order in
/// which they were written, each once. Empty only where it could not be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Domain {
    answers: Vec<String>,
    written: String,
}

/// Why some text describes no answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedDomain {
    #[error("say what may be answered: a key such as 1, a range such as 1-5, or a list of these")]
    Nothing,
    #[error("{0:?} is neither keys (digits, * and #, at most {max}) nor a range such as 1-5", max = Domain::KEYS_MAX)]
    NoAnswer(String),
    #[error("{from}-{to} runs backwards: write {to}-{from}")]
    Backwards { from: u32, to: u32 },
    #[error("a question knows at most {} answers", Domain::ANSWERS_MAX)]
    TooMany,
}

impl Questions {
    /// Most questions of one survey. No caller answers as many.
    pub const MAX: usize = 32;

    /// Where something is wrong, what is right of it, so that the rest can be checked too.
    pub fn compile(definitions: &[QuestionDefinition], faults: &mut Vec<Fault>) -> Self {
        let count = definitions.len();
        if !(1..=Self::MAX).contains(&count) {
            let message = format!("a survey asks 1 to {} questions, not {count}", Self::MAX);
            faults.push(Fault::at("questions", message));
        }
        let mut questions = Self(Vec::new());
        for (at, QuestionDefinition { name, answers }) in
            definitions.iter().enumerate().take(Self::MAX)
        {
            let domain = Domain::parse(answers).unwrap_or_else(|malformed| {
                let path = format!("questions[{at}].answers");
                faults.push(Fault::at(path, malformed.to_string()));
                Domain::default()
            });
            if questions.find(name.as_str()).is_some() {
                let message = format!("there is another question {name}: give each its own name");
                faults.push(Fault::at(format!("questions[{at}].name"), message));
            } else {
                questions.0.push(Question { name: name.clone(), domain });
            }
        }
        questions
    }

    pub fn first(&self) -> &Name {
        &self.0.first().expect("a survey without questions is refused").name
    }

    pub fn find(&self, name: &str) -> Option<&Question> {
        self.0.iter().find(|question| question.name.as_str() == name)
    }

    /// As [`find`](Self::find), with a fault at `path` where there is none among some.
    pub fn named(&self, name: &Name, path: &str, faults: &mut Vec<Fault>) -> Option<&Question> {
        let question = self.find(name.as_str());
        if question.is_none() && !self.0.is_empty() {
            let known: Vec<_> = self.iter().map(|question| question.name.as_str()).collect();
            let message = format!("there is no question {name}; known: {}", known.join(", "));
            faults.push(Fault::at(path, message));
        }
        question
    }

    pub fn iter(&self) -> impl Iterator<Item = &Question> {
        self.0.iter()
    }
}

impl Domain {
    /// Most answers of one question.
    pub const ANSWERS_MAX: usize = 1000;
    /// Most keys of one answer.
    pub const KEYS_MAX: usize = 16;

    /// Reads pieces such as `1-5`, `7`, `10`, `*`. The ends of a range are decimal numbers, written
    /// as a caller would key them: without leading zeros.
    ///
    /// # Errors
    /// The first piece that is none.
    pub fn parse(pieces: &[String]) -> Result<Self, MalformedDomain> {
        let mut domain = Self { answers: Vec::new(), written: pieces.join(", ") };
        for piece in pieces {
            match range(piece) {
                Some((from, to)) if from > to => {
                    return Err(MalformedDomain::Backwards { from, to });
                }
                Some((from, to)) if (to - from) as usize >= Self::ANSWERS_MAX => {
                    return Err(MalformedDomain::TooMany);
                }
                Some((from, to)) => (from..=to).for_each(|number| domain.add(number.to_string())),
                None if is_keys(piece) => domain.add(piece.clone()),
                None => return Err(MalformedDomain::NoAnswer(shortened(piece))),
            }
            if domain.answers.len() > Self::ANSWERS_MAX {
                return Err(MalformedDomain::TooMany);
            }
        }
        if domain.answers.is_empty() { Err(MalformedDomain::Nothing) } else { Ok(domain) }
    }

    pub fn contains(&self, answer: &str) -> bool {
        self.answers.iter().any(|known| known == answer)
    }

    pub fn answers(&self) -> impl Iterator<Item = &str> {
        self.answers.iter().map(String::as_str)
    }

    /// Whether it could not be read, and its fault was told.
    pub fn is_unreadable(&self) -> bool {
        self.answers.is_empty()
    }

    fn add(&mut self, answer: String) {
        if !self.contains(&answer) {
            self.answers.push(answer);
        }
    }
}

impl fmt::Display for Domain {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn is_keys(piece: &str) -> bool {
    (1..=Domain::KEYS_MAX).contains(&piece.len())
        && piece.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b))
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
    use super::*;

    fn parse(pieces: &[&str]) -> Result<Vec<String>, MalformedDomain> {
        let pieces: Vec<_> = pieces.iter().map(|&piece| piece.to_owned()).collect();
        Domain::parse(&pieces).map(|domain| domain.answers)
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
            assert_eq!(parse(pieces), Ok(expected), "{pieces:?}");
        }
        assert_eq!(parse(&["0-999"]).unwrap().len(), 1000);
    }

    #[test]
    fn what_no_caller_can_key_is_refused() {
        use MalformedDomain::*;
        for bad in
            ["", "yes", "1 - 5", "1-", "-5", "1-5-9", "01-05", "+1", "1,2", "1.5", "１", "*-#"]
        {
            assert_eq!(parse(&[bad]), Err(NoAnswer(bad.to_owned())), "{bad}");
        }
        assert_eq!(parse(&[&"1".repeat(17)]), Err(NoAnswer("1".repeat(17))));
        assert_eq!(parse(&[]), Err(Nothing));
        assert_eq!(parse(&["5-1"]), Err(Backwards { from: 5, to: 1 }));
        assert_eq!(parse(&["0-1000"]), Err(TooMany));
        assert_eq!(parse(&["0-4294967295"]), Err(TooMany));
        assert_eq!(parse(&["0-999", "*"]), Err(TooMany));
    }
}
