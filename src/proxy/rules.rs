//! Which server a URL is reached through.

use std::fmt;
use std::sync::Arc;

use url::Url;

use super::{NoProxy, Proxy, Server};
use crate::error::Error;

/// The schemes a rule is for; none is all of them.
pub(super) type Schemes = &'static [&'static str];

pub(super) const ALL: Schemes = &[];
pub(super) const HTTP: Schemes = &["http", "ws"];
pub(super) const HTTPS: Schemes = &["https", "wss"];

pub(super) type Choose = Arc<dyn Fn(&Url) -> Option<Proxy> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Rule {
    schemes: Schemes,
    /// These are reached directly.
    pub(super) no_proxy: Option<Arc<NoProxy>>,
    pub(super) to: To,
}

#[derive(Clone)]
pub(super) enum To {
    Server(Arc<Server>),
    By(Choose),
    /// What a variable of the environment says makes no sense.
    Nowhere(Error),
}

/// A function may give a set with a function in it. Nobody needs more of that.
const MAX_DEPTH: usize = 8;

pub(super) fn choose(proxy: &Proxy, url: &Url) -> Result<Option<Arc<Server>>, Error> {
    let mut given: Option<Proxy> = None;
    for _ in 0..MAX_DEPTH {
        let rules = given.as_ref().unwrap_or(proxy).rules.iter();
        let Some(rule) = rules.clone().find(|rule| rule.is_for(url.scheme())) else {
            return Ok(None);
        };
        if rule
            .no_proxy
            .as_ref()
            .is_some_and(|hosts| hosts.covers(url))
        {
            return Ok(None);
        }
        let next = match &rule.to {
            To::Nowhere(error) => return Err(error.clone()),
            To::Server(server) => {
                return match server.mistake() {
                    Some(mistake) => Err(mistake),
                    None => Ok(Some(Arc::clone(server))),
                };
            }
            To::By(choose) => choose(url),
        };
        match next {
            Some(next) => given = Some(next),
            None => return Ok(None),
        }
    }
    Err(Error::invalid_request(
        "the functions that choose a proxy lead to one another without an end",
    ))
}

impl Rule {
    pub(super) fn new(schemes: Schemes, server: Server) -> Self {
        Self::to(schemes, To::Server(Arc::new(server)))
    }

    pub(super) fn by(choose: Choose) -> Self {
        Self::to(ALL, To::By(choose))
    }

    pub(super) fn to(schemes: Schemes, to: To) -> Self {
        Self {
            schemes,
            no_proxy: None,
            to,
        }
    }

    pub(super) fn server(&self) -> Option<&Server> {
        match &self.to {
            To::Server(server) => Some(server),
            To::By(_) | To::Nowhere(_) => None,
        }
    }

    pub(super) fn is_custom(&self) -> bool {
        matches!(self.to, To::By(_))
    }

    fn is_for(&self, scheme: &str) -> bool {
        self.schemes.is_empty() || self.schemes.contains(&scheme)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.schemes.first() {
            write!(f, "{scheme} by ")?;
        }
        match &self.to {
            To::Server(server) => server.fmt(f),
            To::By(_) => f.write_str("a function"),
            To::Nowhere(_) => f.write_str("nothing that can be used"),
        }
    }
}
