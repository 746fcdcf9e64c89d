use std::time::Duration;

use crate::telemetry::{CloseReason, ConnectionState};

/// How long a connection may wait for its client, and how much it may take from it. actix has timers
/// of its own, but its head timer guards the first request alone, one byte ends its keep-alive timer,
/// and it drains a chunked body for ever.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most connections that are open at once, in one worker.
    pub connections: usize,
    /// Until its next request begins.
    pub idle: Duration,
    /// From the first byte of a head, or from accept, to the head's end.
    pub head: Duration,
    /// From the end of a head to the end of its body; the same again to drain one that is not wanted.
    pub body: Duration,
    /// In which the client takes nothing of its response.
    pub response: Duration,
    /// Most bytes of a head; actix itself keeps 128 KiB.
    pub head_bytes: usize,
    /// Most bytes of a request, with the frames of its chunks and what is drained of it.
    pub request_bytes: u64,
}

/// A connection, as the bounds see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub state: ConnectionState,
    /// How long it has been in that state.
    pub time: Duration,
    /// How long its client has taken nothing of what was written.
    pub unread: Option<Duration>,
}

/// A client that waits for nothing sends its whole request at once. One that has not done so for this
/// long can be closed where others need its place.
const CROWDED_AFTER: Duration = Duration::from_secs(1);

impl Bounds {
    /// Why a connection that waits like this is closed, if it is.
    pub(super) fn overdue(&self, wait: Wait) -> Option<CloseReason> {
        let (bound, reason) = match wait.state {
            ConnectionState::Idle => (self.idle, CloseReason::IdleTimeout),
            ConnectionState::Head => (self.head, CloseReason::HeadTimeout),
            ConnectionState::Body | ConnectionState::Draining => {
                (self.body, CloseReason::BodyTimeout)
            }
            // The service takes the time it needs.
            ConnectionState::Responding => (Duration::MAX, CloseReason::ResponseTimeout),
        };
        if wait.time > bound {
            return Some(reason);
        }
        let is_unread = wait.unread.is_some_and(|unread| unread > self.response);
        is_unread.then_some(CloseReason::ResponseTimeout)
    }

    /// Which connections make room for others: near the limit, those that have kept the listener
    /// waiting longest, until an eighth of the limit is free.
    pub(super) fn in_the_way<K>(&self, open: impl IntoIterator<Item = (K, Wait)>) -> Vec<K> {
        let mut open: Vec<_> = open.into_iter().collect();
        if open.len() < self.connections - self.connections / 16 {
            return Vec::new();
        }
        let too_many = open.len() - (self.connections - self.connections.div_ceil(8));
        open.retain(|(_, wait)| {
            wait.state != ConnectionState::Responding && wait.time > CROWDED_AFTER
        });
        open.sort_by_key(|(_, wait)| std::cmp::Reverse(wait.time));
        open.into_iter().take(too_many).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const BOUNDS: Bounds = Bounds {
        connections: 32,
        idle: Duration::from_secs(80),
        head: Duration::from_secs(6),
        body: Duration::from_secs(10),
        response: Duration::from_secs(30),
        head_bytes: 1024,
        request_bytes: 4096,
    };

    fn wait(state: ConnectionState, seconds: u32) -> Wait {
        Wait { state, time: SECOND * seconds, unread: None }
    }

    #[test]
    fn a_connection_is_closed_when_its_client_is_later_than_the_bound_of_its_state() {
        for (state, bound, reason) in [
            (ConnectionState::Idle, 80, CloseReason::IdleTimeout),
            (ConnectionState::Head, 6, CloseReason::HeadTimeout),
            (ConnectionState::Body, 10, CloseReason::BodyTimeout),
            (ConnectionState::Draining, 10, CloseReason::BodyTimeout),
        ] {
            assert_eq!(BOUNDS.overdue(wait(state, bound)), None);
            assert_eq!(BOUNDS.overdue(wait(state, bound + 1)), Some(reason));
        }
    }

    #[test]
    fn a_connection_that_waits_for_the_service_is_closed_only_if_its_client_reads_nothing() {
        let responding = wait(ConnectionState::Responding, 4_000_000);
        assert_eq!(BOUNDS.overdue(responding), None);
        let unread = |seconds| Wait { unread: Some(SECOND * seconds), ..responding };
        assert_eq!(BOUNDS.overdue(unread(30)), None);
        assert_eq!(BOUNDS.overdue(unread(31)), Some(CloseReason::ResponseTimeout));
    }

    #[test]
    fn near_the_limit_the_connections_that_wait_longest_make_room() {
        let open = |count: u32| (0..count).map(|n| (n, wait(ConnectionState::Idle, n)));
        assert_eq!(BOUNDS.in_the_way(open(29)), [0; 0]);
        assert_eq!(BOUNDS.in_the_way(open(30)), [29, 28]);
        assert_eq!(BOUNDS.in_the_way(open(32)), [31, 30, 29, 28]);
    }

    #[test]
    fn near_the_limit_no_connection_is_closed_that_is_served_or_has_just_come() {
        let open = |n: u32| match n {
            0..10 => wait(ConnectionState::Responding, 60),
            10..31 => wait(ConnectionState::Head, 1),
            _ => wait(ConnectionState::Head, 2),
        };
        assert_eq!(BOUNDS.in_the_way((0..32).map(|n| (n, open(n)))), [31]);
    }

    #[test]
    fn the_one_connection_of_a_listener_that_takes_one_makes_room() {
        let bounds = Bounds { connections: 1, ..BOUNDS };
        assert_eq!(bounds.in_the_way([((), wait(ConnectionState::Idle, 2))]), [()]);
        assert_eq!(bounds.in_the_way([((), wait(ConnectionState::Idle, 1))]), []);
        assert_eq!(bounds.in_the_way([(); 0].map(|()| ((), wait(ConnectionState::Idle, 1)))), []);
    }
}
