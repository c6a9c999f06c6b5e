//! Hosts whose addresses the program itself says.

use std::collections::HashMap;
use std::net::SocketAddr;

use url::Host;

/// Stands for every host.
const ANY: &str = "*";

/// What is said of hosts, and on which ports. The narrowest rule counts: host
/// and port, then host, then port, then neither.
#[derive(Clone, Debug)]
pub(crate) struct Overrides {
    /// By host as a URL has it, without brackets and a last dot, or [`ANY`].
    hosts: HashMap<Box<str>, Vec<Rule>>,
    /// What was given as a host and is none.
    mistake: Option<Box<str>>,
    /// A pointer, so that a program without overrides has none of their code.
    find: fn(&Self, &str, u16) -> Option<Vec<SocketAddr>>,
}

#[derive(Clone, Debug)]
struct Rule {
    port: Option<u16>,
    to: Box<[SocketAddr]>,
}

impl Overrides {
    pub(crate) fn new() -> Self {
        Self {
            hosts: HashMap::new(),
            mistake: None,
            find: Self::search,
        }
    }

    /// From now on `host` is at `to`; port 0 there is the one that is asked
    /// for. The last word on one host and port counts.
    pub(crate) fn set(
        &mut self,
        host: &str,
        port: Option<u16>,
        to: impl IntoIterator<Item = SocketAddr>,
    ) {
        let Some(name) = canonical(host) else {
            self.mistake = Some(host.into());
            return;
        };
        let rules = self.hosts.entry(name).or_default();
        rules.retain(|rule| rule.port != port);
        let to = to.into_iter().collect();
        rules.push(Rule { port, to });
    }

    /// What was given as a host and is none.
    pub(super) fn mistake(&self) -> Option<&str> {
        self.mistake.as_deref()
    }

    /// What the program says of a host, if anything. It may be that it has no
    /// address.
    pub(super) fn find(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        (self.find)(self, host, port)
    }

    fn search(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let of = |host: &str, port: Option<u16>| {
            let rules = self.hosts.get(host)?;
            rules.iter().find(|rule| rule.port == port)
        };
        let rule = of(host, Some(port))
            .or_else(|| of(host, None))
            .or_else(|| of(ANY, Some(port)))
            .or_else(|| of(ANY, None))?;
        let asked = |mut peer: SocketAddr| {
            if peer.port() == 0 {
                peer.set_port(port);
            }
            peer
        };
        Some(rule.to.iter().copied().map(asked).collect())
    }
}

/// A host as a URL would have it, whose parser rewrites names and addresses.
fn canonical(host: &str) -> Option<Box<str>> {
    if host == ANY {
        return Some(ANY.into());
    }
    let parsed = match host.parse() {
        Ok(ip) => Host::Ipv6(ip),
        Err(_) => Host::parse(host).ok()?,
    };
    let text = parsed.to_string();
    let name = text.trim_start_matches('[').trim_end_matches(']');
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests;
