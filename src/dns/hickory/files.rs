//! What stands in `resolv.conf` and in the hosts file, and whether they have
//! changed.
//!
//! Both parsers are pure and forgiving, as the C library's are: a line that
//! makes no sense is passed over, a number beyond its bound is cut to it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Where a name server listens, if nothing else is said.
const PORT: u16 = 53;

/// What one lookup would never get to the end of.
const MAX_SERVERS: usize = 8;
const MAX_SEARCH: usize = 32;

/// The bounds of resolv.conf(5).
const MAX_NDOTS: usize = 15;
const MAX_TIMEOUT: u64 = 30;
const MAX_ATTEMPTS: usize = 5;

/// More of a file is not read: it may be endless.
const MAX_RESOLV_CONF: u64 = 64 << 10;
const MAX_HOSTS: u64 = 16 << 20;

/// What `resolv.conf` says, or what holds where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    /// A name with that many dots is tried as it stands first.
    pub(super) ndots: usize,
    /// How long one server is waited for.
    pub(super) timeout: Duration,
    /// How often all servers are asked, one after the other.
    pub(super) attempts: usize,
    /// Each lookup begins with another server.
    pub(super) rotate: bool,
    pub(super) edns0: bool,
    /// TCP from the start.
    pub(super) use_tcp: bool,
    /// No question for IPv6 addresses is sent.
    pub(super) no_aaaa: bool,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            edns0: false,
            use_tcp: false,
            no_aaaa: false,
        }
    }
}

impl ResolvConf {
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&text_of(path, MAX_RESOLV_CONF)?))
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(server);
                    conf.servers.extend(server);
                }
                // The last of these lines counts.
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|option| conf.set(option)),
                _ => {}
            }
        }
        conf.servers.truncate(MAX_SERVERS);
        // A placeholder for "no domain" that some systems write.
        conf.search.retain(|domain| domain != "--");
        conf.search.truncate(MAX_SEARCH);
        conf
    }

    fn set(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        match (name, value.parse::<u64>()) {
            ("ndots", Ok(n)) => self.ndots = clamp(n, 0, MAX_NDOTS),
            ("timeout", Ok(n)) => self.timeout = Duration::from_secs(n.clamp(1, MAX_TIMEOUT)),
            ("attempts", Ok(n)) => self.attempts = clamp(n, 1, MAX_ATTEMPTS),
            ("rotate", _) => self.rotate = true,
            ("edns0", _) => self.edns0 = true,
            ("use-vc", _) => self.use_tcp = true,
            ("no-aaaa", _) => self.no_aaaa = true,
            _ => {}
        }
    }
}

fn clamp(n: u64, low: usize, high: usize) -> usize {
    usize::try_from(n).unwrap_or(high).clamp(low, high)
}

/// A name server's address: `10.0.0.1`, `fe80::1%eth0`, and with a port as
/// OpenBSD writes it, `[10.0.0.1]:5353`.
fn server(text: &str) -> Option<SocketAddr> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']')? {
            (host, "") => (host, PORT),
            (host, port) => (host, port.strip_prefix(':')?.parse().ok()?),
        },
        None => (text, PORT),
    };
    let address = match host.split_once('%') {
        Some((ip, scope)) => {
            let ip: Ipv6Addr = ip.parse().ok()?;
            SocketAddrV6::new(ip, port, 0, scope_id(scope)?).into()
        }
        None => SocketAddr::new(host.parse().ok()?, port),
    };
    // "This host" is meant, and an answer would come from another address.
    Some(match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, port).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, port).into(),
        _ => address,
    })
}

/// The number of an interface.
fn scope_id(scope: &str) -> Option<u32> {
    if let Ok(number) = scope.parse() {
        return Some(number);
    }
    // As Linux tells it; the name must not lead elsewhere.
    if scope.contains(['/', '.']) {
        return None;
    }
    let text = fs::read_to_string(format!("/sys/class/net/{scope}/ifindex")).ok()?;
    text.trim().parse().ok()
}

/// The names of a hosts file, in lower case, with their addresses in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// A file that is not there or cannot be read names nobody.
    pub(super) fn read(path: &Path) -> Self {
        text_of(path, MAX_HOSTS).map_or_else(|_| Self::default(), |text| Self::parse(&text))
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                let addresses = hosts.0.entry(name.to_ascii_lowercase()).or_default();
                addresses.push(address);
            }
        }
        hosts
    }

    /// The addresses of a name as it was typed: no search domains apply.
    pub(super) fn find(&self, host: &str) -> &[IpAddr] {
        let host = host.strip_suffix('.').unwrap_or(host);
        let found = self.0.get(&host.to_ascii_lowercase());
        found.map_or(&[], Vec::as_slice)
    }
}

/// The text of a file, up to a bound; what is not UTF-8 in it is replaced.
fn text_of(path: &Path, max: u64) -> io::Result<String> {
    // A pipe could block for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// By what a changed file is told from an unchanged one. `None`: it is not
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(Option<SystemTime>, u64, u64)>);

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let Ok(found) = fs::metadata(path) else {
            return Self(None);
        };
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(&found);
        #[cfg(not(unix))]
        let file = 0;
        Self(Some((found.modified().ok(), found.len(), file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        let conf = ResolvConf::parse(text);
        conf.servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn resolv_conf() {
        let conf = ResolvConf::parse(
            "# nameserver 9.9.9.9\n; nameserver 8.8.8.8\n\
             nameserver 10.0.0.1\nnameserver\t10.0.0.2 # the second\n\
             search corp.test  lab.test\n\
             options ndots:2 timeout:3 attempts:4\noptions rotate edns0 use-vc no-aaaa unheard:of\n",
        );
        assert_eq!(
            conf,
            ResolvConf {
                servers: vec![([10, 0, 0, 1], 53).into(), ([10, 0, 0, 2], 53).into()],
                search: vec!["corp.test".to_owned(), "lab.test".to_owned()],
                ndots: 2,
                timeout: Duration::from_secs(3),
                attempts: 4,
                rotate: true,
                edns0: true,
                use_tcp: true,
                no_aaaa: true,
            }
        );
        assert_eq!(ResolvConf::parse(""), ResolvConf::default());
    }

    #[test]
    fn the_last_of_search_and_domain_counts() {
        for (text, search) in [
            ("domain a.test\nsearch b.test c.test", "b.test c.test"),
            ("search b.test c.test\ndomain a.test d.test", "a.test"),
            ("search a.test\nsearch b.test", "b.test"),
            ("search -- lan", "lan"),
            ("search", ""),
        ] {
            assert_eq!(ResolvConf::parse(text).search.join(" "), search, "{text}");
        }
    }

    #[test]
    fn numbers_are_kept_in_bounds() {
        let most = ResolvConf::parse("options ndots:99 timeout:4294967296 attempts:77");
        assert_eq!((most.ndots, most.attempts), (15, 5));
        assert_eq!(most.timeout, Duration::from_secs(30));
        let least = ResolvConf::parse("options ndots:0 timeout:0 attempts:0");
        assert_eq!((least.ndots, least.attempts), (0, 1));
        assert_eq!(least.timeout, Duration::from_secs(1));
        let junk = ResolvConf::parse("options ndots: timeout:-1 attempts:x ndots timeout");
        assert_eq!(junk, ResolvConf::default());
        let many: String = (0..99)
            .map(|n| format!("nameserver 10.0.0.{n}\n"))
            .collect();
        assert_eq!(ResolvConf::parse(&many).servers.len(), MAX_SERVERS);
        let many = format!("search{}", " a.test".repeat(999));
        assert_eq!(ResolvConf::parse(&many).search.len(), MAX_SEARCH);
    }

    #[test]
    fn addresses_of_servers() {
        for (text, expected) in [
            ("nameserver 10.0.0.1", "10.0.0.1:53"),
            ("nameserver [10.0.0.1]:5353", "10.0.0.1:5353"),
            ("nameserver [::1]", "[::1]:53"),
            ("nameserver [::1]:5353", "[::1]:5353"),
            ("nameserver 2001:db8::1", "[2001:db8::1]:53"),
            ("nameserver fe80::1%3", "[fe80::1%3]:53"),
            ("nameserver 0.0.0.0", "127.0.0.1:53"),
            ("nameserver ::", "[::1]:53"),
        ] {
            assert_eq!(servers(text), [expected], "{text}");
        }
        for text in [
            "nameserver",
            "nameserver dns.test",
            "nameserver 10.0.0",
            "nameserver 10.0.0.1:53",
            "nameserver [10.0.0.1]53",
            "nameserver [10.0.0.1]:x",
            "nameserver [10.0.0.1",
            "nameserver 10.0.0.1%3",
            "nameserver fe80::1%../lo",
            "nameserver fe80::1%no-such-interface",
            " \u{0}\u{fffd}",
        ] {
            assert_eq!(servers(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn hosts() {
        let hosts = Hosts::parse(
            "127.0.0.1 localhost\n# 10.9.9.9 commented.test\n10.0.0.1\tDB.test db # inline.test\n\
             ::2 db.test\nnonsense.test 10.0.0.2\nfe80::1%lo0 scoped.test\n10.0.0.3",
        );
        let both: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "::2".parse().unwrap()];
        assert_eq!(hosts.find("db.test"), both);
        assert_eq!(hosts.find("Db.TEST."), both);
        assert_eq!(hosts.find("db"), &both[..1]);
        for absent in [
            "commented.test",
            "inline.test",
            "10.0.0.2",
            "scoped.test",
            "",
        ] {
            assert_eq!(hosts.find(absent), [] as [IpAddr; 0], "{absent}");
        }
    }
}
