use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::api_error::ApiError;

/// What one body says of a call.
#[derive(Debug, PartialEq)]
pub struct Feedback {
    /// 1 to 5; a whole rating is an integer, however it was written.
    pub rating: Number,
    pub issues: Vec<&'static str>,
    /// As it came: the document neither bounds notes nor names a refusal for them.
    pub notes: Value,
}

/// How the two issues are spelt on which Plivo's document contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// As in the table of arguments.
    #[default]
    Argument,
    /// As in the text of the 422.
    Error,
}

impl Feedback {
    /// Reads a body, in the order of the document's errors: the rating, then the issues. Keys that
    /// the document does not name are passed over, as Plivo's own SDKs send some.
    ///
    /// # Errors
    /// What is no JSON object, an empty body too, holds no rating, and is refused as such: the
    /// document knows no other answer to a body.
    pub fn read(body: &[u8], spelling: Spelling) -> Result<Self, ApiError> {
        let mut said: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| ApiError::Rating)?;
        let rating = said.get("rating").and_then(rating).ok_or(ApiError::Rating)?;
        let issues = match said.get("issues") {
            None | Some(Value::Null) => Vec::new(),
            Some(given) => issues(given, spelling).ok_or(ApiError::Issues)?,
        };
        if rating < BEST && issues.is_empty() {
            return Err(ApiError::Issues);
        }
        // The table of arguments writes `Notes`, the examples and the SDKs `notes`.
        let notes = said.remove("notes").or_else(|| said.remove("Notes")).unwrap_or_default();
        Ok(Self { rating: number(rating), issues, notes })
    }
}

const WORST: f64 = 1.0;
const BEST: f64 = 5.0;

fn rating(given: &Value) -> Option<f64> {
    let rating = match given {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => decimal(text)?,
        _ => return None,
    };
    (WORST..=BEST).contains(&rating).then_some(rating)
}

/// `4`, `4.0` or `3.5`, and none of the other ways in which a float can be spelt.
fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if digits(whole) && digits(fraction) { text.parse().ok() } else { None }
}

fn number(rating: f64) -> Number {
    if rating.fract() == 0.0 {
        Number::from(rating as u8)
    } else {
        Number::from_f64(rating).expect("a rating within its bounds is finite")
    }
}

fn issues(given: &Value, spelling: Spelling) -> Option<Vec<&'static str>> {
    given.as_array()?.iter().map(|issue| spelling.issue(issue.as_str()?)).collect()
}

const ISSUES_SPELT_ONE_WAY: [&str; 9] = [
    "AUDIO_LAG",
    "BROKEN_AUDIO",
    "DIGITS_NOT_CAPTURED",
    "ECHO",
    "HIGH_CONNECT_TIME",
    "LOW_AUDIO_LEVEL",
    "ONE_WAY_AUDIO",
    "OTHERS",
    "ROBOTIC_AUDIO",
];

impl Spelling {
    fn issue(self, name: &str) -> Option<&'static str> {
        let spelt_two_ways = match self {
            Spelling::Argument => ["CALL_DROPPED", "CALLERID_ISSUE"],
            Spelling::Error => ["CALL_DROPPPED", "CALLERID_ISSUES"],
        };
        ISSUES_SPELT_ONE_WAY.into_iter().chain(spelt_two_ways).find(|known| *known == name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Feedback, ApiError> {
        Feedback::read(body.to_string().as_bytes(), Spelling::Argument)
    }

    #[test]
    fn a_rating_is_a_number_or_its_text_from_one_to_five() {
        for (given, received) in [
            (json!(4), json!(4)),
            (json!(4.0), json!(4)),
            (json!("4"), json!(4)),
            (json!("4.0"), json!(4)),
            (json!(3.5), json!(3.5)),
            (json!("3.5"), json!(3.5)),
            (json!(1), json!(1)),
            (json!(5.0), json!(5)),
        ] {
            let feedback = read(json!({"rating": given, "issues": ["ECHO"]})).unwrap();
            assert_eq!(Value::Number(feedback.rating), received, "{given}");
        }
    }

    #[test]
    fn what_is_no_such_rating_is_refused_before_the_issues_are_looked_at() {
        for given in [
            json!(0),
            json!(0.99),
            json!(5.01),
            json!(-4),
            json!(6),
            json!(null),
            json!(true),
            json!([4]),
            json!(""),
            json!("four"),
            json!(" 4"),
            json!("+4"),
            json!("4."),
            json!(".5e1"),
            json!("4e0"),
            json!("NaN"),
            json!("5.1"),
        ] {
            assert_eq!(
                read(json!({"rating": given, "issues": "ECHO"})),
                Err(ApiError::Rating),
                "{given}"
            );
        }
        assert_eq!(read(json!({"issues": ["ECHO"]})), Err(ApiError::Rating));
    }

    #[test]
    fn what_is_no_json_object_holds_no_rating() {
        for body in ["", "null", "4", "[]", "{\"rating\": 5", "rating=5", "\u{feff}{}"] {
            assert_eq!(
                Feedback::read(body.as_bytes(), Spelling::Argument),
                Err(ApiError::Rating),
                "{body}"
            );
        }
        assert_eq!(
            Feedback::read(b"{\"rating\": \"\xff\"}", Spelling::Argument),
            Err(ApiError::Rating)
        );
    }

    #[test]
    fn below_five_an_issue_is_required() {
        for issues in [json!(null), json!([])] {
            assert_eq!(
                read(json!({"rating": 4.9, "issues": issues.clone()})),
                Err(ApiError::Issues)
            );
            assert!(read(json!({"rating": "5.0", "issues": issues})).is_ok());
        }
        assert_eq!(read(json!({"rating": 1})), Err(ApiError::Issues));
        assert!(read(json!({"rating": 5})).is_ok());
    }

    #[test]
    fn issues_are_an_array_of_known_names_at_every_rating() {
        for rating in [1, 5] {
            for issues in [
                json!("ECHO"),
                json!(["ECHO", "NOISE"]),
                json!(["echo"]),
                json!([1]),
                json!([null]),
                json!({"ECHO": true}),
                json!(""),
            ] {
                let refused = read(json!({"rating": rating, "issues": issues.clone()}));
                assert_eq!(refused, Err(ApiError::Issues), "{rating} {issues}");
            }
        }
        let feedback = read(json!({"rating": 5, "issues": ["OTHERS", "ECHO"]})).unwrap();
        assert_eq!(feedback.issues, ["OTHERS", "ECHO"]);
    }

    #[test]
    fn the_text_of_the_refusal_names_exactly_the_issues_of_its_own_spelling() {
        let (_, listed) = ApiError::Issues.text().split_once(": ").unwrap();
        let listed: Vec<_> = listed.split(", ").collect();
        assert_eq!(listed.len(), 11);
        for name in listed {
            assert_eq!(Spelling::Error.issue(name), Some(name));
        }
    }

    #[test]
    fn each_spelling_refuses_the_other() {
        for (argument, error) in
            [("CALL_DROPPED", "CALL_DROPPPED"), ("CALLERID_ISSUE", "CALLERID_ISSUES")]
        {
            assert!(Spelling::Argument.issue(argument).is_some());
            assert!(Spelling::Argument.issue(error).is_none());
            assert!(Spelling::Error.issue(error).is_some());
            assert!(Spelling::Error.issue(argument).is_none());
        }
    }

    #[test]
    fn notes_are_heard_under_both_of_their_names_and_other_keys_are_passed_over() {
        let notes = |body| read(body).unwrap().notes;
        assert_eq!(notes(json!({"rating": 5})), json!(null));
        assert_eq!(notes(json!({"rating": 5, "notes": "", "isCall": true})), json!(""));
        assert_eq!(notes(json!({"rating": 5, "Notes": "très bien"})), json!("très bien"));
        assert_eq!(notes(json!({"rating": 5, "notes": "a", "Notes": "b"})), json!("a"));
    }
}
