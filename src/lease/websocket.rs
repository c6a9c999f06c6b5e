//! A blocked caller drives the WebSocket it receives from.
//!
//! It takes the connection out of its [relay](crate::handoff::relay), goes on with it
//! as the reactor would, puts it back, and waits for the socket by itself; what it
//! waits for in the end comes through the pipe all the same, whoever has read it. So it
//! waits for two things at once, its socket and its waker, which for that is a
//! [bell](crate::handoff::bell) with a descriptor.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::mem;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::Lessee;
use crate::delivery::OpenWebSocket;
use crate::handoff::bell::{Bell, Ring};
use crate::handoff::park::{self, Unwaited};
use crate::handoff::relay::{Came, Drove, Guest, Look};
use crate::job::{Talked, WsConn};
use crate::net::mio::{MioStream, Socket};
use crate::net::{Readiness, Stream, poll};
use crate::process::Home;

thread_local! {
    /// Of this thread, from when it has waited for the first time; out while it waits.
    static WAITER: Cell<Option<Waiter>> = const { Cell::new(None) };
}

struct Waiter {
    /// The process it was made in: with the child of a process it would share its
    /// descriptors, and each would hear what the other is told.
    home: Home,
    bell: Arc<Bell<Cord>>,
    waker: Waker,
}

/// What is written to the one end can be waited for at the other.
struct Cord {
    pulled: UnixStream,
    heard: UnixStream,
}

impl Waiter {
    fn of_this_thread() -> io::Result<Self> {
        let kept = WAITER.try_with(Cell::take).ok().flatten();
        match kept.filter(|waiter| waiter.home.is_here()) {
            Some(waiter) => Ok(waiter),
            None => Self::new(),
        }
    }

    fn new() -> io::Result<Self> {
        let (pulled, heard) = UnixStream::pair()?;
        pulled.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        let bell = Arc::new(Bell::new(Cord { pulled, heard }));
        let waker = Waker::from(Arc::clone(&bell));
        let home = Home::here();
        Ok(Self { home, bell, waker })
    }

    /// Waits until the socket is ready, the bell rings, or `until`.
    fn wait(&self, seen: &Seen, until: Option<Instant>) -> io::Result<Readiness> {
        let heard = &self.bell.ring().heard;
        let (ready, rung) = match &seen.socket {
            Some(socket) => poll::wait_with(heard, &**socket, seen.write, until)?,
            None => {
                let rung = poll::wait(heard, true, false, until)?.readable;
                (Readiness::default(), rung)
            }
        };
        if rung {
            // More than one ring may have come; a further one merely wakes in vain.
            let _ = (&*heard).read(&mut [0; 16]);
        }
        Ok(ready)
    }
}

impl Ring for Cord {
    fn ring(&self) {
        // Full, it is heard already.
        let _ = (&self.pulled).write(&[0]);
    }
}

/// What a drive has found there is to wait for.
#[derive(Default)]
struct Seen {
    socket: Option<Arc<Socket>>,
    write: bool,
    /// There is more to do at once.
    again: bool,
}

/// A reader that sees to the connection for as long as this lives.
struct Attending<'a> {
    guest: &'a Guest<Box<dyn WsConn>>,
    look: Look,
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.guest.leave(self.look);
    }
}

impl Lessee {
    /// Goes on with an open WebSocket until `poll`, which is to read its pipe, has
    /// something, at most until `until`. Blocks. In any process but the one that made the
    /// connection `poll` must have something at once.
    pub(crate) fn receive<T>(
        &self,
        guest: &Guest<Box<dyn WsConn>>,
        until: Option<Instant>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Unwaited> {
        if !park::is_forbidden()
            && let Ok(waiter) = Waiter::of_this_thread()
        {
            let waited = self.drive_until(&waiter, guest, until, &mut poll);
            let _ = WAITER.try_with(|kept| kept.set(Some(waiter)));
            if let Ok(waited) = waited {
                return waited;
            }
        }
        // In the child of a process there is nobody to wait for, and locks may be held.
        if let Poll::Ready(value) = poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(value);
        }
        // Where this thread cannot wait for a socket, the reactor does.
        guest.wait_elsewhere();
        park::block_on(until, poll)
    }

    /// # Errors
    /// This thread cannot wait for the socket.
    fn drive_until<T>(
        &self,
        waiter: &Waiter,
        guest: &Guest<Box<dyn WsConn>>,
        until: Option<Instant>,
        poll: &mut impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> io::Result<Result<T, Unwaited>> {
        let mut cx = Context::from_waker(&waiter.waker);
        let mut attending = None;
        let mut ready = Readiness::default();
        let (mut is_over, mut is_late) = (false, false);
        loop {
            waiter.bell.quiet();
            if let Poll::Ready(value) = poll(&mut cx) {
                return Ok(Ok(value));
            }
            if is_late {
                return Ok(Err(Unwaited::Late));
            }
            let attending = attending.get_or_insert(Attending {
                guest,
                look: Look::Later,
            });
            let now = poll::now();
            let mut seen = Seen::default();
            let came = guest.come(&waiter.waker, |conn| {
                seen = Seen::default();
                self.go_on(&mut **conn, mem::take(&mut ready), now, &mut seen)
            });
            attending.look = match came == Came::Drove && (seen.write || seen.again) {
                true => Look::Soon,
                false => Look::Later,
            };
            if !seen.again && waiter.bell.doze() {
                // Nobody may have been told yet of what was found before.
                ready.add(waiter.wait(&seen, until)?);
            }
            // What has come by then is still read, once.
            let was_over = mem::replace(&mut is_over, until.is_some_and(|at| at <= poll::now()));
            let is_read = was_over && came != Came::Out;
            is_late = is_over && (is_read || !(ready.readable || ready.writable));
        }
    }

    /// One turn of it, and what there is to wait for then.
    fn go_on(
        &self,
        conn: &mut dyn WsConn,
        ready: Readiness,
        now: Instant,
        seen: &mut Seen,
    ) -> Drove {
        let Some(open) = conn.as_any().downcast_mut::<OpenWebSocket<MioStream>>() else {
            return Drove::Owner;
        };
        open.lent.link().ready(ready);
        if open.lent.token().is_some() && open.lent.is_flushed() && open.talk.is_open() {
            // Out of the poller's sight, or it would tell the reactor of all that comes.
            self.unwatcher.unwatch(open.lent.stream());
            open.lent.set_token(None);
        }
        match open.go_on(now) {
            // Closing it is the reactor's.
            Talked::Over { .. } => return Drove::Owner,
            Talked::Again => seen.again = true,
            Talked::Wants => {}
        }
        seen.socket = Some(open.lent.stream().share());
        seen.write = !open.lent.is_flushed();
        // From the first Close on the reactor watches, too.
        let is_left = open.lent.token().is_none() && !open.talk.is_open();
        match is_left || open.is_due_before() {
            true => Drove::Owner,
            false => Drove::Enough,
        }
    }
}
