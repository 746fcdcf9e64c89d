//! Connections to the server that can be lost at the worst moment, and a server that cannot be reached.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy before the server's socket. It serves connections until the test's process ends.
pub struct Proxy {
    pub port: u16,
    is_armed: Arc<AtomicBool>,
    /// Of the clients; `None` once nothing passes any more.
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Proxy {
    pub fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_armed = Arc::<AtomicBool>::default();
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let (armed, clients) = (is_armed.clone(), open.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut clients = clients.lock().unwrap();
                // From here on its address answers no one.
                let Some(clients) = &mut *clients else { return };
                // The server may be away.
                if let Ok(server) = UnixStream::connect(&socket) {
                    clients.push(client.try_clone().unwrap());
                    relay(client, server, &armed);
                }
            }
        });
        Self { port, is_armed, open }
    }

    /// Nothing reaches the server any more by this address: connections end, and new ones are refused.
    pub fn fence(&self) {
        for client in self.open.lock().unwrap().take().into_iter().flatten() {
            // It fails only if it has ended already.
            let _ = client.shutdown(Shutdown::Both);
        }
        // The listener learns of it, and is closed.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }

    /// The next transaction is committed, and the connection lost before its client learns of it.
    pub fn lose_the_next_commit(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    pub fn has_lost_it(&self) -> bool {
        !self.is_armed.load(Ordering::SeqCst)
    }
}

fn relay(client: TcpStream, server: UnixStream, is_armed: &Arc<AtomicBool>) {
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut from_server, mut to_client, is_armed) = (server, client, is_armed.clone());
    thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok(count @ 1..) = from_server.read(&mut bytes) {
            let is_commit = bytes[..count].windows(7).any(|tag| tag == b"COMMIT\0");
            if is_commit && is_armed.swap(false, Ordering::SeqCst) {
                break;
            }
            if to_client.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
        let _ = from_server.shutdown(Shutdown::Both);
    });
}
