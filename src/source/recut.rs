//! Where the fields of a form begin and end, in a signature that covers no marks between them.
//!
//! Plivo's V3 and Twilio sign `CallUUID=c-1&Digits=4` as `CallUUIDc-1Digits4`. The same bytes can be
//! cut into other fields, in the order of their names. One cut of them is believed, the
//! [canonical](Cuts::canonical) one, which depends on nothing but the signed text and the names that
//! the source reads; a request that reads otherwise is refused. So there is no second reading.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// A field of a form that a source reads.
#[derive(Debug, Clone)]
pub(super) struct ReadField<'n> {
    pub(super) name: &'n str,
    /// Whether it decides something: the call, a question, an answer, how the call ended.
    pub(super) decides: bool,
    /// Whether it names the call.
    pub(super) is_call: bool,
    /// Whether it is looked for in the query of a POST, too.
    pub(super) in_query: bool,
    /// What it is compared with.
    pub(super) constants: Vec<&'n str>,
}

/// Names of parameters that Plivo and Twilio document for voice calls (November 2026), in the order of
/// their bytes: where one begins, the value before it ends. What ends with a hyphen or an underscore
/// begins the names of SIP headers. A new one that is missing here harms only where it comes
/// directly after free text, or after a value of an unusual form; see [`Cuts::value`].
const KNOWN: &[&str] = &[
    "ALegRequestUUID",
    "ALegUUID",
    "AccountSid",
    "AddOns",
    "AnswerTime",
    "AnsweredBy",
    "ApiVersion",
    "ApplicationSid",
    "BLegUUID",
    "BillDuration",
    "BillRate",
    "BilledAmount",
    "CallDuration",
    "CallSid",
    "CallStatus",
    "CallToken",
    "CallUUID",
    "CallbackSource",
    "Called",
    "CalledCity",
    "CalledCountry",
    "CalledState",
    "CalledVia",
    "CalledZip",
    "Caller",
    "CallerCity",
    "CallerCountry",
    "CallerName",
    "CallerState",
    "CallerZip",
    "Confidence",
    "DialALegUUID",
    "DialBLegUUID",
    "DialBridged",
    "DialCallDuration",
    "DialCallSid",
    "DialCallStatus",
    "DialHangupCause",
    "DialRingStatus",
    "DialStatus",
    "Digits",
    "Direction",
    "Duration",
    "EndTime",
    "ErrorCode",
    "ErrorUrl",
    "Event",
    "FinishedOnKey",
    "ForwardedFrom",
    "From",
    "FromCity",
    "FromCountry",
    "FromState",
    "FromZip",
    "HangupCause",
    "HangupCauseCode",
    "HangupCauseName",
    "HangupSource",
    "InputType",
    "Language",
    "MachineDetectionDuration",
    "ParentAuthID",
    "ParentCallSid",
    "QueueSid",
    "RecordFile",
    "RecordUrl",
    "RecordingDuration",
    "RecordingDurationMs",
    "RecordingEndMs",
    "RecordingID",
    "RecordingSid",
    "RecordingStartMs",
    "RecordingUrl",
    "ReferCallSid",
    "RequestUUID",
    "RouteType",
    "SIP-H-",
    "STIRAttestation",
    "STIRVerification",
    "SequenceNumber",
    "SessionStart",
    "SipCallId",
    "SipHeader_",
    "SipResponseCode",
    "Speech",
    "SpeechConfidenceScore",
    "SpeechResult",
    "StartTime",
    "StirPassportToken",
    "StirStatus",
    "StirVerstat",
    "Timestamp",
    "To",
    "ToCity",
    "ToCountry",
    "ToState",
    "ToZip",
    "TotalCost",
    "X-PH-",
];

/// Of the keys of a telephone, on both sides.
pub(super) const PRESSED: &str = "Digits";

/// Of a caller's name, as the telephone network tells it.
const CALLER_NAME: &str = "CallerName";

/// Fields of which a caller's speech is the value: what begins with digits there need not end with
/// them (`5G`), and it may hold any word that is a name (`Speech was fine`).
const SPOKEN: [&str; 4] = ["Speech", "SpeechResult", "speech", "speech_result"];

/// Maximum places of known names in one signed text: the work is quadratic in them.
/// Senders come to some forty.
const MARKS_MAX: usize = 256;

/// Most other places of names that decide; each costs another reading.
const RIVALS_MAX: usize = 16;

/// All known names at once, wherever they overlap.
static KNOWN_NAMES: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(KNOWN).expect("the names are few and short"));

/// The signed fields of a form, with every place where a field may begin whose name is known.
pub(super) struct Cuts<'t> {
    text: &'t str,
    read: &'t [ReadField<'t>],
    marks: Vec<Mark<'t>>,
    /// Where what was spoken begins, if that is certain.
    speech: Option<Mark<'t>>,
}

/// The place of a known name.
#[derive(Debug, Clone, Copy)]
struct Mark<'t> {
    name: &'t str,
    start: usize,
    end: usize,
    /// Of the longest row of names in their order that ends here, and that begins here: how many
    /// there are, itself included.
    before: usize,
    after: usize,
}

/// Fields of one cut: the values of those that are read.
pub(super) type Fields<'t> = Vec<(&'t str, &'t str)>;

/// There are more ways to cut a text than are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl<'t> Cuts<'t> {
    /// # Errors
    /// More known names stand in the text than any sender's has.
    pub(super) fn of(text: &'t str, read: &'t [ReadField<'t>]) -> Result<Self, TooMany> {
        let mut marks: Vec<Mark<'t>> = Vec::new();
        let known = KNOWN_NAMES.find_overlapping_iter(text);
        let mut add = |name, start| {
            marks.push(Mark { name, start, end: start + name.len(), before: 1, after: 1 });
            if marks.len() > MARKS_MAX { Err(TooMany) } else { Ok(()) }
        };
        for found in known {
            add(KNOWN[found.pattern().as_usize()], found.start())?;
        }
        for field in read.iter().filter(|field| KNOWN.binary_search(&field.name).is_err()) {
            for start in memchr::memmem::find_iter(text.as_bytes(), field.name) {
                add(field.name, start)?;
            }
        }
        marks.sort_unstable_by_key(|mark| (mark.start, mark.end));
        let mut marks = without_longer_names(text, marks);
        for at in 0..marks.len() {
            let earlier = marks[..at].iter().filter(|earlier| earlier.goes_before(&marks[at]));
            marks[at].before = 1 + earlier.map(|mark| mark.before).max().unwrap_or(0);
        }
        for at in (0..marks.len()).rev() {
            let later = marks[at + 1..].iter().filter(|later| marks[at].goes_before(later));
            marks[at].after = 1 + later.map(|mark| mark.after).max().unwrap_or(0);
        }
        let mut cuts = Self { text, read, marks, speech: None };
        let longest = cuts.longest();
        let in_longest = cuts.marks.iter().filter(|mark| mark.before + mark.after - 1 == longest);
        cuts.speech = in_longest.copied().find(|mark| cuts.begins_speech(mark));
        Ok(cuts)
    }

    /// The cut with the most known names in their order: a sender's own has them all, and text that
    /// happens to hold one has few that fit before the others. Each is as late as it can be, what was
    /// spoken as early, since its text may hold its own name and others.
    pub(super) fn canonical(&self) -> Fields<'t> {
        self.fields(&self.row())
    }

    /// Cuts that are as good, though a field that decides begins elsewhere; and every one in which
    /// another field names the call.
    pub(super) fn rivals(&self) -> Result<Vec<Rival<'t>>, TooMany> {
        let row = self.row();
        let longest = row.len();
        let mut rivals = Vec::new();
        for mark in &self.marks {
            let Some(field) = self.read.iter().find(|field| field.name == mark.name) else {
                continue;
            };
            let is_as_good = mark.before + mark.after - 1 == longest;
            let is_within =
                |known: &Mark<'_>| known.start <= mark.start && mark.end <= self.name_end(known);
            if !field.decides || !(is_as_good || field.is_call) || row.iter().any(is_within) {
                continue;
            }
            let through = self.row_through(mark);
            if !field.is_call
                && (self.is_said(mark, &row, &through) || self.is_no_key(mark, &row, &through))
            {
                continue;
            }
            if rivals.len() == RIVALS_MAX {
                return Err(TooMany);
            }
            let is_earlier =
                row.iter().any(|known| known.name == mark.name && mark.start < known.start);
            let fields = self.fields(&through);
            rivals.push(Rival { name: field.name, fields, is_as_good: is_as_good || is_earlier });
        }
        Ok(rivals)
    }

    /// Whether a mark is a word of what was spoken: the other cut gives all that comes before it to a
    /// field that holds no free text. Names in between that are no words are a sender's, not a caller's.
    fn is_said(&self, mark: &Mark<'_>, row: &[Mark<'_>], through: &[Mark<'_>]) -> bool {
        let in_row = |speech: &Mark<'_>| row.iter().position(|it| it.start == speech.start);
        let Some((speech, at)) = self.speech.and_then(|speech| Some((speech, in_row(&speech)?)))
        else {
            return false;
        };
        let end = row.get(at + 1).map_or(self.text.len(), |next| next.start);
        let before = through.iter().take_while(|before| before.start < mark.start).last();
        let between = |other: &Mark<'_>| speech.end <= other.start && other.start < mark.start;
        (speech.end..end).contains(&mark.start)
            && before.is_none_or(|before| before.end <= speech.start)
            && self.marks.iter().filter(|other| between(other)).all(Mark::is_word)
    }

    /// Whether keys were pressed, or none, and what follows a mark of the same field is neither.
    fn is_no_key(&self, mark: &Mark<'_>, row: &[Mark<'_>], through: &[Mark<'_>]) -> bool {
        let has_keys = |row: &[Mark<'_>]| {
            let fields = self.fields(row);
            let pressed = fields.iter().find(|(name, _)| *name == PRESSED);
            pressed.is_some_and(|(_, value)| keys(value) == value.len())
        };
        mark.name == PRESSED && has_keys(row) && !has_keys(through)
    }

    /// Whether what was spoken begins here for certain: no field that may hold free text, in which the
    /// name could stand, comes before it.
    fn begins_speech(&self, mark: &Mark<'_>) -> bool {
        let may_hold_any = |before: &Mark<'_>| {
            before.name.ends_with(['-', '_']) || KNOWN.binary_search(&before.name).is_err()
        };
        let is_read = self.read.iter().any(|field| field.name == mark.name);
        let mut before = self.marks.iter().filter(|before| before.goes_before(mark));
        if !is_read || !SPOKEN.contains(&mark.name) || before.clone().any(may_hold_any) {
            return false;
        }
        // An address, such as of SIP, has a scheme; a time has none.
        let has_scheme =
            |value: &str| value.contains(':') && value.contains(|c: char| c.is_ascii_alphabetic());
        match before.rfind(|before| before.before + 1 == mark.before) {
            Some(before) => {
                before.name != CALLER_NAME && !has_scheme(&self.text[before.end..mark.start])
            }
            None => mark.start == 0,
        }
    }

    /// The latest mark that fits, but for the one that begins what was spoken.
    fn latest(&self, fits: impl Fn(&Mark<'t>) -> bool) -> Option<Mark<'t>> {
        let latest = || self.marks.iter().rev().find(|mark| fits(mark)).copied();
        self.speech.filter(|speech| fits(speech)).or_else(latest)
    }

    /// The end of the name that begins with a mark: that of a SIP header is longer.
    fn name_end(&self, mark: &Mark<'_>) -> usize {
        if !mark.name.ends_with(['-', '_']) {
            return mark.end;
        }
        let rest = self.text[mark.end..].bytes();
        mark.end + rest.take_while(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)).count()
    }

    fn row(&self) -> Vec<Mark<'t>> {
        self.row_before(self.longest(), None)
    }

    fn longest(&self) -> usize {
        self.marks.iter().map(|mark| mark.before).max().unwrap_or(0)
    }

    fn row_through(&self, mark: &Mark<'t>) -> Vec<Mark<'t>> {
        let mut row = self.row_before(mark.before - 1, Some(mark));
        row.push(*mark);
        let mut last = *mark;
        while last.after > 1 {
            let next = self.latest(|next| next.after + 1 == last.after && last.goes_before(next));
            last = next.expect("so long a row begins here");
            row.push(last);
        }
        row
    }

    /// The latest row of so many names, before a mark.
    fn row_before(&self, length: usize, mark: Option<&Mark<'t>>) -> Vec<Mark<'t>> {
        let mut row: Vec<Mark<'t>> = Vec::with_capacity(length + 1);
        let mut next = mark.copied();
        for before in (1..=length).rev() {
            let latest = self.latest(|mark| {
                mark.before == before && next.is_none_or(|next| mark.goes_before(&next))
            });
            row.push(latest.expect("so long a row ends here"));
            next = latest;
        }
        row.reverse();
        row
    }

    fn fields(&self, row: &[Mark<'t>]) -> Fields<'t> {
        let mut fields = Vec::new();
        for (at, mark) in row.iter().enumerate() {
            if let Some(field) = self.read.iter().find(|field| field.name == mark.name) {
                let end = row.get(at + 1).map_or(self.text.len(), |next| next.start);
                fields.push((mark.name, self.value(field, &self.text[mark.end..end])));
            }
        }
        fields
    }

    /// What of the text up to the next known name is the value, and not a field of an unknown name:
    /// a UUID or a SID, keys of a telephone, or what the value is compared with, where something
    /// follows that could begin a name; else all of it, up to another name that begins with this one.
    fn value(&self, field: &ReadField<'_>, text: &'t str) -> &'t str {
        let ends_at = |at: usize| text.len() == at || begins_as(field.name, &text[at..]);
        let keys = if SPOKEN.contains(&field.name) { 0 } else { keys(text) };
        let constants = field.constants.iter().filter(|constant| text.starts_with(**constant));
        let constant = constants.map(|constant| constant.len()).max().unwrap_or(0);
        let end = [id_length(text), constant, keys]
            .into_iter()
            .find(|&length| length > 0 && ends_at(length));
        if let Some(end) = end {
            return &text[..end];
        }
        let end = text.match_indices(field.name).map(|(at, name)| (at, at + name.len()));
        let end = end.filter(|(_, end)| *end < text.len()).find(|(_, end)| ends_at(*end));
        end.map_or(text, |(at, _)| &text[..at])
    }
}

/// Another cut of the same text.
pub(super) struct Rival<'t> {
    /// The field that begins elsewhere.
    pub(super) name: &'t str,
    pub(super) fields: Fields<'t>,
    /// Whether nothing tells it from the canonical one; else it counts only if it says something.
    pub(super) is_as_good: bool,
}

impl Mark<'_> {
    /// Whether it could be a word that someone says: `Digits`, not `InputType`.
    fn is_word(&self) -> bool {
        self.name.bytes().skip(1).all(|b| b.is_ascii_lowercase())
    }

    /// Whether both can be fields of one form: in the order of their names, names of headers
    /// several times.
    fn goes_before(&self, next: &Mark<'_>) -> bool {
        let begins_names = next.name.ends_with(['-', '_']) && self.name.starts_with(next.name);
        self.end <= next.start && (self.name < next.name || begins_names)
    }
}

/// Whether a name such as this one could begin the text.
fn begins_as(name: &str, text: &str) -> bool {
    let is_capital = name.starts_with(|c: char| c.is_ascii_uppercase());
    text.starts_with(|next: char| match is_capital {
        true => next.is_ascii_uppercase(),
        false => next.is_ascii_alphabetic() || next == '_',
    })
}

/// Leaves out places of a name that begins an unknown longer one, which
/// comes after it in the order of names: `Digits` of a `DigitsLeft`.
fn without_longer_names<'t>(text: &str, marks: Vec<Mark<'t>>) -> Vec<Mark<'t>> {
    let is_longer = |mark: &Mark<'_>| {
        let next = marks.partition_point(|next| next.start < mark.end);
        begins_as(mark.name, &text[mark.end..])
            && marks.get(next).is_none_or(|next| next.start != mark.end)
    };
    let mut kept: Vec<Mark<'t>> = Vec::with_capacity(marks.len());
    for mark in &marks {
        if !(is_longer(mark) && kept.iter().any(|kept| kept.name == mark.name && !is_longer(kept)))
        {
            kept.push(*mark);
        }
    }
    kept
}

/// How many keys of a telephone the text begins with.
fn keys(text: &str) -> usize {
    text.bytes().take_while(|b| b.is_ascii_digit() || b"*#".contains(b)).count()
}

/// How long a UUID or a SID of Twilio's is that the text begins with; 0 if it begins with neither.
fn id_length(text: &str) -> usize {
    const UUID: usize = 36;
    const SID: usize = 34;
    let bytes = text.as_bytes();
    let is_hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
    if bytes.len() >= UUID
        && bytes[..UUID].iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
    {
        UUID
    } else if bytes.len() >= SID && bytes.starts_with(b"CA") && is_hex(&bytes[2..SID]) {
        SID
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Answer, Method, Webhook};
    use crate::source::sample::{
        credentials, get, post, public_source, readers, signed, with_header,
    };
    use crate::source::signature::{Plivo, Scheme, Twilio};
    use crate::source::{Asked, ParseError, Predicate, Reading, Rejection, Source, encode};

    /// What decides: the call, what was answered, and how the call ended.
    type Decided = (String, Vec<(Option<String>, Answer)>, bool, bool);

    fn plivo() -> Source {
        public_source(Scheme::Plivo(Plivo::default()))
    }

    /// Reads as the preset of this name, where no address names a call.
    fn twilio() -> Source {
        let secrets = credentials(&["a token of Twilio's"]);
        let mut source = public_source(Scheme::Twilio(Twilio { secrets }));
        source.readers.call = readers(&["query:call_uuid", "form:CallSid"]);
        source.readers.asked = Asked::One {
            question: readers(&["query:question"]),
            answer: readers(&["form:Digits", "form:SpeechResult"]),
        };
        source.readers.hangup = Predicate::Any(vec!["form:CallStatus=completed".parse().unwrap()]);
        source
    }

    /// Takes whatever is spoken.
    fn plivo_spoken() -> Source {
        let mut source = plivo();
        source.readers.asked = Asked::One {
            question: readers(&["query:question"]),
            answer: readers(&["form:Digits", "form:Speech"]),
        };
        source
    }

    /// The method is not signed.
    fn as_post(webhook: Webhook) -> Webhook {
        Webhook {
            method: Method::Post,
            ..with_header(webhook, "content-type", "application/x-www-form-urlencoded")
        }
    }

    fn read(source: &Source, webhook: &Webhook) -> Result<Option<Decided>, Rejection> {
        let reading = source.read(&source.verify(webhook.clone())?)?;
        Ok(reading.map(|Reading { call, answers, hung_up, opted_out, .. }| {
            let answers = answers.into_iter().map(|read| (read.question, read.answer)).collect();
            (call.to_string(), answers, hung_up, opted_out)
        }))
    }

    /// The captured request with another body, where that has the same signature.
    fn recut(captured: &Webhook, query: Option<&str>, body: &str) -> Webhook {
        let query = query.map(str::to_owned);
        Webhook { query, body: body.as_bytes().to_vec(), ..captured.clone() }
    }

    #[test]
    fn known_names_are_in_the_order_of_their_bytes() {
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn a_form_that_is_cut_anew_is_about_no_other_call() {
        for (source, call) in [(plivo(), "CallUUID"), (twilio(), "CallSid")] {
            let text = format!("{call}=v-1&Digits=4&X-PH-Notez={call}victim-9Digits1");
            let captured = signed(&source, post(None, &text));
            assert!(read(&source, &captured).is_ok());
            let (first, rest) = call.split_at(1);
            let other = format!("{first}={rest}v-1Digits4X-PH-Notez&{call}=victim-9&Digits=1");
            let other = recut(&captured, None, &other);
            assert!(source.verify(other.clone()).is_ok(), "it has the same signature");
            let refused = Err(ParseError::Shifted(call.to_owned()).into());
            assert_eq!(read(&source, &other), refused, "{call}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_anew_is_no_other_answer() {
        let uuid = "b38149eb-b8fe-45d5-85b2-78ee4424788f";
        let text = format!("CallUUID={uuid}&Digits=12&Event=Redirect&InputType=dtmf&To=1");
        let captured = signed(&plivo(), post(None, &text));
        let is_refused = |body: &str| {
            let other = recut(&captured, None, body);
            assert!(plivo().verify(other.clone()).is_ok(), "{body}");
            matches!(read(&plivo(), &other), Err(Rejection::Parse(ParseError::Shifted(_))))
        };
        for body in [
            // Longer, silent, of another call.
            format!("CallUUID={uuid}&Digits=12EventRedirect&InputType=dtmf&To=1"),
            format!("CallUUID={uuid}&D=igits12&Event=Redirect&InputType=dtmf&To=1"),
            format!("CallUUID={}&b8fe-45d5={}", &uuid[..9], &uuid[18..])
                + "Digits12EventRedirectInputTypedtmfTo1",
        ] {
            assert!(is_refused(&body), "{body}");
        }
        assert!(read(&plivo(), &captured).is_ok());
    }

    #[test]
    fn an_answer_of_a_get_is_no_silence_of_a_post() {
        let plus_dot = "Digits=4&CallUUID=c-1&call_uuid=v-1&lang=en.x";
        for (sent, other, body) in [
            ("call_uuid=v-1&Digits=4", "call_uuid=v-1&Digits=4", ""),
            ("call_uuid=v-1&a=b&Digits=4", "Digits=4&a=b&call_uuid=v-1", ""),
            ("Call=1&Digits=4&call_uuid=v-1", "Call=1%26Digits%3D4&call_uuid=v-1", ""),
            (plus_dot, "Digits=4&CallUUID=c-1&call_uuid=v-1&lang=en", "x="),
        ] {
            let captured = signed(&plivo(), get(Some(sent)));
            assert!(read(&plivo(), &captured).is_ok(), "{sent}");
            let other = as_post(recut(&captured, Some(other), body));
            assert!(plivo().verify(other.clone()).is_ok(), "{sent}");
            let refused = read(&plivo(), &other);
            assert!(
                matches!(refused, Err(Rejection::Parse(ParseError::Shifted(_)))),
                "{sent} {refused:?}"
            );
        }
        let silent = post(Some("call_uuid=v-1&question=score&lang=en"), "");
        assert!(read(&plivo(), &signed(&plivo(), silent)).is_ok());
    }

    #[test]
    fn text_before_a_spoken_answer_is_no_part_of_it() {
        for before in ["SIP-H-Note", "SIP-H-Note=zSessionStart", "CallerName"] {
            let before =
                if before.contains('=') { before.to_owned() } else { format!("{before}=z") };
            let text = format!("CallUUID=v-1&{before}Speech five&Speech=one&To=1");
            let captured = signed(&plivo_spoken(), post(None, &text));
            let forged = format!("CallUUID=v-1&{before}&Speech= fiveSpeechone&To=1");
            let forged = recut(&captured, None, &forged);
            assert!(plivo_spoken().verify(forged.clone()).is_ok(), "{before}");
            let read = read(&plivo_spoken(), &forged);
            assert!(matches!(read, Err(Rejection::Parse(ParseError::Shifted(_)))), "{before}");
        }
    }

    /// What honest callbacks hold beside what decides: text that happens to hold names, parameters
    /// that no one knows yet, names within names.
    #[test]
    fn a_callback_of_an_honest_sender_is_read_as_it_was_meant() {
        let uuid = "b38149eb-b8fe-45d5-85b2-78ee4424788f";
        let decided = |answer: &str| {
            let given = Answer::Given(answer.to_owned());
            Ok(Some((uuid.to_owned(), vec![(None, given)], false, false)))
        };
        let plivo_sends = |more: &str| {
            let body = format!(
                "CallStatus=in-progress&CallUUID={uuid}&Direction=inbound&From=14155550123\
                 &ForwardedFrom=1999&To=sip:a@b.example&BillRate=0.0085{more}"
            );
            read(&plivo(), &signed(&plivo(), post(None, &body)))
        };
        let pressed = "&InputType=dtmf&Digits=4&Speech=";
        for more in [
            "",
            "&X-PH-CallUUID=3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36",
            "&X-PH-Note=Digits 5",
            "&X-PH-Dept=SpeechTherapy&X-PH-To=Direction",
            "&CallerName=Speechify To Go",
            "&CallerName=Digits Inc",
            "&CallerName=Digits",
            "&CallerName=Digits 5",
            "&DialHangupCause=NORMAL_CLEARING",
            // Of these no one knows yet.
            "&DigitsLeft=3",
            "&CallUUIDHash=7&InputTypeOf=keypad",
            "&DtmfMode=rfc2833&ParentCallUUID=3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36",
        ] {
            assert_eq!(plivo_sends(&format!("{pressed}{more}")), decided("4"), "{more}");
            let got_digits = format!("&Digits=4{more}");
            assert_eq!(plivo_sends(&got_digits), decided("4"), "{more}");
        }
        let said = ["four", "Tomorrow", "To be honest, From 5 to 4", "5G was bad", "5", "Event"];
        let names = ["Speech was fine", "The Speech was fine, Speech", "Speech", "Digits four"];
        for said in said.iter().chain(&names).chain(&["Language was hard", "Result was good"]) {
            let spoken =
                format!("&InputType=speech&Digits=&Speech={said}&SpeechConfidenceScore=0.91");
            assert_eq!(plivo_sends(&spoken), decided(said), "{said}");
        }
        let brief = format!("CallUUID={uuid}&InputType=speech&Speech=Digits four&To=1");
        assert_eq!(read(&plivo(), &signed(&plivo(), post(None, &brief))), decided("Digits four"));
        for said in ["A+ service", "A+", "100% right", "Digits four, Speech was fine"] {
            let line = encode([
                ("BillRate", "0.0085"),
                ("CallUUID", uuid),
                ("InputType", "speech"),
                ("SessionStart", "2026-11-29 01:51:14.424811"),
                ("Speech", said),
            ]);
            assert_eq!(
                read(&plivo(), &signed(&plivo(), get(Some(&line)))),
                decided(said),
                "{said}"
            );
        }
        let hangs_up =
            plivo_sends("&HangupCause=NORMAL_CLEARING&HangupCauseCode=4000&Event=Hangup");
        assert_eq!(hangs_up, Ok(Some((uuid.to_owned(), Vec::new(), true, false))));

        let twilio_sends = |more: &str| {
            let body = format!(
                "AccountSid=AC1&ApiVersion=2010-04-01&CallSid=CA1&CallStatus=in-progress\
                 &From=%2B14155550123&FromCity=SAN TO&To=%2B14155550199&ToCity=TORONTO\
                 &ParentCallSid=CA2{more}"
            );
            read(&twilio(), &signed(&twilio(), post(Some(&format!("call_uuid={uuid}")), &body)))
        };
        assert_eq!(twilio_sends("&Digits=4&FinishedOnKey=#"), decided("4"));
        let said = ["Tomorrow", "To be honest.", "5G was bad", "Digits four"];
        for said in said.iter().chain(&["Speech was fine", "The Speech", "Language was hard"]) {
            let spoken = format!("&SpeechResult={said}&Confidence=0.9");
            assert_eq!(twilio_sends(&spoken), decided(said), "{said}");
        }
    }

    const NAMES: [&str; 18] = [
        "AccountSid",
        "BillRate",
        "C",
        "CallSid",
        "CallStatus",
        "CallUUID",
        "CallerName",
        "D",
        "Digits",
        "Event",
        "From",
        "HangupCause",
        "InputType",
        "Speech",
        "SpeechResult",
        "To",
        "X-PH-Note",
        "Zone",
    ];

    fn values() -> impl Strategy<Value = String> {
        let name = || prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
        let piece = prop_oneof![
            4 => "[0-9*#]{0,3}",
            2 => "v-[0-9]|CA[0-9a-f]{2}|[a-f0-9]{8}",
            2 => "dtmf|speech|completed|four|1[.]5|inbound",
            2 => "[A-Za-z .&=?+%-]{0,4}",
            2 => name(),
            1 => Just("b38149eb-b8fe-45d5-85b2-78ee4424788f".to_owned()),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    /// Other requests of which the same is signed: the fields of the form, and of the query, cut at
    /// random, mostly at names.
    fn other_cuts(captured: &Webhook, source: &Source, rng: &mut fastrand::Rng) -> Vec<Webhook> {
        let verified = source.verify(captured.clone()).expect("it is signed");
        let form = verified.form();
        let is_twilio = matches!(source.signature, Scheme::Twilio(_));
        let fields = match is_twilio {
            true => form.concatenated_once(),
            false => form.concatenated().to_owned(),
        };
        let mut query: Vec<_> = form.query().collect();
        query.sort_unstable();
        let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let query = query.join("&");
        let mut others = Vec::new();
        for _ in 0..40 {
            let (left, right) = if rng.bool() || is_twilio {
                (query.clone(), fields.clone())
            } else {
                let dot = if query.is_empty() || fields.is_empty() { "" } else { "." };
                let whole = [&*query, dot, &*fields].concat();
                let dots: Vec<usize> = whole.match_indices('.').map(|(at, _)| at).collect();
                match rng.usize(..dots.len() + 2) {
                    0 => (whole, String::new()),
                    1 => (String::new(), whole),
                    n => (whole[..dots[n - 2]].to_owned(), whole[dots[n - 2] + 1..].to_owned()),
                }
            };
            let body = cut_form(&right, rng);
            let mut other = recut(captured, None, &encode(body.iter().map(pair)));
            other.query = match is_twilio {
                true => captured.query.clone(),
                false if left.is_empty() => None,
                false => Some(encode(cut_query(&left, rng).iter().map(pair))),
            };
            if right.is_empty() && rng.bool() {
                other.method = Method::Get;
            } else if other.method == Method::Get {
                other = as_post(other);
            }
            others.push(other);
        }
        others
    }

    fn pair((key, value): &(String, String)) -> (&str, &str) {
        (key, value)
    }

    fn cut_form(text: &str, rng: &mut fastrand::Rng) -> Vec<(String, String)> {
        let mut starts: Vec<usize> = NAMES
            .iter()
            .flat_map(|name| text.match_indices(name).map(|(at, _)| at))
            .filter(|_| rng.usize(..4) > 0)
            .collect();
        starts.extend((0..rng.usize(..3)).map(|_| rng.usize(..=text.len())));
        starts.extend([0, text.len()]);
        starts.sort_unstable();
        starts.dedup();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for ends in starts.windows(2) {
            let part = &text[ends[0]..ends[1]];
            let named =
                NAMES.iter().filter(|name| part.starts_with(**name)).max_by_key(|name| name.len());
            let key = match named {
                Some(name) if rng.usize(..5) > 0 => name.len(),
                _ => rng.usize(1..=part.len()),
            };
            match pairs.last_mut() {
                Some((last, value)) if part[..key] < **last => value.push_str(part),
                _ => pairs.push((part[..key].to_owned(), part[key..].to_owned())),
            }
        }
        pairs
    }

    fn cut_query(text: &str, rng: &mut fastrand::Rng) -> Vec<(String, String)> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split('&') {
            match parts.last_mut() {
                Some(last) if !part.contains('=') || rng.usize(..4) == 0 => {
                    last.push('&');
                    last.push_str(part);
                }
                _ => parts.push(part.to_owned()),
            }
        }
        let split = |part: String| match part.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (part, String::new()),
        };
        parts.into_iter().map(split).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Whatever is cut out of the same signed bytes says the same, or is refused.
        #[test]
        fn there_is_no_second_reading_of_the_same_signed_bytes(
            fields in prop::collection::vec((prop::sample::select(&NAMES[..]), values()), 1..7),
            query in prop::option::of(prop::collection::vec(
                (prop::sample::select(&["call_uuid", "question", "a", "lang", "z"][..]), values()), 1..3)),
            by_twilio: bool,
            by_get: bool,
            seed: u64,
        ) {
            let line = |pairs: &[(&str, String)]| encode(pairs.iter().map(|(k, v)| (*k, &**v)));
            let source = if by_twilio { twilio() } else { plivo() };
            let sent = if by_get {
                get(Some(&line(&[fields, query.unwrap_or_default()].concat())))
            } else {
                post(query.as_deref().map(line).as_deref(), &line(&fields))
            };
            let captured = signed(&source, sent);
            prop_assume!(source.verify(captured.clone()).is_ok());
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut believed = read(&source, &captured).ok().flatten();
            for other in other_cuts(&captured, &source, &mut rng) {
                let Ok(Some(read)) = read(&source, &other) else { continue };
                match &believed {
                    Some(believed) => prop_assert_eq!(&read, believed, "{:?} {:?}", other.query, other.body),
                    None => believed = Some(read),
                }
            }
        }

        /// An attacker who puts text into a parameter of their own call reaches no other call by it.
        #[test]
        fn text_of_a_caller_reaches_no_other_call(
            digits in "[1-5]?",
            text in prop::collection::vec(prop_oneof![
                prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
                "[0-9]|v-[0-9]|&call_uuid=v-9|[.?&=]".prop_map(|piece| piece),
            ], 0..12),
            query in prop::option::of(prop::sample::select(&["lang=en", "a=1.5", "question=score"][..])),
            by_twilio: bool,
            seed: u64,
        ) {
            let source = if by_twilio { twilio() } else { plivo() };
            let call = if by_twilio { "CallSid" } else { "CallUUID" };
            let text = text.concat();
            let body = encode([
                ("AccountSid", "AC1"), ("CallStatus", "in-progress"), (call, "c-1"),
                ("Digits", &digits), ("From", "1415"), ("To", "1416"), ("X-PH-Note", &text),
            ]);
            let captured = signed(&source, post(query, &body));
            let mut rng = fastrand::Rng::with_seed(seed);
            for other in other_cuts(&captured, &source, &mut rng) {
                if let Ok(Some((read, ..))) = read(&source, &other) {
                    prop_assert_eq!(read, "c-1", "{:?} {:?}", other.query, str::from_utf8(&other.body));
                }
            }
        }
    }
}
