//! The README and the book are correct: what they show is what is printed, and every settings file,
//! case and command in them is accepted.

use std::path::Path;
use std::process::{Command, Output};

use clap::{CommandFactory, Parser};
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
    let printed = String::from_utf8(demo.stdout).unwrap();
    let shown = blocks("text").into_iter().find(|block| block.starts_with("Postcall demo"));
    assert_eq!(shown.unwrap().trim_end(), printed.trim_end());
    // Nothing serves them any more.
    assert!(!printed.contains("http://"), "{printed}");
}

#[test]
fn every_verb_stands_in_the_table_of_commands() {
    let readme = include_str!("../../docs/reference/cli.md");
    let program = Cli::command();
    let verbs = program.get_subcommands().filter(|it| !it.is_hide_set());
    let verbs = verbs.map(clap::Command::get_name);
    let missing: Vec<_> =
        verbs.filter(|verb| !readme.contains(&format!("\n| `postcall {verb}"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A block with accounts is a file of its own; any other changes keys of the last such file on its
/// page, as another layer would; cases are run against the block before them.
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
    assert!(documents.len() >= 3, "one question, twice, and two");
    for document in documents {
        SourceReply::xml(document.trim()).expect("the XML is well-formed");
        assert!(document.contains(r#"redirect="false""#));
        assert!(document.contains("#rp=5xx,ct,rt&amp;rc=5&amp;rt=5000"));
    }
}

/// The quickstart's commands are run by `scripts/quickstart`.
#[test]
fn every_command_in_a_shell_block_is_accepted_by_the_command_line() {
    let text = blocks("sh").join("").replace("\\\n", " ");
    let commands: Vec<_> = text
        .lines()
        .flat_map(|line| line.split('|'))
        .filter_map(|part| part.trim().strip_prefix("postcall "))
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let words = command.split(['#', '&', '>']).next().unwrap().split_whitespace();
        if let Err(error) = Cli::try_parse_from(std::iter::once("postcall").chain(words)) {
            panic!("postcall {command}\n{error}");
        }
    }
}

#[test]
fn the_readme_shows_the_table_that_check_prints() {
    let folder = tempfile::tempdir().unwrap();
    let readme = include_str!("../../README.md");
    let file = folder.path().join("postcall.yaml");
    std::fs::write(&file, &blocks_of(readme, "yaml")[0]).unwrap();
    let checked = postcall("check", &file);
    let printed = String::from_utf8_lossy(&checked.stdout);
    let shown = blocks_of(readme, "text");
    let table = shown.iter().find(|block| block.starts_with("survey ")).unwrap();
    assert!(printed.contains(table.trim_end()), "check prints\n{printed}\nand not\n{table}");
}

/// The settings files that the YAML blocks show, one after the other.
pub fn settings() -> Vec<String> {
    let is_file = |(file, block): (String, String)| (!block.starts_with("cases:")).then_some(file);
    files_and_blocks().into_iter().filter_map(is_file).collect()
}

/// Each YAML block with the file that it stands for, or is about.
fn files_and_blocks() -> Vec<(String, String)> {
    pages().iter().flat_map(|page| files_and_blocks_of(page)).collect()
}

fn files_and_blocks_of(page: &str) -> Vec<(String, String)> {
    let (mut whole, mut file) = (String::new(), String::new());
    let mut shown = Vec::new();
    for block in blocks_of(page, "yaml") {
        if block.contains("accounts:") {
            whole.clone_from(&block);
            file.clone_from(&block);
        } else if !block.starts_with("cases:") {
            file = laid_over(&whole, &block);
        }
        shown.push((file.clone(), block));
    }
    shown
}

/// The secrets that the files name.
fn environment() -> [(&'static str, &'static str); 14] {
    const SECRET: &str = "a-secret-of-a-sender";
    [
        ("PLIVO_AUTH_TOKEN", "a-token-of-the-account"),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("CONNECT_SECRET", SECRET),
        ("DELIGHTED_API_KEY", SECRET),
        ("GENESYS_TOKEN", SECRET),
        ("HOOK_SECRET", SECRET),
        ("JAMBONZ_PASSWORD", SECRET),
        ("JAMBONZ_WEBHOOK_SECRET", SECRET),
        ("PHLO_TOKEN", SECRET),
        ("TWILIO_AUTH_TOKEN", SECRET),
        ("TYPEFORM_SECRET", SECRET),
        ("VONAGE_SIGNATURE_SECRET", SECRET),
        ("YEASTAR_SECRET", SECRET),
        ("ZENDESK_SECRET", SECRET),
    ]
}

/// Runs a command on a settings file, with the secrets that the files name.
fn postcall(command: &str, settings: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postcall"))
        .args([command, "--config"])
        .arg(settings)
        .envs(environment())
        .output()
        .expect("the command can be run")
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
    let ran = postcall("test", &settings);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

/// The README, and each page of the book.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("docs")];
    let mut files = vec![root.join("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// The fenced blocks of a language in all pages.
fn blocks(language: &str) -> Vec<String> {
    pages().iter().flat_map(|page| blocks_of(page, language)).collect()
}

/// The fenced blocks of a language, without the indentation of the list that holds them.
fn blocks_of(text: &str, language: &str) -> Vec<String> {
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
