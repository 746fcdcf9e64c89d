//! The settings file and the test cases that `init` writes.

use super::scale::Scale;
use super::sender::Sender;
use crate::domain::Name;

/// What `init` was asked to write.
pub(super) struct Choice {
    pub sender: &'static Sender,
    pub scale: Scale,
    pub survey: Name,
}

/// The call of the test cases.
const CALL: &str = "b38149eb-b8fe-45d5-85b2-78ee4424788f";

impl Choice {
    /// The settings file.
    pub fn settings(&self) -> String {
        let Self { sender, scale, survey } = self;
        let Sender { preset, source, about, .. } = sender;
        let mut question = question(*scale, sender.yes_no);
        if *preset == "plivo" {
            question.push_str(&prompt(*scale));
        }
        let rating = rating(*scale);
        let signature = sender.signature.as_ref().map_or_else(String::new, |signature| {
            format!("    # {}\n    signature: {}\n", signature.about, signature.yaml)
        });
        format!(
            "\
# Settings of Postcall: postcall init --preset {preset} --scale {scale} --survey {survey}
# CHANGE marks what is yours. `postcall check` validates this file, `postcall test` runs the cases beside it,
# and what is not written here has a default: docs/reference/settings.md.

public:
  # CHANGE IT: the public HTTPS address that senders call, without a path. TLS ends at your proxy.
  url: https://surveys.example.com

accounts:
  main:
    # CHANGE IT: the Auth ID of the Plivo account whose calls are rated, MA… or SA…, from Plivo's console.
    auth_id: MAXXXXXXXXXXXXXXXXXX
    # The Auth Token of this account is read from an environment variable.
    auth_token: {{ env: PLIVO_AUTH_TOKEN }}

sources:
  # This sender calls https://surveys.example.com/hooks/{source}.
  # {about}
  {source}:
    # How this sender signs its webhooks, and where the answers are in them: docs/how-to/senders.md.
    preset: {preset}
    # Whose calls are rated.
    account: main
    # What was asked.
    survey: {survey}
{signature}
surveys:
  {survey}:
    questions:
      # The question that rates the call. Senders and conditions call it by this name.
      - name: score
{question}
    rating:
      # The question whose answer becomes the rating, from 1 to 5.
      question: score
{rating}
    issues:
      # Below 5, Plivo requires an issue. Ask what was wrong to report more: docs/how-to/scales.md.
      default: [OTHERS]
",
            scale = scale.name(),
        )
    }

    /// The test cases beside the settings file.
    pub fn cases(&self) -> String {
        let Self { sender, scale, .. } = self;
        let Sender { preset, source, .. } = sender;
        let (best, worst) = scale.ends(sender.yes_no);
        let webhook = |answer: &str| {
            let other = sender.webhook_yes_no.filter(|_| *scale == Scale::YesNo);
            let webhook = other.unwrap_or(sender.webhook);
            format!("source: {source}, {}", webhook.replace("CALL", CALL).replace("ANSWER", answer))
        };
        let forged = webhook(best).replace("verified: true, ", "");
        format!(
            "\
# Test cases of the settings beside this file: `postcall test` runs them, and nothing is sent.
# Each has webhooks as the preset {preset} expects them, and what they must come to.

cases:
  - name: the best answer, {best}
    webhooks:
      - {{ {} }}
    expect: {{ feedback: {{ rating: 5 }} }}
  - name: the worst answer, {worst}
    webhooks:
      - {{ {} }}
    expect: {{ feedback: {{ rating: 1, issues: [OTHERS] }} }}
  - name: an answer that is not signed
    webhooks:
      - {{ {forged}, signed: false }}
    expect: {{ rejected: signature_missing }}
",
            webhook(best),
            webhook(worst),
        )
    }

    /// The variables with the secrets that the settings need.
    pub fn variables(&self) -> Vec<&'static str> {
        let own = self.sender.signature.as_ref().and_then(|signature| signature.variable);
        std::iter::once("PLIVO_AUTH_TOKEN").chain(own).collect()
    }
}

/// The domain of the question.
fn question(scale: Scale, (yes, no): (&str, &str)) -> String {
    match scale {
        Scale::OneToFive | Scale::FiveToOne => "        \
        # The answers that it knows: the digits 1 to 5. Everything else is no score.
        answers: 1-5"
            .to_owned(),
        Scale::ZeroToTen => "        \
        # The answers that it knows: the numbers 0 to 10. Everything else is no score.
        number: [0, 10]"
            .to_owned(),
        Scale::YesNo => format!(
            "        \
        # What means yes and no, beside these words themselves. Everything else is no score.
        yes_no: {{ \"yes\": [\"{yes}\"], \"no\": [\"{no}\"] }}"
        ),
    }
}

/// What the caller hears.
fn prompt(scale: Scale) -> String {
    let text = match scale {
        Scale::OneToFive => {
            "How was the quality of this call? Press a digit from 1, bad, to 5, very good."
        }
        Scale::FiveToOne => {
            "How was the quality of this call? Press a digit from 1, very good, to 5, bad."
        }
        Scale::ZeroToTen => {
            "How was the quality of this call, from 0, bad, to 10, very good? Press the number, then the \
             pound key."
        }
        Scale::YesNo => "Was the quality of this call good? Press 1 for yes, 2 for no.",
    };
    format!(
        "\n        # What the caller hears: `postcall xml` prints the XML that asks. Or one text for each \
         language:\n        # {{ en-US: …, es-ES: … }}.\n        prompt: \"{text}\""
    )
}

/// What the answers are worth.
fn rating(scale: Scale) -> &'static str {
    match scale {
        Scale::OneToFive => {
            "      # The worst and the best score: 5 is best.\n      scale: { from: [1, 5] }"
        }
        Scale::FiveToOne => {
            "      # The worst and the best score: 1 is best.\n      scale: { from: [5, 1] }"
        }
        Scale::ZeroToTen => {
            "      # The worst and the best score, on a line from 1 to 5 in steps of a half.\n      \
             scale: { from: [0, 10], round: half }"
        }
        Scale::YesNo => {
            "      # Yes is a rating of 5, no is a rating of 1.\n      thumbs: { up: \"yes\", down: \"no\" }"
        }
    }
}
