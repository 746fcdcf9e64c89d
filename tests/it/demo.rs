//! What `postcall demo --days` begins with.

use postcall::cli::demo::history::write;
use postcall::settings::{Environment, Settings};
use postcall::store::sqlite::ReadOnly;

#[test]
fn a_history_has_calls_of_every_end_and_none_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postcall.db");
    let url = ("POSTCALL__STORE__URL", format!("sqlite:{}", path.display()));
    let environment: Environment = [url].into_iter().collect();
    let settings =
        Settings::from_yaml(include_str!("../../config/demo.yaml"), environment).unwrap();
    let now = "2026-05-04T12:00:00Z".parse().unwrap();
    actix_web::rt::System::new().block_on(write(&settings, 4, now)).unwrap();
    let store = ReadOnly::open(&path).unwrap();
    let counts = store.statistics().unwrap().counts;
    assert!(counts.balance() && counts.waiting() == 0, "{counts:?}");
    assert!(counts.delivered > 40 && counts.ignored > 5, "{counts:?}");
    let rows = store.search(&Default::default(), None, 500).unwrap().submissions;
    assert_eq!(rows.len() as u64, counts.accepted);
    assert!(rows.iter().all(|it| it.accepted_at < now && it.settled_at.unwrap() < now));
}
