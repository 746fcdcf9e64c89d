//! Each preset has hooks as its sender sends them beside the feedback that they must become.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{self, Home};

#[test]
fn each_preset_has_samples_that_use_it() {
    let presets = files("config/presets").iter().map(|path| name(path)).collect::<BTreeSet<_>>();
    let folders = files("tests/surveys");
    assert_eq!(presets, folders.iter().map(|path| name(path)).collect());
    for folder in &folders {
        let samples = files(folder);
        assert!(!samples.is_empty(), "{}", folder.display());
        for sample in samples {
            let text = fs::read_to_string(&sample).unwrap();
            let uses = format!("preset: {}", name(folder));
            assert!(text.contains(&uses), "{}", sample.display());
        }
    }
}

#[test]
fn the_samples_of_every_preset_become_the_feedback_they_must() {
    let samples: Vec<PathBuf> = files("tests/surveys").iter().flat_map(files).collect();
    let arguments = samples.iter().map(|sample| sample.to_str().unwrap());
    let arguments: Vec<_> = std::iter::once("test").chain(arguments).collect();
    // Each brings its own settings.
    let ran = process::run(&arguments, &Home::new("").settings());
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

fn files(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}
