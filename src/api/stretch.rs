//! The bytes of a connection in the program's hands: blocking reads and writes
//! over what never blocks.

use std::io;
use std::time::{Duration, Instant};

use url::Url;

use crate::error::{Error, Phase, Timeout};
use crate::handoff::park;
use crate::job::Tunnel;
use crate::process::Home;

pub(super) struct Stretch {
    /// Left alone in the child of a process, where its lock may be held for ever.
    tunnel: Option<Box<dyn Tunnel>>,
    /// The process that may use it.
    home: Home,
    /// For errors.
    url: Url,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
}

impl Stretch {
    pub(super) fn new(tunnel: Box<dyn Tunnel>, url: Url) -> Self {
        Self {
            tunnel: Some(tunnel),
            home: Home::here(),
            url,
            read_timeout: None,
            write_timeout: None,
        }
    }

    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.blocking(Timeout::SockRead, |tunnel| tunnel.read(into))
    }

    pub(super) fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.blocking(Timeout::WriteStall, |tunnel| tunnel.write(from))
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.blocking(Timeout::WriteStall, |tunnel| tunnel.flush())
    }

    /// Lets `step` try until it need not wait, or has waited for too long.
    fn blocking<T>(
        &mut self,
        which: Timeout,
        mut step: impl FnMut(&mut dyn Tunnel) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.home.is_here() {
            return Err(Error::closed().into());
        }
        if park::is_forbidden() {
            let message = "a blocking call on the thread that drives all connections";
            return Err(Error::internal(message).into());
        }
        let (limit, phase) = match which {
            Timeout::SockRead => (self.read_timeout, Phase::Body),
            _ => (self.write_timeout, Phase::Send),
        };
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let Some(tunnel) = self.tunnel.as_deref_mut() else {
            return Err(Error::closed().into());
        };
        loop {
            match step(tunnel) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if until.is_some_and(|at| at <= Instant::now()) {
                let error = Error::timed_out(which, limit, phase);
                return Err(error.with_url(&self.url).into());
            }
            tunnel.wait(which == Timeout::SockRead, until)?;
        }
    }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        if !self.home.is_here() {
            std::mem::forget(self.tunnel.take());
        }
    }
}

/// The setters of both kinds of connection, and their bytes.
macro_rules! stretches {
    ($name:ident) => {
        impl $name {
            /// How long one read may wait; zero or `None`, the default, is for
            /// ever. A read that waits longer fails with
            /// [`io::ErrorKind::TimedOut`](std::io::ErrorKind::TimedOut), and
            /// nothing is lost.
            pub fn set_read_timeout(&mut self, limit: impl Into<Option<std::time::Duration>>) {
                self.stretch.read_timeout = limit.into().filter(|limit| !limit.is_zero());
            }

            /// How long one write or flush may wait; zero or `None`, the default,
            /// is for ever. One that waits longer fails with
            /// [`io::ErrorKind::TimedOut`](std::io::ErrorKind::TimedOut); a write
            /// has taken nothing then.
            pub fn set_write_timeout(&mut self, limit: impl Into<Option<std::time::Duration>>) {
                self.stretch.write_timeout = limit.into().filter(|limit| !limit.is_zero());
            }
        }

        impl std::io::Read for $name {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                self.stretch.read(into)
            }
        }

        impl std::io::Write for $name {
            fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
                self.stretch.write(from)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                self.stretch.flush()
            }
        }
    };
}
pub(super) use stretches;
