//! Files of the console: their names hold a digest, so that a browser may keep them for ever.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A file that pages refer to.
pub struct Asset {
    /// Below `/console/assets/`.
    pub name: String,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css", include_bytes!("console.css")));

pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "js", "text/javascript", include_bytes!("console.js")));

pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("icon.svg")));

/// The file with that name.
pub fn asset(name: &str) -> Option<&'static Asset> {
    [&STYLE, &SCRIPT, &ICON].into_iter().map(LazyLock::force).find(|asset| asset.name == name)
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, bytes: &'static [u8]) -> Self {
        let digest = HEXLOWER.encode(&Sha256::digest(bytes)[..8]);
        Self { name: format!("{stem}.{digest}.{ending}"), content_type: kind, bytes }
    }

    /// Where a page finds it.
    pub(super) fn path(&self) -> String {
        format!("/console/assets/{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_and_the_module_keep_their_weight() {
        assert!(STYLE.bytes.len() <= 24 * 1024, "{} bytes of CSS", STYLE.bytes.len());
        assert!(SCRIPT.bytes.len() <= 16 * 1024, "{} bytes of JavaScript", SCRIPT.bytes.len());
        let lines = SCRIPT.bytes.iter().filter(|byte| **byte == b'\n').count();
        assert!(lines <= 400, "{lines} lines of JavaScript");
    }
}
