//! The signals that stop a service: the first one drains it, another one ends it at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// For how long after the first signal another one is the same. A terminal signals a whole group of
/// processes, and a supervisor in it passes the signal on: it arrives twice, and no one asked to skip the
/// drain.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Resolves with the first SIGTERM or Ctrl-C. A second one, no sooner than a second later, ends the
/// process at once.
///
/// # Errors
/// The signals cannot be listened to.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        actix_web::rt::spawn(async move {
            another(next).await;
            tracing::warn!(
                "second signal: exiting immediately; what is in flight is found at the next start"
            );
            std::process::exit(1);
        });
    })
}

/// Resolves with the first of the next signals that is not the one of now.
async fn another(mut next: impl AsyncFnMut()) {
    let first = Instant::now();
    loop {
        next().await;
        if first.elapsed() >= SAME_SIGNAL {
            return;
        }
        tracing::debug!("a signal within a second of the first is the same signal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When another signal is noticed, with signals at these times after the first.
    async fn noticed(millis: &[u64]) -> u128 {
        let started = Instant::now();
        let mut signals = millis.iter();
        another(async || {
            let millis = signals.next().expect("one of them is another signal");
            tokio::time::sleep_until(started + Duration::from_millis(*millis)).await;
        })
        .await;
        started.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn signal_within_a_second_of_the_first_is_the_same_signal() {
        assert_eq!(noticed(&[0, 1, 999, 1000, 1001]).await, 1000);
        assert_eq!(noticed(&[500, 1600]).await, 1600);
        assert_eq!(noticed(&[60_000]).await, 60_000);
    }
}
