use std::fs;
use std::io::Read;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::Environment;
use super::cursor::Cursor;
use super::secret_name::{looks_like_a_path, looks_like_a_variable, shell_reference};
use crate::domain::Credentials;

const FORMS: &str = "`{ env: NAME }`, `{ file: PATH }`, `{ value: \"…\" }` or a list of these";

/// What replaces a secret that is not set, in checks: long enough for every use, and also of the form that
/// Standard Webhooks requires.
const PLACEHOLDER: &str = "whsec_cGxhY2Vob2xkZXItbm90LWEtc2VjcmV0";

/// Longest secret that is read from a file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A secret that can be read now, and again later, and is at least `length_min` characters long.
///
/// No fault repeats anything that is written there, not even a key: an operator in
/// a hurry puts the secret itself in any of these places. Only a text that looks like a variable or a path and
/// not like a secret is repeated, because the first command of a new user needs its name.
pub(super) fn credentials(cursor: &Cursor<'_>, length_min: usize) -> Option<Credentials> {
    let environment = cursor.environment().clone();
    let items = cursor.some(FORMS)?;
    let parts: Vec<Option<Part>> = items
        .iter()
        .map(|cursor| {
            let mut part = Part::at(cursor)?;
            if environment.has_placeholders() && !part.is_set(&environment) {
                cursor.note_missing_secret(part.key);
                part.form = Form::Value(PLACEHOLDER.into());
            }
            match part.read(length_min, &environment) {
                Ok(_) => Some(part),
                Err(message) => cursor.fault_below(part.key, message),
            }
        })
        .collect();
    let parts: Vec<Part> = parts.into_iter().collect::<Option<_>>()?;
    let read = move || {
        let read = |part: &Part| {
            part.read(length_min, &environment)
                .map_err(|message| format!("{}: {message}", part.path))
        };
        parts.iter().map(read).collect()
    };
    cursor.check(Credentials::new(Box::new(read)))
}

/// The place of a secret; one of several while it is being rotated.
struct Part {
    path: String,
    key: &'static str,
    form: Form,
}

enum Form {
    Env(String),
    File(String),
    Value(SecretString),
}

type At = fn(String) -> Form;

/// Where a secret may lie, by key.
const PLACES: [(&str, At, &str); 3] = [
    ("env", Form::Env, "The name of a variable that holds it."),
    ("file", Form::File, "The path of a file that holds it; read again every few seconds."),
    ("value", |value| Form::Value(value.into()), "The secret itself; only for trying things out."),
];

/// Any of the forms, or a list of them.
pub(super) fn schema() -> Value {
    let places = PLACES.map(|(key, _, about)| {
        let text = json!({ "type": "string", "description": about });
        (key.to_owned(), text)
    });
    let one = json!({
        "type": "object",
        "properties": Map::from_iter(places),
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    });
    let list = json!({
        "type": "array",
        "description": "While it is rotated: each of these is accepted, the first is used.",
        "items": one,
        "minItems": 1,
    });
    json!({ "anyOf": [one, list] })
}

impl Part {
    fn at(cursor: &Cursor<'_>) -> Option<Self> {
        let Some(entries) = cursor.located().as_table() else {
            let variable = cursor.value().and_then(Value::as_str).and_then(shell_reference);
            return match variable {
                Some(name) => cursor.fault(format!(
                    "a variable is not replaced in the file: write {{ env: {name} }}"
                )),
                None => cursor.expected(FORMS),
            };
        };
        let mut entries = entries.iter();
        let (Some((key, located)), None) = (entries.next(), entries.next()) else {
            return cursor.fault(format!("expected exactly one form: {FORMS}"));
        };
        let Some((key, form, _)) = PLACES.iter().find(|(known, ..)| known == key) else {
            return cursor.fault(format!("expected {FORMS}"));
        };
        match &located.json() {
            Value::String(text) => {
                let path = format!("{}.{key}", cursor.path());
                Some(Self { path, key, form: form(text.clone()) })
            }
            _ => cursor.fault_below(key, "expected text: quote it"),
        }
    }

    /// Whether its variable has a value, or its file can be opened.
    fn is_set(&self, environment: &Environment) -> bool {
        match &self.form {
            // In a pipeline a secret that it may not see is an empty variable.
            Form::Env(name) => environment.get(name).is_some_and(|value| !value.is_empty()),
            Form::File(path) => fs::File::open(path).is_ok(),
            Form::Value(_) => true,
        }
    }

    fn read(&self, length_min: usize, environment: &Environment) -> Result<SecretString, String> {
        let secret = match &self.form {
            Form::Env(name) => environment.get(name).ok_or_else(|| not_set(name))?.into(),
            Form::File(path) => read_file(path)?.into(),
            Form::Value(value) => value.clone(),
        };
        strong(secret, length_min)
    }
}

fn not_set(name: &str) -> String {
    if looks_like_a_variable(name) {
        format!("the environment variable {name} is not set: set it before you start postcall")
    } else {
        "the environment variable that it names is not set".to_owned()
    }
}

fn strong(secret: SecretString, length_min: usize) -> Result<SecretString, String> {
    match secret.expose_secret().chars().count() {
        // Of blanks alone is a file that was emptied.
        _ if secret.expose_secret().trim().is_empty() => Err("the secret is empty".to_owned()),
        length if length < length_min => {
            Err(format!("the secret is too short: expected at least {length_min} characters"))
        }
        _ => Ok(secret),
    }
}

/// Without the newline that most editors leave at the end.
fn read_file(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let file = if looks_like_a_path(path) { path } else { "that it names" };
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| format!("the file {file} cannot be read: {error}"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("the file {file} is too long for a secret"));
    }
    let without = text.strip_suffix('\n').unwrap_or(&text);
    Ok(without.strip_suffix('\r').unwrap_or(without).to_owned())
}
