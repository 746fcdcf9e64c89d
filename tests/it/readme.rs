//! The README is true: what it shows is what comes out, and what it tells to write can be read.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use postcall::cli::Cli;
use postcall::settings::Settings;
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
fn every_verb_stands_in_the_table_of_commands() {
    let readme = include_str!("../../README.md");
    let program = Cli::command();
    let verbs = program.get_subcommands().map(clap::Command::get_name);
    let missing: Vec<_> =
        verbs.filter(|verb| !readme.contains(&format!("\n| `postcall {verb}"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A block with accounts is a file of its own; any other shows what is written over the file before
/// it, as another layer would be; cases are run against that file.
#[test]
fn every_yaml_block_of_the_readme_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases = 0;
    for (file, block) in files_and_blocks() {
        if block.starts_with("cases:") {
            cases += 1;
            run_the_cases(folder.path(), &file, &block);
        } else if let Err(error) = Settings::from_yaml(&file, environment().into_iter().collect()) {
            panic!("{file}\n{error}");
        }
    }
    assert!(settings().len() >= 4 && cases >= 1, "{} files", settings().len());
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

/// The settings files that the YAML blocks show, one after the other.
pub fn settings() -> Vec<String> {
    let is_file = |(file, block): (String, String)| (!block.starts_with("cases:")).then_some(file);
    files_and_blocks().into_iter().filter_map(is_file).collect()
}

/// Each YAML block with the file that it stands for, or is about.
fn files_and_blocks() -> Vec<(String, String)> {
    let mut file = String::new();
    let mut shown = Vec::new();
    for block in blocks("yaml") {
        if block.contains("accounts:") {
            file.clone_from(&block);
        } else if !block.starts_with("cases:") {
            file = laid_over(&file, &block);
        }
        shown.push((file.clone(), block));
    }
    shown
}

/// The secrets that the README's files name.
fn environment() -> [(&'static str, &'static str); 2] {
    [("PLIVO_AUTH_TOKEN", "a-token-of-the-account"), ("TYPEFORM_SECRET", "a-secret-of-the-form")]
}

fn laid_over(file: &str, block: &str) -> String {
    let layer = |text: &str| config::File::from_str(text, config::FileFormat::Yaml);
    let laid: serde_json::Value = config::Config::builder()
        .add_source(layer(file))
        .add_source(layer(block))
        .build()
        .and_then(config::Config::try_deserialize)
        .unwrap();
    // JSON is YAML too.
    serde_json::to_string_pretty(&laid).unwrap()
}

fn run_the_cases(folder: &Path, file: &str, cases: &str) {
    let (settings, test) = (folder.join("postcall.yaml"), folder.join("postcall.test.yaml"));
    std::fs::write(&settings, file).unwrap();
    std::fs::write(&test, cases).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_postcall"))
        .args(["test", "--config"])
        .arg(&settings)
        .envs(environment())
        .output()
        .expect("the cases can be run");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
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
