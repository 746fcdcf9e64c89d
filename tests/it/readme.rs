//! The README is true: what it shows is what comes out, and what it tells to write can be read.

use std::path::Path;
use std::process::Command;

use postcall::settings::{Environment, Settings};
use postcall::source::SourceReply;

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let demo = Command::new(env!("CARGO_BIN_EXE_postcall"))
        .args(["demo", "--once"])
        .output()
        .expect("the demo can be started");
    let said = String::from_utf8_lossy(&demo.stderr);
    assert!(demo.status.success(), "the demo ended with {}: {said}", demo.status);
    let printed = masked(&String::from_utf8(demo.stdout).unwrap());
    let shown = blocks("text").into_iter().find(|block| block.starts_with("Postcall demo"));
    assert_eq!(shown.unwrap().trim_end(), printed.trim_end());
}

#[test]
fn every_settings_file_of_the_readme_is_well() {
    let settings = settings();
    assert!(settings.len() >= 2);
    for block in settings {
        let environment: Environment = [("PLIVO_AUTH_TOKEN", "a token")].into_iter().collect();
        if let Err(error) = Settings::from_yaml(&block, environment) {
            panic!("{block}\n{error}");
        }
    }
}

#[test]
fn every_answer_xml_of_the_readme_is_well_formed() {
    let documents = blocks("xml");
    assert_eq!(documents.len(), 2, "one question, and two");
    for document in documents {
        SourceReply::xml(document.trim()).expect("the XML is well-formed");
        assert!(document.contains(r#"redirect="false""#));
        assert!(document.contains("#rp=5xx,ct,rt&amp;rc=5&amp;rt=5000"));
    }
}

/// The blocks that are a whole settings file.
pub fn settings() -> Vec<String> {
    blocks("yaml").into_iter().filter(|block| block.contains("sources:")).collect()
}

/// The fenced blocks of a language, without the indentation of the list they may stand in.
fn blocks(language: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let (mut blocks, mut open) = (Vec::new(), None);
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, Some(opened)) => {
                let indent = line.len() - line.trim_start().len();
                Some((opened.to_owned(), indent, String::new()))
            }
            (Some((opened, _, block)), Some(_)) => {
                if opened == language {
                    blocks.push(block);
                }
                None
            }
            (Some((opened, indent, mut block)), None) => {
                block.push_str(line.get(indent..).unwrap_or_default());
                block.push('\n');
                Some((opened, indent, block))
            }
            (None, None) => None,
        };
    }
    blocks
}

/// Ports and the temporary folder differ from run to run.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if let Some(at) = line.find("http://127.0.0.1:") {
            let port = at + "http://127.0.0.1:".len();
            let digits = line[port..].chars().take_while(char::is_ascii_digit).count();
            line.replace_range(port..port + digits, "PORT");
        }
        if let Some(label) = line.strip_prefix("  ledger") {
            let file = Path::new(label.trim()).file_name().unwrap().to_str().unwrap();
            line = format!("  ledger    /tmp/postcall-demo/{file}");
        }
        masked.push_str(&line);
        masked.push('\n');
    }
    masked
}
