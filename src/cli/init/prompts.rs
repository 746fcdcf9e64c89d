//! Questions to the person at the terminal, one line each.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};

/// Where questions are put and answers come from.
pub(super) struct Prompts<R, W> {
    answers: R,
    questions: W,
}

/// How often one question is put before the command gives up.
const ATTEMPTS_MAX: usize = 5;

impl<R: BufRead, W: Write> Prompts<R, W> {
    pub fn new(answers: R, questions: W) -> Self {
        Self { answers, questions }
    }

    /// What the answer to a question means; an empty one means the default. Puts it again after an answer
    /// that `parse` refuses.
    ///
    /// # Errors
    /// There is no further line, or no answer was accepted.
    pub fn ask<T>(
        &mut self,
        question: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        for _ in 0..ATTEMPTS_MAX {
            write!(self.questions, "{question} [{default}]: ")?;
            self.questions.flush()?;
            let mut line = String::new();
            if self.answers.read_line(&mut line).context("reading the answer")? == 0 {
                bail!("the input ended: nothing is written");
            }
            let given = Some(line.trim()).filter(|given| !given.is_empty()).unwrap_or(default);
            match parse(given) {
                Ok(answer) => return Ok(answer),
                Err(message) => writeln!(self.questions, "{message}")?,
            }
        }
        bail!("no answer of {ATTEMPTS_MAX} was accepted: nothing is written")
    }
}

/// The choice that was given.
///
/// # Errors
/// Which choices there are.
pub(super) fn choice_of<'a>(choices: &[&'a str], given: &str) -> Result<&'a str, String> {
    let found = choices.iter().find(|choice| choice.eq_ignore_ascii_case(given));
    found.copied().ok_or_else(|| format!("expected one of {}", choices.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(answers: &str) -> (anyhow::Result<String>, String) {
        let mut questions = Vec::new();
        let mut prompts = Prompts::new(answers.as_bytes(), &mut questions);
        let answer = prompts
            .ask("Which?", "one", |given| choice_of(&["one", "two"], given).map(str::to_owned));
        (answer, String::from_utf8(questions).unwrap())
    }

    #[test]
    fn prompt_takes_an_answer_or_the_default() {
        assert_eq!(ask("TWO\n").0.unwrap(), "two");
        assert_eq!(ask("\n").0.unwrap(), "one");
    }

    #[test]
    fn prompt_is_put_again_after_a_wrong_answer_but_not_for_ever() {
        let (answer, questions) = ask("three\ntwo\n");
        assert_eq!(answer.unwrap(), "two");
        assert_eq!(questions, "Which? [one]: expected one of one, two\nWhich? [one]: ");
        let (answer, questions) = ask(&"three\n".repeat(9));
        assert!(answer.unwrap_err().to_string().contains("nothing is written"));
        assert_eq!(questions.matches("Which?").count(), ATTEMPTS_MAX);
        assert!(ask("").0.unwrap_err().to_string().starts_with("the input ended"));
    }
}
