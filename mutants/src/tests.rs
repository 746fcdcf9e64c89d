//! Tests, each in a process of its own: which mutants it reaches, and which it finds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::build::Woven;

/// Tests that look at sources and documents and not at what is done, and those with mutants of their own.
const LEFT_OUT: [&str; 7] = [
    "architecture::",
    "vocabulary::",
    "readme::",
    "reference::",
    "schema::",
    "dashboard::",
    "flaws::",
];

/// How long the longest test may take, without a mutant.
const LONGEST: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Test {
    executable: PathBuf,
    name: String,
    takes: Duration,
    pub reaches: BTreeSet<usize>,
}

/// Runs each test alone, and returns those that pass, first those that are quick and reach little else: they are about
/// what they reach.
pub fn run_all(
    woven: &Woven,
    mutants: usize,
    names: &[String],
    jobs: usize,
) -> anyhow::Result<Vec<Test>> {
    let mut tests = Vec::new();
    for executable in &woven.tests {
        let output = Command::new(executable).current_dir(&woven.tree).arg("--list").output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            let Some(name) = line.strip_suffix(": test") else { continue };
            let is_asked = names.iter().any(|it| name.contains(it.as_str()));
            if is_asked && !LEFT_OUT.iter().any(|left_out| name.contains(left_out)) {
                let (executable, name) = (executable.clone(), name.to_owned());
                tests.push(Test { executable, name, takes: LONGEST, reaches: BTreeSet::new() });
            }
        }
    }
    let mut tests = crate::parallel(tests, jobs, |mut test| {
        let reached = tempfile::NamedTempFile::new()?;
        reached.as_file().set_len(mutants as u64)?;
        let began = Instant::now();
        let passes = test.passes(&woven.tree, ("MUTANTS_REACHED", reached.path()), LONGEST)?;
        test.takes = began.elapsed();
        let bytes = fs::read(reached.path())?;
        test.reaches = (0..bytes.len()).filter(|at| bytes[*at] == 1).collect();
        Ok((passes, test))
    })?;
    for (passes, test) in &tests {
        if !passes {
            println!("left out, as it fails alone: {}", test.name);
        }
    }
    tests.retain(|(passes, _)| *passes);
    let mut tests: Vec<Test> = tests.into_iter().map(|(_, test)| test).collect();
    tests.sort_by_key(|test| test.takes * u32::try_from(test.reaches.len()).unwrap_or(u32::MAX));
    Ok(tests)
}

/// Whether one of the tests that reach a mutant fails with it twice, or never ends, and passes without it; in their order,
/// for so long.
pub fn find(mutant: usize, tests: &[Test], tree: &Path, within: Duration) -> anyhow::Result<bool> {
    let number = mutant.to_string();
    let began = Instant::now();
    for test in tests.iter().filter(|test| test.reaches.contains(&mutant)) {
        if began.elapsed() > within {
            break;
        }
        let longest = test.takes * 8 + Duration::from_secs(10);
        let with = || test.passes(tree, ("MUTANT", Path::new(&number)), longest);
        if !with()? && !with()? && test.passes(tree, ("MUTANT", Path::new("none")), longest)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Test {
    fn passes(
        &self,
        tree: &Path,
        (name, value): (&str, &Path),
        longest: Duration,
    ) -> anyhow::Result<bool> {
        // Past the time, what the test has started ends with it.
        let status = Command::new("timeout")
            .args(["--kill-after=1", &longest.as_secs().max(1).to_string()])
            .arg(&self.executable)
            .args(["--exact", &self.name])
            .current_dir(tree)
            .env(name, value)
            // What one mutant has shown to fail is not tried with the next.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .env("POSTCALL_TEST_SEED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("running `timeout`")?;
        Ok(status.success())
    }
}
