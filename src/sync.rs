//! Locks, channels and threads whose interleavings are tried: those of `std` and `tokio` and, in the unit tests of
//! this crate, those of `shuttle`, which decides at each of them who runs next.

#[cfg(not(test))]
pub use std::{
    sync::{RwLock, RwLockReadGuard, atomic, mpsc},
    thread,
};

#[cfg(not(test))]
pub use tokio::sync::oneshot;

#[cfg(test)]
pub use shuttle::{
    sync::{RwLock, RwLockReadGuard, atomic, mpsc},
    thread,
};

/// Tokio's, but the one that is answered may run before anything else happens.
#[cfg(test)]
pub mod oneshot {
    use tokio::sync::oneshot;
    pub use tokio::sync::oneshot::Receiver;

    pub struct Sender<T>(oneshot::Sender<T>);

    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Sender(sender), receiver)
    }

    impl<T> Sender<T> {
        pub fn send(self, value: T) -> Result<(), T> {
            let sent = self.0.send(value);
            shuttle::thread::yield_now();
            sent
        }

        #[cfg(feature = "flaws")]
        pub fn is_closed(&self) -> bool {
            self.0.is_closed()
        }
    }
}
