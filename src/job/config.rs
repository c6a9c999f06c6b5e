//! What a connector settles for all its connections, whoever drives them.

use std::time::{Duration, Instant};

use crate::dns;
use crate::net::Sockets;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// C1: how long an idle connection is kept.
    pub(crate) keepalive: Duration,
    /// It was asked for, and is not the default.
    pub(crate) keepalive_is_set: bool,
    /// How old a connection may be to be used once more.
    pub(crate) max_age: Option<Duration>,
    /// C2.
    pub(crate) force_close: bool,
    /// C22, C24, C25.
    pub(crate) dns: dns::Settings,
    /// C27: between one attempt to connect and the next; `None` tries in turn.
    pub(crate) happy_eyeballs: Option<Duration>,
    pub(crate) sockets: Sockets,
}

impl Config {
    /// What is wrong with it, for whoever sends the first request.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.dns.check()?;
        if self.force_close && self.keepalive_is_set {
            let message = "keepalive_timeout says how long connections are kept, and force_close \
                           that none is";
            return Err(message.to_owned());
        }
        let (v4, v6) = self.sockets.families();
        if self.dns.family == dns::IpFamily::V4 && !v4
            || self.dns.family == dns::IpFamily::V6 && !v6
        {
            return Err("no local address is of the address family asked for".to_owned());
        }
        self.sockets.check()
    }

    /// When a connection that is open since `now` is too old to be used again.
    pub(crate) fn too_old_at(&self, now: Instant) -> Option<Instant> {
        self.max_age.and_then(|age| now.checked_add(age))
    }

    /// What one setting says of another, once all are made: addresses that there
    /// is no local one for are not asked for.
    pub(crate) fn settled(mut self) -> Self {
        if self.dns.family == dns::IpFamily::Any {
            self.dns.family = match self.sockets.families() {
                (true, false) => dns::IpFamily::V4,
                (false, true) => dns::IpFamily::V6,
                _ => dns::IpFamily::Any,
            };
        }
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keepalive: Duration::from_secs(15),
            keepalive_is_set: false,
            max_age: None,
            force_close: false,
            dns: dns::Settings::default(),
            happy_eyeballs: Some(Duration::from_millis(250)),
            sockets: Sockets::default(),
        }
    }
}
