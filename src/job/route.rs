//! The way to an origin through a proxy, as data: part of a pool key, since a
//! connection that went another way is another connection (SPEC P1).

use std::fmt;
use std::sync::Arc;

use crate::head::Fields;
use crate::tls;

/// A proxy, and how it is asked. Equal by value, secrets included, which are
/// compared and never printed. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Route(Arc<RouteParts>);

#[derive(PartialEq, Eq)]
struct RouteParts {
    host: Box<str>,
    port: u16,
    tls: Option<tls::Client>,
    via: Via,
}

/// What the proxy is asked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// Requests in absolute form; one connection serves all origins.
    Forward,
    /// A tunnel, by CONNECT (RFC 9110 §9.3.6). The fields are for the proxy
    /// alone, its Basic credentials among them (SPEC X5).
    Connect { fields: Fields },
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
        Self(Arc::new(RouteParts {
            host: host.into(),
            port,
            tls,
            via,
        }))
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
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
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
