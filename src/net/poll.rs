//! Waiting for one socket with poll(2), on whichever thread: what a driver
//! does that is not the reactor. The only file that knows rustix.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};

use super::Readiness;

/// The clock of a driver that waits here.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until the socket can be read or written, as asked, or `until`. An
/// interrupted wait goes on. Nothing asked of the socket is a mere wait, which
/// its end interrupts all the same.
pub(crate) fn wait(
    socket: &impl AsFd,
    read: bool,
    write: bool,
    until: Option<Instant>,
) -> io::Result<Readiness> {
    let mut asked = PollFlags::empty();
    asked.set(PollFlags::IN | HANGS_UP, read);
    asked.set(PollFlags::OUT, write);
    loop {
        let left = until.map(|at| at.saturating_duration_since(now()));
        let left = left.map(timespec);
        let mut fds = [PollFd::new(socket, asked)];
        match poll(&mut fds, left.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let [fd] = fds;
        let found = fd.revents();
        // A socket in error is ready for both: the next call tells why.
        let failed = found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        return Ok(Readiness {
            readable: failed || found.intersects(PollFlags::IN | HANGS_UP),
            writable: failed || found.intersects(PollFlags::OUT),
            hung_up: failed || found.intersects(HANGS_UP),
        });
    }
}

/// The peer has said that it sends no more, though it may not all be read.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HANGS_UP: PollFlags = PollFlags::RDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const HANGS_UP: PollFlags = PollFlags::empty();

/// Reads behind what `into` holds, into memory nobody has cleared.
pub(super) fn read_spare(socket: &impl AsFd, into: &mut Vec<u8>) -> io::Result<usize> {
    let (read, _) = recv(socket, spare_capacity(into), RecvFlags::empty())?;
    Ok(read)
}

fn timespec(wait: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    }
}
