//! What a person finds in the ledger.

use postcall::domain::Verdict;
use postcall::store::{
    AttemptRecord, Cursor, Decision, Dossier, Intervention, LeftOut, Outcome, Replay, Search,
    SubmissionRow,
};
use postcall::submission::{DeadReason, IgnoredReason, State};

use super::spoken::{
    AFTER, at, attempt, complete, hang_up, hook, hook_for, ignored, pairs, telling, unmapped,
};
use super::{Backend, Ledger};

pub async fn pages_go_on_where_the_one_before_ended(ledger: Ledger<impl Backend>) {
    // Two of the same moment, and one that came before it was kept.
    for (n, second) in [10, 30, 20, 20, 40].into_iter().enumerate() {
        ledger.hear(complete(second, &format!("c-{n}"))).await;
    }
    let all = ["c-4", "c-1", "c-3", "c-2", "c-0"];
    for limit in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = ledger.search(Search::default(), after, limit).await.unwrap();
            assert!(page.rows.len() <= limit);
            seen.extend(page.rows.iter().map(|row| row.key.call.to_string()));
            // What comes meanwhile moves nothing.
            ledger.hear(complete(1000 + limit as i64, &format!("later-{limit}"))).await;
            match page.next {
                None => break,
                next => after = next,
            }
        }
        seen.retain(|call| call.starts_with("c-"));
        assert_eq!(seen, all, "{limit} a page");
    }
}

pub async fn there_is_no_more_after_the_last(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2"] {
        ledger.hear(complete(0, call)).await;
    }
    let next = async |search: Search, limit| ledger.search(search, None, limit).await.unwrap().next;
    assert!(next(Search::default(), 1).await.is_some());
    assert_eq!(next(Search::default(), 2).await, None);
    let call = Some("c-1".parse().unwrap());
    assert_eq!(next(Search { call, ..Search::default() }, 1).await, None);
    assert_eq!(next(Search { state: Some("dead"), ..Search::default() }, 1).await, None);
}

pub async fn a_cursor_is_read_as_it_was_written(ledger: Ledger<impl Backend>) {
    for second in [-5, 5] {
        ledger.hear(complete(second, &format!("c{second}"))).await;
    }
    let mut after = None;
    for call in ["c5", "c-5"] {
        let page = ledger.search(Search::default(), after, 1).await.unwrap();
        assert_eq!(page.rows[0].key.call.as_str(), call);
        after = page.next.map(|next| next.to_string().parse::<Cursor>().unwrap());
        assert_eq!(after, page.next);
    }
    for text in ["", "1", "1-", "-", "1-x", "1-2-3x"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

pub async fn every_condition_of_a_search_has_to_hold(ledger: Ledger<impl Backend>) {
    let settle = async |call: &str, decision| {
        ledger.hear(complete(0, call)).await;
        let lease = ledger.lease_one(100).await;
        ledger.settle_one(&lease, decision, 100).await;
    };
    settle("ignored", ignored(IgnoredReason::Rule)).await;
    settle("incomplete", ignored(IgnoredReason::Incomplete)).await;
    settle("unmapped", unmapped("no such question")).await;
    let reason = DeadReason::Incomplete;
    settle("dead", Decision::Unsent { reason, detail: String::new() }).await;
    let mut web = complete(50, "web");
    web.source = "web".parse().unwrap();
    web.key.survey = "service".parse().unwrap();
    ledger.hear(web).await;
    ledger.hear(hook_for("other", 70, "ignored", &[("score", "4")])).await;
    ledger.hear(hook(80, "both", &[("score", "4")])).await;
    let mut second = hook(81, "both", &[("problem", "1")]);
    second.source = "web".parse().unwrap();
    ledger.hear(second).await;

    let found = async |search: Search| {
        let page = ledger.search(search, None, 100).await.unwrap();
        assert_eq!(page.next, None);
        page.rows.iter().map(|row| row.key.call.to_string()).collect::<Vec<_>>()
    };
    let any = Search::default;
    let name = |name: &str| Some(name.parse().unwrap());
    let reason = |reason: &str| Some(reason.to_owned());
    let call = |call: &str| Some(call.parse().unwrap());
    for (search, calls) in [
        (any(), vec!["both", "ignored", "web", "dead", "unmapped", "incomplete", "ignored"]),
        (Search { state: Some("dead"), ..any() }, vec!["dead", "unmapped"]),
        (Search { state: Some("ignored"), ..any() }, vec!["incomplete", "ignored"]),
        (Search { state: Some("pending"), ..any() }, vec!["both", "web"]),
        (Search { state: Some("collecting"), ..any() }, vec!["ignored"]),
        (Search { reason: reason("incomplete"), ..any() }, vec!["dead", "incomplete"]),
        (Search { state: Some("dead"), reason: reason("incomplete"), ..any() }, vec!["dead"]),
        (Search { account: name("other"), ..any() }, vec!["ignored"]),
        (Search { survey: name("service"), ..any() }, vec!["web"]),
        (Search { source: name("web"), ..any() }, vec!["both", "web"]),
        (Search { source: name("ivr"), state: Some("pending"), ..any() }, vec!["both"]),
        (Search { since: Some(at(70)), ..any() }, vec!["both", "ignored"]),
        (Search { since: Some(at(50)), until: Some(at(80)), ..any() }, vec!["ignored", "web"]),
        (Search { until: Some(at(0)), ..any() }, vec![]),
        (Search { call: call("ignored"), ..any() }, vec!["ignored", "ignored"]),
        (Search { call: call("ignored"), account: name("other"), ..any() }, vec!["ignored"]),
        (Search { call: call("ignored"), state: Some("dead"), ..any() }, vec![]),
        (Search { call: call("web"), source: name("ivr"), ..any() }, vec![]),
        (Search { call: call("web"), since: Some(at(51)), ..any() }, vec![]),
        (Search { call: call("unheard"), ..any() }, vec![]),
    ] {
        assert_eq!(found(search.clone()).await, calls, "{search:?}");
    }
}

pub async fn the_submissions_of_a_call_are_found_whatever_they_belong_to(
    ledger: Ledger<impl Backend>,
) {
    let call = || "c-1".parse().unwrap();
    assert_eq!(ledger.of_call(call()).await.unwrap(), []);
    let mut service = hook(0, "c-1", &[("score", "4")]);
    service.key.survey = "service".parse().unwrap();
    let mut expected = Vec::new();
    for arrival in [
        hook(0, "c-1", &[("score", "4")]),
        hook_for("other", 0, "c-1", &[("score", "4")]),
        service,
        hook(0, "c-2", &[("score", "4")]),
    ] {
        if arrival.key.call.as_str() == "c-1" {
            expected.push(arrival.key.id());
        }
        ledger.hear(arrival).await;
    }
    let mut found = ledger.of_call(call()).await.unwrap();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

pub async fn all_that_is_known_of_a_submission_is_shown(ledger: Ledger<impl Backend>) {
    let arrival = telling("campaign", "spring", hook(10, "c-1", &[("score", "4")]));
    let (id, first) = (arrival.key.id(), arrival.hook.clone());
    assert_eq!(ledger.find(id).await.unwrap(), None);
    ledger.hear(arrival).await;
    ledger.hear(hook(12, "c-1", &[("score", "4")])).await;
    let hung_up = hang_up(20, "c-1");
    ledger.hear(hung_up.clone()).await;
    let lease = ledger.attempt_one(1000).await;
    ledger.hear(hook(1001, "c-1", &[("problem", "")])).await;
    let attempt = attempt(Verdict::Refused, Some(422), 1002);
    let dead = Decision::Dead { attempt, reason: DeadReason::Refused };
    ledger.settle_one(&lease, dead, 1002).await;
    let how = Replay { as_was: false, accepted_too: false, at: at(2000) };
    ledger.replay(vec![id], how).await.unwrap();
    ledger.attempt_one(2001).await;

    let found = ledger.find(id).await.unwrap().unwrap();
    assert_eq!(found.row, ledger.row("c-1").await);
    let hooks: Vec<_> =
        found.hooks.iter().map(|hook| (hook.id, &*hook.outcome, hook.received_at)).collect();
    assert_eq!(
        hooks[..2],
        [(first.id, "new", at(10)), (hung_up.hook.id, "added", at(20))],
        "a repeat is not kept"
    );
    assert_eq!((hooks.len(), hooks[2].1), (3, "late"));
    let (kept, said) = (&found.hooks[0], found.hooks[0].said.as_ref().unwrap());
    assert_eq!((kept.source.as_str(), kept.method.as_str()), ("ivr", "POST"));
    assert_eq!((&said.query, &said.body), (&first.query, &first.body));
    let answers: Vec<_> = found
        .answers
        .iter()
        .map(|it| (it.kind, &*it.name, it.value.as_deref(), it.received_at.as_second(), it.late))
        .collect();
    assert_eq!(
        answers,
        [
            ("answer", "score", Some("4"), 10, false),
            ("field", "campaign", Some("spring"), 10, false),
            ("hang_up", "", None, 20, false),
            ("answer", "problem", None, 1001, true),
        ]
    );
    assert_eq!(found.answers[0].hook, first.id);
    let refused = AttemptRecord {
        number: 1,
        started_at: at(1000),
        finished_at: Some(at(1002)),
        verdict: Some("refused".to_owned()),
        status: Some(422),
        api_id: Some("api-1".to_owned()),
        error: None,
        reply: Some("Refused".to_owned()),
        feedback: Some("{}".to_owned()),
    };
    let under_way = AttemptRecord {
        number: 2,
        started_at: at(2001),
        finished_at: None,
        verdict: None,
        status: None,
        api_id: None,
        reply: None,
        ..refused.clone()
    };
    assert_eq!(found.attempts, [refused, under_way]);
    let replayed = Intervention { at: at(2000), action: "replay".to_owned(), detail: None };
    assert_eq!(found.interventions, [replayed]);
}

pub async fn of_a_submission_with_very_many_hooks_a_part_is_shown(ledger: Ledger<impl Backend>) {
    let (listed, too_many) = (Dossier::LISTED_MAX, 3);
    for n in 0..listed + too_many {
        let answer = n.to_string();
        ledger.hear(hook(n as i64, "c-1", &[("score", &answer)])).await;
    }
    for second in (2000..).take(listed + 1) {
        let lease = ledger.attempt_one(second).await;
        let attempt = attempt(Verdict::Unreachable, None, second);
        let again = Decision::Retry { attempt, at: at(second + 1) };
        ledger.settle_one(&lease, again, second).await;
    }
    let found = ledger.find(hook(0, "c-1", &[]).key.id()).await.unwrap().unwrap();
    let received = |at: jiff::Timestamp| at.as_second();
    let times: Vec<i64> = found.hooks.iter().map(|hook| received(hook.received_at)).collect();
    assert_eq!(times, (0..listed as i64).collect::<Vec<_>>(), "the first");
    let times: Vec<i64> = found.answers.iter().map(|it| received(it.received_at)).collect();
    assert_eq!(times, (0..listed as i64).collect::<Vec<_>>(), "the first");
    let numbers: Vec<u32> = found.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (2..=listed as u32 + 1).collect::<Vec<_>>(), "the last");
    let left_out = LeftOut { hooks: too_many, answers: too_many, attempts: 1 };
    assert_eq!(found.left_out, left_out);
}

pub async fn what_a_submission_says_can_be_mapped_without_leasing_it(ledger: Ledger<impl Backend>) {
    ledger.hear(telling("campaign", "spring", complete(0, "c-1"))).await;
    ledger.hear(hook(0, "c-2", &[("score", "5")])).await;
    let lease = ledger.attempt_one(100).await;
    assert_eq!(ledger.hear(hook(101, "c-1", &[("score", "2")])).await.outcome, Outcome::Late);
    let ids = vec![
        hook(0, "c-2", &[]).key.id(),
        hook(0, "never-heard", &[]).key.id(),
        lease.ticket.submission,
    ];
    let found = ledger.mappable(ids).await.unwrap();
    let rows: Vec<SubmissionRow> = found.iter().map(|it| it.row.clone()).collect();
    assert_eq!(rows, [ledger.row("c-2").await, ledger.row("c-1").await]);
    assert_eq!(pairs(&found[0].answers).len(), 1);
    assert_eq!(found[0].offered, None);
    assert_eq!(found[1].answers, lease.answers, "what is late does not count");
    assert_eq!(found[1].offered.as_deref(), Some("{}"));
    assert_eq!(ledger.row("c-2").await.state, State::Collecting);
    assert_eq!(ledger.lease_one(AFTER).await.key.call.as_str(), "c-2");
}
