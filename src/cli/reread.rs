//! Reads the settings again while the service runs: on SIGHUP, when their file has changed, and now and
//! then while they are refused.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

use crate::app::Reread;
use crate::settings::{Environment, Settings};
use crate::telemetry::logs;

/// How often the file is looked at. File notifications would lose a mounted ConfigMap, whose
/// files are swapped behind a symbolic link.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often settings that were refused are read again: a secret that they name may be mounted after them.
const REFUSED_READ_EVERY: Duration = Duration::from_secs(10);

/// A file that changed is read when it has stayed the same for so long: its writer may not
/// be done.
const SETTLES_IN: Duration = Duration::from_millis(500);

/// Most of a file that is looked at, in bytes; settings are not longer.
const LOOKED_AT_MAX: u64 = 2 * 1024 * 1024;

/// What a file said at some time, if it could be read.
#[derive(PartialEq, Eq)]
pub(super) struct Look(Option<[u8; 32]>);

/// Ends with the service. `seen` is from before the settings in force were read, so that no change
/// is missed; `refused` is why those of the file are not in force.
pub(super) async fn watch(
    file: PathBuf,
    mut seen: Look,
    mut refused: Option<String>,
    mut hangup: Signal,
    service: mpsc::Sender<Reread>,
) {
    let files = [file.clone()];
    loop {
        let is_repeat = tokio::select! {
            Some(()) = hangup.recv() => {
                tracing::info!("SIGHUP: reading the settings again");
                false
            }
            () = changed(&files, std::slice::from_ref(&seen), LOOK_EVERY) => {
                tracing::info!("the settings file has changed: reading it again");
                false
            }
            () = tokio::time::sleep(REFUSED_READ_EVERY), if refused.is_some() => true,
        };
        let now = Look::at(&file);
        if is_repeat && now != seen {
            // It may not be written to its end.
            continue;
        }
        seen = now;
        let file = file.clone();
        let load = move || {
            Settings::load(Some(&file), Environment::of_process()).and_then(Settings::for_service)
        };
        let Ok(reread) = tokio::task::spawn_blocking(load).await else { return };
        let faults = reread.as_ref().err().map(|error| logs::chain(error));
        if is_repeat && faults == refused {
            continue;
        }
        refused = faults;
        if service.send(reread).await.is_err() {
            return;
        }
    }
}

/// Resolves when one of the files says something else than in `seen`, and has stayed the same for a while.
/// `every` is how often they are looked at.
pub(super) async fn changed(files: &[PathBuf], seen: &[Look], every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let mut now = Look::at_each(files);
        while now != seen {
            tokio::time::sleep(SETTLES_IN).await;
            let later = Look::at_each(files);
            if later == now {
                return;
            }
            now = later;
        }
    }
}

impl Look {
    pub(super) fn at(file: &Path) -> Self {
        let mut text = Vec::new();
        let read = fs::File::open(file)
            .and_then(|file| file.take(LOOKED_AT_MAX).read_to_end(&mut text))
            .ok();
        Self(read.map(|_| Sha256::digest(&text).into()))
    }

    /// In the order of the files.
    pub(super) fn at_each(files: &[PathBuf]) -> Vec<Self> {
        files.iter().map(|file| Self::at(file)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_swapped_behind_its_link_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(at(to), at(name)).unwrap();
        for (version, text) in [("one", "a: 1"), ("same", "a: 1"), ("other", "a: 2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("postcall.yaml"), text).unwrap();
        }
        link("one", "..data");
        link("..data/postcall.yaml", "postcall.yaml");
        let swap = |to: &str| {
            link(to, "..new");
            fs::rename(at("..new"), at("..data")).unwrap();
            Look::at(&at("postcall.yaml"))
        };
        let seen = Look::at(&at("postcall.yaml"));
        assert!(swap("same") == seen);
        assert!(swap("other") != seen);
        fs::remove_file(at("..data")).unwrap();
        assert!(Look::at(&at("postcall.yaml")) == Look(None));
    }
}
