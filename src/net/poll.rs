//! Sockets by system calls whose manner is said with each call, whatever mode
//! the socket is in, and waiting for one with poll(2), on whichever thread. The
//! only file that knows rustix.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};

use super::Readiness;

/// The clock of a driver that waits here.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// No wait is longer, for some systems refuse one of a month. It then ends in
/// vain, and whoever waits looks at the clock.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Waits until the socket can be read or written, as asked, or `until`. An
/// interrupted wait goes on. Nothing asked of the socket is a mere wait, which
/// its end interrupts all the same.
pub(crate) fn wait(
    socket: &impl AsFd,
    read: bool,
    write: bool,
    until: Option<Instant>,
) -> io::Result<Readiness> {
    let [found] = wait_for([PollFd::new(socket, asked(read, write))], until)?;
    Ok(readiness(found))
}

/// As [`wait`], to read and perhaps to write, and for a byte in `bell`. Says whether
/// there is one.
#[cfg(feature = "websocket")]
pub(crate) fn wait_with(
    bell: &impl AsFd,
    socket: &impl AsFd,
    write: bool,
    until: Option<Instant>,
) -> io::Result<(Readiness, bool)> {
    let fds = [
        PollFd::new(socket, asked(true, write)),
        PollFd::new(bell, PollFlags::IN),
    ];
    let [found, rung] = wait_for(fds, until)?;
    Ok((readiness(found), !rung.is_empty()))
}

fn asked(read: bool, write: bool) -> PollFlags {
    let mut asked = PollFlags::empty();
    asked.set(PollFlags::IN | HANGS_UP, read);
    asked.set(PollFlags::OUT, write);
    asked
}

fn wait_for<const N: usize>(
    mut fds: [PollFd<'_>; N],
    until: Option<Instant>,
) -> io::Result<[PollFlags; N]> {
    loop {
        let left = until.map(|at| at.saturating_duration_since(now()));
        let left = left.map(|left| timespec(left.min(LONGEST)));
        match poll(&mut fds, left.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            other => {
                other?;
                return Ok(fds.map(|fd| fd.revents()));
            }
        }
    }
}

fn readiness(found: PollFlags) -> Readiness {
    // A socket in error is ready for both: the next call tells why.
    let failed = found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    Readiness {
        readable: failed || found.intersects(PollFlags::IN | HANGS_UP),
        writable: failed || found.intersects(PollFlags::OUT),
        hung_up: failed || found.intersects(HANGS_UP),
    }
}

/// The peer has said that it sends no more, though it may not all be read.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HANGS_UP: PollFlags = PollFlags::RDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const HANGS_UP: PollFlags = PollFlags::empty();

/// Reads behind what `into` holds, into memory nobody has cleared. Never blocks,
/// whatever the socket's mode.
pub(super) fn read_spare(socket: &impl AsFd, into: &mut Vec<u8>) -> io::Result<usize> {
    let (read, _) = recv(socket, spare_capacity(into), RecvFlags::DONTWAIT)?;
    Ok(read)
}

/// As [`read_spare`], but waits as long as the socket's own timeout says.
pub(super) fn read_waiting(socket: &impl AsFd, into: &mut Vec<u8>) -> io::Result<usize> {
    let (read, _) = recv(socket, spare_capacity(into), RecvFlags::empty())?;
    Ok(read)
}

pub(super) fn read(socket: &impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    let (read, _) = recv(socket, into, RecvFlags::DONTWAIT)?;
    Ok(read)
}

/// Writes without ever blocking, and without SIGPIPE: a program may have put
/// that back to what ends it.
pub(super) fn write(socket: &impl AsFd, from: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT.union(NO_SIGNAL);
    Ok(match from {
        [one] => send(socket, one, flags)?,
        many => sendmsg(socket, many, &mut SendAncillaryBuffer::default(), flags)?,
    })
}

/// As [`write()`]; what is written may wait for the end of the connection, which
/// follows at once, and goes with it.
pub(super) fn write_last(socket: &impl AsFd, from: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT.union(NO_SIGNAL).union(MORE);
    Ok(send(socket, from, flags)?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const MORE: SendFlags = SendFlags::MORE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MORE: SendFlags = SendFlags::empty();

/// The systems without this flag set it for the socket, which mio does.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

fn timespec(wait: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    }
}
