use super::read::Extractors;

/// A place from which a source reads another vendor's id of the call, which Plivo does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignCall {
    /// As it is written, such as `form:CallSid`.
    pub place: String,
    pub vendor: &'static str,
    /// The places that are looked at first; with none of them each call has the vendor's id.
    pub preferred: Vec<String>,
}

/// Where senders put their own id of a call: by the preset that it is read with, as other senders may
/// use the same name for Plivo's.
const PLACES: [(&str, &str, &str); 15] = [
    ("twilio", "form:CallSid", "Twilio"),
    ("twilio", "query:CallSid", "Twilio"),
    ("twilio", "json:$.CallSid", "Twilio"),
    ("vonage", "json:$.uuid", "Vonage"),
    ("vonage", "json:$.conversation_uuid", "Vonage"),
    ("telnyx", "json:$.data.payload.call_control_id", "Telnyx"),
    ("telnyx", "json:$.data.payload.call_session_id", "Telnyx"),
    ("telnyx", "json:$.data.payload.call_leg_id", "Telnyx"),
    ("jambonz", "json:$.call_sid", "jambonz"),
    ("jambonz", "form:call_sid", "jambonz"),
    ("genesys", "json:$.conversationId", "Genesys Cloud"),
    ("amazon-connect", "json:$.Details.ContactData.ContactId", "Amazon Connect"),
    ("amazon-connect", "json:$.Details.ContactData.InitialContactId", "Amazon Connect"),
    ("yeastar", "json:$.msg > json:$.call_id", "Yeastar"),
    ("yeastar", "json:$.msg.call_id", "Yeastar"),
];

impl Extractors {
    /// The first place of another vendor's id of the call, for a source of this preset.
    pub fn foreign_call(&self, preset: &str) -> Option<ForeignCall> {
        let places: Vec<String> = self.call.iter().map(|reader| reader.place()).collect();
        let vendor_of = |place: &String| {
            let mut known = PLACES.iter();
            known
                .find(|(of, known, _)| (*of, *known) == (preset, place))
                .map(|(.., vendor)| *vendor)
        };
        let (place, vendor) = places.iter().find_map(|place| Some((place, vendor_of(place)?)))?;
        let preferred = places.iter().filter(|place| vendor_of(place).is_none());
        Some(ForeignCall { place: place.clone(), vendor, preferred: preferred.cloned().collect() })
    }
}
