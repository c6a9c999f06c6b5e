//! Unix sockets before a peer: whatever connects there speaks with the peer, byte
//! for byte, so that every script serves over both.
#![cfg(unix)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Peer;

/// A folder for one test's sockets, gone when dropped. Its name is short, for
/// the path of a socket may not be long.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("miohttp-{}-{next}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for sockets");
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lets `listener` lead to `peer`. It ends with the process.
pub(crate) fn lead(listener: UnixListener, peer: &Peer) {
    let peer = peer.address();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            join(stream, peer);
        }
    });
}

/// The same, of a listener at this path.
pub(crate) fn listen(path: &Path, peer: &Peer) {
    lead(UnixListener::bind(path).expect("a unix listener"), peer);
}

/// Joins one connection with a new one to the peer.
pub(crate) fn join(near: UnixStream, peer: SocketAddr) {
    let Ok(far) = TcpStream::connect(peer) else {
        return;
    };
    let (near_end, far_end) = (near.try_clone(), far.try_clone());
    let (Ok(near_end), Ok(far_end)) = (near_end, far_end) else {
        return;
    };
    thread::spawn(move || {
        let _ = copy(near, &far_end);
        let _ = far_end.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = copy(far, &near_end);
        let _ = near_end.shutdown(Shutdown::Write);
    });
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => to.write_all(&buffer[..n])?,
        }
    }
}
