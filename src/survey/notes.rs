use minijinja::{AutoEscape, Value};

use super::definition::{DefinitionError, NotesDefinition};
use super::language::{EvalError, Format, Template};
use super::masking::masked;
use super::names::Scope;

/// Free text that goes with a rating, made of the answers.
#[derive(Debug)]
pub struct Notes {
    template: Template,
    length: usize,
    masks_phone_numbers: bool,
}

const FORMAT: Format = Format { also: &[], escape: AutoEscape::None, length_max: 2048 };
/// Longest notes in characters. Plivo documents no limit.
const LENGTH_MAX: usize = 4096;

impl Notes {
    /// `path` is the settings path of the template.
    pub fn compile(
        template: &str,
        definition: &NotesDefinition,
        names: &Scope,
        path: &str,
        faults: &mut Vec<DefinitionError>,
    ) -> Option<Self> {
        let template = Template::compile(template, names, &FORMAT, path, faults)?;
        Some(Self {
            template,
            length: definition.length,
            masks_phone_numbers: definition.masks_phone_numbers,
        })
    }

    pub fn check_length(definition: &NotesDefinition, faults: &mut Vec<DefinitionError>) {
        let length = definition.length;
        if !(1..=LENGTH_MAX).contains(&length) {
            let message = format!("notes are cut at 1 to {LENGTH_MAX} characters, not {length}");
            faults.push(DefinitionError::at("notes_length", message));
        }
    }

    pub fn template(&self) -> &Template {
        &self.template
    }

    /// `facts` are those for a template.
    ///
    /// # Errors
    /// The template takes too long, or fails on an answer.
    pub fn write(&self, facts: Value) -> Result<String, EvalError> {
        let mut notes = self.template.render(facts)?;
        if self.masks_phone_numbers {
            notes = masked(&notes);
        }
        if let Some((end, _)) = notes.char_indices().nth(self.length) {
            notes.truncate(end);
        }
        Ok(notes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::survey::names::EvalContext;
    use crate::survey::samples::result_of;

    fn names() -> Arc<Scope> {
        Scope::sample(&["score", "call-problem"], "from")
    }

    fn compile_as(
        template: &str,
        length: usize,
        masks_phone_numbers: bool,
    ) -> Result<Notes, Vec<String>> {
        let mut faults = Vec::new();
        let definition = NotesDefinition { length, masks_phone_numbers, template: None };
        let notes = Notes::compile(template, &definition, &names(), "notes", &mut faults);
        result_of(notes, &faults)
    }

    fn compile(template: &str) -> Result<Notes, Vec<String>> {
        compile_as(template, 280, true)
    }

    /// With a score of 4, no problem, and from one number.
    fn written(notes: &Notes) -> Result<String, EvalError> {
        let values = vec![Some(Value::from(4)), None, Some(Value::from("+491701234567"))];
        notes.write(EvalContext::for_a_template(&names(), values).into())
    }

    #[test]
    fn an_unanswered_question_is_empty() {
        for (template, expected) in [
            ("{{ score }} of 5, {{ call_problem }}.", "4 of 5, ."),
            ("{% if call_problem %}a{% else %}b{% endif %}", "b"),
            ("{% if answered.call_problem %}a{% else %}b{% endif %}", "b"),
            ("{{ score | int * 20 }} %", "80 %"),
            ("{{ score * 20 }} %", "80 %"),
            ("<&> {{ call_problem or 'none' }}", "<&> none"),
            ("{% set twice = score ~ score %}{{ twice }}", "44"),
            ("", ""),
        ] {
            let notes = written(&compile(template).unwrap());
            assert_eq!(notes.as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn notes_are_cut_between_characters() {
        for (length, expected) in [(3, "é→😀"), (4, "é→😀4")] {
            let notes = compile_as("é→😀{{ score }}", length, true).unwrap();
            assert_eq!(written(&notes).unwrap(), expected);
        }
    }

    #[test]
    fn long_numbers_are_covered_unless_they_shall_be_kept() {
        let template = "from {{ from }}";
        assert_eq!(written(&compile(template).unwrap()).unwrap(), "from +**********67");
        // Covered before it is cut, or the cut would uncover it.
        let notes = compile_as(template, 12, true).unwrap();
        assert_eq!(written(&notes).unwrap(), "from +******");
        let notes = compile_as(template, 280, false).unwrap();
        assert_eq!(written(&notes).unwrap(), "from +491701234567");
    }

    #[test]
    fn a_template_that_cannot_be_read_is_refused() {
        for (template, why) in [
            ("{{ scroe }}", "there is no question or field scroe; did you mean `score`?"),
            ("{{ call-problem }}", "there is no question or field call"),
            ("{{ range(9) }}", "there is no question or field range"),
            ("{{ score", "syntax error"),
            ("{{ 'a' && score }}", "syntax error"),
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
        let nested = format!(
            "{{% for a in [{list}] %}}{{% for b in [{list}] %}}{{% for c in [{list}] %}}x\
             {{% endfor %}}{{% endfor %}}{{% endfor %}}"
        );
        let doubling = format!("{{% set x = 'xx' %}}{}", "{% set x = x ~ x %}".repeat(100));
        for template in [nested, doubling] {
            let failed = written(&compile(&template).unwrap()).unwrap_err();
            assert!(failed.details.contains("fuel"), "{failed:?}");
        }
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
            let times = (2048 - 20) / (open.len() + close.len());
            let template =
                format!("{{{{ {}{inner}{} }}}}", open.repeat(times), close.repeat(times));
            // Whether it is taken or refused: it comes back.
            let _ = compile(&template).map(|notes| written(&notes));
        }
        let deep = format!("{}{}", "{% if 1 %}".repeat(95), "{% endif %}".repeat(95));
        let _ = compile(&deep).map(|notes| written(&notes));
    }

    #[test]
    fn what_fails_later_says_nothing_of_the_answers() {
        let failed = written(&compile("{{ from | nope }}").unwrap()).unwrap_err();
        assert_eq!(failed.to_string(), "unknown filter");
    }
}
