use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use uuid::Uuid;

use super::child::Children;
use crate::clock::Clock;
use crate::console::SourceSetup;
use crate::random::Random;

/// What the console needs of the service besides the API.
pub struct ConsoleContext {
    pub(super) clock: Clock,
    /// For the nonces of sessions.
    pub(super) random: Random,
    /// Of the playground.
    pub(super) children: Children,
    config: RwLock<Arc<ConsoleConfig>>,
    /// How often the settings were replaced.
    revision: AtomicU64,
    /// Of this start: no page of another is known here.
    incarnation: Uuid,
}

/// What the console needs of the settings.
#[derive(Debug, Clone, Default)]
pub struct ConsoleConfig {
    /// The name beside every title.
    pub environment: Option<String>,
    /// How each source is set up at its sender, by its name.
    pub setups: Vec<SourceSetup>,
    pub playground: PlaygroundConfig,
}

/// What the playground begins with.
#[derive(Debug, Clone, Default)]
pub struct PlaygroundConfig {
    /// The surveys in force, as they are written.
    pub rules: String,
    /// Webhooks of a caller.
    pub webhooks: String,
    /// The other sections that the rules need, without a secret.
    pub sections: Value,
}

impl ConsoleContext {
    pub fn new(clock: Clock, random: Random, config: ConsoleConfig) -> Self {
        let incarnation = random.uuid_v7(clock.now());
        Self {
            clock,
            random,
            children: Children::default(),
            config: RwLock::new(Arc::new(config)),
            revision: AtomicU64::default(),
            incarnation,
        }
    }

    /// Replaces the configuration from now on, after that of everything else that pages show.
    pub fn change(&self, config: ConsoleConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// Which settings pages are made with: another value after each change, and after each start.
    pub(super) fn revision(&self) -> (Uuid, u64) {
        (self.incarnation, self.revision.load(Ordering::Acquire))
    }

    pub(super) fn config(&self) -> Arc<ConsoleConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
