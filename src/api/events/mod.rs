//! Server-sent events (WHATWG HTML, section 9.2), with reconnection.
//!
//! ```text
//!  Idle ──connect──► Open ──204, refused, too large──► Over
//!    ▲                 │
//!    └──── wait ◄──────┘ the stream ends or breaks off
//! ```
//!
//! All of it runs on the thread that iterates; only the stop flag is shared.

mod parse;

use std::fmt;
use std::iter::FusedIterator;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use url::Url;

use self::parse::Parser;
use super::cancel::CancelHandle;
use super::pending::refused;
use super::request::{Configure, RequestBuilder};
use super::response::Response;
use super::session::Session;
use super::url::IntoUrl;
use crate::error::{Error, Kind, Phase};
use crate::handoff::park::{Unwaited, block_on};

/// How long the server is left alone where it does not say (WHATWG: "a few
/// seconds").
const RECONNECTION_TIME: Duration = Duration::from_secs(3);

/// What the wait grows to after attempts in vain, and the most a server may ask
/// for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The least wait after a stream that brought nothing.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// How often a wait looks whether the session was closed meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    kind: String,
    data: String,
    id: String,
}

impl Event {
    /// Its type, `message` where the server gives none.
    pub fn event(&self) -> &str {
        &self.kind
    }

    /// Its data; several `data` lines are joined by line feeds. What is no UTF-8
    /// is replaced by U+FFFD.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The data, without a copy.
    pub fn into_data(self) -> String {
        self.data
    }

    /// The id of this event, or of the last one before it that had one; empty
    /// where there is none.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A stream of server-sent events, as an iterator that blocks until there is
/// one; made by [`Session::events`].
///
/// When the connection ends or fails it is made again, after the time that the
/// server asked for by `retry:`, at first three seconds. The server then learns
/// from `Last-Event-ID` where to go on. Each attempt in vain doubles the wait, up
/// to five minutes, which is also the most that a server may ask for. All of it
/// happens inside [`next`](Iterator::next), on the thread that calls it.
///
/// The iteration ends when the server answers `204 No Content`, when
/// [`stop_handle`](Self::stop_handle) says so, and behind an error. Errors are
/// those that another attempt would not mend: a status that is one (but 408, 425,
/// 429, 500, 502, 503 and 504 are tried again), another type than
/// `text/event-stream`, an event that is too large, a certificate that is not
/// acceptable, a closed session; and the last of too many failures in a row.
///
/// There is no total limit on a stream, whatever the session has; nor does
/// [`max_body_size`](crate::SessionBuilder::max_body_size) hold for it. What is
/// received of one event is bounded: see [`max_event_size`](Self::max_event_size).
/// A server that goes silent is waited for, unless
/// [`request`](Self::request) sets
/// [`sock_read`](crate::Timeouts::sock_read), which then means a reconnection.
///
/// ```no_run
/// let session = miohttp::Session::new();
/// for event in session.events("https://example.com/changes") {
///     let event = event?;
///     println!("{}: {}", event.event(), event.data());
/// }
/// # Ok::<(), miohttp::Error>(())
/// ```
#[must_use = "nothing happens until the events are iterated over"]
pub struct Events {
    session: Session,
    url: Result<Url, Error>,
    configure: Vec<Configure>,
    retries: u32,
    parser: Parser,
    state: State,
    /// Failures since the last stream was opened.
    failures: u32,
    /// Streams and failures since the last event.
    vain: u32,
    stop: Arc<Mutex<Stop>>,
}

impl Session {
    /// A stream of server-sent events, which reconnects by itself. See
    /// [`Events`].
    ///
    /// ```no_run
    /// let session = miohttp::Session::new();
    /// for event in session.events("https://example.com/changes") {
    ///     println!("{}", event?.data());
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn events(&self, url: impl IntoUrl) -> Events {
        Events::new(self.get(url))
    }
}

enum State {
    /// To be connected, after a wait if it is not the first time.
    Idle {
        again: bool,
    },
    Open(Box<Response>, Bytes),
    Over,
}

#[derive(Debug)]
struct Stop {
    stopped: bool,
    /// The request, and the body that is its answer.
    current: CancelHandle,
    /// Whoever waits for the next attempt.
    waiter: Option<Waker>,
}

impl Events {
    fn new(request: RequestBuilder) -> Self {
        let (session, url) = request.into_origin();
        Self {
            session,
            url,
            configure: Vec::new(),
            retries: 10,
            parser: Parser::new(1024 * 1024, Vec::new()),
            state: State::Idle { again: false },
            failures: 0,
            vain: 0,
            stop: Arc::new(Mutex::new(Stop {
                stopped: false,
                current: CancelHandle::nothing(),
                waiter: None,
            })),
        }
    }

    /// Changes each request before it is sent, the first one and those that
    /// reconnect: headers, credentials, limits. Several are applied in order. It
    /// runs on the thread that iterates.
    ///
    /// ```
    /// use std::time::Duration;
    /// use miohttp::{Session, Timeouts};
    ///
    /// let session = Session::new();
    /// let events = session
    ///     .events("https://example.com/changes")
    ///     .request(|request| request.header("x-token", "1234"))
    ///     .request(|request| {
    ///         let gap = Duration::from_secs(60);
    ///         request.timeouts(Timeouts::none().sock_read(gap))
    ///     });
    /// # drop(events);
    /// ```
    pub fn request(
        mut self,
        configure: impl Fn(RequestBuilder) -> RequestBuilder + Send + 'static,
    ) -> Self {
        self.configure.push(Box::new(configure));
        self
    }

    /// Goes on behind the event of this id, as noted from an earlier stream. One
    /// that no header can hold is left out.
    pub fn last_event_id(mut self, id: impl Into<String>) -> Self {
        self.parser = Parser::new(self.parser.max, id.into().into_bytes());
        self
    }

    /// The most bytes of one event, all its lines together, and of any one line.
    /// Default 1 MiB. More is an error of kind [`Limit`](crate::Kind::Limit),
    /// and the end.
    pub fn max_event_size(mut self, bytes: usize) -> Self {
        self.parser.max = bytes;
        self
    }

    /// How often in a row the stream may fail to open before that is an error:
    /// the last one. Default 10; `u32::MAX` is for ever. A stream that opens and
    /// then ends is no failure.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// With which any thread can end the iteration.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.stop))
    }

    /// The stream, if there is one.
    fn connect(&mut self) -> Result<Option<Response>, Error> {
        let url = self.url.clone()?;
        let timeouts = self.session.timeouts().total(None);
        let mut request = self.session.get(&url).timeouts(timeouts);
        for configure in &self.configure {
            request = configure(request);
        }
        request = request
            .max_body_size(u64::MAX)
            .error_for_status(false)
            .header("accept", EVENT_STREAM)
            .header("cache-control", "no-store");
        let last_id = self.parser.last_id();
        if !last_id.is_empty()
            && let Ok(id) = HeaderValue::from_bytes(last_id)
        {
            request = request.header("last-event-id", id);
        }
        let pending = request.start_send();
        {
            let mut stop = lock(&self.stop);
            if stop.stopped {
                return Ok(None);
            }
            stop.current = pending.cancel_handle();
        }
        let response = pending.wait()?;
        match response.status() {
            StatusCode::OK if is_event_stream(&response) => Ok(Some(response)),
            StatusCode::OK => {
                let error = Error::new(Kind::ContentType, "the answer is no stream of events");
                Err(error.with_url(response.url()).with_phase(Phase::Head))
            }
            StatusCode::NO_CONTENT => Ok(None),
            status => {
                let url = response.url().clone();
                // One that is an error comes as that, with the start of its body.
                response.error_for_status()?;
                let status = status.as_u16();
                let message = format!("the server answered {status} to a request for events");
                let error = Error::new(Kind::Protocol, message).with_phase(Phase::Head);
                Err(error.with_url(&url))
            }
        }
    }

    /// Waits for the next attempt.
    fn rest(&self) -> Result<(), Error> {
        let mut wait = self.parser.retry().unwrap_or(RECONNECTION_TIME);
        if self.vain > 0 {
            let doublings = (self.vain - 1).min(16);
            wait = wait.max(SHORTEST_WAIT).saturating_mul(1 << doublings);
        }
        let end = Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            if self.session.is_closed() {
                return Err(Error::closed());
            }
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            let stopped = block_on(Some(end.min(now + LOOK)), |cx| {
                let mut stop = lock(&self.stop);
                stop.waiter = Some(cx.waker().clone());
                match stop.stopped {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            });
            match stopped {
                Ok(()) => return Ok(()),
                Err(Unwaited::Late) => {}
                Err(unwaited) => return Err(refused(unwaited)),
            }
        }
    }

    /// What a failure to open, or to go on, comes to: an error for the caller,
    /// or nothing yet. A stream that was open is none that failed to open.
    fn failed(&mut self, error: Error, was_open: bool) -> Option<Error> {
        if !was_open {
            self.failures = self.failures.saturating_add(1);
        }
        if lock(&self.stop).stopped {
            return None;
        }
        if error.is_retryable() && self.failures <= self.retries {
            log::debug!("events are asked for again: {error}");
            return None;
        }
        Some(error)
    }
}

const EVENT_STREAM: &str = "text/event-stream";

fn is_event_stream(response: &Response) -> bool {
    let Some(value) = response.headers().get("content-type") else {
        return false;
    };
    let essence = value.as_bytes().split(|byte| *byte == b';').next();
    essence.is_some_and(|essence| {
        let essence = essence.trim_ascii();
        essence.eq_ignore_ascii_case(EVENT_STREAM.as_bytes())
    })
}

impl Iterator for Events {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if lock(&self.stop).stopped {
                self.state = State::Over;
            }
            let outcome = match &mut self.state {
                State::Over => return None,
                State::Idle { again } => {
                    let rested = match again {
                        true => self.rest(),
                        false => Ok(()),
                    };
                    if lock(&self.stop).stopped {
                        continue;
                    }
                    rested.and_then(|()| self.connect()).map(|response| {
                        self.state = match response {
                            Some(response) => {
                                self.failures = 0;
                                self.parser.restart();
                                State::Open(Box::new(response), Bytes::new())
                            }
                            None => State::Over,
                        };
                    })
                }
                State::Open(response, rest) => match self.parser.next(rest) {
                    Ok(Some(event)) => {
                        self.vain = 0;
                        return Some(Ok(event));
                    }
                    Ok(None) => match response.chunk() {
                        Ok(Some(chunk)) => {
                            *rest = chunk;
                            Ok(())
                        }
                        Ok(None) => {
                            self.ended();
                            Ok(())
                        }
                        Err(error) => Err(error),
                    },
                    Err(parse::TooLarge) => {
                        let most = self.parser.max;
                        let message = format!("an event is larger than the {most} bytes kept");
                        let error = Error::new(Kind::Limit, message).with_phase(Phase::Body);
                        Err(error.with_url(response.url()))
                    }
                },
            };
            if let Err(error) = outcome {
                let was_open = matches!(self.state, State::Open(..));
                self.ended();
                if let Some(error) = self.failed(error, was_open) {
                    self.state = State::Over;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Events {
    /// The stream is over, or did not come to be one.
    fn ended(&mut self) {
        self.vain = self.vain.saturating_add(1);
        self.state = State::Idle { again: true };
    }
}

impl FusedIterator for Events {}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Idle { .. } => "Events(idle)",
            State::Open(..) => "Events(open)",
            State::Over => "Events(over)",
        })
    }
}

/// Ends the iteration over [`Events`] from any thread: whoever waits for the
/// next event gets `None`, and the connection is closed. Idempotent.
///
/// ```no_run
/// use std::thread;
///
/// let events = miohttp::Session::new().events("https://example.com/changes");
/// let stop = events.stop_handle();
/// thread::spawn(move || {
///     std::io::stdin().read_line(&mut String::new()).ok();
///     stop.stop();
/// });
/// let seen = events.map_while(Result::ok).count();
/// println!("{seen} events");
/// ```
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<Mutex<Stop>>);

impl StopHandle {
    /// Ends it. Never blocks.
    pub fn stop(&self) {
        let (current, waiter) = {
            let mut stop = lock(&self.0);
            stop.stopped = true;
            let current = std::mem::replace(&mut stop.current, CancelHandle::nothing());
            (current, stop.waiter.take())
        };
        current.cancel();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// Each state is whole at any time, so a panic elsewhere is no reason to stop.
fn lock(stop: &Mutex<Stop>) -> MutexGuard<'_, Stop> {
    stop.lock().unwrap_or_else(PoisonError::into_inner)
}
