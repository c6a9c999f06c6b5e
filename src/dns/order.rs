//! Which names need no lookup, and in which order addresses are tried. Pure.
//!
//! The resolver's own order (RFC 6724, done by getaddrinfo) is kept inside
//! each family; across families the attempts alternate (RFC 8305, section 4),
//! so that one broken family costs one attempt's delay and not the sum of all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::IpFamily;

/// The order of connection attempts: IPv6 begins if `v6_first`, else the family
/// of the first address, then the two alternate one by one until one is used up
/// (SPEC C27; a "First Address Family Count" of 1).
pub(crate) fn interleave(mut addresses: Vec<SocketAddr>, v6_first: bool) -> Vec<SocketAddr> {
    let mut v6_next = v6_first || addresses.first().is_some_and(SocketAddr::is_ipv6);
    let mut ordered = Vec::with_capacity(addresses.len());
    // Quadratic, but there are few: see `MAX_ADDRESSES`.
    while !addresses.is_empty() {
        let wanted = addresses.iter().position(|a| a.is_ipv6() == v6_next);
        ordered.push(addresses.remove(wanted.unwrap_or(0)));
        v6_next = !v6_next;
    }
    ordered
}

/// The address that `host` spells out, if it is an IP literal: it bypasses
/// every resolver (SPEC C24). IPv6 may stand in brackets, as in a URL.
///
/// Only the plain dotted form of IPv4 counts. Shorthands such as `127.1` or
/// `0x7f000001` are rewritten by a URL parser before they come here.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => {
            let v6: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
            Some(v6.into())
        }
        None => host.parse().ok(),
    }
}

/// Whether `host` is `localhost` or a name under it. Such a name means this
/// machine and must not be asked of a resolver (RFC 6761, section 6.3): an
/// answer from the network could point a "local" request anywhere.
pub(crate) fn local_host(host: &str) -> bool {
    const NAME: &[u8] = b"localhost";
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let Some(split) = host.len().checked_sub(NAME.len()) else {
        return false;
    };
    let (above, name) = host.split_at(split);
    name.eq_ignore_ascii_case(NAME)
        && (above.is_empty() || (above.len() > 1 && above.ends_with(b".")))
}

/// The addresses of [`local_host`] names.
pub(crate) fn loopback(family: IpFamily, port: u16) -> Vec<SocketAddr> {
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match family {
        IpFamily::Any => vec![v6, v4],
        IpFamily::V4 => vec![v4],
        IpFamily::V6 => vec![v6],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split_whitespace()
            .map(|a| a.parse().unwrap())
            .collect()
    }

    fn peers(text: &str) -> Vec<SocketAddr> {
        ips(text).into_iter().map(|ip| (ip, 80).into()).collect()
    }

    #[test]
    fn families_alternate() {
        // SPEC C27, RFC 8305 section 4.
        for (resolved, tried) in [
            ("", ""),
            ("10.0.0.1", "10.0.0.1"),
            ("::1 ::2 10.0.0.1 10.0.0.2", "::1 10.0.0.1 ::2 10.0.0.2"),
            ("10.0.0.1 10.0.0.2 ::1 ::2", "10.0.0.1 ::1 10.0.0.2 ::2"),
            ("::1 ::2 ::3 10.0.0.1", "::1 10.0.0.1 ::2 ::3"),
            (
                "::1 10.0.0.1 10.0.0.2 10.0.0.3",
                "::1 10.0.0.1 10.0.0.2 10.0.0.3",
            ),
            ("10.0.0.2 10.0.0.1", "10.0.0.2 10.0.0.1"),
            ("::1 10.0.0.1 ::2 10.0.0.2", "::1 10.0.0.1 ::2 10.0.0.2"),
        ] {
            assert_eq!(
                interleave(peers(resolved), false),
                peers(tried),
                "{resolved}"
            );
        }
        for (resolved, tried) in [
            ("10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2"),
            ("10.0.0.1 10.0.0.2 ::1", "::1 10.0.0.1 10.0.0.2"),
            ("10.0.0.1 ::1 10.0.0.2 ::2", "::1 10.0.0.1 ::2 10.0.0.2"),
        ] {
            assert_eq!(
                interleave(peers(resolved), true),
                peers(tried),
                "{resolved}"
            );
        }
    }

    #[test]
    fn literals() {
        // SPEC C24.
        for (host, expected) in [
            ("127.0.0.1", Some("127.0.0.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("::ffff:1.2.3.4", Some("::ffff:1.2.3.4")),
            ("[127.0.0.1]", None),
            ("[::1", None),
            ("::1]", None),
            ("[]", None),
            ("", None),
            ("127.1", None),
            ("1.2.3.4.", None),
            ("fe80::1%eth0", None),
            ("example.com", None),
        ] {
            let expected = expected.map(|e| e.parse::<IpAddr>().unwrap());
            assert_eq!(literal(host), expected, "{host}");
        }
    }

    /// RFC 6761 section 6.3.
    #[test]
    fn names_of_this_machine() {
        for host in [
            "localhost",
            "localhost.",
            "LocalHost",
            "a.localhost",
            "a.b.LOCALHOST.",
        ] {
            assert!(local_host(host), "{host}");
        }
        for host in [
            "",
            ".",
            "localhost..",
            ".localhost",
            "notlocalhost",
            "localhost.com",
            "localhos",
            "é.localhosx",
            "日本localhost",
        ] {
            assert!(!local_host(host), "{host}");
        }
        assert_eq!(loopback(IpFamily::Any, 80), peers("::1 127.0.0.1"));
        assert_eq!(loopback(IpFamily::V4, 80), peers("127.0.0.1"));
        assert_eq!(loopback(IpFamily::V6, 80), peers("::1"));
    }
}
