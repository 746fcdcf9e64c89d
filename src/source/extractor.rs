use std::fmt;
use std::str::FromStr;

use super::parsed_request::ParsedRequest;
use super::path::{BadPath, FieldPath, Found, find, split};
use super::rejection::ParseError;

/// A path to a text, with the condition under which it is used:
/// `form:Speech if form:InputType=speech`.
#[derive(Debug, Clone, PartialEq)]
pub struct Extractor {
    path: FieldPath,
    condition: Option<Condition>,
}

/// What a webhook must say: `form:Event` that there is something, `form:Event=Hangup` what it is,
/// `form:Event!=Hangup` what it is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    path: FieldPath,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Something,
    Is(String),
    IsNot(String),
}

/// Why a text is no reader or no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadExtractor {
    #[error(transparent)]
    Path(#[from] BadPath),
    #[error("expected one condition after ` if `, such as form:InputType=speech")]
    Condition,
    /// As `==` in the conditions of a survey, or quotes there.
    #[error(
        "write one = and then the value as it is sent, with neither a blank before it nor quotes around \
         it: form:Event=Hangup"
    )]
    Value,
}

impl Extractor {
    /// The text, where there is one and it is looked for.
    pub(super) fn find<'a>(&self, webhook: &ParsedRequest<'a>) -> Found<'a> {
        match &self.condition {
            Some(condition) if !condition.holds(webhook)? => Ok(None),
            _ => self.path.find(webhook),
        }
    }

    /// As it is written, without its condition.
    pub(super) fn place(&self) -> String {
        self.path.to_string()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        [Some(&self.path), self.condition.as_ref().map(|condition| &condition.path)]
            .into_iter()
            .flatten()
    }

    pub(super) fn path(&self) -> &FieldPath {
        &self.path
    }

    pub(super) fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// Whether it looks at the address that was called.
    pub(super) fn is_query(&self) -> bool {
        self.path.is_query()
    }

    pub(super) fn name(&self) -> &str {
        self.path.name()
    }
}

impl Condition {
    pub(super) fn holds(&self, webhook: &ParsedRequest<'_>) -> Result<bool, ParseError> {
        let found = self.path.find(webhook)?;
        Ok(match &self.test {
            Test::Something => found.is_some_and(|text| !text.is_empty()),
            Test::Is(value) => found.as_deref() == Some(value),
            Test::IsNot(value) => found.as_deref() != Some(value),
        })
    }

    pub(super) fn path(&self) -> &FieldPath {
        &self.path
    }

    /// A value with which it holds; none if it holds without any.
    pub(super) fn wanted(&self) -> Option<&str> {
        match &self.test {
            Test::Something => Some("true"),
            Test::Is(value) => Some(value),
            Test::IsNot(_) => None,
        }
    }

    /// What it compares with.
    pub(super) fn constant(&self) -> Option<&str> {
        match &self.test {
            Test::Something => None,
            Test::Is(value) | Test::IsNot(value) => Some(value),
        }
    }
}

impl FromStr for Extractor {
    type Err = BadExtractor;

    fn from_str(text: &str) -> Result<Self, BadExtractor> {
        match split(text, " if ")[..] {
            [path] => Ok(Self { path: path.parse()?, condition: None }),
            [path, condition] => {
                Ok(Self { path: path.parse()?, condition: Some(condition.parse()?) })
            }
            _ => Err(BadExtractor::Condition),
        }
    }
}

impl FromStr for Condition {
    type Err = BadExtractor;

    fn from_str(text: &str) -> Result<Self, BadExtractor> {
        let Some(at) = find(text, "=") else {
            return Ok(Self { path: text.parse()?, test: Test::Something });
        };
        let (path, value) = (&text[..at], text[at + 1..].to_owned());
        let is_quoted = ['\'', '"']
            .iter()
            .any(|&quote| value.strip_prefix(quote).is_some_and(|rest| rest.ends_with(quote)));
        if is_quoted || value.starts_with(|c: char| c == '=' || c.is_whitespace()) {
            return Err(BadExtractor::Value);
        }
        match path.strip_suffix('!') {
            Some(path) => Ok(Self { path: path.parse()?, test: Test::IsNot(value) }),
            None => Ok(Self { path: path.parse()?, test: Test::Is(value) }),
        }
    }
}

impl fmt::Display for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.condition {
            None => self.path.fmt(f),
            Some(condition) => write!(f, "{} if {condition}", self.path),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Test::Something => self.path.fmt(f),
            Test::Is(value) => write!(f, "{}={value}", self.path),
            Test::IsNot(value) => write!(f, "{}!={value}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        for text in [
            "form:Digits",
            "form:Digits if form:InputType!=speech",
            "json:$.a[?@.b == 'x if y'].c if json:$.d=call.gather.ended",
            "json:$.a if form:b",
            "form:payload > json:$.x if header:x-event=",
        ] {
            assert_eq!(text.parse::<Extractor>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_value_may_hold_what_parts_the_rest() {
        let condition: Condition = "form:a=b=c".parse().unwrap();
        assert_eq!(condition.test, Test::Is("b=c".to_owned()));
        let condition: Condition = "json:$.a[?@.b == 1].c!=x".parse().unwrap();
        assert_eq!(condition.test, Test::IsNot("x".to_owned()));
    }

    #[test]
    fn a_value_that_is_written_as_in_another_condition_is_refused() {
        for bad in [
            "json:$.event==rated",
            "form:Event!==Hangup",
            "form:Event= Hangup",
            "form:Event='Hangup'",
            "form:Event=\"Hangup\"",
            "form:Event = Hangup",
        ] {
            let error = bad.parse::<Condition>().unwrap_err();
            assert!(error.to_string().contains("form:Event=Hangup"), "{bad}: {error}");
            let extractor = format!("form:Digits if {bad}").parse::<Extractor>();
            assert_eq!(extractor, Err(error), "{bad}");
        }
        for good in ["form:Event=", "form:Event='t Hart", "form:Event=in progress", "form:Event='"]
        {
            assert!(good.parse::<Condition>().is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_no_reader_is_refused() {
        assert_eq!("form:a if b".parse::<Extractor>(), Err(BadPath::Unknown.into()));
        assert_eq!("form:a if ".parse::<Extractor>(), Err(BadPath::Unknown.into()));
        assert_eq!("form:a if form:b if form:c".parse::<Extractor>(), Err(BadExtractor::Condition));
        assert!(matches!(
            "json:$[".parse::<Extractor>(),
            Err(BadExtractor::Path(BadPath::JsonPath { .. }))
        ));
    }
}
