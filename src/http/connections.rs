use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::bounds::{Bounds, Wait};
use crate::clock::Clock;
use crate::telemetry::{CloseReason, ConnectionState, ListenerMetrics};

/// How often the connections of a worker are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The longest step that counts between two looks: while the process was stopped, no client could be read.
const STEP_MAX: Duration = LOOK_EVERY.saturating_mul(2);

/// The open connections of one worker of one listener. Everything happens on the worker's thread.
pub(super) struct Connections {
    bounds: Bounds,
    metrics: ListenerMetrics,
    /// The time of the last look, without those in which the process stood still.
    clock: Rc<Cell<Duration>>,
    open: RefCell<BTreeMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    /// The counts last reported to the metrics, in the order of [`ConnectionState::ALL`].
    reported: Cell<[i64; ConnectionState::ALL.len()]>,
}

/// What is known of one connection. Its socket tells of bytes, its service of requests.
pub(super) struct Connection {
    key: u64,
    clock: Rc<Cell<Duration>>,
    head_bytes: usize,
    request_bytes: u64,
    state: Cell<ConnectionState>,
    since: Cell<Duration>,
    /// Bytes that came since it was idle.
    received: Cell<u64>,
    /// The body of the request has not been read to its end.
    is_body_open: Cell<bool>,
    /// All of the response has been handed to the server.
    is_response_made: Cell<bool>,
    /// Since when the socket has not accepted more of the response; none while it does.
    unread_since: Cell<Option<Duration>>,
    /// Set once: the socket fails from then on, and so the server lets go of it.
    closing: Cell<Option<CloseReason>>,
    /// What the server answered by itself to what is no request.
    refused: Cell<Option<CloseReason>>,
    /// A head as large as it may be is there, and the server has not tried to read it.
    is_head_full: Cell<bool>,
    /// Of the task that serves the connection.
    waker: RefCell<Option<Waker>>,
}

impl Connections {
    /// Within the runtime of the worker, in which they are looked at until they are dropped.
    pub fn watched(bounds: Bounds, metrics: ListenerMetrics, clock: Clock) -> Rc<Self> {
        let connections = Rc::new(Self::new(bounds, metrics));
        actix_web::rt::spawn(watch(Rc::downgrade(&connections), clock));
        connections
    }

    fn new(bounds: Bounds, metrics: ListenerMetrics) -> Self {
        Self {
            bounds,
            metrics,
            clock: Rc::default(),
            open: RefCell::default(),
            next: Cell::new(0),
            reported: Cell::default(),
        }
    }

    /// A connection was accepted.
    pub fn opened(&self) -> Rc<Connection> {
        let key = self.next.replace(self.next.get() + 1);
        let connection = Rc::new(Connection {
            key,
            clock: self.clock.clone(),
            head_bytes: self.bounds.head_bytes,
            request_bytes: self.bounds.request_bytes,
            state: Cell::new(ConnectionState::Head),
            since: Cell::new(self.clock.get()),
            received: Cell::new(0),
            is_body_open: Cell::new(false),
            is_response_made: Cell::new(false),
            unread_since: Cell::new(None),
            closing: Cell::new(None),
            refused: Cell::new(None),
            is_head_full: Cell::new(false),
            waker: RefCell::new(None),
        });
        self.open.borrow_mut().insert(key, connection.clone());
        connection
    }

    /// The socket of a connection is gone.
    pub fn ended(&self, connection: &Connection) {
        self.open.borrow_mut().remove(&connection.key);
        if let Some(reason) = connection.closing.get().or(connection.refused.get()) {
            self.metrics.connection_closed(reason);
        }
    }

    /// Closes what waits for too long or is in the way, and tells the metrics what is open.
    fn look(&self, elapsed: Duration) {
        self.clock.set(self.clock.get() + elapsed.min(STEP_MAX));
        let open = self.open.borrow();
        let mut counts = [0; ConnectionState::ALL.len()];
        for connection in open.values() {
            counts[connection.state.get() as usize] += 1;
            if let Some(reason) = self.bounds.overdue(connection.wait()) {
                connection.close(reason);
            }
        }
        let stays = open.values().filter(|connection| connection.closing.get().is_none());
        for connection in self.bounds.in_the_way(stays.map(|stays| (stays, stays.wait()))) {
            connection.close(CloseReason::Crowded);
        }
        self.report(counts);
    }

    fn report(&self, counts: [i64; ConnectionState::ALL.len()]) {
        let reported = self.reported.replace(counts);
        for (state, (count, reported)) in
            ConnectionState::ALL.into_iter().zip(counts.into_iter().zip(reported))
        {
            if count != reported {
                self.metrics.connections_changed(state, count - reported);
            }
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.report(Default::default());
    }
}

async fn watch(connections: Weak<Connections>, clock: Clock) {
    let mut looked_at = clock.monotonic();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(connections) = connections.upgrade() else { return };
        let now = clock.monotonic();
        connections.look(now - looked_at);
        looked_at = now;
    }
}

/// Events of the socket.
impl Connection {
    /// Bytes came.
    pub fn received(&self, bytes: usize) {
        if self.state.get() == ConnectionState::Idle {
            self.enter(ConnectionState::Head);
        }
        self.received.set(self.received.get() + bytes as u64);
        let is_in_body =
            matches!(self.state.get(), ConnectionState::Body | ConnectionState::Draining);
        if is_in_body && self.received.get() > self.request_bytes {
            self.closing.set(Some(CloseReason::TooLarge));
        }
    }

    /// How many bytes may be read. None where the head is as large as it may be: the server has to
    /// see it before more is read, and where it was no head yet the connection is closed.
    pub fn room(&self) -> usize {
        if !matches!(self.state.get(), ConnectionState::Idle | ConnectionState::Head) {
            return usize::MAX;
        }
        let received = usize::try_from(self.received.get()).unwrap_or(usize::MAX);
        let room = self.head_bytes.saturating_sub(received);
        if room == 0 && self.is_head_full.replace(true) {
            self.close(CloseReason::TooLarge);
        }
        room
    }

    /// The socket took these bytes.
    pub fn wrote(&self, bytes: &[u8]) {
        self.unread_since.set(None);
        if self.state.get() == ConnectionState::Head && self.refused.get().is_none() {
            self.refused.set(rejection(bytes));
        }
    }

    /// The socket does not accept more for now.
    pub fn is_unread(&self) {
        if self.unread_since.get().is_none() {
            self.unread_since.set(Some(self.clock.get()));
        }
    }

    /// All that the server has to write is written.
    pub fn flushed(&self) {
        if self.state.get() == ConnectionState::Responding && self.is_response_made.get() {
            self.received.set(0);
            self.is_head_full.set(false);
            self.enter(ConnectionState::Idle);
        }
    }

    /// Why the socket has to fail, if it has to.
    pub fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    /// Who waits for the socket.
    pub fn waits(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }
}

/// Events of the service.
impl Connection {
    /// The head of a request arrived, and a body may follow.
    pub fn request_began(&self, has_body: bool) {
        self.is_body_open.set(has_body);
        self.is_response_made.set(false);
        self.is_head_full.set(false);
        let state = if has_body { ConnectionState::Body } else { ConnectionState::Responding };
        self.enter(state);
    }

    /// The body of the request was read to its end.
    pub fn body_ended(&self) {
        self.is_body_open.set(false);
        if self.state.get() == ConnectionState::Body {
            self.enter(ConnectionState::Responding);
        }
    }

    /// The response begins. Returns whether the connection can be used for another request: not where
    /// a part of this one was not read.
    pub fn response_began(&self) -> bool {
        let is_body_open = self.is_body_open.get();
        if is_body_open {
            self.enter(ConnectionState::Draining);
        }
        !is_body_open
    }

    /// The server has all of the response.
    pub fn response_made(&self) {
        self.is_response_made.set(true);
    }
}

impl Connection {
    fn enter(&self, state: ConnectionState) {
        self.state.set(state);
        self.since.set(self.clock.get());
    }

    fn wait(&self) -> Wait {
        let now = self.clock.get();
        Wait {
            state: self.state.get(),
            time: now.saturating_sub(self.since.get()),
            unread: self.unread_since.get().map(|since| now.saturating_sub(since)),
        }
    }

    fn close(&self, reason: CloseReason) {
        if self.closing.get().is_none() {
            self.closing.set(Some(reason));
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// What the server means by an answer to what no request was made of.
fn rejection(answer: &[u8]) -> Option<CloseReason> {
    match answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)? {
        b"400" => Some(CloseReason::Malformed),
        b"408" => Some(CloseReason::HeadTimeout),
        b"431" => Some(CloseReason::TooLarge),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{LabelSets, Listener, Metrics};

    const SECOND: Duration = Duration::from_secs(1);

    fn connections() -> (Connections, Metrics) {
        let metrics = Metrics::new(&LabelSets::default(), "0123abcd");
        let bounds = Bounds {
            connections: 64,
            idle: 80 * SECOND,
            head: 6 * SECOND,
            body: 10 * SECOND,
            response: 30 * SECOND,
            head_bytes: 1000,
            request_bytes: 5000,
        };
        (Connections::new(bounds, metrics.listener(Listener::Public)), metrics)
    }

    /// As many looks as there are in this time.
    fn passes(connections: &Connections, time: Duration) {
        (0..time.as_millis() / LOOK_EVERY.as_millis()).for_each(|_| connections.look(LOOK_EVERY));
    }

    fn open(metrics: &Metrics, state: &str) -> String {
        let series = format!("postcall_connections{{listener=\"public\",state=\"{state}\"}} ");
        let page = metrics.render().unwrap();
        page.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
    }

    #[test]
    fn a_connection_is_followed_from_one_request_to_the_next() {
        let (connections, _) = connections();
        let connection = connections.opened();
        assert_eq!(connection.state.get(), ConnectionState::Head);
        for _ in 0..2 {
            connection.received(900);
            assert_eq!(connection.state.get(), ConnectionState::Head);
            connection.request_began(true);
            connection.received(4000);
            assert_eq!(connection.state.get(), ConnectionState::Body);
            connection.body_ended();
            assert!(connection.response_began());
            connection.flushed();
            assert_eq!(connection.state.get(), ConnectionState::Responding);
            connection.response_made();
            connection.flushed();
            assert_eq!(connection.state.get(), ConnectionState::Idle);
        }
        assert!(!connection.is_closing());
    }

    #[test]
    fn time_in_which_the_process_stood_still_is_not_held_against_a_connection() {
        let (connections, _) = connections();
        let connection = connections.opened();
        connections.look(3600 * SECOND);
        assert!(!connection.is_closing());
        passes(&connections, 7 * SECOND);
        assert_eq!(connection.closing.get(), Some(CloseReason::HeadTimeout));
    }

    #[test]
    fn a_head_that_never_ends_has_its_time_from_its_first_byte() {
        let (connections, _) = connections();
        let connection = connections.opened();
        for _ in 0..6 {
            connection.received(1);
            passes(&connections, SECOND);
        }
        assert!(!connection.is_closing());
        passes(&connections, SECOND);
        assert_eq!(connection.closing.get(), Some(CloseReason::HeadTimeout));
    }

    #[test]
    fn a_head_may_fill_its_room_and_the_server_sees_it_before_it_is_too_large() {
        let (connections, _) = connections();
        let connection = connections.opened();
        assert_eq!(connection.room(), 1000);
        connection.received(1000);
        assert_eq!((connection.room(), connection.is_closing()), (0, false));
        assert_eq!((connection.room(), connection.is_closing()), (0, true));
        let connection = connections.opened();
        connection.received(1000);
        assert_eq!(connection.room(), 0);
        connection.request_began(true);
        assert_eq!((connection.room(), connection.is_closing()), (usize::MAX, false));
    }

    #[test]
    fn a_request_that_is_not_wanted_is_drained_for_a_bounded_time_and_number_of_bytes() {
        let (connections, _) = connections();
        let [slow, large] = [(); 2].map(|()| connections.opened());
        for connection in [&slow, &large] {
            connection.received(100);
            connection.request_began(true);
            assert!(!connection.response_began());
            connection.response_made();
            connection.flushed();
            assert_eq!(connection.state.get(), ConnectionState::Draining);
        }
        large.received(4900);
        assert!(!large.is_closing());
        large.received(1);
        assert_eq!(large.closing.get(), Some(CloseReason::TooLarge));
        passes(&connections, 10 * SECOND);
        assert!(!slow.is_closing());
        passes(&connections, SECOND);
        assert_eq!(slow.closing.get(), Some(CloseReason::BodyTimeout));
    }

    #[test]
    fn a_client_that_takes_nothing_of_its_response_is_cut_off_and_a_slow_service_is_not() {
        let (connections, _) = connections();
        let [unread, slow] = [(); 2].map(|()| connections.opened());
        for connection in [&unread, &slow] {
            connection.request_began(false);
        }
        unread.is_unread();
        passes(&connections, 20 * SECOND);
        unread.wrote(b"x");
        unread.is_unread();
        passes(&connections, 30 * SECOND);
        assert!(!unread.is_closing());
        passes(&connections, 3600 * SECOND);
        assert_eq!(unread.closing.get(), Some(CloseReason::ResponseTimeout));
        assert!(!slow.is_closing());
    }

    #[test]
    fn connections_of_a_worker_are_told_until_it_ends() {
        let (connections, metrics) = connections();
        let [idle, _head] = [(); 2].map(|()| connections.opened());
        idle.request_began(false);
        idle.response_made();
        idle.flushed();
        connections.look(LOOK_EVERY);
        assert_eq!(["idle", "head", "body"].map(|state| open(&metrics, state)), ["1", "1", "0"]);
        connections.ended(&idle);
        connections.look(LOOK_EVERY);
        assert_eq!(["idle", "head"].map(|state| open(&metrics, state)), ["0", "1"]);
        drop(connections);
        assert_eq!(["idle", "head"].map(|state| open(&metrics, state)), ["0", "0"]);
    }
}
