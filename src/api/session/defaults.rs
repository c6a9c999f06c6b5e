//! What a session was built with, to be looked at (SPEC S31).

use http::{HeaderMap, HeaderName, Version};
use url::Url;

use super::Session;
use crate::api::connector::Connector;
use crate::call::{Auth, Timeouts};
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;

impl Session {
    /// The connector (SPEC S31).
    pub fn connector(&self) -> &Connector {
        &self.inner.connector
    }

    /// The cookie jar, unless the session keeps no cookies, or keeps them in a
    /// [store of another kind](crate::SessionBuilder::cookie_store) (SPEC S31).
    #[cfg(feature = "cookies")]
    pub fn cookie_jar(&self) -> Option<&CookieJar> {
        self.inner.context.cookies().jar()
    }

    /// The time limits of its requests (SPEC S31).
    pub fn timeouts(&self) -> Timeouts {
        self.inner.context.settings().timeouts
    }

    /// The version its requests are sent in (SPEC S31).
    pub fn version(&self) -> Version {
        self.inner.context.settings().version
    }

    /// The headers of every request that has none of that name (SPEC S31). Made
    /// anew by each call.
    pub fn default_headers(&self) -> HeaderMap {
        self.inner.fields.to_map()
    }

    /// The headers that are never added by themselves (SPEC S31).
    pub fn skip_auto_headers(&self) -> &[HeaderName] {
        &self.inner.context.settings().skip_auto_headers
    }

    /// The credentials of every request that brings none (SPEC S31).
    pub fn auth(&self) -> Option<&Auth> {
        self.inner.auth.as_ref()
    }

    /// What relative URLs are joined to (SPEC S17), without credentials.
    pub fn base_url(&self) -> Option<&Url> {
        self.inner.known.base()
    }

    /// Whether the environment has a say (SPEC S15, S31).
    pub fn trust_env(&self) -> bool {
        self.inner.trust_env
    }
}
