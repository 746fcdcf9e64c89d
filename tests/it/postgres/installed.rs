//! The PostgreSQL that is installed on this machine; the load benchmark uses it too.

use std::path::PathBuf;

/// Where Debian has the binaries of its releases of PostgreSQL.
const INSTALLED: &str = "/usr/lib/postgresql";

/// The folder of the newest release that is installed.
pub fn newest_binaries() -> Option<PathBuf> {
    let releases = std::fs::read_dir(INSTALLED).ok()?;
    let mut releases: Vec<(u32, PathBuf)> = releases
        .filter_map(|release| {
            let path = release.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .filter(|(_, binaries)| binaries.join("postgres").exists())
        .collect();
    releases.sort();
    releases.pop().map(|(_, binaries)| binaries)
}
