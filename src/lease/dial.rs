//! A caller opens the connection it will use, where that is one attempt at one
//! known address. Names, and races between addresses, are the reactor's.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Lease, Lessee, Permit, revoked_error};
use crate::conn::link::{Link, Stage};
use crate::conn::tunnel::{Detour, EXPLAINS};
use crate::conn::{Conn, connect_error};
use crate::dns::Whose;
use crate::error::{Error, Timeout};
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
        // It may block for longer than any limit. The reactor keeps limits all the
        // same, and has threads for that.
        if key.has_foreign_tls() {
            return Dialed::Declined;
        }
        let Some((address, target)) = self.known_address(key).filter(|_| INTERRUPTIBLE) else {
            return Dialed::Declined;
        };
        let detour = match Detour::plan(exchange, target) {
            Ok(detour) => detour,
            Err(fault) => {
                let stage = Stage::Tunnel;
                let error = connect_error(fault.into(), stage, &address, key.route());
                return Dialed::Failed(error);
            }
        };
        let (host, port) = key.hop();
        let to = Destination {
            address: &address,
            host,
            port,
            deadline: self.given_up_at(exchange, *now),
            sockets: &self.config.sockets,
        };
        let stream = match MioStream::connect(&to) {
            Ok(stream) => stream,
            // The reactor closes idle connections then.
            Err(error) if net::is_out_of_descriptors(&error) => return Dialed::Declined,
            // And knocks again after a while where a queue is full.
            Err(error) if address.may_be_full(&error) => return Dialed::Declined,
            Err(error) => {
                return Dialed::Failed(connect_error(
                    error.into(),
                    Stage::Connect,
                    &address,
                    key.route(),
                ));
            }
        };
        let Some(listing) = self.pool.list(id.lease(), stream.share()) else {
            return Dialed::Failed(Error::closed());
        };
        // Much may have come before: the TLS settings, the reactor's thread.
        *now = poll::now();
        let deadline = deadline(exchange, *now);
        let mut link = Link::new(stream, address, key.tls_name(), detour);
        // On loopback it often is connected by now.
        link.suspect();
        let rare = exchange.limits.rare.as_ref();
        let tls_limit = rare.and_then(|rare| rare.tls);
        let opened = establish(&mut link, key, deadline, tls_limit, now);
        match opened {
            Ok(()) => {
                let mut conn = Box::new(Conn::new(link, None));
                conn.set_until(self.config.too_old_at(*now));
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
    /// The earliest end of a dial, for a transport that wants to know.
    fn given_up_at(&self, exchange: &Exchange, now: Instant) -> Option<Instant> {
        let is_asked = self.config.sockets.is_carried();
        let nearest = is_asked.then(|| deadline(exchange, now))?;
        nearest.map(|deadline| deadline.at)
    }

    /// Where there is nothing to look up: whom to connect to, and what a proxy is
    /// told in the place of the origin's name.
    fn known_address(&self, key: &PoolKey) -> Option<(Address, Option<SocketAddr>)> {
        let (dns, mut whose, mut target) = (&self.config.dns, Whose::Origin, None);
        if let Some(route) = key.route() {
            whose = Whose::Proxy;
            if route.wants_address() {
                let known = dns.known(key.host(), key.port(), Whose::Origin)?;
                target = Some(route.choose(&known.ok()?)?);
            } else if !route.is_forward() {
                dns.judge(key.host()).ok()?;
            }
        }
        let (host, port) = key.hop();
        if let Some(address) = self.config.sockets.fixed((host, port)) {
            if self.config.sockets.is_carried() && key.route().is_none() {
                // The reactor says what is wrong with it.
                dns.judge(host).ok()?;
            }
            return Some((address, target));
        }
        match dns.known(host, port, whose)?.ok()?[..] {
            [peer] => Some((Address::Tcp(peer), target)),
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
    key: &PoolKey,
    whole: Option<Deadline>,
    tls_limit: Option<Duration>,
    now: &mut Instant,
) -> Result<(), Error> {
    let mut stage = link.stage();
    let mut of_stage = None;
    let mut explains_until = None;
    loop {
        match link.establish() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(fault) => {
                let (stage, address) = (link.stage(), link.address());
                return Err(connect_error(fault, stage, address, key.route()));
            }
        }
        if link.stage() != stage {
            stage = link.stage();
            of_stage = tls_limit
                .filter(|_| stage.is_handshake())
                .and_then(|length| {
                    let (at, limit) = (now.checked_add(length)?, Timeout::Tls);
                    Some(Deadline { at, limit, length })
                });
        }
        // Where they fall together, the wider one is the news.
        let nearest = whole.iter().chain(&of_stage).min_by_key(|limit| limit.at);
        if link.is_refused() {
            let until = *explains_until.get_or_insert(*now + EXPLAINS);
            let is_over = until <= *now || nearest.is_some_and(|limit| limit.at <= *now);
            if is_over && let Some(refusal) = link.refusal() {
                return Err(connect_error(refusal, stage, link.address(), key.route()));
            }
        }
        if let Some(deadline) = nearest
            && deadline.at <= *now
        {
            let error = Error::timed_out(deadline.limit, Some(deadline.length), stage.phase());
            return Err(match deadline.limit {
                Timeout::SockConnect | Timeout::Tls => error
                    .with_peer(link.address().ip())
                    .with_path(link.address().path()),
                _ => error,
            });
        }
        let (read, write) = (stage != Stage::Connect, link.wants_write());
        let until = nearest.map(|limit| limit.at);
        let until = until.into_iter().chain(explains_until).min();
        match poll::wait(link.stream(), read, write, until) {
            Ok(state) => link.ready(state),
            Err(error) => {
                let error: io::Error = error;
                let address = link.address();
                return Err(connect_error(error.into(), stage, address, key.route()));
            }
        }
        *now = poll::now();
    }
}
