//! Proxies, as a call sees them: which one the current hop goes through, and what
//! a request then looks like (SPEC §6.5).
//!
//! ```text
//! Ways ──find──▶ Way: Direct ─────────────▶ as without proxies
//! (a Proxy)           Through ─ forwards ──▶ absolute form, its fields beside the request's
//!                             └─ tunnels ──▶ a route in the pool key, nothing in the head
//! ```
//!
//! A hop has one way, chosen when its first exchange is made and kept while it is
//! sent again; the next hop chooses anew (SPEC X8, D9). Where that is another one,
//! the request loses the credentials it has for the proxy before. Both are traits,
//! so that a program without proxies has none of this.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use http::header::PROXY_AUTHORIZATION;
use url::Position;

use super::unauthorized::{Asker, PROXY, Turn};
use super::{Call, Context, Request};
use crate::auth::Asked;
use crate::error::{Error, ErrorResponse};
use crate::head::{Fields, RequestHead, ResponseHead};
use crate::job::{Exchange, Failure, Next, Route, Via};
use crate::proxy::{Kind, Proxy, Server};
use crate::tls::Client;

/// What says which way a URL is reached.
pub(crate) trait Ways: Send + Sync + fmt::Debug {
    /// Whether its calls are decided by whoever waits for them: the program's own
    /// code is asked, or a long body may have to be signed.
    fn is_waited(&self, request: &Request) -> bool;

    /// Behind a redirect, with the way of the hop before: what the request has for
    /// the proxy there is taken from it, unless it goes to that one again.
    ///
    /// # Errors
    /// There is a proxy for it, and it cannot be used.
    fn find(
        &self,
        request: &mut Request,
        context: &Context,
        before: Option<&dyn Way>,
    ) -> Result<Box<dyn Way>, Error>;
}

/// The way of a hop.
pub(crate) trait Way: Send {
    /// The part of it that a connection is known by, unless it is direct.
    fn route(&self) -> Option<Route>;

    /// The proxy, unless it is direct.
    fn server(&self) -> Option<&Server>;

    /// Makes a head that is complete fit for this way. What is given is for the
    /// CONNECT of this exchange alone.
    ///
    /// # Errors
    /// The proxy's credentials cannot be sent.
    fn fit(
        &mut self,
        request: &Request,
        head: &mut RequestHead,
    ) -> Result<Option<Box<HeaderValue>>, Error>;

    /// Whether a body has to wait until the proxy has asked.
    fn holds_body(&self) -> bool {
        false
    }

    /// It does.
    fn held(&mut self) {}

    /// Whether the request goes out once more because of this reply.
    ///
    /// # Errors
    /// It was asked for what cannot be given.
    fn is_asked_again(&mut self, _: &Exchange, _: &ResponseHead) -> Result<bool, Error> {
        Ok(false)
    }

    /// The same where the proxy has refused a tunnel.
    fn is_asked_by(&mut self, _: &Exchange, _: &Error) -> Result<bool, Error> {
        Ok(false)
    }

    /// The same is sent once more after a failure: what was answered is forgotten
    /// behind a wait.
    fn restart(&mut self, _waits: bool) {}
}

impl Call {
    /// Chooses the way of this hop, where there is anything to choose from.
    pub(super) fn find_way(&mut self) -> Result<(), Error> {
        let settings = self.context.settings_or(self.settings.as_ref());
        if let (None, Some(ways)) = (&self.way, &settings.proxy) {
            let before = self.way_before.take();
            let way = ways.find(&mut self.request, &self.context, before.as_deref())?;
            self.way = Some(way);
        }
        Ok(())
    }

    /// What an earlier hop was asked for, and its way, are not this one's.
    pub(super) fn begin_hop(&mut self) {
        self.turn = Turn::First;
        if let Some(way) = self.way.take() {
            self.way_before = Some(way);
        }
    }

    /// A proxy answered CONNECT by another status than 2xx: perhaps it wants to
    /// know who asks.
    #[cold]
    pub(super) fn refused_tunnel(
        mut self: Box<Self>,
        sent: &Exchange,
        failure: Failure,
        now: std::time::Instant,
    ) -> Next {
        let again = match &mut self.way {
            Some(way) => way.is_asked_by(sent, &failure.error),
            None => Ok(false),
        };
        let (call, error) = match again {
            Ok(false) => return self.failed_anyhow(sent, failure, now),
            Ok(true) => match self.into_exchange() {
                Ok(exchange) => return Next::Again(exchange),
                Err(failed) => failed,
            },
            Err(error) => (self, error),
        };
        call.fail_asked(answered_by(error, &failure.error), sent)
    }
}

/// What the proxy has answered is the error's response.
fn answered_by(error: Error, refusal: &Error) -> Error {
    let Some(status) = refusal.status() else {
        return error;
    };
    error
        .with_response(ErrorResponse {
            status,
            reason: refusal.reason().unwrap_or_default().to_owned(),
            headers: refusal.headers().cloned().unwrap_or_default(),
            body: refusal.body().unwrap_or_default().to_vec().into(),
        })
        .with_peer(refusal.peer())
}

impl Ways for Proxy {
    fn is_waited(&self, request: &Request) -> bool {
        self.is_custom() || (self.asks() && request.is_long_to_hash())
    }

    fn find(
        &self,
        request: &mut Request,
        context: &Context,
        before: Option<&dyn Way>,
    ) -> Result<Box<dyn Way>, Error> {
        let url = request.shown_url();
        let server = self.choose(&url)?;
        let forwards = server.as_ref().is_some_and(|server| server.forwards(&url));
        let is_another = |before: &dyn Way| match (before.server(), &server) {
            (Some(before), Some(server)) => !before.is(server),
            (before, server) => before.is_some() != server.is_some(),
        };
        if before.is_some_and(is_another) {
            request.fields.remove("proxy-authorization");
        }
        Ok(match server {
            None => Box::new(Direct),
            Some(server) => Box::new(Through::new(server, forwards, request, context)?),
        })
    }
}

/// No proxy, though there might have been one.
struct Direct;

impl Way for Direct {
    fn route(&self) -> Option<Route> {
        None
    }

    fn server(&self) -> Option<&Server> {
        None
    }

    fn fit(
        &mut self,
        _: &Request,
        head: &mut RequestHead,
    ) -> Result<Option<Box<HeaderValue>>, Error> {
        // Meant for a proxy, and so for nobody at the other end.
        head.fields.remove("proxy-authorization");
        Ok(None)
    }
}

struct Through {
    server: Arc<Server>,
    route: Route,
    /// The request has credentials for the proxy itself.
    is_authorized: bool,
    turn: Turn,
}

impl Through {
    fn new(
        server: Arc<Server>,
        forwards: bool,
        request: &Request,
        context: &Context,
    ) -> Result<Self, Error> {
        let via = match server.kind() {
            Kind::Http | Kind::Https if forwards => {
                context.judge(&request.url)?;
                Via::Forward
            }
            Kind::Http | Kind::Https => Via::Connect {
                fields: of_connect(&server)?,
                login: server.asked().map(Asked::id),
            },
            Kind::Socks4 { remote_dns } => Via::Socks4 {
                user: server.login()?.unwrap_or_default().0,
                remote_dns,
            },
            Kind::Socks5 { remote_dns } => Via::Socks5 {
                login: server.login()?,
                remote_dns,
            },
        };
        let client = client(&server, context)?;
        let route = Route::new(server.host(), server.port(), client, via);
        Ok(Self {
            server,
            route,
            is_authorized: request.fields.contains("proxy-authorization"),
            turn: Turn::First,
        })
    }

    /// Who asks by 407, if anybody does who can be answered.
    fn asker(&self) -> Option<Asker<'_>> {
        let is_taken = self.is_authorized && self.route.is_forward();
        let asked = self.server.asked().filter(|_| !is_taken)?;
        Some(Asker {
            asked,
            url: self.server.url(),
            by: &PROXY,
        })
    }
}

impl Way for Through {
    fn route(&self) -> Option<Route> {
        Some(self.route.clone())
    }

    fn server(&self) -> Option<&Server> {
        Some(&self.server)
    }

    fn fit(
        &mut self,
        request: &Request,
        head: &mut RequestHead,
    ) -> Result<Option<Box<HeaderValue>>, Error> {
        match self.route.via() {
            Via::Forward => {
                self.make_absolute(request, head)?;
                Ok(None)
            }
            Via::Connect { .. } => {
                head.fields.remove("proxy-authorization");
                let Some(asker) = self.asker() else {
                    return Ok(None);
                };
                let target = authority(request);
                let value =
                    asker.value(self.turn, &http::Method::CONNECT, target.as_bytes(), None)?;
                Ok(value.map(Box::new))
            }
            Via::Socks4 { .. } | Via::Socks5 { .. } => {
                head.fields.remove("proxy-authorization");
                Ok(None)
            }
        }
    }

    fn holds_body(&self) -> bool {
        self.turn == Turn::First
            && self.route.is_forward()
            && self
                .asker()
                .is_some_and(|asker| asker.asked.holds_body(asker.url))
    }

    fn held(&mut self) {
        self.turn = Turn::Held;
    }

    fn is_asked_again(&mut self, sent: &Exchange, head: &ResponseHead) -> Result<bool, Error> {
        // Through a tunnel it is not the proxy who answers.
        if !self.route.is_forward() {
            return Ok(false);
        }
        let Some(asker) = self.asker() else {
            return Ok(false);
        };
        let Some(turn) = asker.heard(self.turn, sent, head)? else {
            return Ok(false);
        };
        self.turn = turn;
        Ok(true)
    }

    fn is_asked_by(&mut self, sent: &Exchange, refusal: &Error) -> Result<bool, Error> {
        let (Some(asker), Some(headers)) = (self.asker(), refusal.headers()) else {
            return Ok(false);
        };
        if refusal.status() != Some(asker.by.status) {
            return Ok(false);
        }
        let was_sent = sent.proxy_authorization.is_some();
        let fields = headers.get_all(asker.by.challenge).into_iter();
        let fields = fields.map(HeaderValue::as_bytes);
        let Some(turn) = asker.challenged(self.turn, was_sent, fields)? else {
            return Ok(false);
        };
        self.turn = turn;
        Ok(true)
    }

    fn restart(&mut self, waits: bool) {
        self.turn = self.turn.again(waits);
    }
}

impl Through {
    /// The head of a request that the proxy is sent as it is (SPEC X2, H10).
    fn make_absolute(&self, request: &Request, head: &mut RequestHead) -> Result<(), Error> {
        if !self.is_authorized {
            let value = match self.asker() {
                // The target in origin form, as browsers and curl sign it: what
                // the origin is sent by the proxy in the end.
                Some(asker) => {
                    let body = request.body.as_ref();
                    asker.value(self.turn, &head.method, head.target(), body)?
                }
                None => self.server.authorization()?,
            };
            if let Some(value) = value {
                head.fields.append(PROXY_AUTHORIZATION, value);
            }
        }
        head.fields.append_missing(self.server.fields());
        // The URL has neither credentials nor, here, a fragment.
        let origin = &request.url[..Position::BeforePath];
        head.set_target(&[origin.as_bytes(), head.target()].concat());
        Ok(())
    }
}

/// What every CONNECT to this proxy says beside the host (SPEC X5).
fn of_connect(server: &Server) -> Result<Fields, Error> {
    let mut fields = server.fields().clone();
    if let Some(value) = server.authorization()? {
        fields.append(PROXY_AUTHORIZATION, value);
    }
    Ok(fields)
}

/// The TLS client for an https proxy: its own, or the session's.
fn client(server: &Server, context: &Context) -> Result<Option<Client>, Error> {
    match (server.kind(), server.client()) {
        (Kind::Https, Some(client)) => client().map(Some),
        (Kind::Https, None) => context.tls().client().map(Some),
        _ => Ok(None),
    }
}

/// Host and port as the target of a CONNECT (RFC 9112 §3.2.3).
fn authority(request: &Request) -> String {
    let host = &request.url[Position::BeforeHost..Position::AfterHost];
    let port = request.url.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}")
}
