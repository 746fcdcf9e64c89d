/// One call and what it must come to.
pub(super) struct Scene {
    pub call: String,
    /// What the caller does, in words.
    pub caller: String,
    pub source: &'static str,
    pub steps: Vec<Step>,
    pub ending: Ending,
}

/// One webhook of a call.
pub(super) struct Step {
    pub question: Option<&'static str>,
    pub digits: String,
    /// Signed with a token that is not the account's.
    pub forged: bool,
    /// What the sender must hear: the outcome of a kept hook, or the status of a refusal.
    pub answer: &'static str,
}

/// What must become of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Delivered {
        rating: u8,
        issues: Vec<&'static str>,
    },
    Ignored(&'static str),
    /// It leaves nothing behind.
    Refused,
}

/// Every kind of call; the first is the one for which the far side fails twice.
pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes = vec![quick("presses 4; Plivo fails twice", &[("4", "new")], rated(4))];
    for score in 1..=5 {
        let digit = score.to_string();
        scenes.push(quick(&format!("presses {digit}"), &[(&digit, "new")], rated(score)));
    }
    for score in 1..=4 {
        for (problem, issue) in [("1", "ECHO"), ("2", "ONE_WAY_AUDIO"), ("3", "CALL_DROPPED")] {
            let digit = score.to_string();
            scenes.push(quality(
                &format!("presses {digit}, later {problem} for the problem"),
                &[("score", &digit, "new"), ("problem", problem, "added")],
                Ending::Delivered { rating: score, issues: vec![issue] },
            ));
        }
    }
    scenes.extend([
        quality(
            "presses 1 for the problem, then 2",
            &[("problem", "1", "new"), ("score", "2", "added")],
            Ending::Delivered { rating: 2, issues: vec!["ECHO"] },
        ),
        quality("presses 5 and hangs up", &[("score", "5", "new")], rated(5)),
        quality("presses 2 and hangs up", &[("score", "2", "new")], rated(2)),
        quality(
            "presses 3, is silent about the problem",
            &[("score", "3", "new"), ("problem", "", "added")],
            rated(3),
        ),
        quick("is silent, asked again presses 4", &[("", "new"), ("4", "added")], rated(4)),
        quick("presses 7, asked again presses 3", &[("7", "new"), ("3", "added")], rated(3)),
        quick("is silent", &[("", "new")], Ending::Ignored("no_answer")),
        quick("presses 9", &[("9", "new")], Ending::Ignored("invalid_answer")),
        quick("presses 4; the hook comes twice", &[("4", "new"), ("4", "repeat")], rated(4)),
        Scene {
            steps: vec![Step { forged: true, ..step(None, "5", "401") }],
            ending: Ending::Refused,
            ..quick("never called: the signature is forged", &[], rated(5))
        },
    ]);
    for (number, scene) in scenes.iter_mut().enumerate() {
        scene.call = format!("demo-call-{:02}", number + 1);
    }
    scenes
}

/// A call to the source that asks one question.
fn quick(caller: &str, steps: &[(&str, &'static str)], ending: Ending) -> Scene {
    let steps = steps.iter().map(|(digits, answer)| step(None, digits, answer));
    scene("quick", caller, steps.collect(), ending)
}

/// A call to the source that asks two.
fn quality(caller: &str, steps: &[(&'static str, &str, &'static str)], ending: Ending) -> Scene {
    let steps = steps.iter().map(|(question, digits, answer)| step(Some(question), digits, answer));
    scene("ivr", caller, steps.collect(), ending)
}

/// The call is numbered when all are there.
fn scene(source: &'static str, caller: &str, steps: Vec<Step>, ending: Ending) -> Scene {
    Scene { call: String::new(), caller: caller.to_owned(), source, steps, ending }
}

fn step(question: Option<&'static str>, digits: &str, answer: &'static str) -> Step {
    Step { question, digits: digits.to_owned(), forged: false, answer }
}

/// Delivered without a chosen issue: below 5 Plivo wants one all the same.
fn rated(rating: u8) -> Ending {
    Ending::Delivered { rating, issues: if rating < 5 { vec!["OTHERS"] } else { Vec::new() } }
}
