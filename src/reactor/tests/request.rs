//! What a test asks of the engine, and what it learns of it: an [`Ask`] becomes
//! an exchange whose call is played by a script, and a [`Probe`] holds on to it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Version};

use crate::error::Error;
use crate::handoff::feed::FeedReader;
use crate::handoff::mailbox::Mailbox;
use crate::handoff::pipe::{Budget, Item, PipeReader};
use crate::head::{BodyLength, Fields, RequestHead};
use crate::job::{
    Advance, BodyEnd, Command, Ending, Exchange, ExchangeId, ExchangeLimits, Facts, Failure, Next,
    Pieces, PoolKey, RareLimits, Reply, ReplyBody, Route, Tunnel, Upload,
};
use crate::net::sim::World;
use crate::sync::{Arc, Mutex, lock};

/// What a test asks for.
#[derive(Clone)]
pub(super) struct Ask {
    host: String,
    port: u16,
    method: Method,
    target: &'static str,
    fields: Fields,
    upload: Bytes,
    feed: Option<Arc<Mutex<Option<FeedReader<Error>>>>>,
    chunked: bool,
    expect: bool,
    total: Option<Duration>,
    limits: ExchangeLimits,
    fresh: bool,
    route: Option<Route>,
    proxy_authorization: Option<HeaderValue>,
    script: VecDeque<Step>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::tls::Client>,
}

/// What the call does with an outcome.
#[derive(Clone)]
enum Step {
    /// Once it has rested for so long.
    Again(Box<Ask>, Option<Duration>),
    Panic,
}

pub(super) fn get(host: &str) -> Ask {
    Ask {
        host: host.to_owned(),
        port: 80,
        method: Method::GET,
        target: "/",
        fields: Fields::default(),
        upload: Bytes::new(),
        feed: None,
        chunked: false,
        expect: false,
        total: None,
        limits: ExchangeLimits::none(),
        script: VecDeque::new(),
        fresh: false,
        route: None,
        proxy_authorization: None,
        #[cfg(feature = "tls")]
        tls: None,
    }
}

pub(super) fn post(host: &str, upload: impl Into<Bytes>) -> Ask {
    Ask {
        method: Method::POST,
        upload: upload.into(),
        ..get(host)
    }
}

impl Ask {
    /// The request as it starts now, and a hold on it.
    pub(super) fn prepare(
        self,
        world: &World,
        mailbox: &Arc<Mailbox<Command>>,
    ) -> (Probe, Box<Exchange>) {
        let probe = Probe {
            id: ExchangeId::next(),
            record: Arc::default(),
            mailbox: mailbox.clone(),
        };
        let recorder = Recorder {
            record: probe.record.clone(),
            script: VecDeque::new(),
            world: world.clone(),
        };
        (probe, self.into_exchange(recorder))
    }

    pub(super) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(super) fn target(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }

    pub(super) fn field(mut self, name: HeaderName, value: &'static str) -> Self {
        self.fields.append(name, HeaderValue::from_static(value));
        self
    }

    pub(super) fn via(mut self, route: &Route) -> Self {
        self.route = Some(route.clone());
        self
    }

    pub(super) fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub(super) fn proxy_authorization(mut self, value: &'static str) -> Self {
        self.proxy_authorization = Some(HeaderValue::from_static(value));
        self
    }

    pub(super) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Its body, of no announced length, comes from here.
    pub(super) fn feed(mut self, feed: FeedReader<Error>) -> Self {
        self.feed = Some(Arc::new(Mutex::new(Some(feed))));
        self.chunked()
    }

    pub(super) fn expect(mut self) -> Self {
        self.expect = true;
        self
    }

    pub(super) fn total(mut self, limit: Duration) -> Self {
        self.total = Some(limit);
        self
    }

    pub(super) fn connect(mut self, limit: Duration) -> Self {
        self.limits.connect = Some(limit);
        self
    }

    pub(super) fn sock_connect(mut self, limit: Duration) -> Self {
        self.limits.sock_connect = Some(limit);
        self
    }

    pub(super) fn sock_read(mut self, limit: Duration) -> Self {
        self.limits.sock_read = Some(limit);
        self
    }

    pub(super) fn rare(mut self, limits: RareLimits) -> Self {
        self.limits.rare = Some(Arc::new(limits));
        self
    }

    pub(super) fn pipe(mut self, low: usize, high: usize) -> Self {
        self.limits.pipe = Budget { low, high };
        self
    }

    /// Another exchange follows whatever comes of this one.
    pub(super) fn then(mut self, next: Self) -> Self {
        self.script.push_back(Step::Again(Box::new(next), None));
        self
    }

    /// The same, but it rests first.
    pub(super) fn then_after(mut self, rest: Duration, next: Self) -> Self {
        let again = Step::Again(Box::new(next), Some(rest));
        self.script.push_back(again);
        self
    }

    /// The call panics on the outcome.
    pub(super) fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    pub(super) fn panics(mut self) -> Self {
        self.script.push_back(Step::Panic);
        self
    }

    fn into_exchange(mut self, mut recorder: Recorder) -> Box<Exchange> {
        recorder.script.extend(self.script);
        let now = recorder.world.now();
        self.limits.total = self.total.map(|limit| (now + limit, limit));
        let body = if self.chunked {
            BodyLength::Chunked
        } else if self.upload.is_empty() {
            BodyLength::Empty
        } else {
            BodyLength::Known(self.upload.len() as u64)
        };
        #[cfg(feature = "tls")]
        let tls = self.tls;
        #[cfg(not(feature = "tls"))]
        let tls = None;
        Box::new(Exchange {
            key: match self.route {
                None => PoolKey::new(&self.host, self.port, tls),
                Some(route) => PoolKey::routed(&self.host, self.port, tls, None, route),
            },
            head: RequestHead {
                method: self.method,
                version: Version::HTTP_11,
                fields: {
                    let mut fields = Fields::behind(self.target.as_bytes(), 0);
                    fields.append_all(&self.fields);
                    fields
                },
                body,
                expect_continue: self.expect,
            },
            upload: match self.feed {
                None => Pieces::from(self.upload).into(),
                Some(feed) => Upload::later(Box::new(move || {
                    lock(&feed).take().expect("a feed is begun once")
                })),
            },
            limits: self.limits,
            fresh: self.fresh,
            not_before: None,
            bare: false,
            proxy_authorization: self.proxy_authorization.map(Box::new),
            advance: Some(Box::new(recorder)),
        })
    }
}

/// The test's hold on a request.
#[derive(Clone)]
pub(super) struct Probe {
    pub(super) id: ExchangeId,
    record: Arc<Mutex<Record>>,
    mailbox: Arc<Mailbox<Command>>,
}

/// What came of a request.
#[derive(Default)]
struct Record {
    /// How many hops had an outcome.
    hops: usize,
    status: Option<u16>,
    facts: Option<Facts>,
    failure: Option<Failure>,
    reader: Option<PipeReader<BodyEnd>>,
    tunnel: Option<Box<dyn Tunnel>>,
    body: Vec<u8>,
    end: Option<BodyEnd>,
    /// The call was dropped without its outcome, or panicked.
    lost: bool,
}

impl Probe {
    pub(super) fn status(&self) -> Option<u16> {
        lock(&self.record).status
    }

    pub(super) fn hops(&self) -> usize {
        lock(&self.record).hops
    }

    pub(super) fn reused(&self) -> bool {
        lock(&self.record)
            .facts
            .as_ref()
            .is_some_and(|facts| facts.reused)
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        lock(&self.record)
            .facts
            .as_ref()
            .and_then(|facts| facts.link.peer)
    }

    /// The proxy, as it is told.
    pub(super) fn proxy(&self) -> Option<(String, u16, Option<u16>)> {
        let record = lock(&self.record);
        let proxy = record.facts.as_ref()?.link.proxy.as_ref()?;
        let status = proxy.reply.as_ref().map(|head| head.status().as_u16());
        Some((proxy.host.to_string(), proxy.port, status))
    }

    /// The name that the origin proved, if it is spoken to under TLS.
    #[cfg(feature = "tls")]
    pub(super) fn tls_name(&self) -> Option<String> {
        let record = lock(&self.record);
        let tls = record.facts.as_ref()?.link.tls.as_ref()?;
        Some(tls.server_name().to_owned())
    }

    pub(super) fn is_lost(&self) -> bool {
        lock(&self.record).lost
    }

    /// Whether the request has its answer, be it a failure.
    pub(super) fn is_answered(&self) -> bool {
        let record = lock(&self.record);
        record.status.is_some() || record.failure.is_some() || record.lost
    }

    /// Whether nothing more will come of it: it failed, its body has ended,
    /// or nobody reads on.
    pub(super) fn is_over(&self) -> bool {
        let record = lock(&self.record);
        let unread = record.reader.is_some();
        record.failure.is_some() || record.lost || (record.status.is_some() && !unread)
    }

    /// The failure before the head; panics if there is none.
    pub(super) fn failure(&self) -> Failure {
        let record = lock(&self.record);
        let Some(failure) = &record.failure else {
            drop(record);
            panic!("no failure: {self:?}");
        };
        Failure {
            error: failure.error.clone(),
            progress: failure.progress,
        }
    }

    pub(super) fn error(&self) -> Error {
        self.failure().error
    }

    /// Reads what is there, telling the engine of room.
    pub(super) fn read(&self) {
        while self.read_one() {}
    }

    /// Reads one piece, if one is there.
    pub(super) fn read_one(&self) -> bool {
        let mut record = lock(&self.record);
        let Some((item, refill)) = record.reader.as_mut().and_then(PipeReader::try_next) else {
            return false;
        };
        if refill {
            let _ = self.mailbox.push(Command::Wake(self.id));
        }
        match item {
            Item::Data(data) => record.body.extend_from_slice(&data),
            Item::End(end) => {
                record.end = Some(end);
                record.reader = None;
            }
            Item::Mark => {}
            Item::Broken => panic!("a body ended without a word"),
        }
        true
    }

    pub(super) fn body(&self) -> Vec<u8> {
        self.read();
        lock(&self.record).body.clone()
    }

    /// How the body ended, if it did.
    pub(super) fn end(&self) -> Option<Result<(), Error>> {
        self.read();
        let record = lock(&self.record);
        let end = record.end.as_ref()?;
        Some(end.as_ref().map(|_| ()).map_err(Error::clone))
    }

    /// The error the body ended with.
    pub(super) fn body_error(&self) -> Error {
        match self.end() {
            Some(Err(error)) => error,
            end => panic!("the body ended with {end:?}"),
        }
    }

    /// The connection, after a switch of protocols.
    pub(super) fn tunnel(&self) -> Option<Box<dyn Tunnel>> {
        lock(&self.record).tunnel.take()
    }

    /// Loses interest in the body.
    pub(super) fn drop_reader(&self) {
        lock(&self.record).reader = None;
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let record = lock(&self.record);
        f.debug_struct("Probe")
            .field("hops", &record.hops)
            .field("status", &record.status)
            .field("failure", &record.failure)
            .field("body", &record.body.len())
            .field("end", &record.end.as_ref().map(Result::is_ok))
            .finish_non_exhaustive()
    }
}

/// The call's part, played by a script.
struct Recorder {
    record: Arc<Mutex<Record>>,
    script: VecDeque<Step>,
    world: World,
}

impl Advance for Recorder {
    fn advance(
        mut self: Box<Self>,
        _: Box<Exchange>,
        outcome: Result<Reply, Failure>,
        now: Instant,
    ) -> Next {
        let mut record = lock(&self.record);
        record.hops += 1;
        match self.script.pop_front() {
            Some(Step::Again(ask, rest)) => {
                drop(record);
                let mut next = ask.into_exchange(*self);
                next.not_before = rest.map(|rest| now + rest);
                return Next::Again(next);
            }
            Some(Step::Panic) => {
                drop(record);
                // Past the hook: this one is no news.
                std::panic::resume_unwind(Box::new("a call that panics"));
            }
            None => {}
        }
        assert!(
            record.status.is_none() && record.failure.is_none(),
            "a second answer"
        );
        match outcome {
            Ok(reply) => {
                record.status = Some(reply.head.status().as_u16());
                let tally = reply.facts.tally;
                record.facts = Some(reply.facts);
                match reply.body {
                    ReplyBody::Whole(body, trailers) => {
                        record.body = body.to_vec();
                        record.end = Some(Ok(Ending { trailers, tally }));
                    }
                    ReplyBody::Stream(reader) => record.reader = Some(reader),
                    ReplyBody::Upgraded(tunnel) => record.tunnel = Some(tunnel),
                }
            }
            Err(failure) => record.failure = Some(failure),
        }
        Next::Deliver
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut record = lock(&self.record);
        // The last holder but the probes, with no outcome told.
        if record.status.is_none() && record.failure.is_none() {
            record.lost = true;
        }
    }
}
