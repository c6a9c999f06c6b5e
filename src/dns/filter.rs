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
/// Some IPv6 addresses lead to an IPv4 one that they hold. A mapped one
/// (`::ffff:10.0.0.1`) is judged as the IPv4 address it is. Any other is admitted
/// only if it is admitted itself, and what it holds is, too; and what denies the
/// one inside refuses the one around it:
///
/// - NAT64, `64:ff9b::/96`, and for local use, `64:ff9b:1::/48` (RFC 8215), in
///   which a network's own prefix may have 48, 56, 64 or 96 bits: all that it can
///   mean counts, but for addresses in `0.0.0.0/8`
/// - 6to4, `2002::/16`
/// - Teredo, `2001::/32`: the server and the client
/// - ISATAP (RFC 5214): `0:5efe:10.0.0.1` or `200:5efe:10.0.0.1` behind any 64 bits
/// - IPv4-compatible, `::10.0.0.1`, and IPv4-translated, `::ffff:0:10.0.0.1`
///
/// To [`public_only`](Self::public_only) the first of NAT64, 6to4 and Teredo are
/// as public as what they hold. So `allow("64:ff9b::/96")` opens no way to
/// `64:ff9b::127.0.0.1`; `allow("127.0.0.0/8")` does. What a network translates
/// under a prefix of its own (NAT64, 6rd) nobody else can tell:
/// [`deny`](Self::deny) that.
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
        let inside = embedded(address);
        let is_in = |networks: &[Network], ip| networks.iter().any(|n| n.holds(ip));
        let is_denied = |ip| is_in(&self.denied, ip);
        if is_denied(address) || own(address).is_some_and(is_denied) {
            return false;
        }
        let is_good = |ip| {
            is_in(&self.allowed, ip)
                || match (self.start, ip) {
                    (Start::All, _) => true,
                    (Start::None, _) => false,
                    (Start::Public, IpAddr::V4(ip)) => is_public_v4(ip),
                    (Start::Public, IpAddr::V6(ip)) => is_public_v6(ip),
                }
        };
        is_good(address)
            && inside
                .into_iter()
                .flatten()
                .map(IpAddr::from)
                .all(|ip| !is_denied(ip) && is_good(ip))
    }

    /// What was given as a network and is none.
    pub(super) fn mistake(&self) -> Option<&str> {
        self.mistake.as_deref()
    }
}

/// The address of this machine that is reached by naming none.
fn own(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
        _ => None,
    }
}

/// The IPv4 addresses that a packet to `ip` may end up at, or pass through.
fn embedded(ip: IpAddr) -> [Option<Ipv4Addr>; 5] {
    let IpAddr::V6(ip) = ip else {
        return [None; 5];
    };
    let octets = ip.octets();
    let at = |places: [usize; 4]| Some(Ipv4Addr::from(places.map(|place| octets[place])));
    // Nothing is routed to `0.0.0.0/8`: there it is something else that was read.
    let routed = |places| at(places).filter(|ip| ip.octets()[0] != 0);
    const END: [usize; 4] = [12, 13, 14, 15];
    let segments = ip.segments();
    let [one, two, three, four] = match segments {
        // NAT64 (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [at(END), None, None, None],
        // The same for local use (RFC 8215), by prefixes of each length that fits
        // (RFC 6052 §2.2). Bits behind the address are ignored there.
        [0x64, 0xff9b, 1, ..] => [
            routed([6, 7, 9, 10]),
            routed([7, 9, 10, 11]),
            routed([9, 10, 11, 12]),
            routed(END),
        ],
        // 6to4 (RFC 3056 §2).
        [0x2002, ..] => [at([2, 3, 4, 5]), None, None, None],
        // Teredo: the server's, and the client's, each bit turned (RFC 4380 §4).
        [0x2001, 0, ..] => {
            let client = at(END).map(|ip| Ipv4Addr::from_bits(!ip.to_bits()));
            [at([4, 5, 6, 7]), client, None, None]
        }
        // IPv4-translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0xffff, 0, ..] => [at(END), None, None, None],
        // IPv4-compatible (RFC 4291 §2.5.5.1), which `::` and `::1` are not.
        [0, 0, 0, 0, 0, 0, ..] => [routed(END), None, None, None],
        _ => [None; 4],
    };
    // ISATAP, in the networks of others, too (RFC 5214 §6.1).
    let isatap = match segments[4..6] {
        [0 | 0x200, 0x5efe] => at(END),
        _ => None,
    };
    [one, two, three, four, isatap]
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

/// Global unicast without what the same registry sets aside in it, and NAT64. Of
/// transition addresses what is in them has to be public, too.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let special = match first {
        // `2001::/23` without Teredo, and documents.
        0x2001 => (1..0x200).contains(&second) || second == 0x0db8,
        // `3fff::/20`: documents.
        0x3fff => second < 0x1000,
        _ => false,
    };
    let is_nat64 = matches!(ip.segments(), [0x64, 0xff9b, 0, 0, 0, 0, ..]);
    is_nat64 || (first & 0xe000 == 0x2000 && !special)
}

#[cfg(test)]
mod tests;
