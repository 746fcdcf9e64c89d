use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::Clock;
use crate::console::SourceSetup;
use crate::random::Random;

/// What the console needs of the service besides the API.
pub struct ConsoleContext {
    pub clock: Clock,
    /// For the nonces of sessions.
    pub random: Random,
    /// The name beside every title.
    pub environment: Option<String>,
    pub setups: Arc<Setups>,
}

/// How each source of the settings is set up at its sender.
pub struct Setups(RwLock<Arc<[SourceSetup]>>);

impl Setups {
    pub fn new(setups: Vec<SourceSetup>) -> Self {
        Self(RwLock::new(setups.into()))
    }

    /// Replaces all of them.
    pub fn change(&self, setups: Vec<SourceSetup>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = setups.into();
    }

    /// By the name of the source.
    pub(super) fn list(&self) -> Arc<[SourceSetup]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
