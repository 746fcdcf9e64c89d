//! The element of Plivo's XML that asks a question and posts the keys of the answer.

use std::fmt;

/// Tells Plivo to retry (`rp`) after a 5xx, a connect timeout or a read timeout, at most five times
/// (`rc`), and to wait 5000 ms for a response (`rt`). It is not sent. By default Plivo retries no 5xx.
const RETRY_FRAGMENT: &str = "#rp=5xx,ct,rt&rc=5&rt=5000";

/// How long a caller may think before the first key, in seconds.
const TIMEOUT: u32 = 7;

/// How long a caller may think before a further key, in seconds. Without it `1` could not be distinguished from the
/// beginning of `10`.
const DIGIT_TIMEOUT: u32 = 3;

/// How often the question is asked again.
const RETRIES: u32 = 2;

/// A `<GetDigits>` element; it is displayed as XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlivoQuestion<'a> {
    /// The address of the source, without query and fragment.
    pub url: &'a str,
    /// The question's name, if it is to be in the address.
    pub question: Option<&'a str>,
    /// Whether the call continues with the XML of the response.
    pub redirect: bool,
    pub valid_digits: &'a str,
    /// Most keys of an answer.
    pub digits: usize,
    /// Ends an answer of fewer keys.
    pub finish_key: Option<char>,
    pub language: Option<&'a str>,
    pub prompt: &'a str,
}

impl fmt::Display for PlivoQuestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, digits, valid_digits, .. } = self;
        let query = self.question.map(|name| format!("?question={name}")).unwrap_or_default();
        let action = format!("{url}{query}{RETRY_FRAGMENT}");
        write!(f, r#"<GetDigits action="{}" method="POST""#, escaped(&action))?;
        if !self.redirect {
            f.write_str(r#" redirect="false""#)?;
        }
        write!(f, r#" numDigits="{digits}" timeout="{TIMEOUT}""#)?;
        if *digits > 1 {
            write!(f, r#" digitTimeout="{DIGIT_TIMEOUT}""#)?;
        }
        match self.finish_key {
            Some(key) => write!(f, r#" finishOnKey="{key}""#)?,
            // By default it is `#`, which would be no answer then.
            None if *digits > 1 || valid_digits.contains('#') => {
                f.write_str(r#" finishOnKey="none""#)?;
            }
            None => {}
        }
        writeln!(f, r#" retries="{RETRIES}" validDigits="{valid_digits}">"#)?;
        let language = self.language.map(|it| format!(r#" language="{}""#, escaped(it)));
        let language = language.unwrap_or_default();
        writeln!(f, "  <Speak{language}>{}</Speak>", escaped(self.prompt))?;
        f.write_str("</GetDigits>")
    }
}

/// As text or as the value of an attribute in XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::check_plivo_xml;

    #[test]
    fn plivo_question_is_xml_that_plivo_runs_whatever_its_prompt_says() {
        let question = PlivoQuestion {
            url: "https://s.example.com/hooks/ivr",
            question: Some("score"),
            redirect: false,
            valid_digits: "123#",
            digits: 1,
            finish_key: None,
            language: Some("en-US"),
            prompt: "Good & <bad>? Say \"1\" or '2'.",
        };
        let xml = format!("<Response>{question}</Response>");
        assert_eq!(check_plivo_xml(&xml), Ok(()));
        let document = roxmltree::Document::parse(&xml).unwrap();
        let ask = document.root_element().first_element_child().unwrap();
        let action = "https://s.example.com/hooks/ivr?question=score#rp=5xx,ct,rt&rc=5&rt=5000";
        assert_eq!(ask.attribute("action"), Some(action));
        assert_eq!(ask.attribute("finishOnKey"), Some("none"));
        let speak = ask.first_element_child().unwrap();
        assert_eq!(speak.text(), Some(question.prompt));
    }
}
