use crate::domain::{Answer, CallUuid, Method, Question};

use super::refused::Unreadable;
use super::signature::{Proof, VerifiedHook};

/// What a hook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub call: CallUuid,
    /// None where the sender named none: the survey's first is meant.
    pub question: Option<Question>,
    pub answer: Answer,
}

/// Fields of which a second would be a second meaning.
const ONCE: [&str; 6] = ["CallUUID", "call_uuid", "question", "InputType", "Digits", "Speech"];

/// Longest name of a question that is kept, in characters, whether or not a survey has it.
const QUESTION_MAX: usize = 63;

/// Reads the fields of a Plivo callback: from the body of a POST, from the query of a GET.
/// `call_uuid` and `question` belong to the address, which only its author writes; a sender that
/// signs only its body puts them there. Plivo signs a form without marks between its fields, so
/// whoever holds a captured one could let a field of its own making appear in it: these two are
/// not looked for there.
pub(super) fn read(hook: &VerifiedHook) -> Result<Reading, Unreadable> {
    let (query, body) = (hook.form().query(), hook.form().body());
    if let Some(repeated) = ONCE
        .into_iter()
        .find(|name| query.iter().chain(body).filter(|(key, _)| key == name).nth(1).is_some())
    {
        return Err(Unreadable::Repeated(repeated));
    }
    if let Some(uncovered) = uncovered_in_the_query(hook.proof())
        .iter()
        .find(|name| query.iter().any(|(key, _)| key == *name))
    {
        return Err(Unreadable::Uncovered(uncovered));
    }

    let fields = match hook.hook().method {
        Method::Get => query,
        Method::Post => body,
    };
    let address = if hook.proof() == Proof::Body { body } else { query };
    let call = value(address, "call_uuid")
        .or_else(|| value(fields, "CallUUID"))
        .ok_or(Unreadable::NoCall)?
        .parse()
        .map_err(|_| Unreadable::MalformedCall)?;
    let question = value(address, "question");
    if question.is_some_and(|name| !may_be_a_typo(name)) {
        return Err(Unreadable::MalformedQuestion);
    }
    let answered_by = match value(fields, "InputType") {
        Some("speech") => "Speech",
        _ => "Digits",
    };
    let answer = match value(fields, answered_by) {
        None | Some("") => Answer::Silence,
        Some(text) => Answer::Given(text.to_owned()),
    };
    Ok(Reading { call, question: question.map(str::to_owned), answer })
}

/// A mistyped name must not lose an answer, so nearly everything is kept. A dot is not: it stands
/// between query and form in what Plivo signs, so a captured form that was moved into the query
/// would hang on the question's name by it.
fn may_be_a_typo(name: &str) -> bool {
    name.chars().count() <= QUESTION_MAX && !name.contains('.')
}

/// Fields that decide whom or what an answer is about, where anybody could have written them.
fn uncovered_in_the_query(proof: Proof) -> &'static [&'static str] {
    match proof {
        Proof::Whole => &[],
        Proof::Body => &["call_uuid", "question"],
        // Nothing is covered but the address itself, and the call of the body is Plivo's habit.
        Proof::Address => &["call_uuid"],
    }
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Hook;
    use crate::source::sample::{credentials, get, post, public_source, signed};
    use crate::source::signature::{Hmac, HmacRules, Plivo, PlivoHeader, Scheme};
    use crate::source::{Refused, Source};

    fn read(hook: Hook) -> Result<Reading, Refused> {
        read_by(&public_source(Scheme::None), hook)
    }

    fn read_by(source: &Source, hook: Hook) -> Result<Reading, Refused> {
        source.read(&source.verify(signed(source, hook))?)
    }

    fn reading(call: &str, question: Option<&str>, answer: &str) -> Reading {
        Reading {
            call: call.parse().unwrap(),
            question: question.map(str::to_owned),
            answer: match answer {
                "" => Answer::Silence,
                text => Answer::Given(text.to_owned()),
            },
        }
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
        let refused = Err(Unreadable::MalformedQuestion.into());
        assert_eq!(read(post(Some(moved), "")), refused);
        let long = format!("question={}", "a".repeat(64));
        assert_eq!(read(post(Some(&long), "CallUUID=c-1&Digits=4")), refused);
    }

    #[test]
    fn without_a_lawful_call_there_is_nothing_to_keep() {
        for (query, body, why) in [
            (None, "", Unreadable::NoCall),
            (None, "Digits=4", Unreadable::NoCall),
            (None, "calluuid=c-1&Digits=4", Unreadable::NoCall),
            (Some("CallUUID=c-1"), "Digits=4", Unreadable::NoCall),
            (None, "CallUUID=&Digits=4", Unreadable::MalformedCall),
            (None, "CallUUID=a%2Fb&Digits=4", Unreadable::MalformedCall),
            (None, "CallUUID=..&Digits=4", Unreadable::MalformedCall),
            // The one meant is not the one that is there.
            (Some("call_uuid="), "CallUUID=c-1&Digits=4", Unreadable::MalformedCall),
        ] {
            assert_eq!(read(post(query, body)), Err(why.into()), "{query:?} {body}");
        }
    }

    #[test]
    fn a_field_given_twice_could_mean_either() {
        for name in ONCE {
            let twice = format!("CallUUID=c-1&{name}=1&{name}=1");
            let expected = Err(Unreadable::Repeated(name).into());
            assert_eq!(read(post(None, &twice)), expected);
            assert_eq!(read(get(Some(&twice))), expected);
            let across = post(Some(&format!("{name}=1")), &format!("{name}=1"));
            assert_eq!(read(across), expected);
        }
    }

    #[test]
    fn v2_covers_no_query_so_no_call_is_taken_from_it() {
        let source = public_source(Scheme::Plivo(Plivo::accepting([PlivoHeader::V2]).unwrap()));
        let expected = Err(Unreadable::Uncovered("call_uuid").into());
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
            let hook = post(Some(&format!("{name}=c-2")), "CallUUID=c-1&Digits=4");
            assert_eq!(read_by(&source, hook), Err(Unreadable::Uncovered(name).into()));
            let hook = post(None, &format!("CallUUID=c-1&Digits=4&{name}=c-2"));
            assert!(read_by(&source, hook).is_ok());
        }
        let all_signed = get(Some("call_uuid=c-2&question=problem&Digits=2"));
        assert_eq!(read_by(&source, all_signed), Ok(reading("c-2", Some("problem"), "2")));
    }
}
