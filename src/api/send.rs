//! A request on its way: the operation behind `send` and `start_send`.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::body::{Body, Driver};
use super::cancel::{Aim, CancelHandle};
use super::pending::Operation;
use super::response::Response;
use super::session::Session;
use crate::call::{Answer, Reading, Told, Undecided, is_error_status};
use crate::error::{Error, Kind};
use crate::handoff::park;
use crate::handoff::slot::SlotReceiver;
use crate::handoff::steps::Steps;
use crate::job::{Cancel, Command, Exchange, ExchangeId, Failure, Next, Progress};

/// SPEC R22: what an error keeps of a body.
const ERROR_BODY: usize = 64 * 1024;

pub(crate) struct Send {
    state: State,
    /// It has the connector; and so a request has but one handle.
    session: Session,
    id: ExchangeId,
    reading: Reading,
    driver: Driver,
    /// It was answered on the caller's own thread.
    leased: bool,
    /// Of a call whose steps are decided and started here.
    steps: Option<Arc<Steps<ExchangeId>>>,
}

enum State {
    Waiting(SlotReceiver<Told>),
    /// The answer is an error; the start of its body goes into it.
    Failing(Box<StatusError>),
    Done,
}

impl Send {
    pub(crate) fn new(
        receiver: SlotReceiver<Told>,
        session: Session,
        id: ExchangeId,
        reading: Reading,
        driver: Driver,
        leased: bool,
        is_waited: bool,
    ) -> Self {
        Self {
            state: State::Waiting(receiver),
            session,
            id,
            reading,
            driver,
            leased,
            steps: is_waited.then(|| Arc::new(Steps::new(id))),
        }
    }

    fn answered(&mut self, answer: Answer) -> Poll<Result<Response, Error>> {
        let mut body = Body::new(
            answer.body,
            self.reading.limits,
            Arc::clone(&answer.about),
            self.id,
            self.session.connector(),
            self.leased,
        );
        if self.reading.auto_decompress {
            body.decode();
        }
        let response = Response::new(answer.about, body);
        let is_refused = |is_error: fn(_) -> bool| is_error(response.status());
        if self.reading.error_for_status.is_some_and(is_refused) {
            self.state = State::Failing(Box::new(StatusError::new(response, self.driver)));
            return Poll::Pending;
        }
        self.state = State::Done;
        Poll::Ready(Ok(response))
    }
}

/// What a call leaves to whoever waits for it: see [`Undecided`].
impl Send {
    /// Has it decided what follows, which runs the caller's own code, and sets
    /// out on it.
    fn decide(&mut self, undecided: Undecided) -> Result<(), Error> {
        let has_rest = undecided.has_rest();
        let (receiver, step) = undecided.into_parts();
        // That code may panic: then this is dropped, and ends what is under way.
        self.state = State::Waiting(receiver);
        match step.decide(Instant::now()) {
            Next::Deliver => Ok(()),
            Next::Again(next) => {
                if has_rest {
                    self.decline_rest();
                }
                self.go_on(next)
            }
        }
    }

    /// Another exchange, under a name of its own: what is left of the one before
    /// may still go by the old one.
    fn go_on(&mut self, mut exchange: Box<Exchange>) -> Result<(), Error> {
        let now = Instant::now();
        self.id = ExchangeId::next();
        if !self
            .steps
            .as_ref()
            .is_some_and(|steps| steps.go_on(self.id))
        {
            // The call says so, with what it knows.
            let error = Error::cancelled();
            let progress = Progress::Unconnected;
            if let Some(call) = exchange.advance.take() {
                call.advance(exchange, Err(Failure { error, progress }), now);
            }
            return Ok(());
        }
        self.leased = match self.driver {
            Driver::Caller => self.session.connector().carry(self.id, exchange, now)?,
            Driver::Reactor => {
                self.session.connector().start(self.id, exchange)?;
                false
            }
        };
        // The word of it may have come before the exchange.
        if self
            .steps
            .as_ref()
            .is_some_and(|steps| steps.is_cancelled())
        {
            self.session
                .connector()
                .tell(Command::Cancel(self.id, Cancel::Abort));
        }
        Ok(())
    }

    /// What still comes of the last exchange is wanted by nobody.
    fn decline_rest(&self) {
        if self.steps.is_some() {
            self.session
                .connector()
                .tell(Command::Cancel(self.id, Cancel::Drain));
        }
    }
}

impl Operation<Response> for Send {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        loop {
            match &mut self.state {
                State::Waiting(receiver) => {
                    if self.steps.is_some() && park::is_forbidden() {
                        let message = "the caller's own code would run on the reactor's thread";
                        return Poll::Ready(Err(Error::internal(message)));
                    }
                    // Nobody answers in a child of the process, where the slot's lock
                    // may be held for ever.
                    if !self.session.connector().is_home() {
                        return Poll::Ready(Err(Error::closed()));
                    }
                    let answer = match receiver.poll(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Some(Told::Done(Ok(answer)))) => answer,
                        Poll::Ready(Some(Told::Done(Err(error)))) => {
                            self.state = State::Done;
                            self.decline_rest();
                            return Poll::Ready(Err(error));
                        }
                        Poll::Ready(Some(Told::Undecided(undecided))) => {
                            match self.decide(*undecided) {
                                Ok(()) => continue,
                                Err(error) => return Poll::Ready(Err(error)),
                            }
                        }
                        Poll::Ready(None) => {
                            self.state = State::Done;
                            return Poll::Ready(Err(self.session.connector().ended()));
                        }
                    };
                    if let Poll::Ready(result) = self.answered(answer) {
                        return Poll::Ready(result);
                    }
                }
                State::Failing(error) => {
                    let Poll::Ready(error) = error.poll(cx) else {
                        return Poll::Pending;
                    };
                    self.state = State::Done;
                    return Poll::Ready(Err(error));
                }
                State::Done => {
                    return Poll::Ready(Err(Error::internal("the response was taken already")));
                }
            }
        }
    }

    fn target(&self) -> CancelHandle {
        let connector = self.session.connector().downgrade();
        match &self.steps {
            None => Some(Aim::new(connector, self.id)).into(),
            Some(steps) => CancelHandle::of_steps(connector, Arc::clone(steps)),
        }
    }
}

impl Drop for Send {
    fn drop(&mut self) {
        // A response in the slot cancels itself; this is for all before.
        if let State::Waiting(_) = self.state {
            if !self.session.connector().is_home() {
                // Its lock may be held for ever in the child of a process.
                std::mem::forget(std::mem::replace(&mut self.state, State::Done));
                return;
            }
            self.session
                .connector()
                .tell(Command::Cancel(self.id, Cancel::Abort));
        }
    }
}

pub(super) fn is_error(response: &Response) -> bool {
    is_error_status(response.status())
}

/// A response on its way to becoming an error (SPEC R22).
pub(super) struct StatusError {
    response: Response,
    body: BytesMut,
    /// How much of the body is kept.
    most: usize,
    /// What becomes of both.
    make: fn(&Response, Bytes) -> Error,
}

impl StatusError {
    pub(super) fn new(response: Response, driver: Driver) -> Self {
        Self::made_by(response, driver, |response, body| {
            response.error_with(Kind::Status, answered(response), body)
        })
    }

    pub(super) fn made_by(
        mut response: Response,
        driver: Driver,
        make: fn(&Response, Bytes) -> Error,
    ) -> Self {
        let limit = response.body().map_or(0, |body| {
            body.driven_by(driver);
            body.max_buffered()
        });
        Self {
            response,
            body: BytesMut::new(),
            most: limit.min(ERROR_BODY),
            make,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        // Whatever ends the body, the status is the news.
        while self.body.len() < self.most {
            let Ok(body) = self.response.body() else {
                break;
            };
            match body.poll_chunk(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(chunk))) => {
                    let room = self.most - self.body.len();
                    self.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                Poll::Ready(Ok(None) | Err(_)) => break,
            }
        }
        let body = std::mem::take(&mut self.body).freeze();
        Poll::Ready((self.make)(&self.response, body))
    }
}

/// What there is to say of a status that is an error.
pub(super) fn answered(response: &Response) -> String {
    let (code, reason) = (response.status().as_u16(), response.reason());
    let message = format!("the server answered {code} {reason}");
    message.trim_end().to_owned()
}

impl Operation<Response> for StatusError {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        Self::poll(self, cx).map(Err)
    }

    fn target(&self) -> CancelHandle {
        self.response.cancel_handle()
    }
}
