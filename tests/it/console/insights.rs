//! What the insights show, and where their marks lead to.

use super::{page, reverse_the_scale, send};
use crate::test_env::{Callback, SETTINGS, TOKEN, TestEnv};
use crate::wire::Reply;

/// `quick` has insights of its campaigns.
fn with_insights() -> TestEnv {
    let settings = SETTINGS
        .replace(
            "quick: { preset: plivo, account: main, survey: quick }",
            "quick: { preset: plivo, account: main, survey: quick, extract: { fields: { campaign: \"query:campaign\" } } }",
        )
        .replace(
            "quick: { questions: [{ name: score, answers: 1-5 }],",
            "quick: { questions: [{ name: score, answers: 1-5 }], fields: [campaign], insights: [campaign],",
        );
    let mut test_env = TestEnv::of(&settings);
    test_env.start();
    test_env
}

fn presses(test_env: &TestEnv, call: &str, digits: &str, campaign: &str) {
    let body = format!("CallUUID={call}&Digits={digits}");
    let query = format!("campaign={campaign}");
    Callback::signed("quick", Some(&query), &body, TOKEN).send(test_env).assert_status(200);
    test_env.until_it_is(call, if digits.is_empty() { "ignored(no_answer)" } else { "delivered" });
}

/// Four calls of two campaigns, a silent one, one with an issue, and a test.
pub fn with_calls() -> TestEnv {
    let test_env = with_insights();
    for (call, digits, campaign) in [
        ("c-1", "1", "autumn"),
        ("c-2", "2", "autumn"),
        ("c-3", "5", "autumn"),
        ("c-4", "4", "spring"),
        ("c-5", "", "spring"),
    ] {
        presses(&test_env, call, digits, campaign);
    }
    test_env.caller("c-6").at("ivr").asked("score").has_pressed("2");
    test_env.caller("c-6").at("ivr").asked("problem").has_pressed("1");
    test_env.until_it_is("c-6", "delivered");
    test_env.caller("postcall-test-1").has_pressed("1");
    test_env.until_it_is("postcall-test-1", "ignored(test)");
    test_env
}

fn insights(test_env: &TestEnv, query: &str) -> Reply {
    page(test_env, &format!("/console/insights?{query}"), "")
}

/// Each link to submissions, and how many it says that there are.
fn counts(text: &str) -> Vec<(String, usize)> {
    let links = text.split("<a href=\"/console/submissions?").skip(1);
    let counted = links.map(|link| {
        let (path, rest) = link.split_once('"').unwrap();
        // The link of a mark says `day: 2 of 5 …`, that of a table has the number alone.
        let says = match rest.strip_prefix(" aria-label=\"") {
            Some(label) => label.split_once(": ").unwrap().1,
            None => rest.trim_start_matches(['>']).trim_start_matches("<span class=\"count\">"),
        };
        let number = says.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        let path = format!("/console/submissions?{}", path.replace("&amp;", "&"));
        (path, number.parse().unwrap_or_else(|_| panic!("no count in {says:.40}")))
    });
    counted.collect()
}

fn found(test_env: &TestEnv, path: &str) -> usize {
    let reply = page(test_env, path, "");
    reply.assert_status(200);
    reply.text.matches("<td><a href=\"/console/submissions/").count()
}

#[test]
fn every_mark_of_the_insights_leads_to_the_calls_that_it_counts() {
    let test_env = with_calls();
    for query in ["by=campaign", "survey=quick&by=campaign&days=7", "survey=quality&days=90", ""] {
        let text = insights(&test_env, query).text;
        let counts = counts(&text);
        assert!(counts.len() > 12, "{query}: {} links in {text}", counts.len());
        for (path, count) in counts {
            assert_eq!(found(&test_env, &path), count, "{query}: {path}");
        }
    }
    let text = insights(&test_env, "by=campaign").text;
    for part in [
        "6 settled in 30 days",
        "<span class=\"count\">5</span> rated: 83 % [44–97]",
        "autumn: 2 of 3 rated 1 to 2",
        "spring: 0 of 1 rated 1 to 2",
        "ECHO: 1 of 5",
        "OTHERS (default): 3 of 5",
        "silent: 1 of 6",
        "accepted by Plivo: 5 of 6",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn insights_follow_a_replay_and_forget_what_is_erased() {
    let test_env = with_calls();
    let rated = |n: usize| format!("<span class=\"count\">{n}</span> rated: ");
    let replay = format!("/console/submissions/{}/replay", test_env.id_of("c-1"));
    let shown = page(&test_env, &format!("{replay}?include_delivered=true"), "").text;
    let (_, digest) = shown.split_once("name=\"shown\" value=\"").unwrap();
    let digest = digest.split('"').next().unwrap();
    let fields = format!("payload=remapped&include_delivered=true&shown={digest}");
    send(&test_env, &replay, "", &fields).assert_status(303);
    test_env.until("it is counted again", || insights(&test_env, "").text.contains(&rated(5)));
    let erase = send(&test_env, "/console/calls/c-1/erase", "", "confirmation=c-1");
    erase.assert_status(303);
    let text = insights(&test_env, "by=campaign").text;
    assert!(text.contains(&rated(4)) && text.contains("autumn: 1 of 2 rated 1 to 2"), "{text}");
    for (path, count) in counts(&text) {
        assert_eq!(found(&test_env, &path), count, "{path}");
    }
}

#[test]
fn a_tally_that_cannot_be_read_is_left_out_of_the_insights() {
    let test_env = with_calls();
    for damage in [
        "UPDATE tallies SET state = 'bored' WHERE rating = 500",
        "UPDATE tallies SET issues = CAST(x'ff' AS TEXT) WHERE rating = 500",
    ] {
        test_env.store.as_another_program().execute_batch(damage).unwrap();
        for query in ["", "by=campaign&days=90"] {
            let reply = insights(&test_env, query);
            reply.assert_status(200);
            assert!(
                reply.text.contains("<span class=\"count\">4</span> rated: "),
                "{}",
                reply.text
            );
        }
    }
}

#[test]
fn insights_can_be_had_as_csv() {
    let test_env = with_calls();
    let csv = |query: &str| {
        let reply = page(&test_env, &format!("/console/insights.csv?{query}"), "");
        assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
        let lines = reply.text.lines().map(|line| line.split_once(',').unwrap().1.to_owned());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        csv("by=campaign&survey=quick"),
        [
            "campaign,state,reason,rating,issues,origin,n",
            "autumn,delivered,,1,OTHERS,default,1",
            "autumn,delivered,,2,OTHERS,default,1",
            "autumn,delivered,,5,,,1",
            "spring,delivered,,4,OTHERS,default,1",
            "spring,ignored,no_answer,,,,1",
        ]
    );
    assert!(csv("").contains(&",delivered,,2,ECHO,chosen,1".to_owned()), "{:?}", csv(""));
}

#[test]
fn insights_show_where_the_rules_of_a_survey_changed() {
    let mut test_env = with_calls();
    let recorded = |test_env: &TestEnv, revisions: u64| {
        let what = format!("{revisions} revisions are recorded");
        test_env.until(&what, || test_env.store.count("survey_revisions") == revisions);
    };
    recorded(&test_env, 2);
    let words = "<p id=\"changes\">";
    assert!(!insights(&test_env, "").text.contains(words), "a survey began with its rules");
    reverse_the_scale(&mut test_env);
    recorded(&test_env, 3);
    for query in ["", "survey=quick&by=campaign", "days=90"] {
        let text = insights(&test_env, query).text;
        let (_, said) = text.split_once(words).expect("the change");
        let (said, _) = said.split_once("</p>").unwrap();
        assert!(said.contains(" survey quick"), "{said}");
        assert_eq!(
            text.matches("<line class=\"changed\"").count(),
            2,
            "both charts of time: {text}"
        );
    }
    let other = insights(&test_env, "survey=quality").text;
    assert!(!other.contains(words) && !other.contains("class=\"changed\""), "{other}");
    // What else is changed, and a start, is no change of the rules.
    test_env.operator_rewrites(|settings| settings.replace("{ delay: 0s", "{ delay: 1s"));
    test_env.restart();
    test_env.operator_rewrites(|settings| settings.replace("answers: 1-3", "answers: 1-4"));
    test_env.reload();
    recorded(&test_env, 4);
    assert!(insights(&test_env, "survey=quality").text.contains(" survey quality"));
}

/// Tallies of as many values of a field, ten days each.
fn add_tallies(test_env: &TestEnv, values: u32) {
    let add = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {values} * 10 - 1)
        INSERT INTO tallies SELECT 'campaign', unixepoch() / 86400 - i % 10, 'quick', 'main',
            'value ' || (i / 10), 'delivered', '', 500, '', '', 1 + i / 10 FROM n"
    );
    test_env.store.as_another_program().execute_batch(&add).unwrap();
}

#[test]
fn insights_of_very_many_values_are_folded_and_a_page_stays_light() {
    let test_env = with_insights();
    presses(&test_env, "c-1", "1", "autumn");
    add_tallies(&test_env, 9_999);
    let reply = insights(&test_env, "by=campaign");
    reply.assert_status(200);
    // One of them is autumn.
    assert!(reply.text.contains("<strong>9940 other values</strong>"), "{}", reply.text);
    assert!(reply.text.contains("value 9998: 0 of 99990 rated 1 to 2"));
    assert!(!reply.text.contains("value 9938") && !reply.text.contains("autumn: "));
    let all: u64 = 1 + (1..=9_999).map(|n| n * 10).sum::<u64>();
    assert!(reply.text.contains(&format!("In all 1 of {all}.")), "{}", reply.text);
    assert!(reply.text.len() < 120 * 1024, "{} bytes", reply.text.len());
}

#[test]
fn insights_with_more_tallies_than_are_read_at_once_are_refused_with_what_would_be_right() {
    const MOST: u32 = 100_000;
    let test_env = with_insights();
    presses(&test_env, "c-1", "1", "autumn");
    let csv = |query: &str| page(&test_env, &format!("/console/insights.csv?{query}"), "");
    let lines = |reply: &Reply| {
        reply.assert_status(200);
        reply.text.lines().count()
    };
    add_tallies(&test_env, MOST / 10 - 1);
    let more =
        "INSERT INTO tallies SELECT field, day, survey, account, 'more ' || value, state, reason,
        rating, issues, origin, n FROM tallies WHERE value LIKE 'value 0%' LIMIT 9";
    let sqlite = test_env.store.as_another_program();
    sqlite.execute_batch(more).unwrap();
    assert_eq!(lines(&csv("by=campaign")), MOST as usize + 1, "with the head");
    sqlite
        .execute_batch(
            "INSERT INTO tallies SELECT field, day, survey, account, 'one more', state,
        reason, rating, issues, origin, n FROM tallies WHERE value = 'autumn'",
        )
        .unwrap();
    let refused = csv("by=campaign");
    refused.assert_status(400);
    let advice = "there are more than 100000 different tallies: ask for fewer days";
    assert!(refused.text.contains(advice), "{}", refused.text);
    assert!(lines(&csv("by=campaign&days=9")) > MOST as usize / 2);
    // The page adds days up, and reads a value once.
    insights(&test_env, "by=campaign").assert_status(200);
    test_env.get("/insights?by=campaign").assert_status(400);
    test_env.get("/insights").assert_status(200);
}

#[test]
fn insights_that_are_asked_for_wrongly_are_refused() {
    let test_env = with_insights();
    for wrong in ["days=0", "days=401", "days=x", "survey=a%20b", "by=%22", "since=24h"] {
        insights(&test_env, wrong).assert_status(400);
    }
    let none = insights(&test_env, "days=7").text;
    assert!(none.contains("No submission that is like that was settled."), "{none}");
    for wrong in ["rating=6", "rating=2-6", "issue=echo", "origin=me", "field=x", "insights=all"] {
        page(&test_env, &format!("/console/submissions?{wrong}"), "").assert_status(400);
    }
}
