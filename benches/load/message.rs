//! A message of HTTP/1.1 with a length, as both ends of the benchmark read it.

use anyhow::{Context, ensure};

/// Longest message, in bytes; what is measured sends far less.
pub const MESSAGE_MAX: usize = 4096;

/// A whole message.
pub struct Message<'a> {
    head: &'a [u8],
    /// With its body, in bytes.
    pub length: usize,
}

impl<'a> Message<'a> {
    /// The message that `bytes` begin with, once it is whole.
    ///
    /// # Errors
    /// If it is longer than [`MESSAGE_MAX`], or its length is no number.
    pub fn read(bytes: &'a [u8]) -> anyhow::Result<Option<Self>> {
        let message = match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => {
                let head = &bytes[..end];
                let body = header(head, "content-length").map_or(Ok(0), |length| {
                    std::str::from_utf8(length)?.parse::<usize>().context("a content-length")
                })?;
                Some(Self { head, length: end + 4 + body })
            }
            None => None,
        };
        let needed = message.as_ref().map_or(bytes.len() + 1, |message| message.length);
        ensure!(needed <= MESSAGE_MAX, "a message is too long");
        Ok(message.filter(|message| message.length <= bytes.len()))
    }

    pub fn first_line(&self) -> &'a [u8] {
        lines(self.head).next().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        header(self.head, name)
    }
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines(head).skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end)
}
