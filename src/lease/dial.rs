//! A caller opens the connection it will use, where that is one attempt at one
//! known address. Names, and races between addresses, are the reactor's.

use std::io;
use std::time::{Duration, Instant};

use super::{Lease, Lessee, Permit, revoked_error};
use crate::conn::link::{Link, Stage};
use crate::conn::{Conn, connect_error};
use crate::dns::Whose;
use crate::error::{Error, Phase, Timeout};
use crate::job::{Exchange, ExchangeId, PoolKey};
use crate::net::mio::MioStream;
use crate::net::{self, Address, Destination, Stream, poll};

pub(super) enum Dialed {
    Open(Lease),
    Failed(Error),
    /// The reactor has to do it.
    Declined,
}

/// Where shutting a socket wakes who waits for it to connect.
const INTERRUPTIBLE: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What limits a dial.
struct Deadline {
    at: Instant,
    limit: Timeout,
    length: Duration,
}

impl Lessee {
    pub(super) fn dial(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        permit: Permit,
        now: &mut Instant,
    ) -> Dialed {
        let key = &exchange.key;
        let Some(address) = self.known_address(key).filter(|_| INTERRUPTIBLE) else {
            return Dialed::Declined;
        };
        let to = Destination {
            address: &address,
            sockets: &self.config.sockets,
        };
        let stream = match MioStream::connect(&to) {
            Ok(stream) => stream,
            // The reactor closes idle connections then.
            Err(error) if net::is_out_of_descriptors(&error) => return Dialed::Declined,
            // And knocks again after a while where a queue is full.
            Err(error) if address.may_be_full(&error) => return Dialed::Declined,
            Err(error) => {
                return Dialed::Failed(connect_error(error.into(), Stage::Connect, &address));
            }
        };
        let Some(listing) = self.pool.list(id.lease(), stream.share()) else {
            return Dialed::Failed(Error::closed());
        };
        // Much may have come before: the TLS settings, the reactor's thread.
        *now = poll::now();
        let deadline = deadline(exchange, *now);
        let mut link = Link::new(stream, address, key.tls_name());
        // On loopback it often is connected by now.
        link.suspect();
        let rare = exchange.limits.rare.as_ref();
        let tls_limit = rare.and_then(|rare| rare.tls);
        let opened = establish(&mut link, deadline, tls_limit, now);
        match opened {
            Ok(()) => {
                let conn = Box::new(Conn::new(link, None));
                Dialed::Open(Lease::new(listing, permit.adopt(conn)))
            }
            Err(error) => {
                link.abort();
                let revoked = listing.end();
                drop(link);
                drop(permit);
                Dialed::Failed(revoked.map_or(error, revoked_error))
            }
        }
    }
}

impl Lessee {
    /// Where there is nothing to look up.
    fn known_address(&self, key: &PoolKey) -> Option<Address> {
        if let Some(address) = self.config.sockets.fixed() {
            return Some(address);
        }
        let dns = &self.config.dns;
        let known = dns.known(key.host(), key.port(), Whose::Origin)?;
        match known.ok()?[..] {
            [peer] => Some(Address::Tcp(peer)),
            _ => None,
        }
    }
}

/// The nearest limit: where two fall together, the wider one is the news.
fn deadline(exchange: &Exchange, now: Instant) -> Option<Deadline> {
    let limits = &exchange.limits;
    let from_now = |limit, length: Option<Duration>| {
        let length = length?;
        let at = now.checked_add(length)?;
        Some(Deadline { at, limit, length })
    };
    let total = limits.total.map(|(at, length)| Deadline {
        at,
        limit: Timeout::Total,
        length,
    });
    [
        total,
        from_now(Timeout::Connect, limits.connect),
        from_now(Timeout::SockConnect, limits.sock_connect),
    ]
    .into_iter()
    .flatten()
    .min_by_key(|deadline| deadline.at)
}

fn establish(
    link: &mut Link<MioStream>,
    mut deadline: Option<Deadline>,
    mut tls_limit: Option<Duration>,
    now: &mut Instant,
) -> Result<(), Error> {
    loop {
        match link.establish() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(fault) => return Err(connect_error(fault, link.stage(), link.address())),
        }
        let stage = link.stage();
        if stage == Stage::Handshake
            && let Some(length) = tls_limit.take()
            && let Some(at) = now.checked_add(length)
            && deadline.as_ref().is_none_or(|other| at < other.at)
        {
            let limit = Timeout::Tls;
            deadline = Some(Deadline { at, limit, length });
        }
        if let Some(deadline) = &deadline
            && deadline.at <= *now
        {
            let phase = match stage {
                Stage::Handshake => Phase::Tls,
                _ => Phase::Connect,
            };
            let error = Error::timed_out(deadline.limit, Some(deadline.length), phase);
            return Err(match deadline.limit {
                Timeout::SockConnect | Timeout::Tls => error
                    .with_peer(link.address().ip())
                    .with_path(link.address().path()),
                _ => error,
            });
        }
        let connecting = stage == Stage::Connect;
        let write = connecting || link.has_outgoing();
        let until = deadline.as_ref().map(|deadline| deadline.at);
        match poll::wait(link.stream(), !connecting, write, until) {
            Ok(state) => link.ready(state),
            Err(error) => {
                let error: io::Error = error;
                return Err(connect_error(error.into(), stage, link.address()));
            }
        }
        *now = poll::now();
    }
}
