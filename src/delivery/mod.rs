//! OUT: what is due is leased, mapped, handed over and settled.
//!
//! The [`Courier`] does the work, the janitor looks after the figures. Both run on a thread of
//! their own, because awc's client cannot leave the thread that made it. What an answer means is
//! the destination's to say, what follows for one submission is
//! [`RetryPolicy`](crate::submission::RetryPolicy)'s, and the store remembers. What follows for an
//! account is told by what the courier has learnt of it: its pace, whether anybody can be reached,
//! and whether most of its submissions would die of one cause.

mod breaker;
mod courier;
mod in_hand;
mod janitor;
mod lane;
mod offer;
mod pace;
mod parts;
mod refusals;
mod secrets;
mod tell;

pub use courier::Courier;
pub use parts::{Options, Parts, Retention, Terms};

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::LocalSet;

/// Delivery on its own thread.
pub struct Delivery {
    stop: watch::Sender<Option<Duration>>,
    thread: JoinHandle<()>,
}

impl Delivery {
    /// # Errors
    /// Where the system gives no thread or no event queue.
    pub fn start(parts: Parts) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("courier".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let sweeping = tokio::task::spawn_local(janitor::run(parts.clone()));
                Courier::new(parts).run(stopped).await;
                sweeping.abort();
            });
        })?;
        Ok(Self { stop, thread })
    }

    /// Takes nothing new, waits up to `deadline` for what is in flight, and settles it. What is
    /// still open then is found as an unknown result at the next start.
    pub async fn stop(self, deadline: Duration) {
        // Nobody listens where the courier has ended already; joining tells.
        let _ = self.stop.send(Some(deadline));
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the courier did not end well");
        }
    }
}
