//! Names: what the job says, loopback for what ends in `.localhost` (RFC 6761
//! §6.3, as the recorded client has it), and the system's answer for the rest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use miohttp::{Answer, Query, Resolve};

use crate::job::Override;

pub struct Names(pub Vec<Override>);

impl Names {
    fn given(&self, query: &Query) -> Option<IpAddr> {
        let fits = |entry: &&Override| {
            let host = entry.0 == "*" || entry.0.eq_ignore_ascii_case(query.host());
            host && entry.1.port().is_none_or(|port| port == query.port())
        };
        let address = &self.0.iter().find(fits)?.2;
        address.trim_matches(['[', ']']).parse().ok()
    }
}

impl Resolve for Names {
    fn resolve(&self, query: &Query, answer: Answer) {
        if let Some(address) = self.given(query) {
            return answer.addresses([address]);
        }
        let host = query.host().to_ascii_lowercase();
        if host.ends_with(".localhost") {
            return answer.addresses([Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
        }
        match (host.as_str(), query.port()).to_socket_addrs() {
            Ok(found) => answer.addresses(found.map(|address| address.ip())),
            Err(error) => answer.fail(error),
        }
    }
}
