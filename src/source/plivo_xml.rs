use roxmltree::{Document, Node};

use super::reply::{SourceReply, malformed};

/// What Plivo runs as a call's next instructions. Anything else would drop the call, and Plivo
/// would tell no one but its own log.
///
/// Elements, nesting and ranges are those of Plivo's documents on voice XML (November 2026). What
/// surveys have no use for is let through under its name, unlooked at.
///
/// # Errors
/// What is wrong, and what would be right, in words.
pub fn check_plivo_xml(text: &str) -> Result<(), String> {
    if text.len() > SourceReply::XML_MAX {
        return Err(format!(
            "longer than {} bytes, the most that Plivo takes",
            SourceReply::XML_MAX
        ));
    }
    let document =
        Document::parse(text).map_err(|error| format!("not valid XML: {}", malformed(&error)))?;
    let root = document.root_element();
    if root.tag_name().name() != "Response" {
        return Err("the outermost element is <Response>".to_owned());
    }
    check_attributes(&root, &[])?;
    check_children(&root, |name| element(name).is_some() || OTHERS.contains(&name))
}

/// An element that a survey speaks with.
struct Element {
    name: &'static str,
    needs: &'static [&'static str],
    attributes: &'static [(&'static str, Value)],
    inside: Inside,
}

enum Inside {
    Nothing,
    Text,
    /// An address.
    Url,
    /// Only what is said or played while keys are waited for.
    Prompts,
}

/// What an attribute may be.
enum Value {
    Anything,
    Url,
    Flag,
    Word(&'static [&'static str]),
    Whole(u64, u64),
    WholeOrAuto(u64, u64),
    /// One key, none or the word for it.
    Key,
    Keys,
    Voice,
    Hints,
}

const METHOD: Value = Value::Word(&["GET", "POST"]);
const FOREVER: u64 = u32::MAX as u64;

const ELEMENTS: &[Element] = &[
    Element {
        name: "GetInput",
        needs: &["action"],
        attributes: &[
            ("action", Value::Url),
            ("method", METHOD),
            ("inputType", Value::Word(&["dtmf", "speech", "dtmf speech", "speech dtmf"])),
            ("executionTimeout", Value::Whole(5, 60)),
            ("digitEndTimeout", Value::WholeOrAuto(2, 10)),
            ("speechEndTimeout", Value::WholeOrAuto(2, 10)),
            ("startInputTimeout", Value::Whole(1, FOREVER)),
            ("retries", Value::Whole(1, FOREVER)),
            ("finishOnKey", Value::Key),
            ("numDigits", Value::Whole(1, 32)),
            ("speechModel", Value::Word(&["default", "command_and_search", "phone_call"])),
            ("hints", Value::Hints),
            ("language", Value::Anything),
            ("interimSpeechResultsCallback", Value::Url),
            ("interimSpeechResultsCallbackMethod", METHOD),
            ("log", Value::Flag),
            ("redirect", Value::Flag),
            ("profanityFilter", Value::Flag),
        ],
        inside: Inside::Prompts,
    },
    Element {
        name: "GetDigits",
        needs: &["action"],
        attributes: &[
            ("action", Value::Url),
            ("method", METHOD),
            ("timeout", Value::Whole(1, FOREVER)),
            ("digitTimeout", Value::Whole(1, FOREVER)),
            ("finishOnKey", Value::Key),
            ("numDigits", Value::Whole(1, 99)),
            ("retries", Value::Whole(1, FOREVER)),
            ("redirect", Value::Flag),
            ("playBeep", Value::Flag),
            ("validDigits", Value::Keys),
            ("invalidDigitsSound", Value::Url),
            ("log", Value::Flag),
        ],
        inside: Inside::Prompts,
    },
    Element {
        name: "Speak",
        needs: &[],
        attributes: &[
            ("voice", Value::Voice),
            ("language", Value::Anything),
            ("loop", Value::Whole(0, FOREVER)),
        ],
        inside: Inside::Text,
    },
    Element {
        name: "Play",
        needs: &[],
        attributes: &[("loop", Value::Whole(0, FOREVER))],
        inside: Inside::Url,
    },
    Element {
        name: "Redirect",
        needs: &[],
        attributes: &[("method", METHOD)],
        inside: Inside::Url,
    },
    Element {
        name: "Hangup",
        needs: &[],
        attributes: &[
            ("reason", Value::Word(&["rejected", "busy"])),
            ("schedule", Value::Whole(1, FOREVER)),
        ],
        inside: Inside::Nothing,
    },
    Element {
        name: "Wait",
        needs: &[],
        attributes: &[
            ("length", Value::Whole(1, FOREVER)),
            ("silence", Value::Flag),
            ("minSilence", Value::Whole(1, FOREVER)),
            ("beep", Value::Flag),
        ],
        inside: Inside::Nothing,
    },
];

/// What Plivo knows beside.
const OTHERS: &[&str] =
    &["Conference", "Dial", "DTMF", "Message", "MultiPartyCall", "PreAnswer", "Record", "Stream"];

fn element(name: &str) -> Option<&'static Element> {
    ELEMENTS.iter().find(|element| element.name == name)
}

/// Of an element whose own text means nothing.
fn check_children(node: &Node<'_, '_>, may_stand: impl Fn(&str) -> bool) -> Result<(), String> {
    let name = node.tag_name().name();
    for child in node.children() {
        if child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty()) {
            return Err(format!("<{name}> holds elements, not text: <Speak> says something"));
        }
        if !child.is_element() {
            continue;
        }
        let inner = child.tag_name().name();
        match element(inner) {
            Some(element) if may_stand(inner) => check_element(&child, element)?,
            None if may_stand(inner) => {}
            None if !OTHERS.contains(&inner) => {
                return Err(format!("Plivo has no element <{inner}>"));
            }
            _ => return Err(format!("<{inner}> cannot stand in <{name}>")),
        }
    }
    Ok(())
}

fn check_element(node: &Node<'_, '_>, element: &Element) -> Result<(), String> {
    let name = element.name;
    check_attributes(node, element.attributes)?;
    if let Some(missing) = element.needs.iter().find(|needed| !node.has_attribute(**needed)) {
        return Err(format!("<{name}> needs {missing}"));
    }
    match element.inside {
        Inside::Nothing => match node.children().find(|child| !child.is_comment()) {
            None => Ok(()),
            Some(_) => Err(format!("<{name}> is empty")),
        },
        Inside::Prompts => check_children(node, |inner| inner == "Speak" || inner == "Play"),
        Inside::Text => {
            // Only these voices know the marks of SSML.
            let is_polly = node.attribute("voice").is_some_and(|voice| voice.starts_with("Polly."));
            if !is_polly && node.children().any(|child| child.is_element()) {
                return Err(format!("<{name}> holds only text, unless its voice is Polly's"));
            }
            Ok(())
        }
        Inside::Url => {
            let is_url = node.children().all(|child| !child.is_element())
                && node.text().is_some_and(|text| is_url(text.trim()));
            if is_url { Ok(()) } else { Err(format!("<{name}> holds an address: https://…")) }
        }
    }
}

fn check_attributes(node: &Node<'_, '_>, known: &[(&'static str, Value)]) -> Result<(), String> {
    let name = node.tag_name().name();
    for attribute in node.attributes() {
        let key = attribute.name();
        let Some((_, value)) = known.iter().find(|(known, _)| *known == key) else {
            return Err(format!("<{name}> has no attribute {key}"));
        };
        if !value.is_lawful(attribute.value()) {
            return Err(format!("{key} of <{name}> is {}", value.what()));
        }
    }
    Ok(())
}

impl Value {
    fn is_lawful(&self, text: &str) -> bool {
        let is_key = |c: char| c.is_ascii_digit() || c == '*' || c == '#';
        let is_whole = |least: u64, most: u64| {
            text.bytes().all(|b| b.is_ascii_digit())
                && text.parse().is_ok_and(|number: u64| (least..=most).contains(&number))
        };
        match *self {
            Value::Anything => !text.is_empty(),
            Value::Url => is_url(text),
            Value::Flag => text == "true" || text == "false",
            Value::Word(words) => words.contains(&text),
            Value::Whole(least, most) => is_whole(least, most),
            Value::WholeOrAuto(least, most) => text == "auto" || is_whole(least, most),
            Value::Key => {
                text.is_empty() || text == "none" || (text.len() == 1 && text.chars().all(is_key))
            }
            Value::Keys => !text.is_empty() && text.chars().all(is_key),
            Value::Voice => text == "WOMAN" || text == "MAN" || text.starts_with("Polly."),
            Value::Hints => {
                text.chars().count() <= 10_000
                    && text.split(',').count() <= 500
                    && text.split(',').all(|hint| hint.trim().chars().count() <= 100)
            }
        }
    }

    fn what(&self) -> String {
        match *self {
            Value::Anything => "not empty".to_owned(),
            Value::Url => "an address: https://…".to_owned(),
            Value::Flag => "true or false".to_owned(),
            Value::Word(words) => format!("one of {}", words.join(", ")),
            Value::Whole(least, FOREVER) => format!("a whole number from {least}"),
            Value::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Value::WholeOrAuto(least, most) => {
                format!("auto or a whole number from {least} to {most}")
            }
            Value::Key => "one of 0 to 9, *, #, none, or empty".to_owned(),
            Value::Keys => "made of 0 to 9, * and #".to_owned(),
            Value::Voice => "WOMAN, MAN or one of Polly's".to_owned(),
            Value::Hints => "at most 500 phrases of 100 characters, 10,000 in all".to_owned(),
        }
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty()) && !text.chars().any(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Plivo's own library makes of a question, and what an operator may write.
    #[test]
    fn what_plivo_runs_is_lawful() {
        for good in [
            "<Response/>",
            "<?xml version=\"1.0\"?><Response><!-- nothing --></Response>",
            "<Response><Speak>Thank you.</Speak><Hangup/></Response>",
            "<Response><Speak voice=\"Polly.Amy\" loop=\"0\">A <break time=\"1s\"/> b.</Speak></Response>",
            "<Response><Play loop=\"2\">https://a.example/hello.mp3</Play><Wait length=\"3\"/></Response>",
            "<Response><Redirect method=\"GET\">https://a.example/x?a=1&amp;b=2</Redirect></Response>",
            "<Response><Dial callerId=\"1\"><Number>14155550123</Number></Dial></Response>",
            "<Response><GetDigits action=\"https://a.example/\" numDigits=\"1\" validDigits=\"12*\" finishOnKey=\"\"><Play>https://a.example/q.wav</Play></GetDigits></Response>",
            r##"<Response>
  <GetInput action="https://survey.example.com/plivo/getinput?tenant=acme&amp;survey=s1" method="POST" inputType="dtmf" executionTimeout="15" digitEndTimeout="5" finishOnKey="#" numDigits="1" log="true" redirect="true">
    <Speak voice="WOMAN" language="en-US">Rate the call quality from one to five.</Speak>
  </GetInput>
  <Speak>No answer received. Goodbye.</Speak>
  <Hangup/>
</Response>"##,
        ] {
            assert_eq!(check_plivo_xml(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_would_drop_the_call_is_told_with_what_would_be_right() {
        let in_response = |inner: &str| check_plivo_xml(&format!("<Response>{inner}</Response>"));
        let input = |attributes: &str, inner: &str| {
            in_response(&format!(
                "<GetInput action=\"https://a.example/\" {attributes}>{inner}</GetInput>"
            ))
        };
        let faults = [
            check_plivo_xml("Thank you."),
            check_plivo_xml("<Speak>Thank you.</Speak>"),
            check_plivo_xml("<Response a=\"b\"/>"),
            in_response("Thank you."),
            in_response("<Say>Thank you.</Say>"),
            in_response("<speak>Thank you.</speak>"),
            in_response("<Speak>Thank <b>you</b>.</Speak>"),
            in_response("<Speak voice=\"ALICE\">a</Speak>"),
            in_response("<Speak loop=\"-1\">a</Speak>"),
            in_response("<Play>hello.mp3</Play>"),
            in_response("<Redirect/>"),
            in_response("<Hangup reason=\"done\"/>"),
            in_response("<Hangup>bye</Hangup>"),
            in_response("<GetInput/>"),
            in_response("<GetDigits action=\"/next\"/>"),
            input("numDigits=\"33\"", ""),
            input("executionTimeout=\"4\"", ""),
            input("digitEndTimeout=\"soon\"", ""),
            input("finishOnKey=\"12\"", ""),
            input("method=\"PUT\"", ""),
            input("redirect=\"yes\"", ""),
            input("numdigits=\"1\"", ""),
            input("", "<Redirect>https://a.example/</Redirect>"),
            input("", "<Wait/>"),
            input("", "Press one."),
        ]
        .map(|checked| checked.unwrap_err());
        insta::assert_snapshot!(faults.join("\n"), @r"
        not valid XML: unknown token at 1:1
        the outermost element is <Response>
        <Response> has no attribute a
        <Response> holds elements, not text: <Speak> says something
        Plivo has no element <Say>
        Plivo has no element <speak>
        <Speak> holds only text, unless its voice is Polly's
        voice of <Speak> is WOMAN, MAN or one of Polly's
        loop of <Speak> is a whole number from 0
        <Play> holds an address: https://…
        <Redirect> holds an address: https://…
        reason of <Hangup> is one of rejected, busy
        <Hangup> is empty
        <GetInput> needs action
        action of <GetDigits> is an address: https://…
        numDigits of <GetInput> is a whole number from 1 to 32
        executionTimeout of <GetInput> is a whole number from 5 to 60
        digitEndTimeout of <GetInput> is auto or a whole number from 2 to 10
        finishOnKey of <GetInput> is one of 0 to 9, *, #, none, or empty
        method of <GetInput> is one of GET, POST
        redirect of <GetInput> is true or false
        <GetInput> has no attribute numdigits
        <Redirect> cannot stand in <GetInput>
        <Wait> cannot stand in <GetInput>
        <GetInput> holds elements, not text: <Speak> says something
        ");
    }

    proptest! {
        #[test]
        fn nothing_makes_the_check_panic(text in "(<|</|Response|Speak|GetInput|>|/>| a=\"|\"|x){0,16}") {
            let _ = check_plivo_xml(&text);
        }
    }
}
