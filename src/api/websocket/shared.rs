//! What all handles of one WebSocket share: the way to the reactor, and how it ended.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use super::connect::Upgrade;
use super::options::Options;
use super::pace::Pace;
use super::receive::{Inbound, Incoming};
use crate::api::cancel::{Aim, CancelHandle};
use crate::api::connector::Connector;
use crate::call::About;
use crate::error::{Error, Kind};
use crate::handoff::latch::{Latch, latch};
use crate::handoff::outbox::{Caps, Outbox, outbox};
use crate::handoff::pipe::{Budget, pipe};
use crate::handoff::relay::Guest;
use crate::job::{Adopt, Command, ExchangeId, WsConn, WsEnd, WsSettings};
use crate::sync::lock;
use crate::ws::handshake::Negotiated;
use crate::ws::{Assembler, CloseCode, CloseFrame, Encoder, Frame, Utf8Bytes, keys};

/// What may wait to be written before senders have to wait.
const OUTBOX: Caps = Caps {
    bytes: 512 * 1024,
    items: 1024,
};

/// What may wait to be received before the server has to wait: frames as they came,
/// so that small ones cost no more than their bytes.
const PIPE: Budget = Budget {
    low: 256 * 1024,
    high: 512 * 1024,
};

pub(super) struct Shared {
    /// Before the connector: the reactor hears of a dropped outbox before it hears
    /// that nobody needs it any more. `None` only while this is dropped.
    ends: Option<Ends>,
    fate: Mutex<Fate>,
    /// Whether callers drive the connection, as whoever queues and receives is one.
    pub(super) lends: bool,
    pub(super) pace: Pace,
    pub(super) connector: Connector,
    pub(super) id: ExchangeId,
    pub(super) about: Arc<About>,
    pub(super) negotiated: Negotiated,
    pub(super) options: Options,
}

pub(super) struct Ends {
    pub(super) outbox: Outbox<Encoder, Frame>,
    pub(super) ended: Latch<WsEnd>,
    /// Where the connection lies, for whoever has queued something.
    pub(super) guest: Guest<Box<dyn WsConn>>,
}

/// What this side knows of the end before the reactor does.
#[derive(Default)]
struct Fate {
    code: Option<CloseCode>,
    reason: Option<Utf8Bytes>,
    exception: Option<Error>,
    /// The program has said goodbye.
    is_closed: bool,
}

/// Gives the connection to the reactor.
pub(super) fn open(upgrade: Upgrade) -> Inbound {
    keys::open();
    let Upgrade {
        connection,
        negotiated,
        options,
    } = upgrade;
    let deflate = options.deflate.unwrap_or_default();
    let agreed = negotiated.agreed.as_ref();
    let deflater = agreed.and_then(|agreed| agreed.deflater(deflate.level.into()));
    let encoder = Encoder::new(deflater, deflate.threshold);
    let (outbox, frames) = outbox(encoder, OUTBOX);
    let (inlet, pipe) = pipe(PIPE);
    let (setter, ended) = latch();
    let settings = WsSettings {
        autoping: options.autoping,
        autoclose: options.autoclose,
        deflate: agreed.is_some(),
        max_message: options.max_message_size,
        heartbeat: options.heartbeat,
        close_timeout: options.close_timeout,
    };
    let inflater = agreed.map(|agreed| agreed.inflater());
    let incoming = Incoming::new(pipe, Assembler::new(options.max_message_size, inflater));
    let adopt = Adopt {
        tunnel: connection.tunnel,
        settings,
        inlet,
        outbox: frames,
        ended: setter,
        // Whoever drops everything must not take the thread away before the goodbye
        // is said.
        keep: Box::new(connection.connector.clone()),
    };
    let guest = connection.connector.adopt(connection.id, adopt);
    let shared = Shared {
        ends: Some(Ends {
            outbox,
            ended,
            guest,
        }),
        fate: Mutex::default(),
        lends: connection.connector.lends(),
        pace: Pace::default(),
        connector: connection.connector,
        id: connection.id,
        about: connection.about,
        negotiated,
        options,
    };
    Inbound::new(Arc::new(shared), incoming)
}

impl Shared {
    pub(super) fn is_home(&self) -> bool {
        self.connector.is_home()
    }

    /// What only the process may use that connected it: their locks may be held for
    /// ever in a child.
    pub(super) fn ends(&self) -> Result<&Ends, Error> {
        match &self.ends {
            Some(ends) if self.is_home() => Ok(ends),
            _ => Err(self.context(Error::closed())),
        }
    }

    /// As [`ends`](Self::ends), for what does no harm in a child either.
    pub(super) fn ends_anywhere(&self) -> Option<&Ends> {
        self.ends.as_ref()
    }

    pub(super) fn tell(&self, command: Command) {
        self.connector.tell(command);
    }

    /// The error, with what is known of the WebSocket.
    #[cold]
    pub(super) fn context(&self, error: Error) -> Error {
        self.about.context(error)
    }

    /// Why nothing can be sent any more.
    #[cold]
    pub(super) fn closed(&self) -> Error {
        let error = Error::new(Kind::Closed, "the WebSocket is closed");
        self.context(match self.exception() {
            Some(exception) => error.with_source(exception),
            None => error,
        })
    }

    pub(super) fn cancel_handle(&self) -> CancelHandle {
        Some(Aim::new(self.connector.downgrade(), self.id)).into()
    }

    /// Sends what is sent last, whatever waits before it. False: there is no such
    /// thing any more.
    pub(super) fn say_goodbye(&self, frame: Option<&CloseFrame>) -> Result<bool, Error> {
        let ends = self.ends()?;
        let is_first = ends.outbox.close(Frame::close(frame));
        if is_first {
            lock(&self.fate).is_closed = true;
            // It hears of it even where it waits to write and takes nothing.
            self.tell(Command::Wake(self.id));
        }
        Ok(is_first)
    }

    /// How it ended, once it has.
    fn end(&self) -> Option<WsEnd> {
        self.ends().ok()?.ended.get()
    }

    pub(super) fn is_closed(&self) -> bool {
        let Ok(ends) = self.ends() else {
            return true;
        };
        ends.outbox.is_closed() || ends.ended.get().is_some()
    }

    /// `None` in the child of a process, where its lock may be held for ever.
    fn fate(&self) -> Option<MutexGuard<'_, Fate>> {
        self.is_home().then(|| lock(&self.fate))
    }

    pub(super) fn close_code(&self) -> Option<CloseCode> {
        let known = self.fate()?.code;
        known.or_else(|| self.end().map(|end| end.code))
    }

    pub(super) fn close_reason(&self) -> Option<Utf8Bytes> {
        let known = {
            let fate = self.fate()?;
            fate.code.map(|_| fate.reason.clone().unwrap_or_default())
        };
        known.or_else(|| self.end().map(|end| end.reason))
    }

    pub(super) fn exception(&self) -> Option<Error> {
        let known = self.fate()?.exception.clone();
        known.or_else(|| {
            let error = self.end()?.error?;
            Some(self.context(error))
        })
    }

    /// The peer's Close was shown to the program, which has to answer it.
    pub(super) fn peer_closes(&self, frame: Option<&CloseFrame>) {
        let mut fate = lock(&self.fate);
        if fate.code.is_none() {
            fate.code = Some(frame.map_or(CloseCode::NO_STATUS, |frame| frame.code));
            fate.reason = frame.map(|frame| frame.reason.clone());
        }
    }

    /// This side ends it, for this reason: nothing is sent any more but what `command`
    /// has the reactor say.
    #[cold]
    pub(super) fn fail(&self, code: CloseCode, error: Error, command: Option<Command>) -> Error {
        let error = self.context(error);
        // It may have ended before, behind what is read only now.
        let code = self.close_code().unwrap_or(code);
        {
            let mut fate = lock(&self.fate);
            fate.code.get_or_insert(code);
            fate.exception.get_or_insert_with(|| error.clone());
        }
        if let Some(command) = command {
            self.tell(command);
        }
        if let Ok(ends) = self.ends() {
            let reason = Utf8Bytes::default();
            // Behind the command, which has the reactor say so at once.
            ends.outbox
                .close(Frame::close(Some(&CloseFrame { code, reason })));
        }
        error
    }

    /// The reactor has found a violation, and waits with telling the peer until the
    /// reader knows.
    #[cold]
    pub(super) fn condemn(&self, code: CloseCode) {
        self.tell(Command::Fail(self.id, code));
        if let Ok(ends) = self.ends() {
            let reason = Utf8Bytes::default();
            ends.outbox
                .close(Frame::close(Some(&CloseFrame { code, reason })));
        }
    }

    /// The last that is received: the end as the reactor tells it.
    pub(super) fn told(&self, end: WsEnd) -> Result<(), Error> {
        let WsEnd {
            code,
            reason,
            error,
            ..
        } = end;
        let error = error.map(|error| self.context(error));
        let mut fate = lock(&self.fate);
        if fate.code.is_none() {
            fate.code = Some(code);
            fate.reason = Some(reason);
        }
        let Some(error) = error else {
            return Ok(());
        };
        let error = fate.exception.get_or_insert(error).clone();
        // Whoever has said goodbye need not be told that the rest did not go well.
        match fate.is_closed {
            true => Ok(()),
            false => Err(error),
        }
    }

    #[cfg(feature = "json")]
    pub(super) fn to_json(
        &self,
        value: &(impl serde_core::Serialize + ?Sized),
    ) -> Result<Utf8Bytes, Error> {
        type Cause = Box<dyn std::error::Error + Send + Sync>;
        let written: Result<String, Cause> = match self.options.json_serializer {
            None => serde_json::to_string(value).map_err(Into::into),
            Some(write) => serde_json::to_value(value)
                .map_err(Into::into)
                .and_then(|value| write(&value))
                .and_then(|json| String::from_utf8(json).map_err(Into::into)),
        };
        written.map(Utf8Bytes::from).map_err(|cause| {
            let error = Error::invalid_request("the message cannot be written as JSON");
            self.context(error.with_source(cause))
        })
    }

    pub(super) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("url", &self.about.url.as_str())
            .field("is_closed", &self.is_closed())
            .field("close_code", &self.close_code())
            .finish_non_exhaustive()
    }

    /// The reactor has gone away without a word.
    #[cold]
    pub(super) fn deserted(&self) -> Error {
        self.fail(CloseCode::ABNORMAL, self.connector.ended(), None)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let ends = self.ends.take();
        if !self.is_home() {
            // Their locks may be held for ever in the child of a process.
            return mem::forget(ends);
        }
        drop(ends);
        // It hears of it even where it waits to write and takes nothing.
        self.tell(Command::Wake(self.id));
    }
}
