use std::fmt;

use serde_json::{Map, Value, json};

use super::located::Located;

/// What the playground of the console needs of the settings: the surveys as they are written, and what else
/// there must be for webhooks to be read by them. No secret is in it.
#[derive(Clone, Default)]
pub struct Excerpt {
    /// The section `surveys:`, with its comments.
    pub surveys: String,
    /// The other sections: sources without their signatures, accounts without their tokens.
    pub sections: Value,
}

/// Keys of a source and of an account that may leave the settings.
const OF_SOURCE: [&str; 9] = [
    "preset",
    "account",
    "survey",
    "url",
    "content_types",
    "extract",
    "reply",
    "replies",
    "on_reject",
];
const OF_ACCOUNT: [&str; 4] = ["auth_id", "api", "allow_http", "issue_names"];

impl Excerpt {
    /// Of the text of a file, and of the tree that it came to.
    pub(super) fn of(text: &str, tree: &Located) -> Self {
        let tree = tree.json();
        // A variable may say something else than the file.
        let is_in_force = |surveys: &String| {
            Located::parse(surveys).is_ok_and(|it| it.json()["surveys"] == tree["surveys"])
        };
        let surveys = section(text, "surveys").filter(is_in_force).unwrap_or_else(|| {
            format!("surveys: {:#}", tree["surveys"]).replace('\n', "\n  ") + "\n"
        });
        let of = |section: &str, key: &str| only(&tree[section], &[key], &[]);
        let unset = json!({ "env": "NO_SUCH_VARIABLE" });
        let sections = json!({
            "public": of("public", "url"),
            "delivery": of("delivery", "delay"),
            "accounts": each(&tree["accounts"], &OF_ACCOUNT, &[("auth_token", unset)]),
            "sources": each(&tree["sources"], &OF_SOURCE, &[("signature", json!("none"))]),
        });
        Self { surveys, sections }
    }
}

impl fmt::Debug for Excerpt {
    /// It says what the settings say already.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Excerpt(…)")
    }
}

/// The entries of a section, each with these keys alone.
fn each(section: &Value, keys: &[&str], more: &[(&str, Value)]) -> Value {
    let entries = section.as_object().into_iter().flatten();
    entries.map(|(name, entry)| (name.clone(), only(entry, keys, more))).collect()
}

fn only(table: &Value, keys: &[&str], more: &[(&str, Value)]) -> Value {
    let kept = keys.iter().filter_map(|key| Some((*key, table.get(key)?.clone())));
    let kept = kept.filter(|(_, value)| !value.is_null()).chain(more.iter().cloned());
    Value::Object(kept.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

/// The lines of a section of a file, if each section begins with its own line.
fn section(text: &str, name: &str) -> Option<String> {
    let begins = |line: &&str| {
        let rest = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        rest.map(str::trim_start).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    let is_inside = |line: &&str| line.is_empty() || line.starts_with([' ', '\t', '#']);
    let mut lines = text.lines().skip_while(|line| !begins(line));
    let mut section = vec![lines.next()?];
    section.extend(lines.take_while(is_inside));
    // What is written before the next section is about that one.
    while section.last().is_some_and(|line| line.trim().is_empty() || line.starts_with('#')) {
        section.pop();
    }
    Some(section.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
accounts:
  main: { auth_id: MA, auth_token: { value: the-token }, api: \"https://a.example.com\" }
surveys:
  # What callers are asked.
  quick:
    questions: [{ name: score, answers: 1-5 }]

# Who sends.
sources:
  ivr: { preset: plivo, account: main, survey: quick, signature: { bearer: { value: the-bearer } } }
";

    #[test]
    fn an_excerpt_has_the_surveys_as_they_are_written_and_no_secret() {
        let Excerpt { surveys, sections } = Excerpt::of(FILE, &Located::parse(FILE).unwrap());
        assert!(surveys.starts_with("surveys:\n  # What callers are asked.\n  quick:\n"));
        assert!(surveys.ends_with("answers: 1-5 }]\n"), "{surveys}");
        assert_eq!(sections["sources"]["ivr"]["signature"], "none");
        assert_eq!(sections["accounts"]["main"]["auth_id"], "MA");
        let text = sections.to_string();
        assert!(!text.contains("the-token") && !text.contains("the-bearer"), "{text}");
    }

    #[test]
    fn surveys_are_those_in_force_with_the_comment_on_their_line() {
        let file = FILE.replace("surveys:\n", "surveys:   # what is asked\n");
        let surveys = Excerpt::of(&file, &Located::parse(&file).unwrap()).surveys;
        assert!(surveys.starts_with("surveys:   # what is asked\n"), "{surveys}");
        // As with POSTCALL__SURVEYS__….
        let changed = Located::parse(&FILE.replace("1-5", "1-9")).unwrap();
        let surveys = Excerpt::of(FILE, &changed).surveys;
        assert!(surveys.contains("1-9") && !surveys.contains("1-5"), "{surveys}");
    }

    #[test]
    fn surveys_on_one_line_are_written_again() {
        let text = "surveys: { quick: { notes: \"a: b\" } }\n";
        let surveys = Excerpt::of(text, &Located::parse(text).unwrap()).surveys;
        let again = Located::parse(&surveys).unwrap();
        assert_eq!(again.json(), Located::parse(text).unwrap().json());
    }
}
