//! The fuzz targets, with a stable compiler: over their corpora, and over mutations of them from a seed
//! that is printed. `POSTCALL_TEST_SEED` repeats a run, `POSTCALL_FUZZ_INPUTS` makes it longer.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic;
use std::path::Path;

use fastrand::Rng;

type Target = fn(&[u8]);

/// Mutated inputs of each target where nothing else is said: a second or two.
const INPUTS: usize = 1000;

/// Longest input, in bytes.
const LENGTH_MAX: usize = 4096;

/// What means something to some target.
const TOKENS: &[&str] = &[
    "CallUUID",
    "CallSid",
    "Digits",
    "Speech",
    "InputType=speech",
    "HangupCause",
    "To",
    "From",
    "C=",
    "X-PH-Note",
    "call_uuid=",
    "question=",
    "&",
    "=",
    ".",
    "%26",
    "%3D",
    "\n",
    "twilio",
    "plivo",
    "get",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "1e99",
    "-1",
    "payload_hash",
    "\"alg\":\"HS256\"",
    "iat",
    "json:$",
    "..",
    "[?@.a == 'b']",
    "*",
    " > ",
    "base64",
    "<Response>",
    "</Response>",
    "<Speak>",
    "<!--",
    "<![CDATA[",
    "&amp;",
    "&#0;",
    "\"v\":1",
    "answers",
    "late",
    "attempts",
];

#[test]
fn no_target_finds_anything_in_its_corpus_and_near_it() {
    let seed = match std::env::var("POSTCALL_TEST_SEED") {
        Ok(seed) => seed.parse().expect("POSTCALL_TEST_SEED is a whole number"),
        Err(_) => fastrand::u64(..),
    };
    let inputs = match std::env::var("POSTCALL_FUZZ_INPUTS") {
        Ok(inputs) => inputs.parse().expect("POSTCALL_FUZZ_INPUTS is a whole number"),
        Err(_) => INPUTS,
    };
    eprintln!("POSTCALL_TEST_SEED={seed} POSTCALL_FUZZ_INPUTS={inputs}");
    let targets: [(&str, Target); 5] = [
        ("cuts", targets::cuts),
        ("jwt", targets::jwt),
        ("jsonpath", targets::jsonpath),
        ("xml", targets::xml),
        ("document", targets::document),
    ];
    for (name, target) in targets {
        let corpus = corpus(name);
        for input in &corpus {
            run(name, target, input);
        }
        let mut rng = Rng::with_seed(seed);
        for _ in 0..inputs {
            run(name, target, &mutated(&corpus, &mut rng));
        }
    }
}

#[test]
fn every_target_is_one_of_cargo_fuzz_and_has_a_corpus() {
    let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
    let named: Vec<&str> =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
    assert_eq!(named, ["cuts.rs\"", "jwt.rs\"", "jsonpath.rs\"", "xml.rs\"", "document.rs\""]);
    let documented = fs::read_to_string("CONTRIBUTING.md").unwrap();
    for target in named.iter().map(|name| name.trim_end_matches(".rs\"")) {
        assert!(corpus(target).len() >= 3, "{target}");
        assert!(documented.contains(&format!("| `{target}` |")), "{target} is not documented");
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Shows the input that a target minds.
fn run(name: &str, target: Target, input: &[u8]) {
    if panic::catch_unwind(|| target(input)).is_err() {
        panic!("{name} minds {:?}", String::from_utf8_lossy(input));
    }
}

fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = rng.choice(corpus).expect("a corpus holds something").clone();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=input.len());
        let end = rng.usize(at..=input.len().min(at + 16));
        match rng.u8(..7) {
            0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
            1 if at < input.len() => input[at] = rng.u8(..),
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            4 => {
                let other = rng.choice(corpus).expect("a corpus holds something");
                let from = rng.usize(..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let token = rng.choice(TOKENS).expect("there are tokens");
                input.splice(at..end.min(at + rng.usize(..3)), token.bytes());
            }
        }
    }
    input.truncate(LENGTH_MAX);
    input
}
