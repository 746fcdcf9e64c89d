use std::str::FromStr;

use memchr::memmem;

/// What an HMAC is made over, such as `{timestamp}.{body}`: the parts of a webhook in their order, and
/// the marks between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPayload(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Mark(String),
    Id,
    Timestamp,
    Body,
}

/// Why a text does not say what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignedPayload {
    #[error(
        "expected {{body}}, and {{timestamp}} and {{id}} where they are signed, each once: \"{{timestamp}}.{{body}}\""
    )]
    Malformed,
    #[error(
        "a separator is required on either side of {{id}}, or it could take over what is next to it: \"{{id}}.{{timestamp}}.{{body}}\""
    )]
    UnmarkedId,
    #[error("{{timestamp}} is missing: a time that is not signed proves nothing")]
    UnsignedTimestamp,
    #[error("there is no timestamp: say which header has it, timestamp: {{ header: … }}")]
    NoTimestamp,
    #[error(
        "the timestamp is in a list, and there is none: name the key of the signature, such as key: v1"
    )]
    NoList,
    #[error("{{id}} is missing: an id that is not signed proves nothing")]
    UnsignedId,
    #[error("there is no id: say which header has it, id: …")]
    NoId,
    #[error("the time is where the signature is: name the key or header that has the time alone")]
    TimeInPlaceOfSignature,
    #[error("the id is where the signature or the time is: name the header that has the id alone")]
    IdInPlaceOfAnother,
}

/// The parts of one webhook that may be signed.
pub(super) struct Parts<'a> {
    pub id: &'a [u8],
    pub timestamp: &'a [u8],
    pub body: &'a [u8],
}

impl SignedPayload {
    pub(super) fn body() -> Self {
        Self(vec![Piece::Body])
    }

    pub(super) fn timestamp(&self) -> bool {
        self.0.contains(&Piece::Timestamp)
    }

    pub(super) fn id(&self) -> bool {
        self.0.contains(&Piece::Id)
    }

    pub(super) fn message(&self, parts: &Parts<'_>) -> Vec<u8> {
        let pieces: Vec<&[u8]> = self
            .0
            .iter()
            .map(|piece| match piece {
                Piece::Mark(mark) => mark.as_bytes(),
                Piece::Id => parts.id,
                Piece::Timestamp => parts.timestamp,
                Piece::Body => parts.body,
            })
            .collect();
        pieces.concat()
    }

    /// Whether the signed bytes tell where the id is: on its way to the body, the separator next to it is
    /// nowhere before its end. Otherwise part of an id could be signed as part of the body.
    pub(super) fn delimits(&self, id: &[u8]) -> bool {
        let is_text = !id.is_empty() && id.iter().all(u8::is_ascii_graphic);
        let at = |sought: Piece| self.0.iter().position(|piece| *piece == sought);
        let (Some(own), Some(body)) = (at(Piece::Id), at(Piece::Body)) else { return is_text };
        let towards_body = if own < body { own + 1 } else { own - 1 };
        let Piece::Mark(mark) = &self.0[towards_body] else { return false };
        let mark = mark.as_bytes();
        is_text
            && match own < body {
                true => memmem::find(&[id, mark].concat(), mark) == Some(id.len()),
                false => memmem::rfind(&[mark, id].concat(), mark) == Some(0),
            }
    }

    fn has_marks_around_its_id(&self) -> bool {
        let is_mark = |piece: Option<&Piece>| matches!(piece, None | Some(Piece::Mark(_)));
        self.0.iter().enumerate().filter(|(_, piece)| **piece == Piece::Id).all(|(at, _)| {
            is_mark(at.checked_sub(1).map(|before| &self.0[before])) && is_mark(self.0.get(at + 1))
        })
    }
}

impl FromStr for SignedPayload {
    type Err = BadSignedPayload;

    fn from_str(text: &str) -> Result<Self, BadSignedPayload> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let mark_ends = rest.find('{').unwrap_or(rest.len());
            let (mark, part) = rest.split_at(mark_ends);
            if mark.contains('}') {
                return Err(BadSignedPayload::Malformed);
            }
            if !mark.is_empty() {
                pieces.push(Piece::Mark(mark.to_owned()));
            }
            rest = part;
            if let Some(part) = part.strip_prefix('{') {
                let (name, after) = part.split_once('}').ok_or(BadSignedPayload::Malformed)?;
                let piece = match name {
                    "id" => Piece::Id,
                    "timestamp" => Piece::Timestamp,
                    "body" => Piece::Body,
                    _ => return Err(BadSignedPayload::Malformed),
                };
                if pieces.contains(&piece) {
                    return Err(BadSignedPayload::Malformed);
                }
                pieces.push(piece);
                rest = after;
            }
        }
        let signs = Self(pieces);
        if !signs.0.contains(&Piece::Body) {
            return Err(BadSignedPayload::Malformed);
        }
        if !signs.has_marks_around_its_id() {
            return Err(BadSignedPayload::UnmarkedId);
        }
        Ok(signs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(template: &str) -> Result<String, BadSignedPayload> {
        let parts = Parts { id: b"i", timestamp: b"t", body: b"b" };
        Ok(String::from_utf8(template.parse::<SignedPayload>()?.message(&parts)).unwrap())
    }

    #[test]
    fn the_parts_stand_where_they_are_named() {
        for (template, message) in [
            ("{body}", "b"),
            ("{timestamp}{body}", "tb"),
            ("{body}{timestamp}", "bt"),
            ("v0:{timestamp}:{body}", "v0:t:b"),
            ("{id}.{timestamp}.{body}", "i.t.b"),
            ("{timestamp}|{body}|{id}", "t|b|i"),
        ] {
            assert_eq!(signed(template).as_deref(), Ok(message), "{template}");
        }
    }

    #[test]
    fn a_template_without_a_body_or_with_a_part_twice_is_refused() {
        for bad in ["", "{timestamp}", "body", "{body}{body}", "{nonce}{body}", "{body", "body}"] {
            assert_eq!(signed(bad), Err(BadSignedPayload::Malformed), "{bad}");
        }
        for bad in ["{id}{body}", "{timestamp}{id}.{body}", "{body}{id}"] {
            assert_eq!(signed(bad), Err(BadSignedPayload::UnmarkedId), "{bad}");
        }
    }

    #[test]
    fn an_id_may_have_anything_but_the_separator_on_its_way_to_the_body() {
        for (template, good, bad) in [
            ("{id}.{body}", &["msg_2-x"][..], &["", "a.b", "a b", "ä", ".a"][..]),
            ("{id}.{timestamp}.{body}", &["msg_2-x"], &["a.b"]),
            ("id={id};ts={timestamp};{body}", &["0b7e-id=1", "a;b", "ts"], &["a;ts=1"]),
            ("{id}-{body}", &["a.b"], &["1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"]),
            ("{id}||{body}", &["a|b"], &["a|", "a||b"]),
            ("{body}||{id}", &["a|b"], &["|a", "a||b"]),
            ("{body}.{timestamp}.{id}", &["a-b"], &["a.b"]),
        ] {
            let signs: SignedPayload = template.parse().unwrap();
            for id in good {
                assert!(signs.delimits(id.as_bytes()), "{template} {id}");
            }
            for id in bad {
                assert!(!signs.delimits(id.as_bytes()), "{template} {id}");
            }
        }
    }
}
