//! Which hosts are reached without a proxy (SPEC X7).

use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::error::Error;

/// Hosts that are reached without a proxy (SPEC X7): a list as the variable
/// `NO_PROXY` has it, for [`Proxy::no_proxy`](crate::Proxy::no_proxy).
///
/// Entries are separated by commas, spaces or both:
///
/// | entry | what it stands for |
/// |---|---|
/// | `*` | every host |
/// | `example.com` | this name, and every name below it |
/// | `.example.com`, `*.example.com` | the same |
/// | `192.0.2.7`, `2001:db8::7`, `[2001:db8::7]` | this address |
/// | `10.0.0.0/8`, `fd00::/8` | every address of this network |
/// | `example.com:8080`, `192.0.2.7:81`, `[2001:db8::7]:81`, `*:81` | the same on this port alone |
///
/// A name stands for the names below it with or without the dot, as curl, Python
/// and aiohttp have it: a list written for one of them means the same here. Case
/// does not matter, nor does a dot at the end. Names are compared as names:
/// nothing is looked up, so `127.0.0.1` does not cover `localhost`. Addresses are
/// compared by value, however the URL spells them, and an IPv4 address in IPv6
/// clothes (`::ffff:192.0.2.7`) is that IPv4 address. A network covers hosts that
/// are written as addresses.
///
/// The default is empty, which covers nothing.
///
/// ```
/// use miohttp::{NoProxy, Url};
///
/// let direct = NoProxy::parse("localhost, .internal, 10.0.0.0/8, example.com:8443")?;
/// let covers = |url: &str| direct.covers(&Url::parse(url).unwrap());
/// assert!(covers("http://wiki.internal/") && covers("http://10.1.2.3:8080/"));
/// assert!(covers("https://example.com:8443/") && !covers("https://example.com/"));
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// `None` is any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// In lower case and ASCII, without a dot at either end.
    Below(Box<str>),
    Net {
        address: IpAddr,
        /// How many bits of it count.
        prefix: u32,
    },
}

impl NoProxy {
    /// Reads a list. An empty one covers nothing.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest), with the entry: one
    /// that can never cover a host. A URL, a network that is none, a port that is
    /// none, a `*` in the middle.
    pub fn parse(list: &str) -> Result<Self, Error> {
        let mut entries = Vec::new();
        for text in words(list) {
            entries.push(entry(text).map_err(|why| {
                Error::invalid_request(format!("{text:?} in a list of hosts without a proxy {why}"))
            })?);
        }
        Ok(Self { entries })
    }

    /// As [`parse`](Self::parse), but leaves out what it would refuse: nobody
    /// can mend the environment from here.
    pub(super) fn parse_some(list: &str, mut refused: impl FnMut(&str, &'static str)) -> Self {
        let mut entries = Vec::new();
        for text in words(list) {
            match entry(text) {
                Ok(entry) => entries.push(entry),
                Err(why) => refused(text, why),
            }
        }
        Self { entries }
    }

    /// Whether the URL's host and port are in the list. A URL without a host is
    /// in none.
    pub fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host() else {
            return false;
        };
        let port = url.port_or_known_default();
        self.entries.iter().any(|entry| {
            let at_port = entry.port.is_none() || entry.port == port;
            at_port && entry.hosts.cover(&host)
        })
    }
}

/// The same as [`NoProxy::parse`].
impl FromStr for NoProxy {
    type Err = Error;

    fn from_str(list: &str) -> Result<Self, Error> {
        Self::parse(list)
    }
}

impl Hosts {
    fn cover(&self, host: &Host<&str>) -> bool {
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address).to_canonical()),
        };
        match (self, host, address) {
            (Self::All, ..) => true,
            (Self::Below(name), Host::Domain(host), _) => is_below(host, name),
            (Self::Net { address, prefix }, _, Some(host)) => is_within(host, *address, *prefix),
            _ => false,
        }
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
}

/// # Errors
/// What is wrong with it, as the end of a sentence.
fn entry(text: &str) -> Result<Entry, &'static str> {
    if text.contains("://") {
        return Err("is a URL; a host is wanted");
    }
    if let Some((address, prefix)) = text.split_once('/') {
        let hosts = network(address, prefix).ok_or("is no network")?;
        return Ok(Entry { hosts, port: None });
    }
    // Two colons and no brackets are an IPv6 address and no port.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            // The parser would take a sign.
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| is_number && *port != 0);
            (host, Some(port.ok_or("has a port that is none")?))
        }
        _ => (text, None),
    };
    let hosts = hosts(host).ok_or("is no host")?;
    Ok(Entry { hosts, port })
}

fn hosts(text: &str) -> Option<Hosts> {
    if text == "*" {
        return Some(Hosts::All);
    }
    if let Some(address) = literal(text) {
        return Some(one(address));
    }
    let name = text.strip_prefix('*').filter(|name| name.starts_with('.'));
    let name = name.unwrap_or(text).trim_start_matches('.');
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.contains(['*', '%']) {
        return None;
    }
    // As a URL would have it: in ASCII, and what is an address is one.
    match Host::parse(name).ok()? {
        Host::Domain(name) => Some(Hosts::Below(name.into())),
        Host::Ipv4(address) => Some(one(address.into())),
        Host::Ipv6(address) => Some(one(address.into())),
    }
}

fn one(address: IpAddr) -> Hosts {
    let address = address.to_canonical();
    Hosts::Net {
        address,
        prefix: width(address),
    }
}

fn network(address: &str, prefix: &str) -> Option<Hosts> {
    let written = literal(address)?;
    let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = prefix.parse::<u32>().ok().filter(|_| is_number)?;
    if prefix > width(written) {
        return None;
    }
    let address = written.to_canonical();
    // Of `::ffff:10.0.0.0/104` the last 8 bits are the IPv4 network's.
    let left_out = width(written) - width(address);
    match prefix.checked_sub(left_out) {
        Some(prefix) => Some(Hosts::Net { address, prefix }),
        None => Some(Hosts::Net {
            address: written,
            prefix,
        }),
    }
}

/// An address in its own notation, with or without brackets.
fn literal(text: &str) -> Option<IpAddr> {
    match text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Whether `host` is this name or ends in a dot and this name.
fn is_below(host: &str, name: &str) -> bool {
    // The root's dot; a URL's host is in lower case already.
    let host = host.strip_suffix('.').unwrap_or(host);
    host.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_within(host: IpAddr, address: IpAddr, prefix: u32) -> bool {
    /// The bits that count; with none of them a shift would be too far.
    fn head(bits: u128, width: u32, prefix: u32) -> u128 {
        bits.checked_shr(width - prefix).unwrap_or_default()
    }
    let (host, address, width) = match (host, address) {
        (IpAddr::V4(host), IpAddr::V4(address)) => {
            let bits = |address| u128::from(u32::from(address));
            (bits(host), bits(address), 32)
        }
        (IpAddr::V6(host), IpAddr::V6(address)) => (host.into(), address.into(), 128),
        _ => return false,
    };
    head(host, width, prefix) == head(address, width, prefix)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn covers(list: &str, host: &str) -> bool {
        let url = Url::parse(&format!("http://{host}/")).unwrap();
        NoProxy::parse(list).unwrap().covers(&url)
    }

    /// The host, the list, and whether the host is covered.
    const TABLE: &[(&str, &str, bool)] = &[
        // Nothing, everything.
        ("a.test", "", false),
        ("a.test", " ,, ,", false),
        ("a.test", "*", true),
        ("192.0.2.1", "*", true),
        ("[2001:db8::1]", "*", true),
        ("a.test", "b.test,*", true),
        ("a.test:81", "*:81", true),
        ("a.test", "*:81", false),
        // Names, and names below them, with the dot or without.
        ("a.test", "a.test", true),
        ("b.a.test", "a.test", true),
        ("c.b.a.test", "a.test", true),
        ("ba.test", "a.test", false),
        ("test", "a.test", false),
        ("a.test", "b.a.test", false),
        ("a.test", ".a.test", true),
        ("b.a.test", ".a.test", true),
        ("ba.test", ".a.test", false),
        ("a.test", "*.a.test", true),
        ("b.a.test", "*.a.test", true),
        ("ba.test", "*.a.test", false),
        ("a.test", "..a.test", true),
        ("a.test.example", "a.test", false),
        // Dots at the end, and case.
        ("a.test.", "a.test", true),
        ("a.test", "a.test.", true),
        ("b.a.test.", ".a.test.", true),
        ("A.Test", "a.TEST", true),
        ("localhost", "LocalHost", true),
        // Other alphabets are compared in ASCII.
        ("b\u{fc}cher.test", "b\u{fc}cher.test", true),
        ("xn--bcher-kva.test", "B\u{dc}CHER.test", true),
        ("b\u{fc}cher.test", "xn--bcher-kva.test", true),
        // Lists.
        ("b.test", "a.test,b.test", true),
        ("b.test", "a.test, b.test", true),
        ("b.test", "a.test b.test", true),
        ("b.test", "a.test\t,\n ,,  b.test ,", true),
        ("c.test", "a.test, b.test", false),
        // Addresses, by value.
        ("127.0.0.1", "127.0.0.1", true),
        ("127.1", "127.0.0.1", true),
        ("0x7f000001", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("127.0.0.1", "localhost", false),
        ("localhost", "127.0.0.1", false),
        ("127.0.0.1", "0.0.1", false),
        ("127.0.0.1", ".1", false),
        ("127.0.0.1.test", "127.0.0.1", false),
        ("[::1]", "::1", true),
        ("[::1]", "[::1]", true),
        ("[::1]", "0:0:0:0:0:0:0:1", true),
        ("[2001:DB8::1]", "2001:db8:0::1", true),
        ("[::1]", "127.0.0.1", false),
        ("[::ffff:192.0.2.1]", "192.0.2.1", true),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        // Networks.
        ("192.0.2.1", "192.0.2.0/24", true),
        ("192.0.3.1", "192.0.2.0/24", false),
        ("192.0.3.1", "192.0.2.0/23", true),
        ("192.0.2.1", "192.0.2.77/24", true),
        ("192.0.2.1", "192.0.2.0/32", false),
        ("192.0.2.1", "192.0.2.1/32", true),
        ("203.0.113.9", "0.0.0.0/0", true),
        ("203.0.113.9", "::/0", false),
        ("[2001:db8::1]", "::/0", true),
        ("[2001:db8::1]", "0.0.0.0/0", false),
        ("[2001:db8::1]", "2001:db8::/32", true),
        ("[2001:db8::1]", "[2001:db8::]/32", true),
        ("[2001:db9::1]", "2001:db8::/32", false),
        ("[2001:db9::1]", "2001:db8::/31", true),
        ("[2001:db8::1]", "2001:db8::1/128", true),
        ("[2001:db8::1]", "2001:db8::/128", false),
        ("10.1.2.3", "::ffff:10.0.0.0/104", true),
        ("11.1.2.3", "::ffff:10.0.0.0/104", false),
        ("a.test", "0.0.0.0/0", false),
        ("192.0.2.1", "a.test, b.test, 192.0.2.0/24", true),
        // Ports, those that need not be written among them.
        ("a.test:81", "a.test:81", true),
        ("a.test:82", "a.test:81", false),
        ("a.test:81", "a.test", true),
        ("a.test", "a.test:80", true),
        ("b.a.test:81", ".a.test:81", true),
        ("192.0.2.1:81", "192.0.2.1:81", true),
        ("192.0.2.1:82", "192.0.2.1:81", false),
        ("[::1]:81", "[::1]:81", true),
        ("[::1]:82", "[::1]:81", false),
    ];

    #[test]
    fn a_list_covers_what_it_says() {
        // SPEC X7
        for (host, list, want) in TABLE {
            assert_eq!(covers(list, host), *want, "{host} in {list:?}");
            // What stands beside an entry changes nothing.
            let longer = format!("x.invalid,{list} , [2001:db8:ffff::]/48,");
            assert_eq!(covers(&longer, host), *want, "{host} in {longer:?}");
        }
    }

    #[test]
    fn a_scheme_has_its_own_port() {
        // SPEC X7
        let list = NoProxy::parse("a.test:443").unwrap();
        let covers = |url: &str| list.covers(&Url::parse(url).unwrap());
        assert!(covers("https://a.test/") && covers("wss://a.test/"));
        assert!(!covers("http://a.test/") && covers("http://a.test:443/"));
        assert!(
            !NoProxy::parse("*")
                .unwrap()
                .covers(&Url::parse("mailto:a@b").unwrap())
        );
    }

    #[test]
    fn an_entry_that_can_cover_nothing_is_an_error() {
        // SPEC X7
        for text in [
            "http://a.test",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0/8",
            "2001:db8::/129",
            "[192.0.2.1]",
            "a.test/24",
            "a.test:",
            "a.test:0",
            "a.test:65536",
            "a.test:+1",
            "a.test:http",
            ":80",
            "[::1]:x",
            "[::1",
            "::1]",
            "1:2:3",
            "a*.test",
            "a.*.test",
            "**",
            "*a.test",
            "*.*",
            ".",
            "*.",
            "1.2.3.4.5",
            "a<b",
            "a%20b",
        ] {
            let list = format!("a.test, {text}");
            let error = NoProxy::parse(&list).expect_err(text);
            assert!(
                error.is_request() && error.to_string().contains(text),
                "{error}"
            );
            let mut refused = Vec::new();
            let some = NoProxy::parse_some(&list, |text, _| refused.push(text.to_owned()));
            assert_eq!(refused, [text]);
            assert_eq!(some, NoProxy::parse("a.test").unwrap());
        }
    }
}
