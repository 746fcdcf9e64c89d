use crate::clock::Clock;
use crate::random::Random;

/// What the console needs of the service besides the API.
pub struct ConsoleContext {
    pub clock: Clock,
    /// For the nonces of sessions.
    pub random: Random,
    /// The name beside every title.
    pub environment: Option<String>,
}
