//! Delivery: what is due is claimed, sent and settled.
//!
//! The [`Dispatcher`] does the work; maintenance reads statistics and purges. Both run on a thread of
//! their own, because awc's client cannot leave the thread that made it. What a response means is the
//! destination's to say, what follows for a submission is
//! [`RetryPolicy`](crate::submission::RetryPolicy)'s, and the store records it. What follows for an
//! account depends on what the dispatcher has learnt of it: its pace, whether the destination can be
//! reached, and whether most submissions would die of one cause.

mod account_state;
mod breaker;
mod clock_watch;
mod dispatcher;
mod failure_window;
mod failures;
mod in_flight;
mod maintenance;
mod options;
mod punctuality;
mod report;
mod secrets;
mod throttle;
mod trusted_time;

pub use dispatcher::Dispatcher;
pub use maintenance::Maintenance;
pub use options::{Context, DeliveryConfig, Options, Retention};

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::LocalSet;

/// Delivers and maintains until `stop` has a value: the time it may take to finish. Runs within a
/// `LocalSet`.
pub async fn run(context: Context, stop: watch::Receiver<Option<Duration>>) {
    let dispatcher = Dispatcher::new(context);
    let maintenance = dispatcher.maintenance().run();
    let delivery = dispatcher.run(stop);
    tokio::select! {
        biased;
        () = maintenance => {}
        () = delivery => {}
    }
}

/// Delivery on its own thread.
pub struct Delivery {
    stop: watch::Sender<Option<Duration>>,
    thread: JoinHandle<()>,
}

impl Delivery {
    /// # Errors
    /// The system gives no thread or no event queue.
    pub fn start(context: Context) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread =
            std::thread::Builder::new().name("dispatcher".to_owned()).spawn(move || {
                LocalSet::new().block_on(&runtime, run(context, stopped));
            })?;
        Ok(Self { stop, thread })
    }

    /// Claims nothing new, waits up to `deadline` for what is in flight, and settles it. What is still
    /// open then is found as an unknown result at the next start.
    pub async fn stop(self, deadline: Duration) {
        // The dispatcher may have ended already; joining tells.
        let _ = self.stop.send(Some(deadline));
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the dispatcher panicked");
        }
    }
}
