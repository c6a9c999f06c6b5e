//! One logical request: a state machine over hops, not sockets.
//!
//! A [`Call`] turns what the caller asked for into an [`Exchange`], takes the
//! outcome and decides: deliver it, follow a redirect, or send once more what
//! a stale connection swallowed. It is pure: whoever holds it can drive it,
//! so it travels with its exchange and the reactor drives it while nobody
//! waits. Where the caller's own code has a part in the decision, the outcome goes
//! to the thread that waits instead ([`Undecided`]).

mod body;
mod charset;
mod connect;
mod context;
mod cookie_store;
mod cookies;
mod extra;
mod head;
mod hsts;
mod merge;
mod policy;
mod proxy;
mod redirect;
mod requote;
mod retry;
mod settings;
mod timeouts;
mod tls;
mod unauthorized;
mod waited;
#[cfg(feature = "websocket")]
mod websocket;
#[cfg(not(feature = "websocket"))]
#[path = "websocket_none.rs"]
mod websocket;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method};
use url::{Host, Position, Url};

pub(crate) use self::body::{Content, InMemory, Opening, Pull, RequestBody, Source, Spent};
pub(crate) use self::charset::CharsetFallback;
pub(crate) use self::connect::{Lent, for_connection};
pub(crate) use self::context::Context;
pub use self::cookie_store::CookieStore;
pub(crate) use self::cookies::Cookies;
pub(crate) use self::extra::{Extra, escape_target};
pub(crate) use self::hsts::{Hsts, Strict};
#[cfg(fuzzing)]
pub(crate) use self::merge::merge_cookies;
pub use self::policy::{Action, Attempt, RedirectPolicy, RedirectRule};
use self::proxy::{Way, Ways};
#[cfg(fuzzing)]
pub(crate) use self::redirect::target as redirect_target;
#[cfg(fuzzing)]
pub(crate) use self::requote::both as requoted_target;
pub use self::retry::RetryPolicy;
pub(crate) use self::settings::{
    Compress, Proxies, ReadLimits, Reading, Settings, is_error_status,
};
pub use self::timeouts::Timeouts;
pub(crate) use self::tls::TlsSource;
pub(crate) use self::waited::{Told, Undecided};
pub(crate) use crate::auth::Auth;
use crate::error::{Error, ErrorResponse, Kind, Phase, without_credentials};
use crate::handoff::slot::SlotSender;
use crate::head::{Fields, Hop, RequestHead, ResponseHead};
use crate::job::{
    Advance, Exchange, ExchangeLimits, Facts, Failure, Next, PoolKey, Progress, Reply, ReplyBody,
    RequestInfo, Stats, Upload,
};
use redirect::Decision;
use unauthorized::Turn;

/// What the caller asked for, as it stands at the current hop. The URL holds no
/// credentials: see [`Request::take_userinfo`].
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// The caller's fields over the session's; automatic ones come later.
    pub(crate) fields: Fields,
    pub(crate) body: Option<RequestBody>,
    pub(crate) auth: Option<Auth>,
    pub(crate) extra: Option<Box<Extra>>,
}

/// How long a body that is announced by a header of the caller's is held back
/// (SPEC Q11).
const EXPECT_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Call {
    request: Request,
    /// The request's own, instead of the session's.
    settings: Option<Arc<Settings>>,
    context: Context,
    /// The request's own, instead of the session's.
    tls: Option<TlsSource>,
    history: Vec<Hop>,
    /// Sent so far, first attempts included.
    attempts: u32,
    /// Those of them that were sent once more, for whatever reason.
    retries: u32,
    /// Those of these that the caller's policy has had sent (SPEC Y2).
    tries: u32,
    /// A stale connection has been made good once; not twice (SPEC Y1).
    retried: bool,
    /// The next exchange goes on a new connection.
    fresh: bool,
    turn: Turn,
    /// How the current hop reaches its host, where a proxy is set up.
    way: Option<Box<dyn Way>>,
    /// How the hop before did, until this one's way is found.
    way_before: Option<Box<dyn Way>>,
    deadline: Option<(Instant, Duration)>,
    /// Its steps are decided by whoever waits for it: the caller's own code has
    /// a part in that, or much is to be computed.
    waited: bool,
    slot: SlotSender<Told>,
}

/// The parts of an exchange that a request has to be looked at for; the last is
/// what a CONNECT says for this one alone.
type Prepared = (PoolKey, RequestHead, Upload, Option<Box<HeaderValue>>);

/// A delivered response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) about: Arc<About>,
    pub(crate) body: ReplyBody,
}

/// All of a response but its body, which shares it: the head, and what the call
/// knows of its way.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) head: ResponseHead,
    pub(crate) facts: Facts,
    /// As it was sent. In a mutex nobody waits for: an exchange is not `Sync`.
    pub(crate) asked: Mutex<Box<Exchange>>,
    pub(crate) method: Method,
    /// With the fragment, without credentials.
    pub(crate) url: Url,
    pub(crate) history: Vec<Hop>,
    pub(crate) attempts: u32,
    pub(crate) retries: u32,
    /// S22.
    pub(crate) charset_fallback: Option<CharsetFallback>,
}

impl About {
    /// What was sent, as the program sees it.
    pub(crate) fn request_info(&self) -> RequestInfo {
        // Nothing panics while it is held.
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        RequestInfo::new(&self.url, &asked.head)
    }

    /// The error, with what is known of the response it is about.
    pub(crate) fn context(&self, error: Error) -> Error {
        error
            .with_url(&self.url)
            .with_history(&self.history)
            .with_request(self.request_info())
            .with_facts(&self.facts)
            .with_attempts(self.attempts, self.retries, self.history.len())
    }

    /// As of the moment the head was handed out.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            attempts: self.attempts,
            retries: self.retries,
            redirects: u32::try_from(self.history.len()).unwrap_or(u32::MAX),
            ..Stats::of(self.facts.reused, self.facts.tally)
        }
    }
}

impl Request {
    /// The target as it is sent, in origin form (SPEC H10): path and query.
    pub(crate) fn target(&self) -> &str {
        let other = self
            .extra
            .as_ref()
            .and_then(|extra| extra.target.as_deref());
        match (other, self.url.query()) {
            (Some(other), _) => other,
            // The shorter way to the same.
            (None, None) => self.url.path(),
            (None, Some(_)) => &self.url[Position::BeforePath..Position::AfterQuery],
        }
    }

    /// Moves credentials from the URL to where credentials are kept (SPEC A0).
    ///
    /// # Errors
    /// There are others already (SPEC Q7).
    pub(crate) fn take_userinfo(&mut self, context: &Context) -> Result<(), Error> {
        let Some(auth) = Auth::of_request(&self.url, context.netrc()) else {
            return Ok(());
        };
        self.url = without_credentials(&self.url);
        if self.auth.is_some() {
            let message = "credentials are given twice: as auth and in the URL";
            return Err(Error::invalid_request(message));
        }
        self.auth = Some(auth);
        Ok(())
    }

    /// A6: what the session's netrc has, where there are no other credentials.
    pub(crate) fn find_auth(&mut self, context: &Context) {
        if self.auth.is_none() && !self.fields.contains("authorization") {
            self.auth = context.found_auth(&self.url);
        }
    }
}

impl Call {
    /// A call that fills `slot`. `now` starts the total limit.
    pub(crate) fn new(
        request: Request,
        own: Option<Arc<Settings>>,
        context: Context,
        tls: Option<TlsSource>,
        now: Instant,
        slot: SlotSender<Told>,
    ) -> Box<Self> {
        let settings = context.settings_or(own.as_ref());
        let deadline = settings
            .timeouts
            .effective_total()
            .and_then(|total| Some((now.checked_add(total)?, total)));
        let waited = settings.redirects.is_custom()
            || context.cookies().is_foreign()
            || request.may_hash_much()
            || settings
                .proxy
                .as_ref()
                .is_some_and(|ways| ways.is_waited(&request));
        Box::new(Self {
            request,
            settings: own,
            context,
            tls,
            history: Vec::new(),
            attempts: 0,
            retries: 0,
            tries: 0,
            retried: false,
            fresh: false,
            turn: Turn::First,
            way: None,
            way_before: None,
            deadline,
            waited,
            slot,
        })
    }

    /// The exchange of the current hop.
    ///
    /// # Errors
    /// The request cannot be sent; the call is answered by the caller then.
    pub(crate) fn into_exchange(mut self: Box<Self>) -> Result<Box<Exchange>, (Box<Self>, Error)> {
        let (key, head, upload, proxy_authorization) = match self.prepare() {
            Ok(parts) => parts,
            Err(error) => {
                let error = error.with_url(&self.request.url);
                return Err((self, error));
            }
        };
        self.attempts += 1;
        let fresh = std::mem::take(&mut self.fresh);
        let settings = self.settings();
        let limits = ExchangeLimits {
            total: self.deadline,
            connect: settings.timeouts.connect,
            sock_connect: settings.timeouts.sock_connect,
            sock_read: settings.timeouts.sock_read,
            expect_continue: settings.expect_continue.unwrap_or(EXPECT_WAIT),
            max_line: settings.max_line,
            max_field: settings.max_field,
            max_fields: settings.max_fields,
            read_until_eof: settings.read_until_eof,
            pipe: settings.pipe_budget(),
            rare: settings.rare().cloned(),
        };
        Ok(Box::new(Exchange {
            key,
            head,
            upload,
            limits,
            fresh,
            not_before: None,
            bare: false,
            proxy_authorization,
            advance: Some(self),
        }))
    }

    fn settings(&self) -> &Settings {
        self.context.settings_or(self.settings.as_ref())
    }

    fn prepare(&mut self) -> Result<Prepared, Error> {
        if hsts::secure(self.context.hsts(), &mut self.request.url) {
            // Another origin, which has asked for nothing yet.
            self.begin_hop();
        }
        self.find_way()?;
        let key = self.pool_key()?;
        let cookie = self.context.cookies().header(&self.request);
        if self.is_spent() {
            return Err(Spent.into());
        }
        let held = self.hold_body();
        let head = head::build(&self.request, self.settings(), cookie);
        let upload = self.request.body.as_ref().map(RequestBody::upload);
        if held.is_some() {
            self.request.body = held;
        }
        let mut head = head?;
        self.authorize(&mut head)?;
        let proxy_authorization = match &mut self.way {
            None => None,
            Some(way) => way.fit(&self.request, &mut head)?,
        };
        Ok((key, head, upload.unwrap_or_default(), proxy_authorization))
    }

    fn pool_key(&self) -> Result<PoolKey, Error> {
        let url = &self.request.url;
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                let source = self.tls.as_ref().unwrap_or(self.context.tls());
                Some(source.client()?)
            }
            other => {
                let message = format!("the scheme {other:?} is neither http nor https");
                return Err(Error::new(Kind::InvalidUrl, message).with_phase(Phase::Request));
            }
        };
        let name = match &self.request.extra {
            Some(extra) => extra.server_name.as_deref(),
            None => None,
        };
        let route = self.way.as_ref().and_then(|way| way.route());
        // The session keeps a key or two, but none of a request's own TLS client,
        // server name or route.
        let is_kept = self.tls.is_none() && name.is_none() && route.is_none();
        if is_kept && let Some(key) = self.context.kept_key(url, tls.as_ref()) {
            return Ok(key);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let new = |host: &str| match route {
            Some(route) => PoolKey::routed(host, port, tls, name, route),
            None => PoolKey::for_server(host, port, tls, name),
        };
        let key = match (url.host(), url.host_str()) {
            // The URL's own spelling has brackets.
            (Some(Host::Ipv6(address)), _) => new(&address.to_string()),
            (Some(_), Some(host)) if !host.is_empty() => new(host),
            _ => {
                let error = Error::new(Kind::InvalidUrl, "the URL has no host");
                return Err(error.with_phase(Phase::Request));
            }
        };
        if is_kept {
            self.context.keep_key(url, &key);
        }
        Ok(key)
    }

    /// What follows this outcome.
    fn decide(
        self: Box<Self>,
        asked: Box<Exchange>,
        outcome: Result<Reply, Failure>,
        now: Instant,
    ) -> Next {
        match outcome {
            Ok(reply) => self.replied(asked, reply, now),
            Err(failure) => self.failed(&asked, failure, now),
        }
    }

    fn replied(mut self: Box<Self>, asked: Box<Exchange>, reply: Reply, now: Instant) -> Next {
        self.context.cookies().store(&self.request.url, &reply.head);
        self.note_hsts(&asked, &reply.head);
        match self.is_asked_again(&asked, &reply.head) {
            Ok(false) => {}
            Ok(true) => return self.send_asked(&asked, &reply),
            Err(error) => return self.refuse(error, &asked, &reply),
        }
        let hsts = self.context.hsts();
        match redirect::decide(
            &self.request,
            self.settings(),
            hsts,
            &self.history,
            &reply.head,
        ) {
            Decision::Deliver => {
                if self.settings().retry.is_some()
                    && let Some(rest) = self.rest_after_reply(&reply.head, now)
                {
                    return self.again(now.checked_add(rest));
                }
                self.deliver(asked, reply)
            }
            Decision::Follow(next) => self.follow(*next, asked, &reply),
            Decision::Refuse(error) => self.refuse(error, &asked, &reply),
        }
    }

    fn follow(mut self: Box<Self>, next: Request, asked: Box<Exchange>, reply: &Reply) -> Next {
        self.history.push(Hop {
            status: reply.head.status(),
            url: self.request.url.clone(),
            headers: reply.head.to_map(),
        });
        self.request = next;
        self.request.find_auth(&self.context);
        // Another request, with a stale connection of its own to make good.
        self.retried = false;
        self.begin_hop();
        match self.into_exchange() {
            Ok(exchange) => Next::Again(exchange),
            // As where it is judged when a connection is opened.
            Err((call, cause)) if cause.kind() == Kind::Blocked => call.fail(cause),
            Err((mut call, cause)) => {
                // The caller's request was sound: what is wrong with this one
                // came with the redirect, which so has not been followed.
                let mut error = Error::new(Kind::BadRedirect, "the redirect cannot be followed")
                    .with_phase(Phase::Redirect)
                    .with_source(cause);
                if let Some(hop) = call.history.pop() {
                    error = error.with_url(&hop.url);
                }
                call.refuse(error, &asked, reply)
            }
        }
    }

    /// The reply itself is the error's response.
    fn refuse(self: Box<Self>, error: Error, asked: &Exchange, reply: &Reply) -> Next {
        let response = ErrorResponse {
            status: reply.head.status(),
            reason: reason(&reply.head),
            headers: reply.head.to_map(),
            body: Bytes::new(),
        };
        let error = error.with_response(response).with_facts(&reply.facts);
        self.fail_asked(error, asked)
    }

    fn failed(self: Box<Self>, asked: &Exchange, failure: Failure, now: Instant) -> Next {
        if self.way.is_some() && failure.error.kind() == Kind::ProxyRefused {
            return self.refused_tunnel(asked, failure, now);
        }
        self.failed_anyhow(asked, failure, now)
    }

    fn failed_anyhow(
        mut self: Box<Self>,
        asked: &Exchange,
        failure: Failure,
        now: Instant,
    ) -> Next {
        if self.may_send_again(failure.progress) && !is_final(&failure.error) {
            return self.again(None);
        }
        if let Some(rest) = self.rest_after_failure(&failure, now) {
            return self.again(now.checked_add(rest));
        }
        self.fail_asked(failure.error, asked)
    }

    /// Whether the request has a body that cannot be sent any more.
    fn is_spent(&self) -> bool {
        let body = self.request.body.as_ref();
        body.is_some_and(RequestBody::is_spent)
    }

    /// SPEC Y1: what a reused connection swallowed may be sent again where no
    /// byte of it went out, or where doing it twice is the same as once.
    fn may_send_again(&mut self, progress: Progress) -> bool {
        if !self.settings().retry_stale {
            return false;
        }
        let safe = match progress {
            Progress::Unsent => true,
            Progress::Unanswered => is_idempotent(&self.request.method),
            Progress::Unconnected | Progress::Begun => false,
        };
        // Once, and so not on another connection that may be as stale.
        let again = safe && !self.retried && !self.is_spent();
        self.retried |= again;
        self.fresh |= again;
        again
    }

    /// The same once more, at once or when the time has come.
    fn again(mut self: Box<Self>, not_before: Option<Instant>) -> Next {
        self.retries += 1;
        self.turn_again(not_before.is_some());
        match self.into_exchange() {
            Ok(mut exchange) => {
                exchange.not_before = not_before;
                Next::Again(exchange)
            }
            Err((call, error)) => call.fail(error),
        }
    }

    fn deliver(self: Box<Self>, asked: Box<Exchange>, reply: Reply) -> Next {
        let charset_fallback = self.settings().charset_fallback.clone();
        let about = Arc::new(About {
            head: reply.head,
            facts: reply.facts,
            asked: Mutex::new(asked),
            method: self.request.method,
            url: self.request.url,
            history: self.history,
            attempts: self.attempts,
            retries: self.retries,
            charset_fallback,
        });
        let body = reply.body;
        fill(self.slot, Ok(Answer { about, body }))
    }

    /// What failed had been sent, or was about to be.
    fn fail_asked(self: Box<Self>, error: Error, asked: &Exchange) -> Next {
        let info = RequestInfo::new(&self.request.url, &asked.head);
        self.fail(error.with_request(info))
    }

    fn fail(self: Box<Self>, error: Error) -> Next {
        let error = error.with_url(&self.request.url).with_attempts(
            self.attempts,
            self.retries,
            self.history.len(),
        );
        let error = error.with_history(&self.history);
        fill(self.slot, Err(error))
    }
}

fn fill(slot: SlotSender<Told>, result: Result<Answer, Error>) -> Next {
    // The caller may have gone; then nobody misses the answer, and a body in
    // it cancels itself when it is dropped.
    let _ = slot.fill(Told::Done(result));
    Next::Deliver
}

impl Advance for Call {
    fn advance(
        self: Box<Self>,
        asked: Box<Exchange>,
        outcome: Result<Reply, Failure>,
        now: Instant,
    ) -> Next {
        match self.waited {
            false => self.decide(asked, outcome, now),
            true => self.leave_undecided(asked, outcome),
        }
    }
}

/// The reason phrase as text.
pub(crate) fn reason(head: &ResponseHead) -> String {
    String::from_utf8_lossy(head.reason()).into_owned()
}

/// Errors no second attempt can mend.
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Cancelled | Kind::Closed | Kind::Timeout | Kind::Internal | Kind::InvalidRequest
    )
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}
