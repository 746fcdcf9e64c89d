//! The order of commits changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use postcall::domain::Verdict;
use postcall::store::{ClaimRequest, Queue, Reader, ReceiveRequest, SubmissionFilter};
use postcall::submission::{Answers, ChangedAnswerPolicy, Claim};
use proptest::prelude::*;

use super::backend::{call_of, wanted};
use super::model::{block_on, check};
use super::spoken::{Asked, TestMapper, attempt, pairs, score, webhook, with_field, with_policy};
use super::{Backend, TestStore};

/// Each to a survey with another policy of changed answers: see [`ChangedAnswerPolicy::ALL`].
const CALLS: [&str; 3] = ["first", "last", "resend"];

/// However the webhooks of some calls are shuffled, repeated and interrupted by reopenings, the same
/// is due at the same time with the same answers, fields and facts. Neither does an attempt in their
/// midst change what counts, where it never arrives.
pub fn the_order_in_which_webhooks_are_kept_changes_nothing<B: Backend>() {
    // Some of them within one microsecond, which is finer than a store may keep.
    let shuffled = spoken().prop_flat_map(|webhooks| {
        let twice: Vec<usize> = (0..webhooks.len()).chain(0..webhooks.len()).collect();
        let order = Just(twice).prop_shuffle();
        (Just(webhooks), order, prop::collection::vec(any::<bool>(), 20))
    });
    check(24, shuffled, |(webhooks, order, reopenings)| {
        let in_order = in_order(&webhooks, |tick| {
            Timestamp::new(i64::from(tick / 2), 100 + (tick % 2) * 800).unwrap()
        });
        let mixed = order.iter().map(|n| in_order[*n].clone());
        let never = std::iter::repeat(&false);
        let rarely = reopenings.iter().enumerate().map(|(n, yes)| *yes && n % 5 == 0);
        let expected = kept::<B>(in_order.iter().cloned().zip(never.copied()));
        assert_eq!(kept::<B>(mixed.clone().zip(rarely)), expected);
        let tried_in_vain = kept_around_an_attempt_that_never_arrives::<B>(mixed, order[0]);
        for (call, mapped) in tried_in_vain {
            assert_eq!(mapped, expected[&call].mapped);
        }
    });
}

/// A webhook: when it came, which call it is about, what it answers, and what else it says.
type Spoken = (i32, usize, usize, &'static str, u8);

/// Some webhooks; when they came is a number below six.
pub fn spoken() -> impl Strategy<Value = Vec<Spoken>> {
    let texts = prop::sample::select(vec!["", "1", "3", "7"]);
    prop::collection::vec((0i32..6, 0..CALLS.len(), 0..2usize, texts, 0..10u8), 1..10)
}

/// The requests of webhooks, in the order in which they came.
pub fn in_order(webhooks: &[Spoken], came_at: impl Fn(i32) -> Timestamp) -> Vec<ReceiveRequest> {
    let mut in_order: Vec<ReceiveRequest> = webhooks
        .iter()
        .map(|(tick, call, question, text, beside)| {
            let received_at = came_at(*tick);
            let answers = [(["score", "problem"][*question], *text)];
            let mut request = webhook(received_at.as_second(), CALLS[*call], &answers);
            match beside {
                0 => request.extraction.hung_up = true,
                1 => request.extraction.opted_out = true,
                2 => request = with_field("campaign", "spring", request),
                3 => request = with_field("campaign", "autumn", request),
                _ => {}
            }
            let mut request = with_policy(ChangedAnswerPolicy::ALL[*call], request);
            request.webhook.received_at = received_at;
            request
        })
        .collect();
    in_order.sort_by_key(|request| request.webhook.received_at);
    // Ids made later sort later.
    let mut ids: Vec<_> = in_order.iter().map(|request| request.webhook.id).collect();
    ids.sort();
    for (request, id) in in_order.iter_mut().zip(ids) {
        request.webhook.id = id;
    }
    in_order
}

/// What the submission about a call came to.
#[derive(Debug, PartialEq)]
pub struct Kept {
    state: &'static str,
    due_at: Timestamp,
    /// All answers, as they are stored.
    answers: Answers,
    mapped: String,
}

/// What each call's submission came to, when the webhooks were kept in this order and the store was
/// reopened after those that say so.
pub fn kept<B: Backend>(
    webhooks: impl Iterator<Item = (ReceiveRequest, bool)>,
) -> BTreeMap<String, Kept> {
    block_on(async {
        let mut store = TestStore::<B>::new();
        for (request, reopen) in webhooks {
            store.receive_one(request).await;
            if reopen {
                store.reopen();
            }
        }
        store.check_counts().await;
        kept_in(&*store).await
    })
}

/// What each call's submission came to, all of which are claimed.
pub async fn kept_in<S: Queue + Reader + ?Sized>(store: &S) -> BTreeMap<String, Kept> {
    let page = store.search(SubmissionFilter::default(), None, 100).await.unwrap();
    let submissions = page.submissions;
    let (claims, asked) = claim(store, 1000).await;
    assert_eq!((claims.len(), asked.len()), (submissions.len(), submissions.len()));
    submissions
        .iter()
        .map(|submission| {
            let call = call_of(submission);
            assert!(claims.iter().any(|it| it.key.call.as_str() == call), "{call}");
            let asked = asked.iter().find(|it| it.key.call.as_str() == call).unwrap();
            let kept = Kept {
                state: submission.state.label(),
                due_at: submission.due_at,
                answers: asked.answers.clone(),
                mapped: mapped(asked),
            };
            (call.to_owned(), kept)
        })
        .collect()
}

/// What each call's submission is mapped by, when from one webhook on everything came while an attempt
/// was in flight.
fn kept_around_an_attempt_that_never_arrives<B: Backend>(
    webhooks: impl Iterator<Item = ReceiveRequest>,
    from: usize,
) -> BTreeMap<String, String> {
    block_on(async {
        let store = TestStore::<B>::new();
        let mut claims = Vec::new();
        for (n, request) in webhooks.enumerate() {
            if n == from {
                claims = claim(&*store, 1000).await.0;
            }
            store.receive_one(request).await;
        }
        for claim in &claims {
            store.retry_one(claim, attempt(Verdict::Unreachable, None, 1000)).await;
        }
        let (_, asked) = claim(&*store, 2000).await;
        store.check_counts().await;
        asked.iter().map(|it| (it.key.call.to_string(), mapped(it))).collect()
    })
}

/// What is due for `main`, and what its mapper was asked.
async fn claim<S: Queue + ?Sized>(store: &S, second: i64) -> (Vec<Claim>, Vec<Asked>) {
    let mapper = Arc::new(TestMapper::default());
    let request = ClaimRequest { mapper: mapper.clone(), ..wanted(&[("main", 10)], second) };
    (store.claim(request).await.unwrap().claims, mapper.take_asked())
}

/// Everything of the answers that a mapping may depend on.
fn mapped(asked: &Asked) -> String {
    let answers = &asked.answers;
    let ids: Vec<_> = answers.recorded().map(|it| it.webhook).collect();
    let survey = CALLS.iter().position(|call| *call == asked.key.call.as_str()).unwrap();
    let score = score(answers, ChangedAnswerPolicy::ALL[survey]);
    let fields: Vec<_> = answers.fields().collect();
    let ended = (answers.hung_up_at(), answers.opted_out_at());
    format!("{ids:?} {:?} {score:?} {fields:?} {ended:?}", pairs(answers))
}
