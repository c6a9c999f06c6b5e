//! A request as the opening handshake of a WebSocket.

use http::Version;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName, HeaderValue};

use super::RequestBuilder;
use crate::api::body::Driver;
use crate::api::send::Send;
#[cfg(feature = "json")]
use crate::api::session::JsonSerializer;
use crate::error::Error;
use crate::ws::handshake::Handshake;

/// What the handshake says itself, or what belongs to a body.
const TAKEN: [&str; 10] = [
    "upgrade",
    "connection",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-accept",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "content-length",
    "transfer-encoding",
    "expect",
];

/// Those of them that the handshake may be without, and a session's would then get in.
const OPTIONAL: &[&str] = TAKEN.split_at(4).1;

impl RequestBuilder {
    /// # Errors
    /// What is wrong with it so far.
    pub(in crate::api) fn check(&self) -> Result<(), Error> {
        self.session.usable()?;
        match (&self.url, &self.mistake) {
            (Err(error), _) => Err(error.clone()),
            (Ok(_), Some(mistake)) => Err(self.context(mistake.clone())),
            (Ok(_), None) => Ok(()),
        }
    }

    pub(in crate::api) fn context(&self, error: Error) -> Error {
        match &self.url {
            Ok(url) => error.with_url(url),
            Err(_) => error,
        }
    }

    #[cfg(feature = "json")]
    pub(in crate::api) fn json_serializer(&self) -> Option<JsonSerializer> {
        self.session.json_serializer()
    }

    /// Sets out with these fields beside its own (SPEC W6).
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and what does not go together with a handshake.
    pub(in crate::api) fn begin_handshake(
        mut self,
        handshake: &Handshake,
        origin: Option<String>,
        driver: Driver,
    ) -> Result<Send, Error> {
        self.add_handshake(handshake, origin)
            .map_err(|error| self.context(error))?;
        // What these ask for a WebSocket has none of. A refusal is decoded all the same.
        let settings = self.set();
        settings.skip_auto_headers.extend([ACCEPT, ACCEPT_ENCODING]);
        // Which status is an error is not a question here.
        settings.reading.error_for_status = None;
        self.extra().websocket = true;
        self.begin(driver)
    }

    fn add_handshake(
        &mut self,
        handshake: &Handshake,
        origin: Option<String>,
    ) -> Result<(), Error> {
        if self.settings().version != Version::HTTP_11 {
            let message = format!(
                "a WebSocket needs HTTP/1.1, not {:?}",
                self.settings().version
            );
            return Err(Error::invalid_request(message));
        }
        let is_own = |name: &&&str| self.fields.contains(name);
        if let Some(name) = TAKEN.iter().find(is_own) {
            let message = format!("the header {name} is the WebSocket handshake's own");
            return Err(Error::invalid_request(message));
        }
        for (name, value) in handshake.fields() {
            self.append_field(name, &value)?;
        }
        let defaults = self.session.fields();
        let is_default = |name: &&&str| defaults.contains(name) && !self.fields.contains(name);
        if let Some(name) = OPTIONAL.iter().find(is_default) {
            let message = format!("the session's header {name} is not for a WebSocket");
            return Err(Error::invalid_request(message));
        }
        if let Some(origin) = origin {
            if self.fields.contains("origin") {
                return Err(Error::invalid_request("the origin is given twice"));
            }
            self.append_field("origin", &origin)?;
        }
        Ok(())
    }

    fn append_field(&mut self, name: &'static str, value: &str) -> Result<(), Error> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            let message = format!("the value of header {name} contains what may not be sent");
            Error::invalid_request(message)
        })?;
        self.fields.append(HeaderName::from_static(name), value);
        Ok(())
    }
}
