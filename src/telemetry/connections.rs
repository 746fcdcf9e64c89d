use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use strum::{IntoStaticStr, VariantArray};

/// A listener of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Listener {
    Public,
    Admin,
}

/// What an open connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ConnectionState {
    /// Its next request; it has been served before.
    Idle,
    /// The rest of a request's head, or its first byte on a new connection.
    Head,
    /// The rest of a request's body.
    Body,
    /// The service: the request has arrived, its response has not been sent.
    Responding,
    /// The rest of a body that the service does not want; then it is closed.
    Draining,
}

/// Why the service closed a connection that its client would have kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CloseReason {
    IdleTimeout,
    HeadTimeout,
    BodyTimeout,
    /// The client did not read its response.
    ResponseTimeout,
    /// A head or a body beyond every limit.
    TooLarge,
    /// What it sent is no HTTP.
    Malformed,
    /// It kept the listener waiting longest while that was near its limit of connections.
    Crowded,
}

/// The metrics of the connections of one listener.
#[derive(Clone)]
pub struct ListenerMetrics {
    /// In the order of [`ConnectionState::ALL`].
    open: [IntGauge; ConnectionState::ALL.len()],
    /// In the order of [`CloseReason::ALL`].
    closed: [IntCounter; CloseReason::ALL.len()],
    limit: IntGauge,
}

impl Listener {
    pub const ALL: [Listener; Listener::VARIANTS.len()] =
        *Listener::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}

impl ConnectionState {
    pub const ALL: [ConnectionState; ConnectionState::VARIANTS.len()] =
        *ConnectionState::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}

impl CloseReason {
    pub const ALL: [CloseReason; CloseReason::VARIANTS.len()] =
        *CloseReason::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}

impl ListenerMetrics {
    pub(super) fn new(
        listener: Listener,
        open: &IntGaugeVec,
        closed: &IntCounterVec,
        limit: &IntGaugeVec,
    ) -> Self {
        let listener = listener.label();
        Self {
            open: ConnectionState::ALL
                .map(|state| open.with_label_values(&[listener, state.label()])),
            closed: CloseReason::ALL
                .map(|reason| closed.with_label_values(&[listener, reason.label()])),
            limit: limit.with_label_values(&[listener]),
        }
    }

    /// So many connections may be open at once.
    pub fn limit_is(&self, limit: usize) {
        self.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Adds to the number of connections in a state.
    pub fn connections_changed(&self, state: ConnectionState, difference: i64) {
        self.open[state as usize].add(difference);
    }

    /// The service closed a connection.
    pub fn connection_closed(&self, reason: CloseReason) {
        self.closed[reason as usize].inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_reason_of_a_connection_has_its_own_series() {
        for (index, state) in ConnectionState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index, "{state:?}");
        }
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
        }
    }
}
