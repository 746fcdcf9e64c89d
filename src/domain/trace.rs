use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The id of a trace, by W3C Trace Context: 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(Uuid);

/// The id of a span within its trace: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

/// A span and the trace that it is part of.
///
/// Both ids follow from the id of what the span is about, so that everything that knows that can name the
/// span, and nothing has to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    pub trace: TraceId,
    pub span: SpanId,
}

/// The header `traceparent`: the span that caused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    pub context: SpanContext,
    /// Whether who sent it exports the trace.
    pub is_sampled: bool,
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedTraceParent;

impl SpanContext {
    /// The first span of a trace of its own.
    pub fn of(id: Uuid) -> Self {
        let trace = TraceId(id);
        Self { trace, span: SpanId(trace.low()) }
    }

    /// The same span as a part of another trace.
    #[must_use]
    pub fn within(self, trace: TraceId) -> Self {
        Self { trace, ..self }
    }
}

impl TraceId {
    /// Names the header field that carries the trace of a request.
    pub const HEADER: &str = "traceparent";

    pub fn bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The last half. In ids of ours its last 56 bits are random, as Trace Context asks for.
    fn low(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

impl SpanId {
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpanContext { trace, span } = self.context;
        write!(f, "00-{trace}-{span:?}-0{}", u8::from(self.is_sampled))
    }
}

impl FromStr for TraceParent {
    type Err = MalformedTraceParent;

    /// A later version may have more parts; its first four mean the same.
    fn from_str(text: &str) -> Result<Self, MalformedTraceParent> {
        let mut parts = text.trim().split('-');
        let mut part = |digits: usize| {
            let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            let part = parts.next().filter(|it| it.len() == digits && it.bytes().all(is_digit));
            part.and_then(|it| u128::from_str_radix(it, 16).ok()).ok_or(MalformedTraceParent)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let has_more = parts.next().is_some();
        if version == 0xff || (version == 0 && has_more) || trace == 0 || span == 0 {
            return Err(MalformedTraceParent);
        }
        let span = SpanId(u64::try_from(span).map_err(|_| MalformedTraceParent)?);
        let context = SpanContext { trace: TraceId(Uuid::from_u128(trace)), span };
        Ok(Self { context, is_sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let parent: TraceParent = TEXT.parse().unwrap();
        assert!(parent.is_sampled);
        assert_eq!(parent.to_string(), TEXT);
        let unsampled: TraceParent = TEXT.replace("-01", "-00").parse().unwrap();
        assert!(!unsampled.is_sampled);
        // Of a version to come.
        let later = TEXT.replacen("00", "cc", 1) + "-more";
        assert_eq!(later.parse::<TraceParent>().unwrap().context, parent.context);
    }

    #[test]
    fn what_is_no_traceparent_is_not_taken() {
        for text in [
            "",
            "00",
            &TEXT[..54],
            &format!("{TEXT}-00"),
            &TEXT.replacen("00", "ff", 1),
            &TEXT.to_uppercase(),
            &TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &TEXT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &TEXT.replace('-', "_"),
            &TEXT.replace("4bf", "+bf"),
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(MalformedTraceParent), "{text}");
        }
    }

    #[test]
    fn a_span_is_named_by_what_it_is_about() {
        let id = Uuid::from_u128(0x0192_3456_789a_7bcd_8123_4567_89ab_cdef);
        let context = SpanContext::of(id);
        let parent = TraceParent { context, is_sampled: true };
        assert_eq!(
            parent.to_string(),
            "00-0192345678 9a7bcd8123456789abcdef-8123456789abcdef-01".replace(' ', "")
        );
    }
}
