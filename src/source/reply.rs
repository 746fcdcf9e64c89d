use bytes::Bytes;

/// The reply to a webhook that was stored. To clone it copies nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReply {
    content_type: Option<&'static str>,
    body: Bytes,
}

/// How a webhook is answered that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnReject {
    /// With the status that says why.
    #[default]
    Status,
    /// With 200 and the source's reply, so that a live call is not dropped.
    Reply,
}

/// Why Plivo could not run a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    #[error("the XML is longer than {} bytes, the most that Plivo takes", SourceReply::XML_MAX)]
    TooLong,
    #[error("not valid XML: {0}")]
    Malformed(String),
}

impl SourceReply {
    /// Longest XML in bytes, from Plivo's document: 100 KB.
    pub const XML_MAX: usize = 100_000;

    /// The next instructions of a live call.
    ///
    /// # Errors
    /// XML that is too long or not valid, or that has a document type: Plivo would drop the
    /// call.
    pub fn xml(text: impl Into<String>) -> Result<Self, BadReply> {
        let text = text.into();
        if text.len() > Self::XML_MAX {
            return Err(BadReply::TooLong);
        }
        roxmltree::Document::parse(&text)
            .map_err(|error| BadReply::Malformed(malformed(&error)))?;
        Ok(Self { content_type: Some("application/xml"), body: text.into() })
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self { content_type: Some("application/json"), body: value.to_string().into() }
    }

    pub fn empty() -> Self {
        Self { content_type: None, body: Bytes::new() }
    }

    /// None where there is no body.
    pub fn content_type(&self) -> Option<&'static str> {
        self.content_type
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    pub fn into_body(self) -> Bytes {
        self.body
    }
}

/// What is wrong with XML, and what would be right.
pub(super) fn malformed(error: &roxmltree::Error) -> String {
    match error {
        roxmltree::Error::MalformedEntityReference(_) => format!("{error}: write & as &amp;"),
        _ => error.to_string(),
    }
}

impl Default for SourceReply {
    /// XML that tells Plivo to do nothing more.
    fn default() -> Self {
        Self::xml("<Response/>").expect("an empty element is valid XML")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_that_would_drop_the_call_is_refused() {
        for bad in [
            "",
            "Thank you.",
            "<Response>",
            "<Response/><Response/>",
            "<Response>&nope;</Response>",
            "<!DOCTYPE r [<!ENTITY a \"b\">]><Response>&a;</Response>",
        ] {
            assert!(matches!(SourceReply::xml(bad), Err(BadReply::Malformed(_))), "{bad}");
        }
        let long = format!("<Response>{}</Response>", " ".repeat(SourceReply::XML_MAX));
        assert_eq!(SourceReply::xml(long), Err(BadReply::TooLong));
    }

    #[test]
    fn an_ampersand_in_an_address_is_refused_with_what_to_write() {
        let refused = SourceReply::xml("<Response action='/a#rp=5xx&rc=5'/>").unwrap_err();
        assert!(refused.to_string().ends_with(": write & as &amp;"), "{refused}");
    }

    #[test]
    fn xml_nested_as_deep_as_its_length_allows_does_not_exhaust_the_stack() {
        let deep =
            "<a>".repeat(SourceReply::XML_MAX / 7) + &"</a>".repeat(SourceReply::XML_MAX / 7);
        let _ = SourceReply::xml(deep);
    }

    #[test]
    fn each_reply_says_what_it_is() {
        let response = |reply: SourceReply| {
            (reply.content_type(), String::from_utf8(reply.body().to_vec()).unwrap())
        };
        assert_eq!(
            response(SourceReply::default()),
            (Some("application/xml"), "<Response/>".into())
        );
        assert_eq!(
            response(SourceReply::json(&serde_json::json!({"ok": true}))),
            (Some("application/json"), r#"{"ok":true}"#.into())
        );
        assert_eq!(response(SourceReply::empty()), (None, String::new()));
    }
}
