use std::collections::BTreeSet;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use crate::domain::Name;

use super::definition::{Fault, NotesDefinition};
use super::question::Questions;

/// Free text that goes with a rating, made of the answers.
#[derive(Debug)]
pub struct Notes {
    environment: Environment<'static>,
    /// Each question and the name by which the template knows it.
    variables: Vec<(Name, String)>,
    length: usize,
}

/// A template that stumbles over some answers. What it says of them is left out: it could end in
/// a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the notes cannot be written: {0}")]
pub struct NotesFailed(String);

/// Longest template in bytes.
const TEMPLATE_MAX: usize = 2048;
/// Longest notes in characters. Plivo documents no limit.
const LENGTH_MAX: usize = 4096;
/// Bounds the time and the memory that one rendering takes: about as many instructions, and 64
/// times as many bytes.
const FUEL: u64 = 10_000;
const TEMPLATE_NAME: &str = "notes";

impl Notes {
    pub fn compile(
        definition: NotesDefinition,
        questions: &Questions,
        rating_of: &Name,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let NotesDefinition { template, length } = definition;
        let faults_before = faults.len();
        if !(1..=LENGTH_MAX).contains(&length) {
            let message = format!("notes are cut at 1 to {LENGTH_MAX} characters, not {length}");
            faults.push(Fault::at("notes_length", message));
        }
        let variables = variables(questions, faults);
        if template.len() > TEMPLATE_MAX {
            let message = format!("a template is at most {TEMPLATE_MAX} bytes long");
            faults.push(Fault::at("notes", message));
            return None;
        }
        let mut environment = environment();
        if let Err(error) = environment.add_template_owned(TEMPLATE_NAME, template) {
            faults.push(Fault::at("notes", error.to_string()));
            return None;
        }
        let notes = Self { environment, variables, length };
        faults.extend(notes.unknown_names());
        if faults.len() == faults_before {
            faults.extend(notes.trial(questions, rating_of));
        }
        Some(notes)
    }

    /// `answer` gives the answer to a question where it is one of those that the question knows;
    /// without one the question is empty.
    ///
    /// # Errors
    /// The template takes too long, or stumbles over an answer.
    pub fn render<'a>(
        &self,
        answer: impl Fn(&Name) -> Option<&'a str>,
    ) -> Result<String, NotesFailed> {
        let mut notes =
            self.write(answer).map_err(|error| NotesFailed(error.kind().to_string()))?;
        if let Some((end, _)) = notes.char_indices().nth(self.length) {
            notes.truncate(end);
        }
        Ok(notes)
    }

    fn write<'a>(
        &self,
        answer: impl Fn(&Name) -> Option<&'a str>,
    ) -> Result<String, minijinja::Error> {
        let answers =
            Value::from_pairs(self.variables.iter().map(|(question, variable)| {
                (variable.as_str(), answer(question).unwrap_or_default())
            }));
        self.environment.get_template(TEMPLATE_NAME)?.render(answers)
    }

    fn unknown_names(&self) -> Vec<Fault> {
        if self.variables.is_empty() {
            // A fault of the questions, told already.
            return Vec::new();
        }
        let template = self.environment.get_template(TEMPLATE_NAME).expect("it was added");
        let used: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
        let known: Vec<_> =
            self.variables.iter().map(|(_, known)| format!("{{{{ {known} }}}}")).collect();
        let known = known.join(", ");
        used.iter()
            .filter(|name| !self.variables.iter().any(|(_, known)| known == *name))
            .map(|name| Fault::at("notes", format!("there is no question {name}; known: {known}")))
            .collect()
    }

    /// Writes the notes of every score, once alone and once with an answer to everything, so that
    /// a template which always stumbles does so when the settings are loaded.
    fn trial(&self, questions: &Questions, rating_of: &Name) -> Option<Fault> {
        let score = questions.find(rating_of.as_str())?;
        let first = |name: &Name| questions.find(name.as_str())?.domain.answers().next();
        score.domain.answers().find_map(|text| {
            let alone = |name: &Name| (name == rating_of).then_some(text);
            let failed =
                self.write(alone).and_then(|_| self.write(|name| alone(name).or(first(name))));
            let error = failed.err()?;
            Some(Fault::at("notes", format!("where {rating_of} is {text}: {error}")))
        })
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // A question may have the name of a function, and nothing here needs one.
    let functions: Vec<String> =
        environment.globals().map(|(function, _)| function.to_owned()).collect();
    for function in functions {
        environment.remove_global(&function);
    }
    environment
}

/// A hyphen would be a minus in the template.
fn variables(questions: &Questions, faults: &mut Vec<Fault>) -> Vec<(Name, String)> {
    let mut variables: Vec<(Name, String)> = Vec::new();
    for question in questions.iter() {
        let variable = question.name.as_str().replace('-', "_");
        if let Some((other, _)) = variables.iter().find(|(_, known)| *known == variable) {
            let message = format!(
                "{other} and {} would both be {{{{ {variable} }}}}: rename one",
                question.name
            );
            faults.push(Fault::at("notes", message));
        }
        variables.push((question.name.clone(), variable));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::definition::QuestionDefinition;

    fn compile_for(names: &[&str], template: &str, length: usize) -> Result<Notes, Vec<String>> {
        let definitions: Vec<_> = names
            .iter()
            .map(|name| QuestionDefinition {
                name: name.parse().unwrap(),
                answers: vec!["1-5".to_owned()],
            })
            .collect();
        let mut faults = Vec::new();
        let questions = Questions::compile(&definitions, &mut faults);
        let definition = NotesDefinition { template: template.to_owned(), length };
        let notes = Notes::compile(definition, &questions, &names[0].parse().unwrap(), &mut faults);
        match notes {
            Some(notes) if faults.is_empty() => Ok(notes),
            _ => Err(faults.iter().map(Fault::to_string).collect()),
        }
    }

    fn compile(template: &str) -> Result<Notes, Vec<String>> {
        compile_for(&["score", "call-problem"], template, 280)
    }

    fn only_score(name: &Name) -> Option<&'static str> {
        (name.as_str() == "score").then_some("4")
    }

    #[test]
    fn an_unanswered_question_is_empty() {
        for (template, expected) in [
            ("{{ score }} of 5, {{ call_problem }}.", "4 of 5, ."),
            ("{% if call_problem %}a{% else %}b{% endif %}", "b"),
            ("{{ score | int * 20 }} %", "80 %"),
            ("<&> {{ call_problem or 'none' }}", "<&> none"),
            ("{% set twice = score ~ score %}{{ twice }}", "44"),
            ("", ""),
        ] {
            let notes = compile(template).unwrap().render(only_score);
            assert_eq!(notes.as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn notes_are_cut_between_characters() {
        let notes = compile_for(&["score"], "é→😀{{ score }}", 3).unwrap();
        assert_eq!(notes.render(only_score).unwrap(), "é→😀");
        let notes = compile_for(&["score"], "é→😀{{ score }}", 4).unwrap();
        assert_eq!(notes.render(only_score).unwrap(), "é→😀4");
    }

    #[test]
    fn a_template_that_cannot_be_written_is_refused_when_it_is_read() {
        for (template, why) in [
            ("{{ scroe }}", "there is no question scroe; known: {{ score }}, {{ call_problem }}"),
            ("{{ call-problem }}", "there is no question call"),
            ("{{ range(9) }}", "there is no question range"),
            ("{{ score", "syntax error"),
            ("{{ score | nope }}", "where score is 1: unknown filter"),
            ("{{ score.nope }}", "where score is 1: undefined value"),
            ("{{ 1 / (score | int - 3) }}", "where score is 3: "),
            ("{{ call_problem | int }}", "where score is 1: "),
            ("{% include 'other' %}", "notes: "),
            (&"x".repeat(2049), "at most 2048 bytes"),
        ] {
            let faults = compile(template).unwrap_err();
            assert!(faults[0].starts_with("notes: ") && faults[0].contains(why), "{faults:?}");
        }
    }

    #[test]
    fn a_template_cannot_take_for_ever() {
        let list = "1,".repeat(100);
        let template = format!(
            "{{% for a in [{list}] %}}{{% for b in [{list}] %}}{{% for c in [{list}] %}}x\
             {{% endfor %}}{{% endfor %}}{{% endfor %}}"
        );
        assert!(compile(&template).unwrap_err()[0].contains("fuel"));
        let doubling = format!("{{% set x = 'xx' %}}{}", "{% set x = x ~ x %}".repeat(100));
        assert!(compile(&doubling).unwrap_err()[0].contains("fuel"));
    }

    #[test]
    fn no_template_is_deep_enough_to_exhaust_the_stack() {
        for (open, inner, close) in [
            ("(", "score", ")"),
            ("[", "score", "]"),
            ("not ", "score", ""),
            ("score ~ ", "score", ""),
            ("score and ", "score", ""),
            ("1 + ", "1", ""),
            ("1 if score else ", "1", ""),
            ("", "score", "[0]"),
            ("", "score", "|upper"),
            ("-", "1", ""),
        ] {
            let times = (TEMPLATE_MAX - 20) / (open.len() + close.len());
            let template =
                format!("{{{{ {}{inner}{} }}}}", open.repeat(times), close.repeat(times));
            // Whether it is taken or refused: it comes back.
            let _ = compile(&template);
        }
        let _ = compile(&format!("{}{}", "{% if 1 %}".repeat(95), "{% endif %}".repeat(95)));
    }

    #[test]
    fn two_questions_cannot_share_a_name_in_the_template() {
        assert_eq!(
            compile_for(&["a-b", "a_b"], "{{ a_b }}", 280).unwrap_err(),
            ["notes: a-b and a_b would both be {{ a_b }}: rename one"]
        );
    }

    #[test]
    fn the_length_has_its_bounds() {
        for length in [0, 4097] {
            let faults = compile_for(&["score"], "x", length).unwrap_err();
            assert!(faults[0].starts_with("notes_length: "), "{faults:?}");
        }
    }

    #[test]
    fn what_fails_later_says_nothing_of_the_answers() {
        let notes =
            compile("{% if call_problem == '5' %}{{ call_problem | nope }}{% endif %}").unwrap();
        let failed = notes.render(|_| Some("5")).unwrap_err();
        assert_eq!(failed.to_string(), "the notes cannot be written: unknown filter");
    }
}
