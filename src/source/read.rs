use std::borrow::Cow;

use crate::domain::{
    Answer, CallUuid, ExtractedAnswer, Extraction, IdempotencyKey, Name, Question,
};

use super::extractor::{Condition, Extractor};
use super::parsed_request::ParsedRequest;
use super::path::FieldPath;
use super::recut::{Cuts, Fields, ReadField};
use super::rejection::ParseError;
use super::signature::{SignatureCoverage, SignedId, VerifiedWebhook};

/// What a webhook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub call: CallUuid,
    /// Different questions. Empty only where the call is over or the caller does not want to be
    /// asked.
    pub answers: Vec<ReadAnswer>,
    pub fields: Vec<(Name, String)>,
    pub hung_up: bool,
    pub opted_out: bool,
    /// What the sender calls the webhook, where it vouches for that.
    pub identity: Option<IdempotencyKey>,
}

/// One answer that a webhook brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAnswer {
    /// None where the sender named none: the survey's first is meant.
    pub question: Option<Question>,
    pub answer: Answer,
    /// Where it was found, or looked for in vain.
    pub reader: String,
}

impl Reading {
    /// Whether it is about the same call, says the same of it and has the same id; fields beside may
    /// differ.
    fn is_as(&self, other: &Self) -> bool {
        let answers = |reading: &Self| -> Vec<_> {
            let answers = reading.answers.iter();
            answers.map(|read| (read.question.clone(), read.answer.clone())).collect()
        };
        (&self.call, self.hung_up, self.opted_out) == (&other.call, other.hung_up, other.opted_out)
            && answers(self) == answers(other)
            && self.identity == other.identity
    }

    /// Whether it is more than silence.
    fn says_something(&self) -> bool {
        self.hung_up
            || self.opted_out
            || self.answers.iter().any(|read| read.answer != Answer::Silence)
    }

    /// With every question named: `first` is meant where the sender named none. Of what is said of
    /// one question twice, the first counts.
    pub fn into_report(self, first: &Name) -> Extraction {
        let Self { answers: read, fields, hung_up, opted_out, .. } = self;
        let mut answers: Vec<ExtractedAnswer> = Vec::with_capacity(read.len());
        for ReadAnswer { question, answer, reader } in read {
            let question = question.unwrap_or_else(|| first.as_str().to_owned());
            if answers.iter().all(|known| known.question != question) {
                answers.push(ExtractedAnswer { question, answer, reader });
            }
        }
        Extraction { answers, fields, hung_up, opted_out }
    }
}

/// The extractors of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Extractors {
    /// The first place where there is anything names the call; likewise everywhere below.
    pub call: Vec<Extractor>,
    pub asked: Asked,
    pub fields: Vec<(Name, Vec<Extractor>)>,
    pub hangup: Predicate,
    pub opt_out: Predicate,
    /// Any of these must hold, or the webhook is none of ours; where there is none, all are.
    pub filter: Vec<Condition>,
    /// What the sender calls the webhook, in what it vouches for.
    pub id: Vec<Extractor>,
}

/// How a webhook answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// One question, which the webhook names or which is the survey's first.
    One { question: Vec<Extractor>, answer: Vec<Extractor> },
    /// Each question in its own place; different questions.
    Several(Vec<(Name, Vec<Extractor>)>),
}

/// When something is so.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    Always,
    /// Any of these holds; never, where there is none.
    Any(Vec<Condition>),
}

/// Longest name of a question that is kept, in characters, whether or not a survey has it.
const QUESTION_MAX: usize = 63;

impl Extractors {
    /// None where the webhook is none of ours.
    pub(super) fn read(&self, webhook: &VerifiedWebhook) -> Result<Option<Reading>, ParseError> {
        let opened = ParsedRequest::new(webhook);
        if let Some(repeated) = self.fields_named().find(|name| opened.repeats(name)) {
            return Err(ParseError::Repeated(repeated.to_owned()));
        }
        if let Some(shifted) = opened.shifted(self.names_in_query(opened.is_get())) {
            return Err(ParseError::Shifted(shifted.to_owned()));
        }
        let Some(reading) = self.extract(webhook, &opened)? else { return Ok(None) };
        match self.recut(webhook, &opened, &reading) {
            Some(recut) => Err(ParseError::Shifted(recut.to_owned())),
            None => Ok(Some(reading)),
        }
    }

    fn extract(
        &self,
        webhook: &VerifiedWebhook,
        opened: &ParsedRequest<'_>,
    ) -> Result<Option<Reading>, ParseError> {
        if !self.filter.is_empty() && !any(&self.filter, opened)? {
            return Ok(None);
        }
        let call = self.call(opened)?;
        let hung_up = self.hangup.holds(opened)?;
        let opted_out = self.opt_out.holds(opened)?;
        let mut answers = self.asked.read(opened)?;
        if hung_up || opted_out {
            answers.retain(|read| read.answer != Answer::Silence);
        }
        let mut fields = Vec::new();
        for (name, readers) in &self.fields {
            if let Some((value, _)) = first(readers, opened, is_said)? {
                fields.push((name.clone(), value.into_owned()));
            }
        }
        Ok(Some(Reading {
            call,
            answers,
            fields,
            hung_up,
            opted_out,
            identity: self.identity(webhook, opened)?,
        }))
    }

    /// The field, if there is one, by which what was signed could be read otherwise: the same bytes
    /// say another call, question or answer where their marks are elsewhere, and nothing tells that
    /// this is how their sender has put them.
    fn recut<'h>(
        &'h self,
        webhook: &'h VerifiedWebhook,
        opened: &ParsedRequest<'h>,
        reading: &Reading,
    ) -> Option<&'h str> {
        if !matches!(
            webhook.coverage(),
            SignatureCoverage::Concatenated | SignatureCoverage::ConcatenatedOnce
        ) {
            return None;
        }
        let in_form = self.read_fields();
        let deciding = || in_form.iter().filter(|field| field.decides).map(|field| field.name);
        let in_query = self.deciding_paths().filter(|path| opened.is_get() || path.is_query());
        if let Some(name) = opened
            .recut_in_query(in_query.filter_map(|path| Some((path.field()?, path.is_query()))))
        {
            return Some(name);
        }
        if let Some(name) = opened.moved(&in_form) {
            return Some(name);
        }
        let once = (webhook.coverage() == SignatureCoverage::ConcatenatedOnce)
            .then(|| webhook.form().concatenated_once());
        let signed = once.as_deref().unwrap_or_else(|| webhook.form().concatenated());
        if opened.is_get() || signed.is_empty() {
            return None;
        }
        let any = deciding().next();
        let Ok(cuts) = Cuts::of(signed, &in_form) else { return any };
        let read =
            |fields: &Fields<'_>| self.extract(webhook, &ParsedRequest::cut(webhook, fields));
        let canonical = cuts.canonical();
        let value =
            |name: &&str| canonical.iter().find(|(key, _)| *key == *name).map(|(_, value)| *value);
        if let Some(name) = deciding().find(|name| opened.form(name) != value(name)) {
            let is_same =
                |other: &Option<Reading>| other.as_ref().is_some_and(|it| it.is_as(reading));
            if !read(&canonical).as_ref().is_ok_and(is_same) {
                return Some(name);
            }
        }
        let Ok(rivals) = cuts.rivals() else { return any };
        let differs = rivals.iter().find(|rival| match read(&rival.fields) {
            Ok(Some(other)) if rival.is_as_good => !other.is_as(reading),
            Ok(Some(other)) => other.call != reading.call && other.says_something(),
            Ok(None) | Err(_) => false,
        })?;
        in_form.iter().map(|field| field.name).find(|name| *name == differs.name)
    }

    /// One that is there and empty is not the one meant, and nothing else is looked for.
    fn call(&self, webhook: &ParsedRequest<'_>) -> Result<CallUuid, ParseError> {
        // Nothing is covered but the address itself, and the call of the body is Plivo's habit.
        if webhook.coverage() == SignatureCoverage::Address
            && let Some((_, uncovered)) =
                first(self.call.iter().filter(|r| r.is_query()), webhook, |_| true)?
        {
            return Err(ParseError::Uncovered(uncovered.name().to_owned()));
        }
        let (call, _) = first(&self.call, webhook, |_| true)?.ok_or(ParseError::NoCall)?;
        call.parse().map_err(|_| ParseError::MalformedCall)
    }

    fn identity(
        &self,
        webhook: &VerifiedWebhook,
        opened: &ParsedRequest<'_>,
    ) -> Result<Option<IdempotencyKey>, ParseError> {
        let signed = webhook.signed_id();
        // What is read under V3 could be cut otherwise, unlike its nonce.
        if let Some(SignedId::Own(id) | SignedId::Nonce(id)) = signed {
            return Ok(Some(webhook.identified_as(id.clone())));
        }
        let id = match (first(&self.id, opened, is_said)?, signed) {
            (Some((id, _)), _) if id.len() > IdempotencyKey::LENGTH_MAX => {
                return Err(ParseError::LongId);
            }
            (Some((id, _)), _) => id.into_owned(),
            (None, Some(SignedId::Payload(digest))) => digest.clone(),
            (None, _) => return Ok(None),
        };
        Ok(Some(webhook.identified_as(id)))
    }

    /// Fields of which a second would be a second meaning.
    fn fields_named(&self) -> impl Iterator<Item = &str> {
        self.paths().filter_map(FieldPath::field)
    }

    /// Fields that are read from the query: of a GET, all.
    fn names_in_query(&self, is_get: bool) -> impl Iterator<Item = &str> {
        self.paths().filter(move |path| is_get || path.is_query()).filter_map(FieldPath::field)
    }

    fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        self.deciding_paths().chain(self.telling().flat_map(Extractor::paths))
    }

    /// Of what says which call it was, what was answered, how the call ended, and whether it is a repeat.
    fn deciding_paths(&self) -> impl Iterator<Item = &FieldPath> {
        let readers = self.call.iter().chain(self.asked.readers()).chain(&self.id);
        readers.flat_map(Extractor::paths).chain(self.conditions().map(Condition::path))
    }

    /// Readers of what else is kept.
    fn telling(&self) -> impl Iterator<Item = &Extractor> {
        self.fields.iter().flat_map(|(_, readers)| readers)
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let ends = [&self.hangup, &self.opt_out].into_iter().flat_map(Predicate::conditions);
        ends.chain(&self.filter)
    }

    /// What is read from the body of a POST, each field once.
    fn read_fields(&self) -> Vec<ReadField<'_>> {
        let mut fields: Vec<ReadField<'_>> = Vec::new();
        let mut add = |name: Option<_>, constant, decides, is_call| {
            let Some(name) = name else { return };
            let at = fields.iter().position(|field| field.name == name).unwrap_or_else(|| {
                fields.push(ReadField {
                    name,
                    decides: false,
                    is_call: false,
                    in_query: self
                        .deciding_paths()
                        .any(|path| path.is_query() && path.field() == Some(name)),
                    constants: Vec::new(),
                });
                fields.len() - 1
            });
            fields[at].decides |= decides;
            fields[at].is_call |= is_call;
            fields[at].constants.extend(constant);
        };
        let readers = self.call.iter().map(|reader| (reader, true, true));
        let others = self.asked.readers().chain(&self.id);
        let readers = readers.chain(others.map(|reader| (reader, true, false)));
        let readers = readers.chain(self.telling().map(|reader| (reader, false, false)));
        let conditions = self.conditions().map(|condition| (condition, true));
        let mut conditions: Vec<(&Condition, bool)> = conditions.collect();
        for (reader, decides, is_call) in readers {
            add(reader.path().form_field(), None, decides, is_call);
            conditions.extend(reader.condition().map(|condition| (condition, decides)));
        }
        for (condition, decides) in conditions {
            add(condition.path().form_field(), condition.constant(), decides, false);
        }
        fields
    }
}

impl Asked {
    fn readers(&self) -> impl Iterator<Item = &Extractor> {
        let (one, several) = match self {
            Asked::One { question, answer } => (Some(question.iter().chain(answer)), None),
            Asked::Several(several) => {
                (None, Some(several.iter().flat_map(|(_, readers)| readers)))
            }
        };
        one.into_iter().flatten().chain(several.into_iter().flatten())
    }

    fn read(&self, webhook: &ParsedRequest<'_>) -> Result<Vec<ReadAnswer>, ParseError> {
        match self {
            Asked::One { question, answer } => {
                let question =
                    first(question, webhook, |_| true)?.map(|(name, _)| name.into_owned());
                if question.as_deref().is_some_and(|name| !may_be_a_typo(name)) {
                    return Err(ParseError::MalformedQuestion);
                }
                Ok(vec![said(question, answer, webhook)?])
            }
            Asked::Several(several) => {
                let mut answers = Vec::new();
                for (question, readers) in several {
                    let question = Some(question.as_str().to_owned());
                    answers.push(said(question, readers, webhook)?);
                }
                // Who answers one question at a time is not silent about the others.
                if answers.iter().any(|read| read.answer != Answer::Silence) {
                    answers.retain(|read| read.answer != Answer::Silence);
                }
                Ok(answers)
            }
        }
    }
}

impl Predicate {
    pub fn never() -> Self {
        Predicate::Any(Vec::new())
    }

    fn holds(&self, webhook: &ParsedRequest<'_>) -> Result<bool, ParseError> {
        match self {
            Predicate::Always => Ok(true),
            Predicate::Any(conditions) => any(conditions, webhook),
        }
    }

    fn conditions(&self) -> &[Condition] {
        match self {
            Predicate::Always => &[],
            Predicate::Any(conditions) => conditions,
        }
    }
}

/// The first text that is not empty; silence, where there is none.
fn said(
    question: Option<Question>,
    readers: &[Extractor],
    webhook: &ParsedRequest<'_>,
) -> Result<ReadAnswer, ParseError> {
    Ok(match first(readers, webhook, is_said)? {
        Some((text, reader)) => ReadAnswer {
            question,
            answer: Answer::Given(text.into_owned()),
            reader: reader.place(),
        },
        None => ReadAnswer {
            question,
            answer: Answer::Silence,
            reader: readers.first().map(Extractor::place).unwrap_or_default(),
        },
    })
}

fn is_said(text: &str) -> bool {
    !text.is_empty()
}

/// The first text that will do, and who found it.
fn first<'a, 'r>(
    readers: impl IntoIterator<Item = &'r Extractor>,
    webhook: &ParsedRequest<'a>,
    will_do: impl Fn(&str) -> bool,
) -> Result<Option<(Cow<'a, str>, &'r Extractor)>, ParseError> {
    for reader in readers {
        if let Some(text) = reader.find(webhook)?.filter(|text| will_do(text)) {
            return Ok(Some((text, reader)));
        }
    }
    Ok(None)
}

fn any(conditions: &[Condition], webhook: &ParsedRequest<'_>) -> Result<bool, ParseError> {
    for condition in conditions {
        if condition.holds(webhook)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A mistyped name must not lose an answer, so nearly everything is kept. A dot is not: it is
/// between query and form in what Plivo signs, so a captured form that was moved into the query
/// would hang on the question's name by it.
fn may_be_a_typo(name: &str) -> bool {
    name.chars().count() <= QUESTION_MAX && !name.contains('.')
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Method, Webhook};
    use crate::source::content::Accepts;
    use crate::source::sample::{
        credentials, get, post, public_source, readers, signed, with_header,
    };
    use crate::source::signature::{Hmac, HmacRules, Plivo, PlivoHeader, Scheme, Twilio};
    use crate::source::{Rejection, Source};

    /// The call, the question where one is named, and the one answer.
    type Simple = (String, Option<String>, Answer);

    fn read(webhook: Webhook) -> Result<Simple, Rejection> {
        read_by(&public_source(Scheme::None), webhook)
    }

    fn read_by(source: &Source, webhook: Webhook) -> Result<Simple, Rejection> {
        let reading = whole(source, webhook)?.expect("it is one of ours");
        let [only] = &reading.answers[..] else { panic!("{reading:?}") };
        Ok((reading.call.to_string(), only.question.clone(), only.answer.clone()))
    }

    fn whole(source: &Source, webhook: Webhook) -> Result<Option<Reading>, Rejection> {
        source.read(&source.verify(signed(source, webhook))?)
    }

    fn reading(call: &str, question: Option<&str>, answer: &str) -> Simple {
        let answer = match answer {
            "" => Answer::Silence,
            text => Answer::Given(text.to_owned()),
        };
        (call.to_owned(), question.map(str::to_owned), answer)
    }

    #[test]
    fn a_question_that_is_not_named_is_the_first_and_of_two_answers_the_first_counts() {
        let read = |question: Option<&str>, answer: &str| ReadAnswer {
            question: question.map(str::to_owned),
            answer: Answer::Given(answer.to_owned()),
            reader: "form:Digits".to_owned(),
        };
        let reading = Reading {
            call: "c-1".parse().unwrap(),
            answers: vec![read(None, "4"), read(Some("problem"), "1"), read(Some("score"), "5")],
            fields: Vec::new(),
            hung_up: true,
            opted_out: false,
            identity: None,
        };
        let report = reading.into_report(&"score".parse().unwrap());
        let given_answers: Vec<_> =
            report.answers.iter().map(|it| (it.question.as_str(), it.answer.clone())).collect();
        let given = |text: &str| Answer::Given(text.to_owned());
        assert_eq!(given_answers, [("score", given("4")), ("problem", given("1"))]);
        assert!(report.hung_up && !report.opted_out);
    }

    #[test]
    fn a_callback_says_which_call_and_what_was_answered() {
        for (query, body, expected) in [
            (None, "CallUUID=c-1&Digits=4", reading("c-1", None, "4")),
            (None, "CallUUID=c-1&InputType=dtmf&Digits=10&Speech=", reading("c-1", None, "10")),
            (
                None,
                "CallUUID=c-1&InputType=speech&Digits=&Speech=four",
                reading("c-1", None, "four"),
            ),
            (None, "CallUUID=c-1&Digits=%2A%23", reading("c-1", None, "*#")),
            (None, "CallUUID=c-1&Digits=", reading("c-1", None, "")),
            (None, "CallUUID=c-1", reading("c-1", None, "")),
            (None, "CallUUID=c-1&InputType=speech", reading("c-1", None, "")),
            (
                Some("question=problem"),
                "CallUUID=c-1&Digits=2",
                reading("c-1", Some("problem"), "2"),
            ),
            (Some("question="), "CallUUID=c-1&Digits=2", reading("c-1", Some(""), "2")),
            (Some("question=Scroe"), "CallUUID=c-1&Digits=2", reading("c-1", Some("Scroe"), "2")),
            (Some("call_uuid=rated"), "CallUUID=c-1&Digits=4", reading("rated", None, "4")),
            (Some("call_uuid=rated"), "CallUUID=not/lawful", reading("rated", None, "")),
            (None, "CallUUID=c-1&From=1&From=2", reading("c-1", None, "")),
        ] {
            assert_eq!(read(post(query, body)), Ok(expected), "{query:?} {body}");
        }
        assert_eq!(
            read(get(Some("CallUUID=c-1&Digits=4&question=score"))),
            Ok(reading("c-1", Some("score"), "4"))
        );
    }

    #[test]
    fn a_field_that_was_split_off_in_the_form_decides_nothing() {
        let split = "CallUUID=c-1&Digits=5&X-PH-Name=x&call_uuid=victim&question=problem";
        assert_eq!(read(post(None, split)), Ok(reading("c-1", None, "5")));
    }

    #[test]
    fn a_form_that_was_moved_into_the_query_kills_no_answer() {
        let moved = "call_uuid=rated&question=score.CallStatusin-progressCallUUIDc-1Digits4";
        let refused = Err(ParseError::MalformedQuestion.into());
        assert_eq!(read(post(Some(moved), "")), refused);
        let long = format!("question={}", "a".repeat(64));
        assert_eq!(read(post(Some(&long), "CallUUID=c-1&Digits=4")), refused);
    }

    /// Plivo and Twilio sign no marks between fields, so that these verify: what answers one
    /// question must not become the answer to another.
    #[test]
    fn a_question_that_was_run_into_another_field_is_missed() {
        let plivo = public_source(Scheme::Plivo(Plivo::default()));
        let twilio = Twilio { secrets: credentials(&["a token of Twilio's"]) };
        let twilio = public_source(Scheme::Twilio(twilio));
        let asked = || post(Some("question=problem"), "BillRate=0.01&CallUUID=c-1&Digits=2");
        let called = || post(Some("call_uuid=c-1&lang=B&question=problem"), "CallSid=CA1&Digits=2");
        let asked_by_get = || get(Some("question=problem&CallUUID=c-1&Digits=2&To=1"));
        for (source, webhook, query, body) in [
            (&plivo, asked(), None, "=question%3Dproblem.BillRate0.01&CallUUID=c-1&Digits=2"),
            (&plivo, asked_by_get(), Some("CallUUID=c-1&Digits=2&To=1%26question%3Dproblem"), ""),
            (
                &twilio,
                called(),
                Some("call_uuid=c-1&lang="),
                "B%26question%3DproblemCallSidCA1=&Digits=2",
            ),
        ] {
            let mut sent = signed(source, webhook);
            let said = source.read(&source.verify(sent.clone()).unwrap()).unwrap().unwrap();
            assert_eq!(said.answers[0].question.as_deref(), Some("problem"));
            sent.query = query.map(str::to_owned);
            sent.body = body.as_bytes().to_vec();
            let moved = source.verify(sent).expect("it signs the same");
            let missed = Err(ParseError::Shifted("question".to_owned()).into());
            assert_eq!(source.read(&moved), missed, "{query:?} {body}");
        }
        // A webhook that contains something alike and names its own question is accepted.
        let said = post(Some("question=problem"), "CallUUID=c-1&Digits=2&X-PH-A=%26question%3D1");
        assert!(whole(&plivo, said).is_ok());
    }

    /// Under `keep_last` the captured webhook would count again.
    #[test]
    fn an_id_that_was_run_into_another_field_is_missed() {
        let twilio = Twilio { secrets: credentials(&["a token of Twilio's"]) };
        let mut source = public_source(Scheme::Twilio(twilio));
        source.readers.id = readers(&["form:EventId"]);
        let mut sent =
            signed(&source, post(Some("call_uuid=c-1"), "Digits=2&EventId=e1&From=14155550123"));
        let said = source.read(&source.verify(sent.clone()).unwrap()).unwrap().unwrap();
        assert_eq!(said.identity.unwrap().id, "e1");
        for body in ["Digits=2&EventIde1From=14155550123", "Digits=2&EventId=e1From14155550123"] {
            sent.body = body.as_bytes().to_vec();
            let moved = source.verify(sent.clone()).expect("it signs the same");
            let missed = Err(ParseError::Shifted("EventId".to_owned()).into());
            assert_eq!(source.read(&moved), missed, "{body}");
        }
    }

    #[test]
    fn without_a_lawful_call_there_is_nothing_to_keep() {
        for (query, body, why) in [
            (None, "", ParseError::NoCall),
            (None, "Digits=4", ParseError::NoCall),
            (None, "calluuid=c-1&Digits=4", ParseError::NoCall),
            (Some("CallUUID=c-1"), "Digits=4", ParseError::NoCall),
            (None, "CallUUID=&Digits=4", ParseError::MalformedCall),
            (None, "CallUUID=a%2Fb&Digits=4", ParseError::MalformedCall),
            (None, "CallUUID=..&Digits=4", ParseError::MalformedCall),
            // The one meant is not the one that is there.
            (Some("call_uuid="), "CallUUID=c-1&Digits=4", ParseError::MalformedCall),
        ] {
            assert_eq!(read(post(query, body)), Err(why.into()), "{query:?} {body}");
        }
    }

    #[test]
    fn a_field_given_twice_could_mean_either() {
        for name in
            ["CallUUID", "call_uuid", "question", "InputType", "Digits", "Speech", "HangupCause"]
        {
            let twice = format!("CallUUID=c-1&{name}=1&{name}=1");
            let expected = Err(ParseError::Repeated(name.to_owned()).into());
            assert_eq!(read(post(None, &twice)), expected);
            assert_eq!(read(get(Some(&twice))), expected);
            let across = post(Some(&format!("{name}=1")), &format!("{name}=1"));
            assert_eq!(read(across), expected);
        }
    }

    #[test]
    fn v2_covers_no_query_so_no_call_is_taken_from_it() {
        let source = public_source(Scheme::Plivo(Plivo::accepting([PlivoHeader::V2]).unwrap()));
        let expected = Err(ParseError::Uncovered("call_uuid".to_owned()).into());
        assert_eq!(read_by(&source, post(Some("call_uuid=c-2"), "CallUUID=c-1")), expected);
        assert_eq!(read_by(&source, get(Some("call_uuid=c-2"))), expected);
        let asked = post(Some("question=problem"), "CallUUID=c-1&Digits=2");
        assert_eq!(read_by(&source, asked), Ok(reading("c-1", Some("problem"), "2")));
    }

    #[test]
    fn a_signed_body_vouches_for_no_query() {
        let rules = HmacRules::new("X-Signature".parse().unwrap());
        let hmac = Hmac::new(rules, credentials(&["s"])).unwrap();
        let source = public_source(Scheme::Hmac(hmac));
        for name in ["call_uuid", "question"] {
            let webhook = post(Some(&format!("{name}=c-2")), "CallUUID=c-1&Digits=4");
            assert_eq!(
                read_by(&source, webhook),
                Err(ParseError::Uncovered(name.to_owned()).into())
            );
            let webhook = post(None, &format!("CallUUID=c-1&Digits=4&{name}=c-2"));
            assert!(read_by(&source, webhook).is_ok());
        }
        let all_signed = get(Some("call_uuid=c-2&question=problem&Digits=2"));
        assert_eq!(read_by(&source, all_signed), Ok(reading("c-2", Some("problem"), "2")));
    }

    /// What a preset for JSON reads.
    fn json_readers(asked: Asked) -> Extractors {
        let condition = |text: &str| Predicate::Any(vec![text.parse().unwrap()]);
        Extractors {
            call: readers(&["json:$.call", "query:call_uuid", "header:x-call"]),
            asked,
            fields: vec![("from".parse().unwrap(), readers(&["json:$.from"]))],
            hangup: condition("json:$.event=hangup"),
            opt_out: condition("json:$.event=stop"),
            filter: vec!["json:$.event!=ringing".parse().unwrap()],
            id: readers(&["json:$.id"]),
        }
    }

    fn several() -> Asked {
        let name = |text: &str| text.parse().unwrap();
        Asked::Several(vec![
            (name("score"), readers(&["json:$.score", "json:$.rating"])),
            (name("problem"), readers(&["json:$.problem"])),
        ])
    }

    fn json_source(asked: Asked) -> Source {
        Source {
            accepts: Accepts::Json,
            readers: json_readers(asked),
            ..public_source(Scheme::None)
        }
    }

    fn json(body: &str) -> Webhook {
        let mut webhook = post(None, body);
        webhook.headers = [("content-type", "application/json")].into_iter().collect();
        webhook
    }

    fn said(reading: &Reading) -> Vec<(&str, &Answer, &str)> {
        reading
            .answers
            .iter()
            .map(|read| {
                (read.question.as_deref().unwrap_or_default(), &read.answer, read.reader.as_str())
            })
            .collect()
    }

    #[test]
    fn several_answers_are_read_at_once_and_each_says_where_it_was_found() {
        let source = json_source(several());
        let reading = |body: &str| whole(&source, json(body)).unwrap().unwrap();
        let given = |text: &str| Answer::Given(text.to_owned());

        let all = reading(r#"{"call":"c-1","score":4,"problem":"2","from":"1415"}"#);
        assert_eq!(
            said(&all),
            [("score", &given("4"), "json:$.score"), ("problem", &given("2"), "json:$.problem")]
        );
        assert_eq!(all.fields, [("from".parse().unwrap(), "1415".to_owned())]);

        let one = reading(r#"{"call":"c-1","score":"","rating":5,"problem":null}"#);
        assert_eq!(said(&one), [("score", &given("5"), "json:$.rating")]);

        let none = reading(r#"{"call":"c-1"}"#);
        assert_eq!(
            said(&none),
            [
                ("score", &Answer::Silence, "json:$.score"),
                ("problem", &Answer::Silence, "json:$.problem")
            ]
        );
    }

    #[test]
    fn a_hang_up_or_an_opt_out_brings_only_an_answer_that_is_really_there() {
        let source = json_source(several());
        for (event, hung_up) in [("hangup", true), ("stop", false)] {
            let body = |more: &str| format!(r#"{{"call":"c-1","event":"{event}"{more}}}"#);
            let bare = whole(&source, json(&body(""))).unwrap().unwrap();
            assert_eq!((bare.hung_up, bare.opted_out), (hung_up, !hung_up));
            assert_eq!(bare.answers, []);
            let read = whole(&source, json(&body(r#","score":4"#))).unwrap().unwrap();
            assert_eq!(read.answers.len(), 1);
        }
        let one = json_source(Asked::One { question: Vec::new(), answer: readers(&["json:$.a"]) });
        let hung_up = r#"{"call":"c-1","event":"hangup","a":""}"#;
        assert_eq!(whole(&one, json(hung_up)).unwrap().unwrap().answers, []);
        // What Plivo sends to its hang-up URL.
        let plivo = public_source(Scheme::None);
        let webhook = post(None, "CallUUID=c-1&Event=Hangup&HangupCause=NORMAL_CLEARING");
        let reading = whole(&plivo, webhook).unwrap().unwrap();
        assert!(reading.hung_up && reading.answers.is_empty());
    }

    #[test]
    fn a_webhook_that_is_none_of_ours_is_not_looked_into() {
        let source = json_source(several());
        assert_eq!(whole(&source, json(r#"{"event":"ringing"}"#)), Ok(None));
        assert_eq!(whole(&source, json(r#"{"event":"else"}"#)), Err(ParseError::NoCall.into()));
    }

    #[test]
    fn what_a_sender_calls_its_webhook_is_its_identity() {
        let source = json_source(several());
        let identity = |body: &str| whole(&source, json(body)).unwrap().unwrap().identity;
        let first = identity(r#"{"call":"c-1","id":"e-1","score":4}"#).unwrap();
        assert_eq!(first.id, "e-1");
        assert_eq!(identity(r#"{"call":"c-1","id":"e-1","score":4}"#), Some(first.clone()));
        assert_ne!(identity(r#"{"call":"c-1","id":"e-1","score":5}"#), Some(first));
        assert_eq!(identity(r#"{"call":"c-1","score":5}"#), None);
        let long = format!(r#"{{"call":"c-1","id":"{}"}}"#, "x".repeat(257));
        assert_eq!(whole(&source, json(&long)), Err(ParseError::LongId.into()));
    }

    /// No signature of a body covers what it says to be, nor the method.
    #[test]
    fn json_is_no_form_whatever_it_is_called() {
        let rules = HmacRules::new("X-Signature".parse().unwrap());
        let hmac = Hmac::new(rules, credentials(&["s"])).unwrap();
        let source = Source {
            accepts: Accepts::Either,
            readers: Extractors {
                call: readers(&["json:$.call", "form:call"]),
                ..json_readers(several())
            },
            ..public_source(Scheme::Hmac(hmac))
        };
        for body in [r#"{"comment":"&call=c-2&x=","call":"c-1"}"#, " [\"&call=c-2\"]"] {
            let sent = signed(&source, json(body));
            let mut renamed = sent.clone();
            let mut headers = renamed.headers.to_vec();
            headers[0].1 = b"application/x-www-form-urlencoded".to_vec();
            renamed.headers = headers.into_iter().collect();
            let mut got = Webhook { method: Method::Get, query: Some(body.to_owned()), ..sent };
            got.body.clear();
            for moved in [renamed, got] {
                assert_eq!(source.verify(moved).err(), Some(ParseError::BrokenForm.into()));
            }
        }
    }

    #[test]
    fn what_is_signed_vouches_for_no_header() {
        let rules = HmacRules::new("X-Signature".parse().unwrap());
        let hmac = Hmac::new(rules, credentials(&["s"])).unwrap();
        let signed = Source { signature: Scheme::Hmac(hmac), ..json_source(several()) };
        let called = || with_header(json(r#"{"score":4}"#), "X-Call", "c-1");
        let uncovered = ParseError::Uncovered("x-call".to_owned());
        assert_eq!(whole(&signed, called()), Err(uncovered.into()));
        let plivo = Source {
            readers: json_readers(several()),
            ..public_source(Scheme::Plivo(Plivo::default()))
        };
        let called_by_plivo = with_header(post(None, "Digits=4"), "X-Call", "c-1");
        let uncovered = ParseError::Uncovered("x-call".to_owned());
        assert_eq!(whole(&plivo, called_by_plivo), Err(uncovered.into()));
        let unsigned = json_source(several());
        assert_eq!(whole(&unsigned, called()).unwrap().unwrap().call.to_string(), "c-1");
        let twice = with_header(called(), "X-Call", "c-2");
        let repeated = ParseError::Repeated("x-call".to_owned());
        assert_eq!(whole(&unsigned, twice), Err(repeated.into()));
    }

    #[test]
    fn json_that_is_broken_or_too_deep_is_refused() {
        let source = json_source(several());
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for bad in ["{", "", "{}{}", "nope", &deep] {
            let refused = whole(&source, json(bad)).unwrap_err();
            let expected = if bad.is_empty() { ParseError::NoCall } else { ParseError::BrokenJson };
            assert_eq!(refused, expected.into(), "{}", &bad[..bad.len().min(9)]);
        }
        for odd in ["[]", "4", "null", "\"text\""] {
            assert_eq!(whole(&source, json(odd)), Err(ParseError::NoCall.into()), "{odd}");
        }
        let half_a_pair = whole(&source, json("{\"call\":\"\\ud800\"}"));
        assert_eq!(half_a_pair, Err(ParseError::MalformedCall.into()));
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_makes_a_reader_panic(
            body in "[\\[\\]{}\":,a-c0-9.ecall score]{0,40}",
            bytes: Vec<u8>,
        ) {
            let source = json_source(several());
            let _ = whole(&source, json(&body));
            let mut webhook = json("");
            webhook.body = bytes;
            let _ = whole(&source, webhook);
        }
    }
}
