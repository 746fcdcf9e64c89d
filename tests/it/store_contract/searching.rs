//! What an operator finds in the store.

use postcall::domain::Verdict;
use postcall::store::{Cursor, SubmissionDetail, SubmissionFilter};
use postcall::submission::{
    AttemptRecord, AttemptResponse, AuditEntry, DeadReason, Decision, IgnoredReason, Json, Mapping,
    Outcome, Replay, State,
};

use super::backend::call_of;
use super::spoken::{
    AFTER, FEEDBACK, TestMapper, answer, at, attempt, complete, dead, hang_up, ignored, pairs,
    webhook, webhook_for, with_field,
};
use super::{Backend, TestStore};

pub async fn pages_go_on_where_the_one_before_ended(store: TestStore<impl Backend>) {
    // Two of the same moment, and one that came before it was kept.
    for (n, second) in [10, 30, 20, 20, 40].into_iter().enumerate() {
        store.receive_one(complete(second, &format!("c-{n}"))).await;
    }
    let all = ["c-4", "c-1", "c-3", "c-2", "c-0"];
    for limit in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.search(SubmissionFilter::default(), after, limit).await.unwrap();
            assert!(page.submissions.len() <= limit);
            seen.extend(page.submissions.iter().map(|it| call_of(it).to_owned()));
            // What comes meanwhile moves nothing.
            store.receive_one(complete(1000 + limit as i64, &format!("later-{limit}"))).await;
            match page.next {
                None => break,
                next => after = next,
            }
        }
        seen.retain(|call| call.starts_with("c-"));
        assert_eq!(seen, all, "{limit} a page");
    }
}

pub async fn there_is_no_more_after_the_last(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2"] {
        store.receive_one(complete(0, call)).await;
    }
    let next = async |filter: SubmissionFilter, limit| {
        store.search(filter, None, limit).await.unwrap().next
    };
    assert!(next(SubmissionFilter::default(), 1).await.is_some());
    assert_eq!(next(SubmissionFilter::default(), 2).await, None);
    let call = Some("c-1".parse().unwrap());
    assert_eq!(next(SubmissionFilter { call, ..SubmissionFilter::default() }, 1).await, None);
    assert_eq!(
        next(SubmissionFilter { state: Some("dead"), ..SubmissionFilter::default() }, 1).await,
        None
    );
}

pub async fn a_cursor_is_parsed_as_it_was_written(store: TestStore<impl Backend>) {
    for second in [-5, 5] {
        store.receive_one(complete(second, &format!("c{second}"))).await;
    }
    let mut after = None;
    for call in ["c5", "c-5"] {
        let page = store.search(SubmissionFilter::default(), after, 1).await.unwrap();
        assert_eq!(call_of(&page.submissions[0]), call);
        after = page.next.map(|next| next.to_string().parse::<Cursor>().unwrap());
        assert_eq!(after, page.next);
    }
    for text in ["", "1", "1-", "-", "1-x", "1-2-3x"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

pub async fn every_condition_of_a_search_has_to_hold(store: TestStore<impl Backend>) {
    let settle = async |call: &str, mapping| {
        store.receive_one(complete(0, call)).await;
        store.settle_unsent(TestMapper::to(mapping), 100).await;
    };
    settle("ignored", ignored(IgnoredReason::Rule)).await;
    settle("incomplete", ignored(IgnoredReason::Incomplete)).await;
    settle("unmapped", Mapping::unmapped("no such question")).await;
    settle("dead", dead(DeadReason::Incomplete, "")).await;
    let mut web = complete(50, "web");
    web.source = "web".parse().unwrap();
    web.key.survey = "service".parse().unwrap();
    store.receive_one(web).await;
    store.receive_one(webhook_for("other", 70, "ignored", &[("score", "4")])).await;
    store.receive_one(webhook(80, "both", &[("score", "4")])).await;
    let mut second = webhook(81, "both", &[("problem", "1")]);
    second.source = "web".parse().unwrap();
    store.receive_one(second).await;

    let found = async |filter: SubmissionFilter| {
        let page = store.search(filter, None, 100).await.unwrap();
        assert_eq!(page.next, None);
        page.submissions.iter().map(|it| call_of(it).to_owned()).collect::<Vec<_>>()
    };
    let any = SubmissionFilter::default;
    let name = |name: &str| Some(name.parse().unwrap());
    let reason = |reason: &str| Some(reason.to_owned());
    let call = |call: &str| Some(call.parse().unwrap());
    for (filter, calls) in [
        (any(), vec!["both", "ignored", "web", "dead", "unmapped", "incomplete", "ignored"]),
        (SubmissionFilter { state: Some("dead"), ..any() }, vec!["dead", "unmapped"]),
        (SubmissionFilter { state: Some("ignored"), ..any() }, vec!["incomplete", "ignored"]),
        (SubmissionFilter { state: Some("pending"), ..any() }, vec!["both", "web"]),
        (SubmissionFilter { state: Some("collecting"), ..any() }, vec!["ignored"]),
        (SubmissionFilter { reason: reason("incomplete"), ..any() }, vec!["dead", "incomplete"]),
        (
            SubmissionFilter { state: Some("dead"), reason: reason("incomplete"), ..any() },
            vec!["dead"],
        ),
        (SubmissionFilter { account: name("other"), ..any() }, vec!["ignored"]),
        (SubmissionFilter { survey: name("service"), ..any() }, vec!["web"]),
        (SubmissionFilter { source: name("web"), ..any() }, vec!["both", "web"]),
        (SubmissionFilter { source: name("ivr"), state: Some("pending"), ..any() }, vec!["both"]),
        (SubmissionFilter { since: Some(at(70)), ..any() }, vec!["both", "ignored"]),
        (
            SubmissionFilter { since: Some(at(50)), until: Some(at(80)), ..any() },
            vec!["ignored", "web"],
        ),
        (SubmissionFilter { until: Some(at(0)), ..any() }, vec![]),
        (SubmissionFilter { call: call("ignored"), ..any() }, vec!["ignored", "ignored"]),
        (
            SubmissionFilter { call: call("ignored"), account: name("other"), ..any() },
            vec!["ignored"],
        ),
        (SubmissionFilter { call: call("ignored"), state: Some("dead"), ..any() }, vec![]),
        (SubmissionFilter { call: call("web"), source: name("ivr"), ..any() }, vec![]),
        (SubmissionFilter { call: call("web"), since: Some(at(51)), ..any() }, vec![]),
        (SubmissionFilter { call: call("unknown"), ..any() }, vec![]),
    ] {
        assert_eq!(found(filter.clone()).await, calls, "{filter:?}");
    }
}

pub async fn the_submissions_of_a_call_are_found_whatever_they_belong_to(
    store: TestStore<impl Backend>,
) {
    let call = || "c-1".parse().unwrap();
    assert_eq!(store.of_call(call()).await.unwrap(), []);
    let mut service = webhook(0, "c-1", &[("score", "4")]);
    service.key.survey = "service".parse().unwrap();
    let mut expected = Vec::new();
    for request in [
        webhook(0, "c-1", &[("score", "4")]),
        webhook_for("other", 0, "c-1", &[("score", "4")]),
        service,
        webhook(0, "c-2", &[("score", "4")]),
    ] {
        if request.key.call.as_str() == "c-1" {
            expected.push(request.key.id());
        }
        store.receive_one(request).await;
    }
    let mut found = store.of_call(call()).await.unwrap();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

pub async fn everything_known_of_a_submission_is_found(store: TestStore<impl Backend>) {
    let request = with_field("campaign", "spring", webhook(10, "c-1", &[("score", "4")]));
    let (id, first) = (request.key.id(), request.webhook.clone());
    assert_eq!(store.find(id).await.unwrap(), None);
    store.receive_one(request).await;
    store.receive_one(webhook(12, "c-1", &[("score", "4")])).await;
    let hung_up = hang_up(20, "c-1");
    store.receive_one(hung_up.clone()).await;
    let claim = store.claim_one(1000).await;
    let late = webhook(1001, "c-1", &[("problem", "")]);
    store.receive_one(late.clone()).await;
    let dead = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    store.settle_one(&claim, attempt(Verdict::Rejected, Some(422), 1002), dead).await;
    let how = Replay { same_payload: false, include_delivered: false, at: at(2000) };
    store.replay(vec![id], how).await.unwrap();
    store.claim_one(2001).await;

    let found = store.find(id).await.unwrap().unwrap();
    assert_eq!(found.submission, store.submission("c-1").await);
    assert_eq!(store.load(vec![id]).await.unwrap(), [store.submission("c-1").await]);
    let webhooks: Vec<_> =
        found.webhooks.iter().map(|it| (it.id, &*it.outcome, it.received_at)).collect();
    assert_eq!(
        webhooks,
        [
            (first.id, Outcome::Created.label(), at(10)),
            (hung_up.webhook.id, Outcome::Updated.label(), at(20)),
            (late.webhook.id, Outcome::Late.label(), at(1001)),
        ],
        "a duplicate is not kept"
    );
    assert_eq!(found.webhooks_truncated, 0);
    let (kept, content) = (&found.webhooks[0], found.webhooks[0].content.as_ref().unwrap());
    assert_eq!((kept.source.as_str(), kept.method.as_str()), ("ivr", "POST"));
    assert_eq!((&content.query, &content.body), (&first.query, &first.body));

    let document = &found.submission.document;
    let (answers, late_answers) = (&document.answers, &document.late);
    assert_eq!(pairs(answers), [("score".into(), answer("4"), 10)]);
    assert_eq!(answers.recorded().next().unwrap().webhook, first.id);
    let (name, field) = answers.fields().next().unwrap();
    assert_eq!((name.as_str(), &*field.value, field.received_at), ("campaign", "spring", at(10)));
    assert_eq!((answers.fields().count(), answers.hung_up_at()), (1, Some(at(20))));
    assert_eq!(pairs(late_answers), [("problem".into(), answer(""), 1001)]);
    assert_eq!(late_answers.recorded().next().unwrap().webhook, late.webhook.id);
    let payload = || Json::new(FEEDBACK.to_owned()).unwrap();
    let rejected = AttemptRecord {
        number: 1,
        started_at: at(1000),
        payload: payload(),
        response: Some(AttemptResponse {
            finished_at: Some(at(1002)),
            verdict: Verdict::Rejected,
            status: Some(422),
            api_id: Some("api-1".to_owned()),
            error: None,
            text: Some("Rejected".to_owned()),
        }),
    };
    let in_flight =
        AttemptRecord { number: 2, started_at: at(2001), payload: payload(), response: None };
    assert_eq!(document.attempts, [rejected, in_flight]);
    let replayed = AuditEntry { at: at(2000), action: "replay".into(), detail: None };
    assert_eq!(document.audit, [replayed]);
}

pub async fn of_a_submission_with_very_many_webhooks_a_part_is_found(
    store: TestStore<impl Backend>,
) {
    let (most, too_many) = (SubmissionDetail::WEBHOOKS_MAX, 3);
    for n in 0..most + too_many {
        let answer = n.to_string();
        store.receive_one(webhook(n as i64, "c-1", &[("score", &answer)])).await;
    }
    let found = store.find(webhook(0, "c-1", &[]).key.id()).await.unwrap().unwrap();
    let times: Vec<_> = found.webhooks.iter().map(|it| it.received_at.as_second()).collect();
    assert_eq!(times, (0..most as i64).collect::<Vec<_>>(), "the first");
    assert_eq!(found.webhooks_truncated, too_many);
}

pub async fn a_submission_can_be_mapped_without_claiming_it(store: TestStore<impl Backend>) {
    store.receive_one(with_field("campaign", "spring", complete(0, "c-1"))).await;
    store.receive_one(webhook(0, "c-2", &[("score", "5")])).await;
    let (claim, mapped) = store.claim_mapped(100).await;
    let late = store.receive_one(webhook(101, "c-1", &[("score", "2")])).await;
    assert_eq!(late.outcome, Outcome::Late);
    let ids = vec![
        webhook(0, "c-2", &[]).key.id(),
        webhook(0, "never-received", &[]).key.id(),
        claim.token.submission,
    ];
    let found = store.load(ids).await.unwrap();
    assert_eq!(found, [store.submission("c-2").await, store.submission("c-1").await]);
    assert_eq!(pairs(found[0].answers()).len(), 1);
    assert_eq!(found[0].last_payload(), None);
    assert_eq!(found[1].answers(), &mapped, "what is late does not count");
    assert_eq!(found[1].last_payload().map(Json::as_str), Some(FEEDBACK));
    assert_eq!(store.submission("c-2").await.state, State::Collecting);
    assert_eq!(store.claim_one(AFTER).await.key.call.as_str(), "c-2");
}
