//! A scripted day on which each call of the file system fails once, and for ever.

use super::history::{Failing, History};
use super::say;

#[test]
fn no_call_of_the_file_system_that_fails_loses_anything() {
    let calls = History::day(None);
    say(&format!("io errors: the day makes {calls} calls, of which each fails once and for ever"));
    assert!(calls > 100, "the day asks much of the disk");
    let days: Vec<Failing> =
        (0..calls).flat_map(|call| [call..call + 1, call..usize::MAX]).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for days in days.chunks(days.len().div_ceil(threads)) {
            scope.spawn(move || {
                for failing in days {
                    History::day(Some(failing.clone()));
                }
            });
        }
    });
}
