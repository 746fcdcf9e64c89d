//! Examples of each command, which its `--help` and its manual page show.

use clap::Command;

/// By the command's path, without the program's name.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("", &["postcall demo --once", "postcall init", "postcall check", "postcall serve"]),
    (
        "serve",
        &[
            "postcall serve",
            "postcall serve --config /etc/postcall/postcall.yaml --strict",
            "postcall serve --dev",
        ],
    ),
    (
        "check",
        &[
            "postcall check",
            "postcall check postcall.yaml --without-secrets",
            "postcall check --output github",
        ],
    ),
    (
        "init",
        &[
            "postcall init",
            "postcall init --preset plivo --scale 0-10 --survey quality",
            "postcall init --preset typeform --yes --output forms.yaml",
        ],
    ),
    (
        "explain",
        &[
            "postcall explain request.http",
            "echo 'CallUUID=my-call-1&Digits=2' | postcall explain --source ivr -",
            "postcall sign ivr --call my-call-1 --digits 2 | postcall explain -",
            "postcall explain request.http --explain-signature",
            "postcall explain request.http --watch",
        ],
    ),
    (
        "test",
        &[
            "postcall test",
            "postcall test postcall.yaml --without-secrets",
            "postcall test quality.test.yaml --filter echo",
            "postcall test --output junit > report.xml",
        ],
    ),
    (
        "diff",
        &[
            "postcall diff postcall.yaml new.yaml",
            "postcall diff postcall.yaml new.yaml --store postcall.db --since 30d",
            "postcall diff postcall.yaml new.yaml --output markdown",
        ],
    ),
    ("schema", &["postcall schema > postcall.schema.json"]),
    ("openapi", &["postcall openapi > openapi.json"]),
    (
        "xml",
        &[
            "postcall xml quality",
            "postcall xml quality --language es-ES > answer.xml",
            "postcall xml quality --source ivr",
        ],
    ),
    (
        "simulate",
        &[
            "postcall simulate",
            "postcall simulate --listen 127.0.0.1:4010 --auth-id MAXXXXXXXXXXXXXXXXXX --auth-token made-up",
        ],
    ),
    (
        "sign",
        &[
            "postcall sign ivr --call my-call-1 --digits 4 | sh",
            "postcall sign ivr --call my-call-1 --question problem --digits 2 --to http://127.0.0.1:8080 --send",
            "postcall sign ivr --call my-call-1 --digits 4 | postcall explain -",
            "postcall sign ivr --test --digits 4 --send",
            "postcall sign form --json @form.json",
        ],
    ),
    (
        "doctor",
        &[
            "postcall doctor",
            "postcall doctor --store postcall.db",
            "postcall doctor --store postcall.db --recover recovered.db",
        ],
    ),
    (
        "backup",
        &[
            "postcall backup --to /var/backups/postcall/",
            "postcall backup --store postcall.db --to copy.db",
        ],
    ),
    (
        "restore",
        &[
            "postcall restore --from /var/backups/postcall/postcall-20261129T170000Z.db",
            "postcall restore --from copy.db --store postcall.db",
        ],
    ),
    (
        "migrate",
        &[
            "postcall migrate --from sqlite:postcall.db",
            "postcall migrate --from sqlite:/var/lib/postcall/postcall.db --config postgres.yaml",
        ],
    ),
    (
        "submissions",
        &[
            "postcall submissions --state dead --since 24h",
            "postcall submissions show 019ad1c2-7f5e-7c11-9a3b-4f6d2e8b1a70",
        ],
    ),
    (
        "submissions list",
        &[
            "postcall submissions list --call b38149eb-b8fe-45d5-85b2-78ee4424788f",
            "postcall submissions list --state dead --reason unmapped --trace",
        ],
    ),
    (
        "submissions show",
        &[
            "postcall submissions show 019ad1c2",
            "postcall submissions show b38149eb-b8fe-45d5-85b2-78ee4424788f --as-test > real.test.yaml",
        ],
    ),
    (
        "submissions replay",
        &[
            "postcall submissions replay --state dead --since 24h --dry-run",
            "postcall submissions replay 019ad1c2-7f5e-7c11-9a3b-4f6d2e8b1a70",
        ],
    ),
    (
        "submissions discard",
        &["postcall submissions discard --state dead --reason unmapped --comment 'test calls'"],
    ),
    ("submissions erase", &["postcall submissions erase b38149eb-b8fe-45d5-85b2-78ee4424788f"]),
    (
        "submissions export",
        &[
            "postcall submissions export --since 30d > submissions.jsonl",
            "postcall submissions export --format csv --to submissions.csv",
        ],
    ),
    ("accounts", &["postcall accounts", "postcall accounts resume main"]),
    ("accounts list", &["postcall accounts list --output json"]),
    ("accounts pause", &["postcall accounts pause main --comment 'maintenance at Plivo'"]),
    ("accounts resume", &["postcall accounts resume main"]),
    ("quarantine", &["postcall quarantine", "postcall quarantine retry"]),
    ("quarantine list", &["postcall quarantine list --output json"]),
    ("quarantine show", &["postcall quarantine show 019ad1c2-7f5e-7c11-9a3b-4f6d2e8b1a70"]),
    (
        "quarantine retry",
        &["postcall quarantine retry", "postcall quarantine retry --source ivr --current-survey"],
    ),
    ("quarantine drop", &["postcall quarantine drop --source ivr"]),
    ("rejections", &["postcall rejections", "postcall rejections --output json"]),
    (
        "completions",
        &[
            "postcall completions bash > ~/.local/share/bash-completion/completions/postcall",
            "postcall completions zsh > _postcall",
            "postcall completions fish > ~/.config/fish/completions/postcall.fish",
        ],
    ),
    ("man", &["postcall man > postcall.1", "postcall man --to /usr/local/share/man/man1"]),
    ("demo", &["postcall demo", "postcall demo --once"]),
];

/// The command line with the examples before what else its helps end with.
pub(super) fn with_examples(program: Command) -> Command {
    added(program, "")
}

fn added(command: Command, path: &str) -> Command {
    let below = |sub: Command| {
        let path = format!("{path} {}", sub.get_name());
        added(sub, path.trim_start())
    };
    let command = command.mut_subcommands(below);
    let Some((_, examples)) = EXAMPLES.iter().find(|(known, _)| *known == path) else {
        return command;
    };
    let mut help = format!("Examples:\n  {}", examples.join("\n  "));
    if let Some(rest) = command.get_after_help() {
        help.push_str(&format!("\n\n{rest}"));
    }
    command.after_help(help)
}
