//! What a connector settles about names and addresses, and what follows from
//! it without asking anybody.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::order::{literal, local_host, loopback};
use super::overrides::Overrides;
use super::{AddressFilter, DnsFault, IpFamily};

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// C25.
    pub(crate) family: IpFamily,
    /// C22.
    pub(crate) keep: Keep,
    overrides: Option<Box<Overrides>>,
    guard: Option<Box<Guard>>,
}

/// Which results are kept, and for how long (SPEC C22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Else nothing is kept, but concurrent lookups still join.
    pub(crate) enabled: bool,
    pub(crate) capacity: usize,
    /// The most; `None` is for ever.
    pub(crate) ttl: Option<Duration>,
    /// How long it is remembered that a name has no address; zero: not at all.
    pub(crate) negative: Duration,
    /// How long after its end a result still serves where the next lookup
    /// fails; zero: not at all.
    pub(crate) stale: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            enabled: true,
            capacity: 1000,
            ttl: Some(Duration::from_secs(10)),
            negative: Duration::ZERO,
            stale: Duration::ZERO,
        }
    }
}

/// Whose a host is: of the origin, whoever named it; or of a proxy, which the
/// program named itself, so that the filter does not judge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Origin,
    Proxy,
}

/// The filter and its judgement: by a pointer, so that a program without one
/// has none of its code.
#[derive(Clone, Debug)]
struct Guard {
    filter: AddressFilter,
    admits: fn(&AddressFilter, IpAddr) -> bool,
}

impl Settings {
    /// What was misspelt, for whoever sends the first request.
    pub(crate) fn check(&self) -> Result<(), String> {
        let overrides = self.overrides.as_ref();
        if let Some(text) = overrides.and_then(|overrides| overrides.mistake()) {
            return Err(format!("an override for {text:?}, which is no host"));
        }
        let filter = self.filter();
        if let Some(text) = filter.and_then(AddressFilter::mistake) {
            return Err(format!(
                "an address filter with {text:?}, which is no network"
            ));
        }
        Ok(())
    }

    pub(crate) fn set_filter(&mut self, filter: AddressFilter) {
        self.guard = Some(Box::new(Guard {
            filter,
            admits: AddressFilter::admits,
        }));
    }

    pub(crate) fn filter(&self) -> Option<&AddressFilter> {
        self.guard.as_ref().map(|guard| &guard.filter)
    }

    pub(crate) fn set_override(
        &mut self,
        host: &str,
        port: Option<u16>,
        to: impl IntoIterator<Item = SocketAddr>,
    ) {
        self.overrides
            .get_or_insert_with(|| Box::new(Overrides::new()))
            .set(host, port, to);
    }

    /// Where a host is, if that needs no lookup: the program said so, or it is
    /// an IP literal (SPEC C24), or `localhost`. Never empty.
    ///
    /// What the program said is not judged by the filter.
    pub(crate) fn known(
        &self,
        host: &str,
        port: u16,
        whose: Whose,
    ) -> Option<Result<Vec<SocketAddr>, DnsFault>> {
        if let Some(overrides) = &self.overrides
            && let Some(said) = overrides.find(host, port)
        {
            return Some(self.of_family(said));
        }
        let own = if let Some(ip) = literal(host) {
            vec![SocketAddr::new(ip, port)]
        } else if local_host(host) {
            loopback(self.family, port)
        } else {
            return None;
        };
        Some(
            self.of_family(own)
                .and_then(|peers| self.admit(peers, whose)),
        )
    }

    fn of_family(&self, mut peers: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DnsFault> {
        peers.retain(|peer| self.family.admits(peer.ip()));
        if peers.is_empty() {
            return Err(DnsFault::NoAddresses);
        }
        Ok(peers)
    }

    /// Those that may be connected to; all that a lookup brought go through
    /// here.
    ///
    /// # Errors
    /// None may.
    pub(crate) fn admit(
        &self,
        mut peers: Vec<SocketAddr>,
        whose: Whose,
    ) -> Result<Vec<SocketAddr>, DnsFault> {
        let Some(guard) = self.guard.as_ref().filter(|_| whose == Whose::Origin) else {
            return Ok(peers);
        };
        peers.retain(|peer| (guard.admits)(&guard.filter, peer.ip()));
        if peers.is_empty() {
            return Err(DnsFault::Blocked);
        }
        Ok(peers)
    }

    /// Judges a host that a proxy is told, and that is not looked up here: as
    /// far as it spells out where it is. What a name means there only the proxy
    /// knows.
    ///
    /// # Errors
    /// It may not be connected to.
    pub(crate) fn judge(&self, host: &str) -> Result<(), DnsFault> {
        let own = match literal(host) {
            Some(ip) => vec![SocketAddr::new(ip, 0)],
            None if local_host(host) => loopback(IpFamily::Any, 0),
            None => return Ok(()),
        };
        self.admit(own, Whose::Origin).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(text: &str) -> Vec<SocketAddr> {
        let peers = text.split_whitespace();
        peers.map(|peer| peer.parse().unwrap()).collect()
    }

    fn outcome(settings: &Settings, host: &str, whose: Whose) -> String {
        match settings.known(host, 80, whose) {
            None => "?".into(),
            Some(Ok(peers)) => format!("{peers:?}"),
            Some(Err(fault)) => format!("{fault:?}"),
        }
    }

    #[test]
    fn what_needs_no_lookup() {
        // SPEC C24, C25.
        let mut settings = Settings::default();
        for (host, expected) in [
            ("192.0.2.1", "[192.0.2.1:80]"),
            ("::1", "[[::1]:80]"),
            ("localhost", "[[::1]:80, 127.0.0.1:80]"),
            ("a.LocalHost.", "[[::1]:80, 127.0.0.1:80]"),
            ("a.test", "?"),
        ] {
            assert_eq!(outcome(&settings, host, Whose::Origin), expected, "{host}");
        }
        settings.family = IpFamily::V6;
        settings.set_override("a.test", None, peers("10.0.0.1:0 [::2]:7"));
        settings.set_override("b.test", None, peers("10.0.0.1:0"));
        settings.set_override("192.0.2.1", None, peers("[::3]:0"));
        settings.set_override("void.test", None, []);
        for (host, expected) in [
            ("192.0.2.1", "[[::3]:80]"),
            ("192.0.2.2", "NoAddresses"),
            ("localhost", "[[::1]:80]"),
            ("a.test", "[[::2]:7]"),
            ("b.test", "NoAddresses"),
            ("void.test", "NoAddresses"),
            ("c.test", "?"),
        ] {
            assert_eq!(outcome(&settings, host, Whose::Origin), expected, "{host}");
        }
    }

    /// The program's own words are not judged: an override, a proxy.
    #[test]
    fn what_the_filter_judges() {
        // SPEC Q2, C24.
        let mut settings = Settings::default();
        settings.set_override("inside.test", None, peers("10.0.0.1:0"));
        settings.set_filter(AddressFilter::public_only());
        for (host, expected) in [
            ("127.0.0.1", "Blocked"),
            ("::ffff:10.0.0.1", "Blocked"),
            ("localhost", "Blocked"),
            ("8.8.8.8", "[8.8.8.8:80]"),
            ("inside.test", "[10.0.0.1:80]"),
            ("a.test", "?"),
        ] {
            assert_eq!(outcome(&settings, host, Whose::Origin), expected, "{host}");
        }
        assert_eq!(
            outcome(&settings, "127.0.0.1", Whose::Proxy),
            "[127.0.0.1:80]"
        );
        let admitted = settings.admit(peers("10.0.0.1:80 8.8.8.8:80 [::1]:80"), Whose::Origin);
        assert_eq!(admitted.unwrap(), peers("8.8.8.8:80"));
        let none = settings.admit(peers("10.0.0.1:80"), Whose::Origin);
        assert!(matches!(none, Err(DnsFault::Blocked)));

        for host in ["127.0.0.1", "::1", "localhost", "x.localhost.", "10.1.2.3"] {
            assert!(settings.judge(host).is_err(), "{host}");
        }
        for host in ["8.8.8.8", "a.test", "inside.test"] {
            assert!(settings.judge(host).is_ok(), "{host}");
        }
        assert_eq!(settings.check(), Ok(()));
        settings.set_filter(AddressFilter::all().allow("x"));
        assert!(settings.check().is_err());
        assert_eq!(outcome(&settings, "8.8.8.8", Whose::Origin), "Blocked");
    }
}
