//! Texts of senders, callers, operators and Plivo that would be markup: every page escapes them, and stays
//! well-formed.

use serde_json::json;

use super::{id_of, page, send};
use crate::test_env::{SETTINGS, TestEnv};
use crate::wire::{exchange, request};

/// Markup, quotes, marks that turn the text, an end of a textarea, and much of it.
fn hostile(bytes: usize) -> String {
    let begins = "</textarea><img src=x onerror=alert(1)>\u{202e}\u{2067}\"'&lt;\0";
    format!("{begins}{}", "<b>".repeat((bytes.saturating_sub(begins.len())) / 3))
}

/// What is not text between tags, or in quotes within one, is no markup of ours: tags nest, and attributes
/// are quoted.
#[track_caller]
fn assert_well_formed(path: &str, page: &str) {
    const VOID: [&str; 5] = ["meta", "link", "input", "img", "br"];
    let (mut open, mut rest): (Vec<&str>, _) = (Vec::new(), page);
    while let Some(at) = rest.find('<') {
        let inner = &rest[at + 1..];
        if inner.starts_with("!DOCTYPE") {
            rest = inner;
            continue;
        }
        let mut quoted = false;
        let end = inner.find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let tag = &inner[..end.unwrap_or_else(|| panic!("{path}: a tag without an end: {inner}"))];
        let word = tag.trim_start_matches('/').split([' ', '>']).next().unwrap();
        assert!(word.bytes().all(|b| b.is_ascii_alphanumeric()), "{path}: <{tag}>");
        assert!(!tag.contains('<'), "{path}: <{tag}>");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{path}"),
            None if VOID.contains(&word) => {}
            None => open.push(word),
        }
        rest = &inner[tag.len()..];
    }
    assert!(open.is_empty(), "{path}: {open:?} are not closed");
    assert!(page.ends_with("</html>"), "{path}");
}

#[track_caller]
fn assert_harmless(path: &str, page: &str) {
    assert_well_formed(path, page);
    for markup in ["<img", "<b>", " onerror=", "\0"] {
        assert!(!page.replace("onerror=alert", "").contains(markup), "{path} has {markup}");
    }
    // What is typed into a textarea stays as it was typed.
    let outside =
        page.split("<textarea").map(|part| part.split_once("</textarea>").map_or(part, |it| it.1));
    for part in outside.skip(usize::from(page.starts_with("<textarea"))) {
        assert!(!part.contains(['\u{202e}', '\u{2067}']), "{path} turns its text");
    }
}

#[test]
fn hostile_texts_of_every_field_are_escaped_on_every_page() {
    let web = "  web: { preset: generic-json, account: main, survey: form, signature: none, \
               extract: { fields: { campaign: \"json:$.campaign\" } } }\n  tenant:";
    let form = "surveys:\n  form: { fields: [campaign], questions: [{ name: score, answers: 1-5 }, \
                { name: comment, text: 4096, optional: true }], rating: { question: score }, \
                notes: \"{{ comment }} {{ campaign }}\", mask_phone_numbers: false }\n";
    let settings = SETTINGS.replace("  tenant:", web).replace("surveys:\n", form);
    let mut test_env = TestEnv::of(&settings);
    test_env.serve_as_process();
    let text = hostile(60 * 1024);
    let short = hostile(400);
    test_env.plivo.fails(json!([{ "status": 400, "times": 1 }]));
    let body = json!({
        "call_uuid": "c-1",
        "answers": { "score": 2, "comment": text },
        "campaign": short,
    });
    let json = [("content-type", "application/json")];
    let query = format!("/hooks/web?note={}", "%3Cimg%3E%E2%80%AE".repeat(100));
    let kept =
        exchange(test_env.public(), &request("POST", &query, &json, body.to_string().as_bytes()));
    kept.assert_status(200);
    test_env.until("it is dead", || test_env.store.totals().dead == 1);
    let id = id_of(&test_env, "c-1", "");
    let encoded: String = short.bytes().map(|byte| format!("%{byte:02X}")).collect();
    send(&test_env, "/console/accounts/main/pause", "", &format!("reason={encoded}"))
        .assert_status(303);
    // A webhook that no secret verifies, which calls itself by such a host and path.
    let form =
        [("content-type", "application/x-www-form-urlencoded"), ("x-plivo-signature-v3", "a")];
    exchange(test_env.public(), &request("POST", "/hooks/quick?<img>", &form, text.as_bytes()));

    let of_submission = |rest: &str| format!("/console/submissions/{id}{rest}");
    let pages = [
        "/console/".to_owned(),
        "/console/calls/c-1".to_owned(),
        "/console/calls/c-1/erase".to_owned(),
        "/console/submissions".to_owned(),
        of_submission(""),
        of_submission("/replay"),
        of_submission("/discard"),
        "/console/replay?state=dead".to_owned(),
        "/console/setup/web".to_owned(),
        "/console/audit".to_owned(),
        "/console/accounts".to_owned(),
        "/console/quarantine".to_owned(),
        "/console/playground".to_owned(),
        format!("/console/submissions?call={encoded}"),
        format!("/console/submissions?{encoded}={encoded}"),
        format!("/console/calls/{encoded}"),
        format!("/console/setup/{encoded}"),
        format!("/console/{encoded}"),
    ];
    for path in pages {
        let page = page(&test_env, &path, "");
        assert_harmless(&path, &page.text);
    }
    let revealed = send(&test_env, &of_submission("/reveal"), "", "");
    assert!(revealed.text.contains("&lt;img"), "{}", revealed.text);
    assert_harmless("reveal", &revealed.text);
    for (path, body) in [
        (of_submission("/discard"), format!("reason={}", encoded.repeat(3))),
        ("/console/accounts/main/pause".to_owned(), format!("reason={}", encoded.repeat(3))),
        ("/console/login".to_owned(), format!("token={encoded}&next={encoded}")),
        ("/console/replay".to_owned(), format!("state=dead&number={encoded}&shown={encoded}")),
        ("/console/playground".to_owned(), format!("rules={encoded}&webhooks={encoded}")),
    ] {
        assert_harmless(&path, &send(&test_env, &path, "", &body).text);
    }
    send(&test_env, &of_submission("/discard"), "", &format!("reason={encoded}"))
        .assert_status(303);
    assert_harmless("discarded", &page(&test_env, &of_submission(""), "").text);
}

#[test]
fn a_check_of_markup_finds_what_is_not_well_formed() {
    for wrong in [
        "<html><b></html>",
        "<html><p class=\"a></html>",
        "<html><<b></html>",
        "<html></p></html>",
        "<html></html></p>",
    ] {
        let found = std::panic::catch_unwind(|| assert_well_formed("", wrong));
        assert!(found.is_err(), "{wrong}");
    }
    assert_well_formed("", "<!DOCTYPE html><html><p class=\"a>b\">c<input name=\"d\"></p></html>");
}
