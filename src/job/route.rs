//! The way to an origin through a proxy, as data: part of a pool key, since a
//! connection that went another way is another connection (SPEC P1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::head::Fields;
use crate::proto::connect::Connect;
use crate::proto::socks::{Socks4, Socks5};
use crate::proto::tunnel::{Dialog, Goal, Octets, ProxyFault};
use crate::tls;

/// A proxy, and how it is asked. Equal by value, secrets included, which are
/// compared and never printed. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Route(Arc<RouteParts>);

struct RouteParts {
    host: Box<str>,
    port: u16,
    tls: Option<tls::Client>,
    via: Via,
    /// Follows from `via`. A pointer, so that a program that makes no routes is
    /// linked without all that goes on behind it.
    begin: Begin,
}

/// Begins the dialog that asks for the way, its first bytes behind what stands
/// in the buffer. `None` where there is nothing to ask.
type Begin = fn(&Via, &Goal<'_>, &mut Vec<u8>) -> Result<Option<Box<dyn Dialog>>, ProxyFault>;

/// What the proxy is asked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// Requests in absolute form; one connection serves all origins.
    Forward,
    /// A tunnel, by CONNECT (RFC 9110 §9.3.6). The fields are for the proxy
    /// alone, its Basic credentials among them (SPEC X5).
    Connect {
        fields: Fields,
        /// Whose tunnel it is, where the proxy is answered anew each time: two
        /// logins never share one.
        login: Option<u64>,
    },
    /// A connection, by SOCKS4, or by 4a where the proxy looks up the name.
    Socks4 { user: Box<[u8]>, remote_dns: bool },
    /// A connection, by SOCKS5 (RFC 1928), with user name and password where
    /// there are some (RFC 1929).
    Socks5 {
        login: Option<Login>,
        remote_dns: bool,
    },
}

/// User name and password.
pub(crate) type Login = (Box<[u8]>, Box<[u8]>);

impl Route {
    /// `host` is a name or an IP literal without brackets. With `tls`, the proxy
    /// is spoken to under TLS and has to prove that name.
    pub(crate) fn new(host: &str, port: u16, tls: Option<tls::Client>, via: Via) -> Self {
        let begin = match &via {
            Via::Forward => begin_nothing,
            Via::Connect { .. } => begin_connect,
            Via::Socks4 { .. } => begin_socks4,
            Via::Socks5 { .. } => begin_socks5,
        };
        Self(Arc::new(RouteParts {
            host: host.into(),
            port,
            tls,
            via,
            begin,
        }))
    }

    /// Begins to ask for the way to a goal, whose host may be a literal.
    pub(crate) fn begin(
        &self,
        mut goal: Goal<'_>,
        address: Option<SocketAddr>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Box<dyn Dialog>>, ProxyFault> {
        goal.port = address.map_or(goal.port, |address| address.port());
        let address = address.map(|address| address.ip());
        goal.address = address
            .or_else(|| goal.host.parse().ok())
            .map(|address| match address {
                IpAddr::V4(address) => Octets::V4(address.octets()),
                IpAddr::V6(address) => Octets::V6(address.octets()),
            });
        (self.0.begin)(&self.0.via, &goal, out)
    }

    pub(crate) fn host(&self) -> &str {
        &self.0.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// TLS to the proxy, and the name it has to prove there.
    pub(crate) fn tls_name(&self) -> Option<(&tls::Client, &str)> {
        let client = self.0.tls.as_ref()?;
        Some((client, &self.0.host))
    }

    pub(crate) fn via(&self) -> &Via {
        &self.0.via
    }

    /// Requests go in absolute form, on a connection that is the proxy's.
    pub(crate) fn is_forward(&self) -> bool {
        matches!(self.0.via, Via::Forward)
    }

    /// The origin's name is looked up here, since the proxy is told an address.
    pub(crate) fn wants_address(&self) -> bool {
        match self.0.via {
            Via::Socks4 { remote_dns, .. } | Via::Socks5 { remote_dns, .. } => !remote_dns,
            Via::Forward | Via::Connect { .. } => false,
        }
    }

    /// Which of an origin's addresses the proxy is told. There are proxies without
    /// IPv6, and none without IPv4; and SOCKS4 can carry nothing else.
    pub(crate) fn choose(&self, addresses: &[SocketAddr]) -> Option<SocketAddr> {
        let v4 = addresses.iter().find(|address| address.is_ipv4()).copied();
        match self.0.via {
            Via::Socks4 { .. } => v4,
            _ => v4.or(addresses.first().copied()),
        }
    }
}

fn begin_nothing(
    _: &Via,
    _: &Goal<'_>,
    _: &mut Vec<u8>,
) -> Result<Option<Box<dyn Dialog>>, ProxyFault> {
    Ok(None)
}

fn begin_connect(
    via: &Via,
    goal: &Goal<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<Box<dyn Dialog>>, ProxyFault> {
    let Via::Connect { fields, .. } = via else {
        return Ok(None);
    };
    Ok(Some(Box::new(Connect::begin(goal, fields, out))))
}

fn begin_socks4(
    via: &Via,
    goal: &Goal<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<Box<dyn Dialog>>, ProxyFault> {
    let Via::Socks4 { user, remote_dns } = via else {
        return Ok(None);
    };
    let mut goal = *goal;
    if *remote_dns && matches!(goal.address, Some(Octets::V6(_))) {
        // 4a has no other form for it, and a server may well know this one.
        goal.address = None;
    }
    Ok(Some(Box::new(Socks4::begin(&goal, user, out)?)))
}

fn begin_socks5(
    via: &Via,
    goal: &Goal<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<Box<dyn Dialog>>, ProxyFault> {
    let Via::Socks5 { login, .. } = via else {
        return Ok(None);
    };
    let login = login
        .as_ref()
        .map(|(user, password)| (&**user, &**password));
    Ok(Some(Box::new(Socks5::begin(goal, login, out)?)))
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || (one.host == two.host
                && one.port == two.port
                && one.tls == two.tls
                && one.via == two.via)
    }
}

impl Eq for Route {}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (&self.0.via, &self.0.tls) {
            (Via::Forward, None) => "http",
            (Via::Forward, Some(_)) => "https",
            (Via::Connect { .. }, None) => "connect+http",
            (Via::Connect { .. }, Some(_)) => "connect+https",
            (Via::Socks4 { remote_dns, .. }, _) => ["socks4", "socks4a"][usize::from(*remote_dns)],
            (Via::Socks5 { remote_dns, .. }, _) => ["socks5", "socks5h"][usize::from(*remote_dns)],
        };
        write!(f, "{scheme}://{}:{}", self.0.host, self.0.port)
    }
}

impl fmt::Debug for Via {
    // Fields and logins are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "Forward",
            Self::Connect { .. } => "Connect",
            Self::Socks4 { .. } => "Socks4",
            Self::Socks5 { .. } => "Socks5",
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
