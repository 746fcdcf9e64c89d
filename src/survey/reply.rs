use minijinja::Value;

use super::condition::Condition;
use super::language::{EvalError, Template};
use super::names::EvalContext;

/// One reply of a source, compiled.
#[derive(Debug)]
pub struct Reply {
    pub when: Option<Condition>,
    pub xml: Template,
}

/// The name under which a reply finds what the source calls.
pub const URL: &str = "url";

impl Reply {
    pub fn write(&self, facts: EvalContext, url: &str) -> Option<String> {
        written(&self.xml, facts, url).ok()
    }
}

/// What free text may hold and XML may not is left out.
pub fn written(xml: &Template, facts: EvalContext, url: &str) -> Result<String, EvalError> {
    let url = Value::from_safe_string(escaped(url));
    let mut written = xml.render(facts.and(URL, url).into())?;
    written.retain(is_lawful);
    Ok(written)
}

/// As it stands in an attribute, and still as a person can read it: slashes stay.
fn escaped(url: &str) -> String {
    let marks = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
    marks.iter().fold(url.to_owned(), |url, (mark, escaped)| url.replace(mark, escaped))
}

/// What XML 1.0 can hold.
fn is_lawful(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Of a reply, in the definition of its source.
pub fn path(at: usize) -> String {
    format!("replies[{at}]")
}
