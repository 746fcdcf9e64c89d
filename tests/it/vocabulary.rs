//! Names that were replaced before the first release do not come back: one concept has one name.

use std::path::Path;
use std::process::Command;

/// Settings keys, metrics, flags and identifiers, each with what is used in its place.
const REPLACED: [(&str, &str); 46] = [
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
];

#[test]
fn no_replaced_name_is_left_in_code_settings_or_docs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for (word, instead) in REPLACED {
        let grep = Command::new("grep")
            .args(["-rnwF", "-e", word, "src", "config", "deploy", "docs", "README.md"])
            .current_dir(root)
            .output()
            .expect("grep can be started");
        let lines = String::from_utf8_lossy(&grep.stdout).into_owned();
        found.extend(lines.lines().map(|line| format!("{line}\n    write {instead}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
