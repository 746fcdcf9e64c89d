use roxmltree::{Document, Node};

/// Instructions for a live call that Plivo would not run as they are meant; the text names element
/// and attribute, and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadInstructions(String);

/// What an element may say and hold, from Plivo's documents; its libraries check some of it only.
struct Law {
    element: &'static str,
    attributes: &'static [(&'static str, Value)],
    holds: Holds,
}

#[derive(Clone, Copy)]
enum Holds {
    Nothing,
    /// What is said aloud; marks of SSML only where one of Amazon Polly's voices says it.
    Speech,
    /// What is said or played while the caller is listened to.
    Prompts,
    Address,
}

#[derive(Clone, Copy)]
enum Value {
    Anything,
    Flag,
    Method,
    Address,
    AtLeast(u32),
    Between(u32, u32),
    BetweenOrAuto(u32, u32),
    OneOf(&'static [&'static str]),
    /// One key, or none.
    Key,
    Keys,
}

use Value::{Address, Anything, AtLeast, Between, BetweenOrAuto, Flag, Key, Keys, Method, OneOf};

const LAWS: [Law; 7] = [
    Law {
        element: "GetInput",
        attributes: &[
            ("action", Address),
            ("method", Method),
            ("inputType", OneOf(&["dtmf", "speech", "dtmf speech"])),
            ("executionTimeout", Between(5, 60)),
            ("digitEndTimeout", BetweenOrAuto(2, 10)),
            ("speechEndTimeout", BetweenOrAuto(2, 10)),
            ("finishOnKey", Key),
            ("numDigits", Between(1, 32)),
            ("speechModel", OneOf(&["default", "command_and_search", "phone_call"])),
            ("hints", Anything),
            ("language", Anything),
            ("interimSpeechResultsCallback", Address),
            ("interimSpeechResultsCallbackMethod", Method),
            ("log", Flag),
            ("redirect", Flag),
            ("profanityFilter", Flag),
        ],
        holds: Holds::Prompts,
    },
    Law {
        element: "GetDigits",
        attributes: &[
            ("action", Address),
            ("method", Method),
            ("timeout", AtLeast(1)),
            ("digitTimeout", AtLeast(1)),
            ("finishOnKey", Key),
            ("numDigits", Between(1, 99)),
            ("retries", AtLeast(1)),
            ("redirect", Flag),
            ("playBeep", Flag),
            ("validDigits", Keys),
            ("invalidDigitsSound", Address),
            ("log", Flag),
        ],
        holds: Holds::Prompts,
    },
    Law {
        element: "Speak",
        attributes: &[("voice", Anything), ("language", Anything), ("loop", AtLeast(0))],
        holds: Holds::Speech,
    },
    Law { element: "Play", attributes: &[("loop", AtLeast(0))], holds: Holds::Address },
    Law { element: "Redirect", attributes: &[("method", Method)], holds: Holds::Address },
    Law {
        element: "Hangup",
        attributes: &[("reason", OneOf(&["rejected", "busy"])), ("schedule", AtLeast(0))],
        holds: Holds::Nothing,
    },
    Law {
        element: "Wait",
        attributes: &[
            ("length", AtLeast(1)),
            ("silence", Flag),
            ("minSilence", AtLeast(1)),
            ("beep", Flag),
        ],
        holds: Holds::Nothing,
    },
];

/// Elements that Plivo knows and a survey has no use for: what they say is not looked at.
const OTHERS: [&str; 8] =
    ["Conference", "DTMF", "Dial", "Message", "MultiPartyCall", "PreAnswer", "Record", "Stream"];

/// What may stand within `GetInput` and `GetDigits`.
const PROMPTS: [&str; 2] = ["Speak", "Play"];

/// `document` is well-formed.
pub(super) fn check(document: &Document<'_>) -> Result<(), BadInstructions> {
    let root = document.root_element();
    if root.tag_name().name() != "Response" {
        return bad("the outermost element is Response".to_owned());
    }
    if let Some(attribute) = root.attributes().next() {
        return bad(format!("Response has no attribute {}", attribute.name()));
    }
    no_text(root)?;
    root.children().filter(Node::is_element).try_for_each(instruction)
}

fn instruction(node: Node<'_, '_>) -> Result<(), BadInstructions> {
    let name = node.tag_name().name();
    match LAWS.iter().find(|law| law.element == name) {
        Some(law) => law.check(node),
        None if OTHERS.contains(&name) => Ok(()),
        None => {
            let known = LAWS.iter().map(|law| law.element).chain(OTHERS);
            let known = known.collect::<Vec<_>>().join(", ");
            bad(format!("Plivo has no element {name}; it has {known}"))
        }
    }
}

impl Law {
    fn check(&self, node: Node<'_, '_>) -> Result<(), BadInstructions> {
        let element = self.element;
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            let Some((_, law)) = self.attributes.iter().find(|(known, _)| *known == name) else {
                let known: Vec<_> = self.attributes.iter().map(|(known, _)| *known).collect();
                let known = known.join(", ");
                return bad(format!("{element} has no attribute {name}; it has {known}"));
            };
            if !law.allows(value) {
                return bad(format!("{element}'s {name} is {law}, not {value:?}"));
            }
        }
        let mut elements = node.children().filter(Node::is_element);
        match self.holds {
            Holds::Prompts => {
                no_text(node)?;
                elements.try_for_each(|child| {
                    let name = child.tag_name().name();
                    if PROMPTS.contains(&name) {
                        instruction(child)
                    } else {
                        bad(format!("within {element} stand Speak and Play, not {name}"))
                    }
                })
            }
            Holds::Speech => {
                let by_polly = node.attribute("voice").is_some_and(|it| it.starts_with("Polly."));
                match elements.next() {
                    Some(mark) if !by_polly => bad(format!(
                        "within Speak {} needs a voice of Polly, such as Polly.Joanna",
                        mark.tag_name().name()
                    )),
                    _ if node.descendants().all(|it| it.text().is_none_or(is_blank)) => {
                        bad("Speak has nothing to say".to_owned())
                    }
                    _ => Ok(()),
                }
            }
            Holds::Address => {
                let address = node.text().unwrap_or_default().trim();
                match elements.next() {
                    None if Address.allows(address) => Ok(()),
                    _ => bad(format!("{element} holds {Address}, not {address:?}")),
                }
            }
            Holds::Nothing => match elements.next() {
                Some(child) => {
                    bad(format!("{element} holds nothing, not {}", child.tag_name().name()))
                }
                None => no_text(node),
            },
        }
    }
}

impl Value {
    fn allows(self, value: &str) -> bool {
        let number = || value.parse::<u32>().ok().filter(|_| !value.starts_with('+'));
        let is_key = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#');
        match self {
            Anything => true,
            Flag => matches!(value, "true" | "false"),
            Method => matches!(value, "GET" | "POST"),
            Address => {
                let after = value.strip_prefix("https://").or(value.strip_prefix("http://"));
                after.is_some_and(|rest| !rest.is_empty() && !value.contains(char::is_whitespace))
            }
            AtLeast(least) => number().is_some_and(|number| number >= least),
            Between(least, most) => number().is_some_and(|it| (least..=most).contains(&it)),
            BetweenOrAuto(least, most) => value == "auto" || Between(least, most).allows(value),
            OneOf(words) => words.contains(&value),
            Key => matches!(value, "" | "none") || (value.len() == 1 && value.chars().all(is_key)),
            Keys => !value.is_empty() && value.chars().all(is_key),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Anything => f.write_str("any text"),
            Flag => f.write_str("true or false"),
            Method => f.write_str("GET or POST"),
            Address => f.write_str("an address that begins with https:// or http://"),
            AtLeast(least) => write!(f, "a whole number from {least}"),
            Between(least, most) => write!(f, "a whole number from {least} to {most}"),
            BetweenOrAuto(least, most) => {
                write!(f, "auto or a whole number from {least} to {most}")
            }
            OneOf(words) => f.write_str(&words.join(" or ")),
            Key => f.write_str("one of 0 to 9, * and #, or none"),
            Keys => f.write_str("some of 0 to 9, * and #"),
        }
    }
}

fn no_text(node: Node<'_, '_>) -> Result<(), BadInstructions> {
    let is_text = |child: &Node<'_, '_>| child.is_text() && !child.text().is_none_or(is_blank);
    match node.children().find(is_text) {
        Some(_) => bad(format!("in {} text stands by itself: Speak it", node.tag_name().name())),
        None => Ok(()),
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn bad(message: String) -> Result<(), BadInstructions> {
    Err(BadInstructions(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(xml: &str) -> String {
        let document = Document::parse(xml).unwrap();
        check(&document).map_or_else(|bad| bad.to_string(), |()| "lawful".to_owned())
    }

    #[test]
    fn what_plivo_runs_is_lawful() {
        for good in [
            "<Response/>",
            r##"<Response>
                <GetInput action="https://s.example.com/hooks/ivr?question=score&amp;a=b" method="POST"
                    inputType="dtmf" executionTimeout="15" digitEndTimeout="5" finishOnKey="#"
                    numDigits="1" log="true" redirect="true">
                    <Speak voice="WOMAN" language="en-US">From one to five.</Speak>
                    <Play loop="0">https://s.example.com/beep.mp3</Play>
                </GetInput>
                <Speak>No answer received. Goodbye.</Speak>
                <Hangup/>
            </Response>"##,
            r#"<Response><GetDigits numDigits="1" retries="2" validDigits="12345*"/></Response>"#,
            r#"<Response><GetInput finishOnKey="none" digitEndTimeout="auto"/></Response>"#,
            r#"<Response><Speak voice="Polly.Joanna">Well, <break time="1s"/> bye.</Speak></Response>"#,
            r#"<Response><Wait length="3" silence="true"/><Redirect method="GET">https://a.example.com/b</Redirect></Response>"#,
            "<Response><Dial><Number>15551234567</Number></Dial></Response>",
        ] {
            assert_eq!(told(good), "lawful", "{good}");
        }
    }

    #[test]
    fn what_plivo_does_not_run_is_told_with_what_would_be_right() {
        let refused = [
            "<Answer/>",
            "<Response version=\"1\"/>",
            "<Response>Thank you.</Response>",
            "<Response><Say>Thank you.</Say></Response>",
            "<Response><GetInput numDigits=\"99\"/></Response>",
            "<Response><GetInput executionTimeout=\"4\"/></Response>",
            "<Response><GetInput digitEndTimeout=\"1\"/></Response>",
            "<Response><GetInput inputType=\"keys\"/></Response>",
            "<Response><GetInput retries=\"2\"/></Response>",
            "<Response><GetInput action=\"/hooks/ivr\"/></Response>",
            "<Response><GetInput redirect=\"True\"/></Response>",
            "<Response><GetInput finishOnKey=\"##\"/></Response>",
            "<Response><GetInput><Redirect>https://a.example.com</Redirect></GetInput></Response>",
            "<Response><GetInput>Press a key.</GetInput></Response>",
            "<Response><GetDigits method=\"PUT\"/></Response>",
            "<Response><GetDigits validDigits=\"1-5\"/></Response>",
            "<Response><Speak> </Speak></Response>",
            "<Response><Speak>Well, <break/> bye.</Speak></Response>",
            "<Response><Speak loop=\"-1\">Bye.</Speak></Response>",
            "<Response><Play>beep.mp3</Play></Response>",
            "<Response><Redirect/></Response>",
            "<Response><Hangup reason=\"bye\"/></Response>",
            "<Response><Hangup><Speak>Bye.</Speak></Hangup></Response>",
            "<Response><Wait length=\"0\"/></Response>",
        ]
        .map(|xml| format!("{xml}\n    {}", told(xml)));
        insta::assert_snapshot!(refused.join("\n"));
    }
}
