//! The opening handshake: the operation behind `connect` and `start_connect`.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;

use super::WebSocket;
use super::options::Options;
use crate::api::body::Driver;
use crate::api::cancel::CancelHandle;
use crate::api::pending::Operation;
use crate::api::response::Response;
use crate::api::response::websocket::Switched;
use crate::api::send::{Send, StatusError, answered};
use crate::error::{Error, Kind, Phase};
use crate::ws::handshake::{Handshake, Negotiated};

/// A connection that both sides have agreed to use for messages.
pub(super) struct Upgrade {
    pub(super) connection: Switched,
    pub(super) negotiated: Negotiated,
    pub(super) options: Options,
}

pub(super) struct Connect {
    state: State,
    driver: Driver,
    handshake: Handshake,
    /// Until they go with the connection.
    options: Option<Options>,
}

enum State {
    Sending(Send),
    /// The answer is no; the start of its body goes into the error.
    Failing(Box<StatusError>),
    Done,
}

impl Connect {
    pub(super) fn new(send: Send, driver: Driver, handshake: Handshake, options: Options) -> Self {
        Self {
            state: State::Sending(send),
            driver,
            handshake,
            options: Some(options),
        }
    }

    /// SPEC W9: a 101 still has to be the answer to this handshake. Dropped, it closes
    /// its connection.
    fn switched(&mut self, response: Response) -> Result<Upgrade, Error> {
        let negotiated = self
            .handshake
            .negotiated(response.headers())
            .map_err(|fault| refused(&response, fault.into_owned(), Bytes::new()))?;
        let Some(options) = self.options.take() else {
            return Err(taken());
        };
        let connection = response.into_websocket().map_err(Error::of_websocket)?;
        Ok(Upgrade {
            connection,
            negotiated,
            options,
        })
    }
}

impl Operation<WebSocket> for Connect {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<WebSocket, Error>> {
        loop {
            match &mut self.state {
                State::Sending(send) => {
                    let Poll::Ready(answer) = send.poll(cx) else {
                        return Poll::Pending;
                    };
                    self.state = State::Done;
                    let response = answer.map_err(Error::of_websocket)?;
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                        return Poll::Ready(self.switched(response).map(WebSocket::open));
                    }
                    let failing = StatusError::made_by(response, self.driver, |response, body| {
                        refused(response, answered(response), body)
                    });
                    self.state = State::Failing(Box::new(failing));
                }
                State::Failing(error) => {
                    let Poll::Ready(error) = error.poll(cx) else {
                        return Poll::Pending;
                    };
                    self.state = State::Done;
                    return Poll::Ready(Err(error));
                }
                State::Done => return Poll::Ready(Err(taken())),
            }
        }
    }

    fn target(&self) -> CancelHandle {
        match &self.state {
            State::Sending(send) => send.target(),
            State::Failing(error) => error.target(),
            State::Done => CancelHandle::nothing(),
        }
    }
}

fn taken() -> Error {
    Error::internal("the WebSocket was taken already")
}

fn refused(response: &Response, message: String, body: Bytes) -> Error {
    response
        .error_with(Kind::WsHandshake, message, body)
        .with_phase(Phase::Handshake)
        .of_websocket()
}
