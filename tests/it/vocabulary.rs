//! Names that were replaced before the first release do not come back: one concept has one name.

use std::path::Path;
use std::process::Command;

/// Settings keys, metrics, flags and identifiers, each with what is used in its place.
const REPLACED: [(&str, &str); 51] = [
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

/// The lines that grep finds, each with the word to write.
fn lines_with(arguments: &[&str], instead: &str) -> Vec<String> {
    let grep = Command::new("grep")
        .args(arguments)
        .args(["src", "config", "deploy", "docs", "README.md", "CONTRIBUTING.md"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("grep can be started");
    let lines = String::from_utf8_lossy(&grep.stdout).into_owned();
    lines.lines().map(|line| format!("{line}\n    write {instead}")).collect()
}
