//! Senders of the presets, as `init` writes them: what a source needs beside its preset, and a webhook for
//! its tests.

/// A sender by its preset.
pub(super) struct Sender {
    pub preset: &'static str,
    /// The name of its source.
    pub source: &'static str,
    /// How to configure the address at the sender, or how it knows the call: a sentence.
    pub about: &'static str,
    /// What `signature` is, if the preset alone is not enough, with what it means.
    pub signature: Option<Signature>,
    /// Which answers mean yes and no.
    pub yes_no: (&'static str, &'static str),
    /// A webhook of a test case: CALL and ANSWER stand for the call and the answer to `score`.
    pub webhook: &'static str,
    /// As `webhook`, for yes and no, if those are sent in another form.
    pub webhook_yes_no: Option<&'static str>,
}

pub(super) struct Signature {
    pub yaml: &'static str,
    pub about: &'static str,
    /// The variable with its secret.
    pub variable: Option<&'static str>,
}

const KEYS: (&str, &str) = ("1", "2");

const fn signed(
    yaml: &'static str,
    about: &'static str,
    variable: &'static str,
) -> Option<Signature> {
    Some(Signature { yaml, about, variable: Some(variable) })
}

impl Sender {
    const VOICE: Self = Self {
        preset: "",
        source: "ivr",
        about: "",
        signature: None,
        yes_no: KEYS,
        webhook: "",
        webhook_yes_no: None,
    };

    /// The sender of a preset.
    pub fn of(preset: &str) -> Option<&'static Self> {
        ALL.iter().find(|sender| sender.preset == preset)
    }
}

/// In the order of the presets.
static ALL: &[Sender] = &[
    Sender {
        preset: "plivo",
        about: "`postcall xml` prints the answer XML with the address that Plivo calls.",
        webhook: r#"form: "CallUUID=CALL&InputType=dtmf&Digits=ANSWER""#,
        ..Sender::VOICE
    },
    Sender {
        preset: "plivo-phlo",
        source: "phlo",
        about: "Its body names the call: { \"call_uuid\": …, \"question\": \"score\", \"digits\": … }.",
        signature: signed(
            "{ bearer: { env: PHLO_TOKEN } }",
            "The token that the HTTP Request component sends as Authorization: Bearer.",
            "PHLO_TOKEN",
        ),
        webhook: r#"json: { call_uuid: CALL, question: score, digits: "ANSWER" }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "twilio",
        about: "Add ?call_uuid=…&question=score to the address: a CallSid is not a call of Plivo.",
        signature: signed(
            "{ twilio: { secret: { env: TWILIO_AUTH_TOKEN } } }",
            "The Auth Token of the Twilio account.",
            "TWILIO_AUTH_TOKEN",
        ),
        webhook: r#"query: "call_uuid=CALL&question=score", form: "CallSid=CA0123456789abcdef0123456789abcdef&Digits=ANSWER""#,
        ..Sender::VOICE
    },
    Sender {
        preset: "vonage",
        about: "Its body needs call_uuid, the call of Plivo: uuid is a call of Vonage.",
        signature: signed(
            "{ vonage: { secret: { env: VONAGE_SIGNATURE_SECRET } } }",
            "The signature secret of the Vonage account.",
            "VONAGE_SIGNATURE_SECRET",
        ),
        webhook: r#"json: { call_uuid: CALL, dtmf: { digits: "ANSWER", timed_out: false } }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "telnyx",
        about: "Set client_state of the gather command to {\"call_uuid\":\"…\",\"question\":\"score\"} in Base64.",
        signature: Some(Signature {
            // `PublicKey::PLACEHOLDER`, of which `check` warns.
            yaml: "{ telnyx: { public_key: NWdSdHbqmcrUtlSMupbPrPg7pJgkxC6jf+bz7V2Vnzo= } }",
            about: "CHANGE IT: the public key of your Telnyx account, from its portal. No signature matches this one.",
            variable: None,
        }),
        // Only Telnyx can sign, so that its tests say which webhooks are verified.
        webhook: concat!(
            "verified: true, json: { data: { event_type: call.gather.ended, payload: { client_state: ",
            "eyJjYWxsX3V1aWQiOiJiMzgxNDllYi1iOGZlLTQ1ZDUtODViMi03OGVlNDQyNDc4OGYiLCJxdWVzdGlvbiI6InNjb3JlIn0=",
            r#", digits: "ANSWER" } } }"#
        ),
        ..Sender::VOICE
    },
    Sender {
        preset: "jambonz",
        about: "A `tag` verb puts call_uuid and question into customerData.",
        signature: signed(
            "{ hmac: { secret: { env: JAMBONZ_WEBHOOK_SECRET } } }",
            "The webhook secret of the account.",
            "JAMBONZ_WEBHOOK_SECRET",
        ),
        webhook: r#"json: { digits: "ANSWER", customerData: { call_uuid: CALL, question: score } }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "genesys",
        source: "genesys",
        about: "Its body names the call: { \"callUuid\": …, \"questionId\": \"score\", \"answer\": … }.",
        signature: signed(
            "{ bearer: { env: GENESYS_TOKEN } }",
            "The token that the data action sends as Authorization: Bearer.",
            "GENESYS_TOKEN",
        ),
        webhook: r#"json: { callUuid: CALL, questionId: score, answer: "ANSWER" }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "amazon-connect",
        source: "connect",
        about: "The flow passes call_uuid and score to the function that forwards the event.",
        signature: signed(
            "{ hmac: { header: X-Signature, secret: { env: CONNECT_SECRET } } }",
            "The function signs the body: HMAC-SHA256 in hexadecimal in this header.",
            "CONNECT_SECRET",
        ),
        webhook: r#"json: { Name: ContactFlowEvent, Details: { Parameters: { call_uuid: CALL, score: "ANSWER" } } }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "yeastar",
        source: "pbx",
        about: "Put call_uuid, the call of Plivo's trunk, beside `type`: call_id is not a call of Plivo.",
        signature: signed(
            "{ hmac: { secret: { env: YEASTAR_SECRET } } }",
            "The secret of the event's webhook.",
            "YEASTAR_SECRET",
        ),
        webhook: r#"json: { type: 30019, call_uuid: CALL, msg: { survey_result: "ANSWER" } }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "typeform",
        source: "form",
        about: "The form has a hidden field call_uuid, and a field with the reference score.",
        signature: signed(
            "{ hmac: { secret: { env: TYPEFORM_SECRET } } }",
            "The secret of the form's webhook.",
            "TYPEFORM_SECRET",
        ),
        yes_no: ("true", "false"),
        webhook: "json: { event_type: form_response, form_response: { hidden: { call_uuid: CALL }, answers: [{ field: { ref: score }, number: ANSWER }] } }",
        webhook_yes_no: Some(
            "json: { event_type: form_response, form_response: { hidden: { call_uuid: CALL }, answers: [{ field: { ref: score }, boolean: ANSWER }] } }",
        ),
    },
    Sender {
        preset: "delighted",
        source: "form",
        about: "The property call_uuid of the person names the call.",
        signature: signed(
            "{ hmac: { secret: { env: DELIGHTED_API_KEY } } }",
            "The API key of the Delighted project.",
            "DELIGHTED_API_KEY",
        ),
        yes_no: ("1", "0"),
        webhook: "json: { event_type: survey_response.created, event_data: { score: ANSWER, person_properties: { call_uuid: CALL } } }",
        ..Sender::VOICE
    },
    Sender {
        preset: "zendesk",
        source: "tickets",
        about: "The body of the trigger's webhook has call_uuid and score.",
        signature: signed(
            "{ hmac: { secret: { env: ZENDESK_SECRET } } }",
            "The signing secret of the webhook.",
            "ZENDESK_SECRET",
        ),
        yes_no: ("good", "bad"),
        webhook: r#"json: { call_uuid: CALL, score: "ANSWER" }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "standard-webhooks",
        source: "events",
        about: "Its body is { \"data\": { \"call_uuid\": …, \"answers\": { \"score\": … } } }.",
        signature: signed(
            "{ standard: { secret: { env: WEBHOOK_SECRET } } }",
            "The secret, whsec_ and Base64.",
            "WEBHOOK_SECRET",
        ),
        webhook: r#"json: { data: { call_uuid: CALL, answers: { score: "ANSWER" } } }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "generic-json",
        source: "events",
        about: "Its body is { \"call_uuid\": …, \"answers\": { \"score\": … } }.",
        signature: signed(
            "{ hmac: { header: X-Signature, secret: { env: HOOK_SECRET } } }",
            "It signs the body: HMAC-SHA256 in hexadecimal in this header.",
            "HOOK_SECRET",
        ),
        webhook: r#"json: { call_uuid: CALL, answers: { score: "ANSWER" } }"#,
        ..Sender::VOICE
    },
    Sender {
        preset: "generic-form",
        source: "form",
        about: "Its body is the form call_uuid=…&score=… .",
        signature: signed(
            "{ hmac: { header: X-Signature, secret: { env: HOOK_SECRET } } }",
            "It signs the body: HMAC-SHA256 in hexadecimal in this header.",
            "HOOK_SECRET",
        ),
        webhook: r#"form: "call_uuid=CALL&score=ANSWER""#,
        ..Sender::VOICE
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::preset_names;

    #[test]
    fn every_preset_has_a_sender_that_init_can_write() {
        let written: Vec<_> = ALL.iter().map(|sender| sender.preset).collect();
        assert_eq!(written, preset_names().collect::<Vec<_>>());
    }
}
