use super::cast::{Call, Ending};
use super::far_side::Told;
use super::store_contents::Kept;

/// Its state, what the store says was told, and every time that the far side heard of it: as often
/// as was accepted, and at most once more for each attempt of which no one knows the result.
pub fn assert_ended_well(id: &str, call: &Call, kept: &Kept, heard: &[Told]) {
    let (state, reason, expected) = match &call.ending {
        Ending::Rated { rating, issue } => {
            // The second answer may have come when the first had been told already.
            let in_time = issue.filter(|_| !kept.was_late("problem"));
            let issues = match (in_time, rating) {
                (Some(issue), _) => vec![issue.to_owned()],
                (None, 5) => Vec::new(),
                (None, _) => vec!["OTHERS".to_owned()],
            };
            let notes = Some(format!("{rating} of 5"));
            ("delivered", None, Some(Told { rating: *rating, issues, notes }))
        }
        Ending::Ignored(reason) => ("ignored", Some(*reason), None),
        Ending::UnknownCall => ("dead", Some("unknown_call"), None),
        // Several replicas put it off for longer than a test waits.
        Ending::Unmapped if kept.is_put_off() => ("pending", None, None),
        Ending::Unmapped => ("dead", Some("unmapped"), None),
    };
    assert_eq!((kept.state.as_str(), kept.reason.as_deref()), (state, reason), "{id}: {call:?}");
    assert_eq!(kept.told(), expected, "what the store says was told of {id}: {call:?}");
    assert_eq!(heard.is_empty(), expected.is_none(), "{id}: {call:?}");
    for heard in heard {
        assert_eq!(Some(heard), expected.as_ref(), "what was heard of {id}: {call:?}");
    }
    let (accepted, unknown) = (kept.attempts("accepted"), kept.unknown_results());
    let explained = accepted..=accepted + unknown;
    let (times, verdicts) = (heard.len(), &kept.verdicts);
    assert!(explained.contains(&times), "{id} was heard {times} times; its attempts: {verdicts}");
}
