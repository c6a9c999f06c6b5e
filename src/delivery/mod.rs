//! What the drivers of connections share, the reactor and a blocked caller:
//! where a response goes as it arrives, into an [`Inbox`] until its head is
//! handed out, then through an [`Outlet`]; and how the call is told.

mod inbox;
#[cfg(feature = "websocket")]
mod open;
mod outlet;
mod tunnel;
#[cfg(feature = "websocket")]
mod websocket;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub(crate) use inbox::Inbox;
#[cfg(feature = "websocket")]
pub(crate) use open::OpenWebSocket;
pub(crate) use outlet::{Outlet, Sip};
pub(crate) use tunnel::{Held, Loaned};
#[cfg(feature = "websocket")]
pub(crate) use websocket::adoption;

use crate::conn::Conn;
use crate::error::Error;
use crate::head::ResponseHead;
use crate::job::{Exchange, Failure, Next, PoolKey, Reply};
use crate::net::Stream;
use crate::pool::{Lease, Pool, Pooled, Remains};

/// A connection as the pool keeps it: boxed, since it changes hands several
/// times an exchange.
pub(crate) type PooledConn<S> = Box<Conn<S>>;

/// The ledger of connections over this kind of socket.
pub(crate) type ConnPool<S> = Pool<PoolKey, PooledConn<S>>;

impl<S: Stream> Pooled for PooledConn<S> {
    type Socket = S::Shared;
    type Rest = Outlet;

    fn socket(&self) -> S::Shared {
        self.stream().share()
    }

    fn is_watched(&self) -> bool {
        self.token().is_some()
    }
}

/// Tells the call. Its code is ours, but a panic in it must not take the
/// thread and everybody's requests along; dropping it answers its caller.
pub(crate) fn advance(
    mut asked: Box<Exchange>,
    outcome: Result<Reply, Failure>,
    now: Instant,
) -> Next {
    let Some(call) = asked.advance.take() else {
        return Next::Deliver;
    };
    catch_unwind(AssertUnwindSafe(|| call.advance(asked, outcome, now))).unwrap_or_else(|_| {
        log::error!("a request's own state machine panicked; that request fails");
        Next::Deliver
    })
}

/// Ends what was under way when a pool was closed, but for the idle
/// connections, which are given back to be closed.
pub(crate) fn end<S: Stream>(remains: Remains<PooledConn<S>>, error: &Error) -> Vec<PooledConn<S>> {
    for socket in &remains.driven {
        S::shut(socket);
    }
    for (mut conn, outlet) in remains.parked {
        conn.hang_up();
        drop(conn);
        outlet.fail(error.clone());
    }
    remains.conns
}

/// A year: "for ever" is a setting too, and more a clock need not hold.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Until when a connection that is idle from `now` on may be used again (SPEC C1,
/// P4), where the server has said `hint`. `None`: not once more, it is too old.
pub(crate) fn expiry<S: Stream>(
    keepalive: Duration,
    conn: &Conn<S>,
    hint: Option<Duration>,
    now: Instant,
) -> Option<Instant> {
    let life = hint.map_or(keepalive, |hint| hint.min(keepalive));
    let expires = now + life.min(LONGEST_LIFE);
    match conn.until() {
        None => Some(expires),
        Some(until) => (now < until).then(|| expires.min(until)),
    }
}

/// `Keep-Alive: timeout=N`: how long the server keeps an idle connection
/// (SPEC P4), less a second for the way there. Not at all, where it says by
/// `max=0` that it takes no more requests on it.
fn keep_alive(head: &ResponseHead) -> Option<Duration> {
    let value = head.first("keep-alive")?;
    let parameter = |wanted: &str| {
        value
            .split(|&b| b == b',')
            .filter_map(|parameter| std::str::from_utf8(parameter).ok())
            .filter_map(|parameter| parameter.trim().split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .and_then(|(_, value)| value.trim().parse::<u32>().ok())
    };
    if parameter("max") == Some(0) {
        return Some(Duration::ZERO);
    }
    let seconds = parameter("timeout")?;
    Some(Duration::from_secs(u64::from(seconds).saturating_sub(1)))
}

/// Hands a connection to whoever has asked for it, as [`advance`] does.
pub(crate) fn lend<S: Stream + 'static>(
    mut asked: Box<Exchange>,
    lease: Lease<PoolKey, PooledConn<S>>,
) {
    let facts = lease.facts();
    let loan = Box::new(Loaned::new(lease));
    if let Some(call) = asked.advance.take()
        && catch_unwind(AssertUnwindSafe(|| call.lend(loan, facts))).is_err()
    {
        log::error!("who asked for a connection panicked; it is closed");
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use bytes::Bytes;
    use http::{StatusCode, Version};

    use super::*;
    use crate::head::FieldSpan;

    fn hint(value: &str) -> Option<u64> {
        let bytes = format!("Keep-Alive{value}");
        let span = FieldSpan {
            name: (0, 10),
            value: (10, bytes.len() as u32),
        };
        let mut head = ResponseHead::new(Version::HTTP_11, StatusCode::OK, (0, 0));
        head.push(span);
        keep_alive(&head.over(Bytes::from(bytes))).map(|d| d.as_secs())
    }

    #[test]
    fn the_keep_alive_hint_is_read_where_it_makes_sense() {
        assert_eq!(hint("timeout=5"), Some(4));
        assert_eq!(hint("max=100, Timeout = 15"), Some(14));
        assert_eq!(hint("timeout=0"), Some(0));
        assert_eq!(hint("max=100"), None);
        assert_eq!(hint("timeout=5, max=0"), Some(0));
        assert_eq!(hint("max=0"), Some(0));
        assert_eq!(hint("timeout=soon"), None);
        assert_eq!(hint("timeout=-3"), None);
        assert_eq!(hint(""), None);
    }
}
