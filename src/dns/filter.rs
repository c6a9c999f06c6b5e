//! Which addresses may be connected to: a guard against requests that are made
//! to go where only this machine can (SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::Network;

/// Which addresses a connector may open connections to
/// ([`ConnectorBuilder::address_filter`](crate::ConnectorBuilder::address_filter)).
///
/// For programs that fetch what strangers name: without it, a URL, a redirect
/// or a DNS record can lead a request to this machine, to its neighbours, or to
/// the metadata service of a cloud. A filter is data, and judges addresses, not
/// names: after resolution, and so whatever name or spelling led there.
///
/// It starts as [`public_only`](Self::public_only), [`all`](Self::all) or
/// [`none`](Self::none). [`allow`](Self::allow) and [`deny`](Self::deny) make
/// exceptions: what is denied is refused, else what is allowed is admitted,
/// else the start decides.
///
/// # Addresses in addresses
///
/// Some IPv6 addresses lead to an IPv4 one that they hold: mapped
/// (`::ffff:10.0.0.1`), translated (NAT64, `64:ff9b::/96`), and those of 6to4
/// and Teredo. The first is judged as the IPv4 address it is; the others are
/// admitted only if the one inside is, too.
///
/// # Examples
///
/// ```
/// use miohttp::AddressFilter;
///
/// let filter = AddressFilter::public_only().allow("10.20.0.0/16").deny("10.20.0.1");
/// assert!(filter.admits("198.41.0.4".parse()?));
/// assert!(filter.admits("10.20.30.40".parse()?));
/// assert!(!filter.admits("10.20.0.1".parse()?));
/// assert!(!filter.admits("127.0.0.1".parse()?));
/// assert!(!filter.admits("::ffff:169.254.169.254".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFilter {
    start: Start,
    allowed: Vec<Network>,
    denied: Vec<Network>,
    /// What was given as a network and is none. Nothing is admitted then: a
    /// guard that was misspelt must not stand open.
    mistake: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    All,
    Public,
    None,
}

impl AddressFilter {
    /// Admits what anybody on the Internet can be reached at, and refuses:
    ///
    /// - this machine: `0.0.0.0/8`, `127.0.0.0/8`, `::`, `::1`
    /// - private networks: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`,
    ///   `fc00::/7`, and those of a provider, `100.64.0.0/10`
    /// - the link: `169.254.0.0/16`, `fe80::/10`
    /// - multicast and broadcast: `224.0.0.0/4`, `255.255.255.255`, `ff00::/8`
    /// - what is set aside for documents, benchmarks, protocols, or the future:
    ///   `192.0.0.0/24`, `192.0.2.0/24`, `192.88.99.0/24`, `198.18.0.0/15`,
    ///   `198.51.100.0/24`, `203.0.113.0/24`, `240.0.0.0/4`, `2001::/23`,
    ///   `2001:db8::/32`, `3fff::/20`, `64:ff9b:1::/48`, and all of IPv6 outside
    ///   `2000::/3`
    ///
    /// A service that a cloud serves at a public address of its own is not
    /// known to it: on Azure, [`deny`](Self::deny) `168.63.129.16`.
    pub fn public_only() -> Self {
        Self::starting(Start::Public)
    }

    /// Admits every address, but for what is [denied](Self::deny).
    pub fn all() -> Self {
        Self::starting(Start::All)
    }

    /// Admits no address, but for what is [allowed](Self::allow).
    pub fn none() -> Self {
        Self::starting(Start::None)
    }

    fn starting(start: Start) -> Self {
        Self {
            start,
            allowed: Vec::new(),
            denied: Vec::new(),
            mistake: None,
        }
    }

    /// Admits these networks, unless they are denied: one or several with
    /// commas between, such as `10.0.0.0/8, fd00::/8` or single addresses.
    ///
    /// What is no network is told by the request: with
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest), and whatever it
    /// would connect to.
    pub fn allow(mut self, networks: &str) -> Self {
        let networks = self.parse(networks);
        self.allowed.extend(networks);
        self
    }

    /// Refuses these networks, whatever else is said of them. Written as for
    /// [`allow`](Self::allow). Who refuses `127.0.0.1` or `::1` refuses `0.0.0.0`
    /// or `::` with it, for systems take that for their own.
    pub fn deny(mut self, networks: &str) -> Self {
        let networks = self.parse(networks);
        self.denied.extend(networks);
        self
    }

    fn parse(&mut self, networks: &str) -> Vec<Network> {
        let mut parsed = Vec::new();
        for text in networks.split(',') {
            let text = text.trim_ascii();
            match text.parse() {
                Ok(network) => parsed.push(network),
                Err(_) => self.mistake = Some(text.into()),
            }
        }
        parsed
    }

    /// Whether a connection may be opened to this address.
    pub fn admits(&self, address: IpAddr) -> bool {
        if self.mistake.is_some() {
            return false;
        }
        let address = address.to_canonical();
        let within = match address {
            // A system takes no address for its own.
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(v6) => embedded(v6).map(IpAddr::from),
            IpAddr::V4(_) => None,
        };
        let is_in = |networks: &[Network], ip: IpAddr| networks.iter().any(|n| n.holds(ip));
        if is_in(&self.denied, address) || within.is_some_and(|ip| is_in(&self.denied, ip)) {
            return false;
        }
        if is_in(&self.allowed, address) {
            return true;
        }
        match self.start {
            Start::All => true,
            Start::None => false,
            Start::Public => match (address, within) {
                (_, Some(IpAddr::V4(ip))) => is_in(&self.allowed, ip.into()) || is_public_v4(ip),
                (IpAddr::V4(ip), _) => is_public_v4(ip),
                (IpAddr::V6(ip), _) => is_public_v6(ip),
            },
        }
    }

    /// What was given as a network and is none.
    pub(super) fn mistake(&self) -> Option<&str> {
        self.mistake.as_deref()
    }
}

/// The IPv4 address that a packet to `ip` may end up at.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        // NAT64 (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        // 6to4 (RFC 3056 §2).
        [0x2002, high, low, ..] => Some(v4(high, low)),
        // Teredo: the client's, each bit turned (RFC 4380 §4).
        [0x2001, 0, .., high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

/// By the IANA registry of special-purpose addresses (RFC 6890).
fn is_public_v4(ip: Ipv4Addr) -> bool {
    !matches!(
        ip.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..128, ..]
            | [169, 254, ..]
            | [172, 16..32, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18..20, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    )
}

/// Global unicast without what the same registry sets aside in it. Transition
/// addresses do not come here, but by what is in them.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let special = match first {
        // `2001::/23`, and documents.
        0x2001 => second < 0x200 || second == 0x0db8,
        // `3fff::/20`: documents.
        0x3fff => second < 0x1000,
        _ => false,
    };
    first & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests;
