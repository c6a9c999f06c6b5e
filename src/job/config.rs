//! What a connector settles for all its connections, whoever drives them.

use std::time::Duration;

use crate::dns;
use crate::net::Sockets;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// C1: how long an idle connection is kept.
    pub(crate) keepalive: Duration,
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
        self.sockets.check()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keepalive: Duration::from_secs(15),
            force_close: false,
            dns: dns::Settings::default(),
            happy_eyeballs: Some(Duration::from_millis(250)),
            sockets: Sockets::default(),
        }
    }
}
