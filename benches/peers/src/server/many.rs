//! Small requests on many connections: one thread and epoll.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::connection::{Request, SMALL_KEEP, head_end};

const LISTENER: u64 = 0;

struct Connection {
    stream: TcpStream,
    /// A request that has come only in part; almost always empty.
    partial: Vec<u8>,
}

/// Serves for as long as the process lives.
pub(super) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut connections = HashMap::new();
    let mut next = LISTENER;
    let mut events = vec![EpollEvent::empty(); 256];
    let mut scratch = vec![0; 64 * 1024];
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in events.iter().take(ready) {
            if event.data() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    next += 1;
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, next))?;
                    let partial = Vec::new();
                    connections.insert(next, Connection { stream, partial });
                }
            } else if let Some(connection) = connections.get_mut(&event.data())
                && !connection.turn(&mut scratch)
            {
                // Closing it takes it out of epoll, too.
                connections.remove(&event.data());
            }
        }
    }
}

impl Connection {
    /// Answers what has come; false when the connection is over.
    fn turn(&mut self, scratch: &mut [u8]) -> bool {
        let n = match self.stream.read(scratch) {
            Ok(0) => return false,
            Ok(n) => n,
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        };
        if self.partial.is_empty() {
            let left = self.answer(&scratch[..n]);
            return left.is_some_and(|rest| {
                self.partial.extend_from_slice(&scratch[rest..n]);
                true
            });
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(&scratch[..n]);
        self.answer(&whole).is_some_and(|rest| {
            whole.drain(..rest);
            self.partial = whole;
            true
        })
    }

    /// Answers each whole request; where the rest begins, unless it was the last.
    fn answer(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(end) = head_end(&bytes[at..]) {
            let close = Request::parse(&bytes[at..at + end]).close;
            // Room for so little is always there; who does not read loses.
            self.stream.write_all(SMALL_KEEP).ok()?;
            if close {
                return None;
            }
            at += end;
        }
        Some(at)
    }
}
