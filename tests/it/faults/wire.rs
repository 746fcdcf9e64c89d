use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::linger;

/// How many bytes a slow wire lets through at once.
const DRIP_BYTES: usize = 24;

/// How long another program may sit on the port of a wire that is being mended.
const PATIENCE: Duration = Duration::from_secs(30);

/// A wire between two ends that speak HTTP/1.1, which does to each exchange what it is told to.
pub struct Wire {
    /// Where its near end is, cut or not.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

/// What becomes of one exchange.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// Both ways whole and at once.
    Passed,
    /// The answer waits.
    Late(Duration),
    /// Both ways some bytes at a time, and so long between them.
    Dripped(Duration),
    /// Half of the request arrives, then both connections are reset.
    HalfAsked,
    /// Nothing of the request arrives, and the connection is reset.
    ResetBefore,
    /// The request arrives; in place of its answer the connection is reset.
    ResetAfter,
    /// The request arrives; half of its answer comes back.
    HalfAnswered,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    far_end: SocketAddr,
    /// Of the next exchanges, in their order; those behind them pass.
    fates: VecDeque<Fate>,
    is_cut: bool,
    ended: bool,
    harmed: usize,
    /// Both sides of every connection, to be cut with it.
    open: HashMap<usize, Vec<TcpStream>>,
    connections: usize,
}

impl Wire {
    pub fn lay(far_end: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            far_end,
            fates: VecDeque::new(),
            is_cut: false,
            ended: false,
            harmed: 0,
            open: HashMap::new(),
            connections: 0,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let carrier = shared.clone();
        thread::spawn(move || carrier.accept(listener, address));
        Self { address, shared }
    }

    /// From here on it leads there.
    pub fn lead_to(&self, far_end: SocketAddr) {
        self.shared.state().far_end = far_end;
    }

    /// What becomes of the next exchanges, after those of which it is said already.
    pub fn befall(&self, fates: impl IntoIterator<Item = Fate>) {
        self.shared.state().fates.extend(fates);
    }

    /// Every connection breaks, and new ones are refused.
    pub fn cut(&self) {
        let mut state = self.shared.state();
        state.is_cut = true;
        state.break_all();
        drop(state);
        self.wake();
    }

    /// It is whole, and everything passes.
    pub fn mend(&self) {
        let mut state = self.shared.state();
        state.is_cut = false;
        state.fates.clear();
        self.shared.changed.notify_all();
    }

    /// How many exchanges did not pass whole and at once.
    pub fn harmed(&self) -> usize {
        self.shared.state().harmed
    }

    /// Whoever waits for a connection looks at the state again.
    fn wake(&self) {
        // It is refused only where no one waits any more.
        let _ = TcpStream::connect(self.address);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        state.break_all();
        self.shared.changed.notify_all();
        drop(state);
        self.wake();
    }
}

impl State {
    fn break_all(&mut self) {
        for stream in self.open.drain().flat_map(|(_, streams)| streams) {
            // It fails only where the far side was quicker.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, mut listener: TcpListener, address: SocketAddr) {
        loop {
            let accepted = listener.accept();
            let mut state = self.state();
            if state.ended {
                return;
            }
            if state.is_cut {
                drop((accepted, listener));
                state = self.changed.wait_while(state, |s| s.is_cut && !s.ended).unwrap();
                drop(state);
                listener = listen_again(address);
                continue;
            }
            let Ok((near, _)) = accepted else { continue };
            state.connections += 1;
            let (connection, carrier) = (state.connections, self.clone());
            drop(state);
            thread::spawn(move || {
                // Whatever breaks it, both sides see it.
                let _ = carrier.carry(near, connection);
                carrier.state().open.remove(&connection);
            });
        }
    }

    /// One connection, exchange after exchange.
    fn carry(&self, near: TcpStream, connection: usize) -> Result<()> {
        near.set_nodelay(true)?;
        self.remember(connection, &near)?;
        let mut near = BufReader::new(near);
        let mut far = None;
        loop {
            let request = message(&mut near)?;
            let fate = self.next_fate();
            if fate == Fate::ResetBefore {
                return self.reset(connection, [near.into_inner()]);
            }
            let mut line = match far.take() {
                Some(line) => line,
                None => {
                    let line = TcpStream::connect(self.state().far_end)?;
                    line.set_nodelay(true)?;
                    self.remember(connection, &line)?;
                    BufReader::new(line)
                }
            };
            if fate == Fate::HalfAsked {
                line.get_mut().write_all(&request[..request.len() / 2])?;
                return self.reset(connection, [near.into_inner(), line.into_inner()]);
            }
            write(line.get_mut(), &request, fate)?;
            let answer = message(&mut line)?;
            match fate {
                Fate::ResetAfter => return self.reset(connection, [near.into_inner()]),
                Fate::HalfAnswered => return near.get_mut().write_all(&answer[..answer.len() / 2]),
                Fate::Late(time) => linger(time),
                _ => {}
            }
            write(near.get_mut(), &answer, fate)?;
            far = Some(line);
        }
    }

    fn next_fate(&self) -> Fate {
        let mut state = self.state();
        let fate = state.fates.pop_front().unwrap_or(Fate::Passed);
        state.harmed += usize::from(fate != Fate::Passed);
        fate
    }

    /// Broken with everything else when the wire is cut.
    fn remember(&self, connection: usize, stream: &TcpStream) -> Result<()> {
        let mut state = self.state();
        if state.is_cut || state.ended {
            return Err(Error::from(ErrorKind::ConnectionReset));
        }
        state.open.entry(connection).or_default().push(stream.try_clone()?);
        Ok(())
    }

    /// No end that is polite: whatever is on its way is thrown away.
    fn reset<const N: usize>(&self, connection: usize, streams: [TcpStream; N]) -> Result<()> {
        self.state().open.remove(&connection);
        streams.iter().try_for_each(|stream| SockRef::from(stream).set_linger(Some(Duration::ZERO)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no carrier panics")
    }
}

/// A request or an answer, whole.
fn message(from: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let (mut all, mut length) = (Vec::new(), 0);
    loop {
        let began = all.len();
        if from.read_until(b'\n', &mut all)? == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        let line = all[began..].trim_ascii().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix(b"content-length:") {
            let value = std::str::from_utf8(value.trim_ascii()).ok();
            length = value.and_then(|value| value.parse().ok()).ok_or(ErrorKind::InvalidData)?;
        }
    }
    let head = all.len();
    all.resize(head + length, 0);
    from.read_exact(&mut all[head..])?;
    Ok(all)
}

fn write(to: &mut TcpStream, message: &[u8], fate: Fate) -> Result<()> {
    let Fate::Dripped(pause) = fate else { return to.write_all(message) };
    for bytes in message.chunks(DRIP_BYTES) {
        to.write_all(bytes)?;
        linger(pause);
    }
    Ok(())
}

/// The port may have been lent to someone meanwhile.
fn listen_again(address: SocketAddr) -> TcpListener {
    let began = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{address}: {error}"),
        }
        linger(Duration::from_millis(5));
    }
}
