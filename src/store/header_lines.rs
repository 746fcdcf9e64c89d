//! The headers of a quarantined webhook as one column.

use crate::domain::Headers;

/// Neither a name nor a value of a header has a line break, nor a name a colon.
pub(super) fn to_lines(headers: &Headers) -> Vec<u8> {
    headers
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), b": ", value, b"\n"].concat())
        .collect()
}

pub(super) fn from_lines(lines: &[u8]) -> Headers {
    let mut headers = Headers::default();
    for line in lines.split(|byte| *byte == b'\n') {
        if let Some(colon) = line.windows(2).position(|pair| pair == b": ")
            && let Ok(name) = str::from_utf8(&line[..colon])
        {
            headers.push(name, &line[colon + 2..]);
        }
    }
    headers
}
