//! Names that were replaced before the first release do not come back: one concept has one name.

use std::path::Path;
use std::process::Command;

/// Settings keys, metrics, flags and identifiers, each with what is used in its place.
const REPLACED: [(&str, &str); 54] = [
    ("postcall_hooks_total", "postcall_webhooks_total"),
    ("postcall_hook_refusals_total", "postcall_webhook_rejections_total"),
    ("postcall_swept_total", "postcall_retention_purged_total"),
    ("postcall_settles_waiting", "postcall_settlements_pending"),
    ("postcall_account_held", "postcall_account_paused"),
    ("postcall_delivery_limit", "postcall_delivery_concurrency_limit"),
    ("postcall_triage_actions_total", "postcall_admin_actions_total"),
    ("postcall_oldest_due_age_seconds", "postcall_queue_oldest_due_age_seconds"),
    ("postcall_submissions_resent_total", "postcall_redeliveries_total"),
    ("postcall_ledger_writable", "postcall_store_writable"),
    ("tombstones", "outcomes"),
    ("hold_probe", "probe_interval"),
    ("only_when", "filter"),
    ("on_refusal", "on_reject"),
    ("at_five", "at_max_rating"),
    ("notes_numbers", "mask_phone_numbers"),
    ("age_max", "max_age"),
    ("--ledger", "--store"),
    ("--because", "--comment"),
    ("--as-was", "--same-payload"),
    ("PrivateDoor", "AdminListener"),
    ("PublicDoor", "PublicListener"),
    ("private door", "admin listener"),
    ("public door", "public listener"),
    ("Rulebook", "CompiledSurvey"),
    ("rulebook", "compiled survey"),
    ("Situation", "CallView"),
    ("Stumbled", "EvalError"),
    ("Surroundings", "RefContext"),
    ("OnRefusal", "OnReject"),
    ("AtFive", "AtMaxRating"),
    ("BadSigns", "BadSignedPayload"),
    ("courier", "dispatcher"),
    ("janitor", "maintenance"),
    ("triage", "operator actions"),
    ("Dossier", "SubmissionDetail"),
    ("Intervention", "AuditEntry"),
    ("onlooker", "read-only"),
    ("salvage", "recover"),
    ("homeless", "orphaned"),
    ("ballast", "write probe"),
    ("Misconfigured", "AccountRejected"),
    ("are_many_of", "is_systemic"),
    ("in_hand", "InFlight"),
    ("Ticket", "LeaseToken"),
    ("anew", "again"),
    ("ledger", "store"),
    ("Door", "Listener"),
    ("door", "listener"),
    ("unlawful", "invalid"),
    ("Stumbles", "Fails"),
    ("gone_at", "purged_at"),
    ("HOOK", "WEBHOOK"),
    ("HoldUntil", "PauseUntil"),
];

/// Words of prose and of identifiers that a reader has to guess at, in any case of letters.
const PLAIN: [(&str, &str); 15] = [
    ("told", "reported, sent or shown"),
    ("heard", "received"),
    ("held", "paused, stored or locked"),
    ("nobody", "no one by name: the caller, the operator, a client"),
    ("somebody", "the caller, the operator, a client"),
    ("whoever", "the caller, the operator, a client"),
    ("lies", "is"),
    ("stands", "is"),
    ("spent", "used"),
    ("mend", "repair or correct"),
    ("mended", "repaired or corrected"),
    ("by hand", "by an operator"),
    ("far side", "destination or Plivo"),
    ("goes on", "continues"),
    ("wants", "requires"),
];

/// Identifiers that had a meaning of their own here. Where one is left, it is the usual word there.
const IDENTIFIERS: [&str; 77] = [
    "House",
    "Room",
    "Floor",
    "Arrow",
    "Face",
    "Ledger",
    "Books",
    "Hook",
    "HookId",
    "Intake",
    "Desk",
    "Said",
    "Told",
    "Heard",
    "Reported",
    "Report",
    "Standing",
    "Changes",
    "Due",
    "Completion",
    "Identity",
    "Courier",
    "Lane",
    "Terms",
    "Begun",
    "Strangers",
    "Limit",
    "Rate",
    "Sign",
    "Breaker",
    "Tried",
    "Reply",
    "Busy",
    "Refused",
    "Janitor",
    "Horizon",
    "Swept",
    "Tombstone",
    "Triage",
    "Sought",
    "Listed",
    "Replaying",
    "LeftOut",
    "Mappable",
    "Done",
    "OnlyLookedAt",
    "Reader",
    "Readers",
    "Opened",
    "When",
    "Refusal",
    "Unreadable",
    "Proof",
    "Signs",
    "Window",
    "Law",
    "Reach",
    "Witness",
    "Tree",
    "Trial",
    "Fate",
    "Facts",
    "Names",
    "Fault",
    "Place",
    "Rehearsal",
    "Cast",
    "Stage",
    "Scene",
    "Strike",
    "Curtain",
    "Oracle",
    "Crowd",
    "World",
    "AsWas",
    "ShownTotals",
    "RunTogether",
];

/// By identifier, the files in which it is the usual word.
const USUAL: [(&str, &str); 16] = [
    ("Reported", "src/cli/"),
    ("Limit", "src/store/sqlite/untrusted.rs"),
    ("Rate", "src/source/plivo_xml.rs"),
    ("Sign", "src/cli/"),
    ("Sign", "src/settings/presets.rs"),
    ("Reply", "src/survey/"),
    ("Reply", "src/source/"),
    ("Reply", "src/cli/"),
    ("Done", "src/"),
    ("Reader", "src/"),
    ("When", "src/settings/"),
    ("Reply", "src/settings/"),
    ("Reply", "src/ingest.rs"),
    ("Proof", "src/survey/"),
    ("Proof", "src/cli/"),
    ("Fault", "src/simulator/"),
];

/// Text that callers hear.
const SPOKEN: &str = "one of you could not be heard";

#[test]
fn no_replaced_name_is_left_in_code_settings_or_docs() {
    let mut found = Vec::new();
    for (word, instead) in REPLACED {
        found.extend(lines_with(&["-rnwF", "-e", word], instead));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_word_of_a_private_language_is_left_in_code_settings_or_docs() {
    let mut found = Vec::new();
    for (word, instead) in PLAIN {
        found.extend(lines_with(&["-rnwiF", "-e", word], instead));
    }
    found.retain(|line| !line.contains(SPOKEN));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_identifier_of_a_private_language_is_left_in_code() {
    let mut found = Vec::new();
    for word in IDENTIFIERS {
        let is_usual = |line: &str| {
            USUAL.iter().any(|(usual, files)| *usual == word && line.starts_with(files))
        };
        let lines = lines_with(&["-rnwF", "--include=*.rs", "-e", word], "the word of the field");
        found.extend(lines.into_iter().filter(|line| is_in_code(line, word) && !is_usual(line)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Whether a line of grep has the identifier before a comment.
fn is_in_code(line: &str, identifier: &str) -> bool {
    let code = line.splitn(3, ':').nth(2).expect("file, number and line");
    let code = code.split("//").next().expect("a first part");
    code.split(|it: char| !it.is_alphanumeric() && it != '_').any(|word| word == identifier)
}

/// The lines that grep finds, each with the word to write.
fn lines_with(arguments: &[&str], instead: &str) -> Vec<String> {
    let grep = Command::new("grep")
        .args(arguments)
        .args([
            "src",
            "config",
            "deploy",
            "docs",
            "README.md",
            "CONTRIBUTING.md",
            "Cargo.toml",
            "scripts",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("grep can be started");
    let lines = String::from_utf8_lossy(&grep.stdout).into_owned();
    lines.lines().map(|line| format!("{line}\n    write {instead}")).collect()
}
