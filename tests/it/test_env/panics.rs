//! A panic on a thread of the service is caught there and would go unnoticed.

use std::panic;
use std::sync::{Mutex, Once};
use std::thread;

/// Names of threads that run the service or Plivo's stand-in; a test's own is named by the test.
const SERVING: [&str; 6] = ["service", "actix", "dispatcher", "store", "checkpoint", "tokio"];

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            let thread = thread::current().name().unwrap_or_default().to_owned();
            if SERVING.iter().any(|serving| thread.starts_with(serving)) {
                SEEN.lock().unwrap().push(format!("{thread}: {panicked}"));
            }
            usual(panicked);
        }));
    });
}

/// All tests share one process, so this may blame a test for its neighbour; it never misses one.
#[track_caller]
pub fn assert_none() {
    let seen = SEEN.lock().unwrap().clone();
    assert!(seen.is_empty(), "{seen:#?}");
}
