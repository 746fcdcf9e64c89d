//! The whole service on PostgreSQL.

use crate::postgres::{TestDatabase, is_available};
use crate::test_env::{SETTINGS, TestEnv};

fn serving(database: &TestDatabase) -> TestEnv {
    let url = database.url();
    let mut test_env = TestEnv::of(&SETTINGS.replace("sqlite:@folder@/ledger.db", &url));
    test_env.start();
    test_env
}

fn delivered(database: &TestDatabase) -> i64 {
    database.number("SELECT count(*) FROM submissions WHERE state = 'delivered'")
}

#[test]
fn a_webhook_is_kept_delivered_and_shown_on_postgresql() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = serving(&database);
    assert!(test_env.is_ready());
    let caller = test_env.caller("c-1").at("ivr");
    let thanks = caller.presses("2");
    thanks.assert_status(200);
    assert_eq!(thanks.header("postcall-outcome"), Some("created"));
    let added = caller.clone().asked("problem").presses("1");
    assert_eq!(added.header("postcall-outcome"), Some("updated"));
    test_env.until("it is delivered", || delivered(&database) == 1);
    let heard = test_env.plivo.heard_about("c-1");
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["rating"], 2);

    let shown = test_env.postcall(&["submissions", "list"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("c-1") && shown.contains("delivered"), "{shown}");

    test_env.restart();
    let again = test_env.caller("c-1").at("ivr").presses("2");
    assert_eq!(again.header("postcall-outcome"), Some("duplicate"));
    let doctor = test_env.postcall(&["doctor"]).output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.status.success() && said.contains("is sound: 1 submissions"), "{said}");
}

#[test]
fn two_services_on_one_database_deliver_each_call_once() {
    if !is_available() {
        return;
    }
    const CALLS: usize = 30;
    let database = TestDatabase::new();
    let services = [serving(&database), serving(&database)];
    for n in 0..CALLS {
        services[n % 2].caller(&format!("c-{n}")).has_pressed("4");
        // The sender repeats it, and reaches the other one.
        let repeated = services[(n + 1) % 2].caller(&format!("c-{n}")).presses("4");
        repeated.assert_status(200);
    }
    services[0].until("all are delivered", || delivered(&database) == CALLS as i64);
    for n in 0..CALLS {
        let heard = services.each_ref().map(|it| it.plivo.heard_about(&format!("c-{n}")).len());
        assert_eq!(heard.iter().sum::<usize>(), 1, "c-{n}: {heard:?}");
    }
}
