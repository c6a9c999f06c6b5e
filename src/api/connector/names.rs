//! What a connector can be told and asked about names and addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Connector, ConnectorBuilder, State};
use crate::dns::{AddressFilter, Cache, CachedHost, IpFamily, Resolve};
use crate::error::Error;
use crate::handoff::park::block_on;
use crate::handoff::slot::slot;
use crate::job::{Command, Control};

/// Names and addresses.
///
/// A host is sought in this order: a [`host_override`](Self::host_override); an
/// IP literal; `localhost` and the names under it, which are this machine
/// and are asked of no resolver (RFC 6761); the cache; a lookup under way for
/// the same host, port and family; the [`resolver`](Self::resolver). What comes
/// of it goes through [`ip_family`](Self::ip_family) and
/// [`address_filter`](Self::address_filter), and is tried as
/// [`happy_eyeballs`](Self::happy_eyeballs) says.
impl ConnectorBuilder {
    /// Resolves names by this instead of the system's resolver (SPEC C24). It
    /// runs on worker threads and may block.
    ///
    /// Four of them at a time; while some are at one name for more than a second,
    /// up to 16, so that names on a dead server hold up no others. 1024 more
    /// names may wait, each for no longer than its requests' limits
    /// ([`Timeouts::dns`](crate::Timeouts::dns), `connect`, `total`), and what
    /// comes on top fails at once with [`Kind::Dns`](crate::Kind::Dns).
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Says itself where a host is: a list of addresses, tried in this order,
    /// families in turn. Port 0 is the URL's port; another one is connected to
    /// instead. `Host`, TLS names and cookies stay those of the URL.
    ///
    /// `host` is a name or an IP literal, as URLs may spell it, or `*` for every
    /// host; `port` is the URL's port that is meant, and `None` means any. The
    /// narrowest one counts: host and port, then host, then `*` and port, then
    /// `*`; said twice, the last. No addresses at all make a host unreachable
    /// ([`Kind::Dns`](crate::Kind::Dns)).
    ///
    /// It goes before everything else: IP literals, `localhost`, cache and
    /// resolver. Being the program's own word it is not judged by
    /// [`address_filter`](Self::address_filter); [`ip_family`](Self::ip_family)
    /// holds. A proxy's host is overridden as well; what a proxy looks
    /// up is not.
    ///
    /// What is no host is told by every request, with
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest).
    ///
    /// ```
    /// use miohttp::Connector;
    ///
    /// let canary = "192.0.2.7:8443".parse()?;
    /// let connector = Connector::builder()
    ///     .host_override("api.example.com", 443, [canary])
    ///     .host_override("db.internal", None, ["10.0.0.7:0".parse()?])
    ///     .build();
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn host_override(
        mut self,
        host: &str,
        port: impl Into<Option<u16>>,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Self {
        self.config.dns.set_override(host, port.into(), addresses);
        self
    }

    /// Connects only to addresses that this admits: a guard for programs that
    /// fetch what strangers name (SSRF). None by default.
    ///
    /// It judges addresses, when a connection is opened, whatever led to them:
    /// every hop of a redirect, names, IP literals in any spelling
    /// (`http://2130706433/` is 127.0.0.1), `localhost`, and each answer anew, so
    /// that a name which changes its mind between two looks gains nothing. Where
    /// it admits some addresses of a host, those are used; where it admits none,
    /// the request fails with [`Kind::Blocked`](crate::Kind::Blocked) before
    /// anything is sent.
    ///
    /// What the program says itself is not judged: a
    /// [`host_override`](Self::host_override), the address of a proxy, a Unix
    /// socket, what a transport of its own finds by itself. Through a proxy the
    /// target is judged as far as it is known here: IP literals, `localhost`, and
    /// names this side looks up (socks4, socks5). A name that the proxy looks up
    /// is the proxy's to judge.
    ///
    /// ```
    /// use miohttp::{AddressFilter, Connector, Kind, Session};
    ///
    /// let connector = Connector::builder()
    ///     .address_filter(AddressFilter::public_only())
    ///     .build();
    /// let session = Session::builder().connector(connector).build();
    /// let error = session.get("http://0x7f.1/admin").send().unwrap_err();
    /// assert_eq!(error.kind(), Kind::Blocked);
    /// ```
    pub fn address_filter(mut self, filter: AddressFilter) -> Self {
        self.config.dns.set_filter(filter);
        self
    }

    /// Whether resolved names are remembered (SPEC C22). If not, concurrent
    /// lookups of one name are joined all the same.
    pub fn dns_cache(mut self, cache: bool) -> Self {
        self.config.dns.keep.enabled = cache;
        self
    }

    /// How many names are remembered: host, port and family make one. The least
    /// recently used goes first (SPEC C22). 0 remembers none.
    pub fn dns_cache_size(mut self, names: usize) -> Self {
        self.config.dns.keep.capacity = names;
        self
    }

    /// How long resolved names are remembered at most; `None` is for ever (SPEC
    /// C22). A resolver that knows how long its answer is good for
    /// ([`Answer::valid_for`](crate::Answer::valid_for)) may make it less; the
    /// system's does not.
    pub fn dns_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.config.dns.keep.ttl = ttl.into();
        self
    }

    /// For how long it is remembered at most that a name does not exist, or has
    /// no address of the wanted family. Zero, the default: not at all.
    ///
    /// Only what a resolver says with authority counts
    /// ([`Answer::not_found`](crate::Answer::not_found), or no addresses); a
    /// lookup that failed is never remembered. Off by default because
    /// the system's resolver cannot always tell the two apart: some systems say
    /// that a name does not exist when they are offline.
    pub fn dns_negative_ttl(mut self, ttl: Duration) -> Self {
        self.config.dns.keep.negative = ttl;
        self
    }

    /// For how long after its end a remembered answer still serves when the next
    /// lookup fails, or takes longer than the request's
    /// [`dns`](crate::Timeouts::dns) limit (RFC 8767). Zero, the default: not at
    /// all. Old addresses then serve for 30 s before the resolver is asked
    /// again. That the name is gone ends it at once.
    pub fn dns_stale_on_error(mut self, age: Duration) -> Self {
        self.config.dns.keep.stale = age;
        self
    }

    /// Connects only to addresses of this family (SPEC C25).
    pub fn ip_family(mut self, family: IpFamily) -> Self {
        self.config.dns.family = family;
        self
    }

    /// How long after one attempt to connect the next is started beside it
    /// (RFC 8305, SPEC C27). `None` tries addresses one after the other.
    pub fn happy_eyeballs(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.config.happy_eyeballs = delay.into();
        self
    }
}

/// Names and addresses.
impl Connector {
    /// Whether resolved names are remembered (SPEC C30).
    pub fn dns_cache(&self) -> bool {
        self.inner.config.dns.keep.enabled
    }

    /// How many names are remembered.
    pub fn dns_cache_size(&self) -> usize {
        self.inner.config.dns.keep.capacity
    }

    /// How long resolved names are remembered at most; `None` is for ever.
    pub fn dns_ttl(&self) -> Option<Duration> {
        self.inner.config.dns.keep.ttl
    }

    /// For how long it is remembered that a name has no address; zero: not at
    /// all.
    pub fn dns_negative_ttl(&self) -> Duration {
        self.inner.config.dns.keep.negative
    }

    /// For how long a remembered answer serves when lookups fail; zero: not at
    /// all.
    pub fn dns_stale_on_error(&self) -> Duration {
        self.inner.config.dns.keep.stale
    }

    /// The family of addresses that are connected to (SPEC C25, C30).
    pub fn ip_family(&self) -> IpFamily {
        self.inner.config.dns.family
    }

    /// The filter of addresses, if there is one.
    pub fn address_filter(&self) -> Option<&AddressFilter> {
        self.inner.config.dns.filter()
    }

    /// The delay between two attempts to connect; `None`: one after the other
    /// (SPEC C27).
    pub fn happy_eyeballs(&self) -> Option<Duration> {
        self.inner.config.happy_eyeballs
    }

    /// The names that are remembered now, by host and port (SPEC C23). Literals,
    /// `localhost` and overrides need no remembering and are not among them.
    ///
    /// Waits for the connector's thread to look, which takes as long as what it
    /// is at: microseconds, as it never blocks. A connector that has sent
    /// nothing yet, or is closed, remembers nothing.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) on the connector's own thread
    /// (in a `Waker` or a logger), which would wait for itself, and when that
    /// thread has died.
    ///
    /// ```
    /// let connector = miohttp::Connector::new();
    /// for host in connector.cached_hosts()? {
    ///     println!("{}:{} is at {:?}", host.host(), host.port(), host.addresses());
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn cached_hosts(&self) -> Result<Vec<CachedHost>, Error> {
        if !self.is_home() || !matches!(*self.state(), State::Running(_)) {
            return Ok(Vec::new());
        }
        let (sender, mut receiver) = slot();
        let look = Control::Names(Cache::snapshot, sender);
        self.tell(Command::Control(look));
        match block_on(None, |cx| receiver.poll(cx)) {
            Ok(Some(hosts)) => Ok(hosts),
            Ok(None) if self.is_closed() => Ok(Vec::new()),
            Ok(None) => Err(self.ended()),
            Err(_) => Err(Error::internal("the reactor cannot wait for itself")),
        }
    }

    /// Forgets resolved names: one host and port, or all (SPEC C23). Lookups
    /// under way still serve those who wait for them.
    pub fn clear_dns(&self, name: Option<(&str, u16)>) {
        let name = name.map(|(host, port)| (host.to_owned(), port));
        self.tell(Command::Control(Control::ClearDns(name)));
    }
}
