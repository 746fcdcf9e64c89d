/// One call and what it must come to.
pub(super) struct Scenario {
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
    /// What the sender must hear: the outcome of a kept webhook, or the status of a refusal.
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
    Rejected,
}

/// Every kind of call; the first is the one for which the simulator fails twice.
pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![quick("presses 4; Plivo fails twice", &[("4", "created")], rated(4))];
    for score in 1..=5 {
        let digit = score.to_string();
        scenarios.push(quick(&format!("presses {digit}"), &[(&digit, "created")], rated(score)));
    }
    for score in 1..=4 {
        for (problem, issue) in [("1", "ECHO"), ("2", "ONE_WAY_AUDIO"), ("3", "CALL_DROPPED")] {
            let digit = score.to_string();
            scenarios.push(quality(
                &format!("presses {digit}, later {problem} for the problem"),
                &[("score", &digit, "created"), ("problem", problem, "updated")],
                Ending::Delivered { rating: score, issues: vec![issue] },
            ));
        }
    }
    scenarios.extend([
        quality(
            "presses 1 for the problem, then 2",
            &[("problem", "1", "created"), ("score", "2", "updated")],
            Ending::Delivered { rating: 2, issues: vec!["ECHO"] },
        ),
        quality("presses 5 and hangs up", &[("score", "5", "created")], rated(5)),
        quality("presses 2 and hangs up", &[("score", "2", "created")], rated(2)),
        quality(
            "presses 3, is silent about the problem",
            &[("score", "3", "created"), ("problem", "", "updated")],
            rated(3),
        ),
        quick("is silent, asked again presses 4", &[("", "created"), ("4", "updated")], rated(4)),
        quick("presses 7, asked again presses 3", &[("7", "created"), ("3", "updated")], rated(3)),
        quick("is silent", &[("", "created")], Ending::Ignored("no_answer")),
        quick("presses 9", &[("9", "created")], Ending::Ignored("invalid_answer")),
        quick(
            "presses 4; the webhook comes twice",
            &[("4", "created"), ("4", "duplicate")],
            rated(4),
        ),
        Scenario {
            steps: vec![Step { forged: true, ..step(None, "5", "401") }],
            ending: Ending::Rejected,
            ..quick("never called: the signature is forged", &[], rated(5))
        },
    ]);
    for (number, scenario) in scenarios.iter_mut().enumerate() {
        scenario.call = format!("demo-call-{:02}", number + 1);
    }
    scenarios
}

/// A call to the source that asks one question.
fn quick(caller: &str, steps: &[(&str, &'static str)], ending: Ending) -> Scenario {
    let steps = steps.iter().map(|(digits, answer)| step(None, digits, answer));
    scenario("quick", caller, steps.collect(), ending)
}

/// A call to the source that asks two.
fn quality(caller: &str, steps: &[(&'static str, &str, &'static str)], ending: Ending) -> Scenario {
    let steps = steps.iter().map(|(question, digits, answer)| step(Some(question), digits, answer));
    scenario("ivr", caller, steps.collect(), ending)
}

/// The call is numbered when all are there.
fn scenario(source: &'static str, caller: &str, steps: Vec<Step>, ending: Ending) -> Scenario {
    Scenario { call: String::new(), caller: caller.to_owned(), source, steps, ending }
}

fn step(question: Option<&'static str>, digits: &str, answer: &'static str) -> Step {
    Step { question, digits: digits.to_owned(), forged: false, answer }
}

/// Delivered without a chosen issue: below 5 Plivo requires one all the same.
fn rated(rating: u8) -> Ending {
    Ending::Delivered { rating, issues: if rating < 5 { vec!["OTHERS"] } else { Vec::new() } }
}
