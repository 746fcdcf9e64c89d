//! Copies of a store in a file, and their way back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use crate::test_env::{SETTINGS, TestEnv};

fn run(test_env: &TestEnv, arguments: &[&str]) -> (Option<i32>, String) {
    let output = test_env.postcall(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn named(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_backup_of_a_store_that_is_served_is_restored_with_everything_that_was_acknowledged() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let folder = test_env.folder().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let (code, said) = run(&test_env, &["backup", "--to", named(&folder)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with(" has a copy: 1 submissions, and the state counts balance\n"), "{said}");
    let copies: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    let [copy] = &copies[..] else { panic!("{copies:?}") };
    let name = copy.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("store-20") && name.ends_with("Z.db"), "{name}");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let restore = ["restore", "--from", named(copy)];
    let (code, said) = run(&test_env, &restore);
    assert_eq!(code, Some(1));
    assert!(said.contains("is in use by another process: stop that one first"), "{said}");
    test_env.stop();
    let (code, said) = run(&test_env, &restore);
    assert_eq!(code, Some(1), "the store is there");
    assert!(said.contains("store.db"), "{said}");
    assert!(said.contains("exists and is not overwritten: move it away"), "{said}");

    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(test_env.folder().join(format!("store.db{suffix}")));
    }
    let (code, said) = run(&test_env, &restore);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("store.db is restored: 1 submissions"), "{said}");
    test_env.start();
    let repeated = test_env.caller("c-1").presses("4");
    assert_eq!(repeated.header("postcall-outcome"), Some("duplicate"));
}

#[test]
fn what_is_missing_is_named_by_its_whole_path() {
    let test_env = TestEnv::of(SETTINGS);
    let folder = test_env.folder();
    let said = |arguments: &[&str]| {
        let ran = test_env.postcall(arguments).current_dir(folder).output().unwrap();
        assert_ne!(ran.status.code(), Some(0), "{arguments:?}");
        String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap()
    };
    std::fs::write(folder.join("store.db"), "").unwrap();
    let to = folder.join("not/there/");
    let refused = said(&["backup", "--store", "store.db", "--to", &format!("{}/", named(&to))]);
    assert!(!refused.contains(".partial"), "{refused}");
    std::fs::remove_file(folder.join("store.db")).unwrap();
    let store = folder.join("store.db");
    for verb in [&["submissions"][..], &["submissions", "replay", "--state", "dead"]] {
        let refused = said(verb);
        assert!(refused.contains(&format!("there is no store {}", named(&store))), "{refused}");
    }
    let serve = test_env
        .postcall(&["serve"])
        .env("POSTCALL__STORE__URL", "sqlite:not/there/store.db")
        .current_dir(folder)
        .output()
        .unwrap();
    let refused = String::from_utf8([serve.stdout, serve.stderr].concat()).unwrap();
    let expected = format!(
        "(store.url) the folder {} must exist and be writable",
        named(&folder.join("not/there"))
    );
    assert!(refused.contains(&expected), "{refused}");
    let other = folder.join("other.db");
    for arguments in [
        &["submissions", "--store", "other.db"][..],
        &["backup", "--store", "other.db", "--to", "copy.db"],
        &["doctor", "--store", "other.db"],
    ] {
        let refused = said(arguments);
        assert!(refused.contains(&format!("there is no store {}", named(&other))), "{refused}");
    }
}

#[test]
fn a_backup_replaces_nothing_and_one_that_is_damaged_is_not_restored() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.start();
    for n in 0..20 {
        test_env.caller(&format!("c-{n}")).has_pressed("4");
    }
    test_env.stop();
    let copy = test_env.folder().join("copy.db");
    std::fs::write(&copy, "of another program").unwrap();
    let backup = ["backup", "--to", named(&copy)];
    let (code, said) = run(&test_env, &backup);
    assert_eq!(code, Some(1));
    assert!(said.contains("copy.db") && said.contains("exists"), "{said}");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "of another program");

    std::fs::remove_file(&copy).unwrap();
    assert_eq!(run(&test_env, &backup).0, Some(0));
    let sound = std::fs::read(&copy).unwrap();
    let change =
        "UPDATE submissions SET due_at = due_at + 1 WHERE seq = (SELECT max(seq) FROM submissions)";
    Connection::open(&copy).unwrap().execute(change, []).unwrap();
    let new = test_env.folder().join("new.db");
    let restore = ["restore", "--from", named(&copy), "--store", named(&new)];
    let (code, said) = run(&test_env, &restore);
    assert_eq!(code, Some(1));
    assert!(said.contains("is not sound; run: postcall doctor --store"), "{said}");
    assert!(!new.exists());
    std::fs::write(&copy, sound).unwrap();
    let (code, said) = run(&test_env, &restore);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is restored: 20 submissions"), "{said}");
}
