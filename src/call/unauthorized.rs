//! Credentials that a server asks for (SPEC A7), or a proxy: when a request
//! carries them, and what a `401` or a `407` means for it.
//!
//! ```text
//! First ──────────────────────────── 401 ──▶ Answered ─ stale ─▶ Renewed ──▶ deliver
//!   └─ held back ─▶ Held ─── 401 ───────────────▲
//!                     └─ anything else ─▶ Whole ┘
//! ```
//!
//! Each hop of a redirect begins anew. A proxy has a turn of its own ([`proxy`]).
//!
//! [`proxy`]: super::proxy

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, StatusCode};
use url::Url;

use super::{Call, Content, Request, RequestBody};
use crate::auth::{Asked, Auth, Message, Wanted};
use crate::error::Error;
use crate::head::{RequestHead, ResponseHead};
use crate::job::{Exchange, Next, Pieces, Reply};

/// Where a hop stands with a server that asks for credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    #[default]
    First,
    /// Sent without its body, to be asked before that.
    Held,
    /// Sent again, with its body, since nobody asked.
    Whole,
    /// A challenge has been answered. There is no second time,
    Answered,
    /// unless its nonce was used up by then.
    Renewed,
}

impl Turn {
    /// That of the same request once more, at once or after a wait. What was held back
    /// is so again: nobody has asked yet.
    pub(super) fn again(self, waits: bool) -> Self {
        if waits || self == Self::Held {
            Self::First
        } else {
            self
        }
    }
}

/// A longer body is signed, should it have to be, by whoever waits for its
/// request: the reactor's thread has others to serve. Some 15 ms of it.
const MAX_HASHED_ANYWHERE: u64 = 8 * 1024 * 1024;

impl Request {
    /// Whether an answer may have to sign a long body (qop `auth-int`).
    pub(super) fn may_hash_much(&self) -> bool {
        self.auth.as_ref().and_then(Auth::asked).is_some() && self.is_long_to_hash()
    }

    pub(super) fn is_long_to_hash(&self) -> bool {
        match self.body.as_ref().map(RequestBody::content) {
            Some(Content::Memory(pieces)) => pieces.len() > MAX_HASHED_ANYWHERE,
            // What is not in memory is never signed.
            Some(Content::Source(_)) | None => false,
        }
    }
}

/// Who asks: the origin, by `401`, or a proxy, by `407` (RFC 9110 §11.7).
pub(super) struct Asker<'a> {
    pub(super) asked: &'a Asked,
    /// What the credentials are bound to.
    pub(super) url: &'a Url,
    pub(super) by: &'static By,
}

/// The words of one of the two.
pub(super) struct By {
    pub(super) status: StatusCode,
    pub(super) challenge: &'static str,
    pub(super) answer: HeaderName,
    info: &'static str,
    /// RFC 7616 §3.3: all of a proxy is one space, whatever it says.
    is_proxy: bool,
}

pub(super) static ORIGIN: By = By {
    status: StatusCode::UNAUTHORIZED,
    challenge: "www-authenticate",
    answer: AUTHORIZATION,
    info: "authentication-info",
    is_proxy: false,
};

pub(super) static PROXY: By = By {
    status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
    challenge: "proxy-authenticate",
    answer: PROXY_AUTHORIZATION,
    info: "proxy-authentication-info",
    is_proxy: true,
};

impl Asker<'_> {
    /// The credentials of a request, if it gets some. `target` in origin form, or
    /// as CONNECT has it.
    ///
    /// # Errors
    /// They cannot be sent.
    pub(super) fn value(
        &self,
        turn: Turn,
        method: &Method,
        target: &[u8],
        body: Option<&RequestBody>,
    ) -> Result<Option<HeaderValue>, Error> {
        // A body that is still to be made cannot be read before it is sent.
        let mut in_memory = match body.map(RequestBody::content) {
            None => Some(Pieces::default()),
            Some(Content::Memory(pieces)) => Some(pieces.clone()),
            Some(Content::Source(_)) => None,
        };
        let mut pieces = in_memory.as_mut().map(|pieces| {
            std::iter::from_fn(|| {
                let piece = pieces.take(usize::MAX);
                (!piece.is_empty()).then_some(piece)
            })
        });
        let is_asked = matches!(turn, Turn::Answered | Turn::Renewed);
        let mut message = Message {
            method: method.as_str(),
            url: self.url,
            target,
            body: pieces.as_mut().map(|pieces| pieces as _),
        };
        self.asked.value(&mut message, is_asked)
    }

    /// The turn that follows these challenges, if the request goes out once more.
    ///
    /// # Errors
    /// It was asked for what cannot be given.
    pub(super) fn challenged<'a>(
        &self,
        turn: Turn,
        was_sent: bool,
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Turn>, Error> {
        let wanted = match self.by.is_proxy {
            false => self.asked.challenged(self.url, fields, was_sent),
            true => self.asked.challenged_by_proxy(self.url, fields, was_sent),
        };
        Ok(match turn {
            // For the requests to come, too: this one has had its answer.
            Turn::Renewed => None,
            Turn::Answered => matches!(wanted, Ok(Wanted::NewNonce)).then_some(Turn::Renewed),
            _ => match wanted? {
                Wanted::Nothing => None,
                Wanted::Credentials | Wanted::NewNonce => Some(Turn::Answered),
            },
        })
    }

    /// The same of a response.
    pub(super) fn heard(
        &self,
        turn: Turn,
        sent: &Exchange,
        head: &ResponseHead,
    ) -> Result<Option<Turn>, Error> {
        let was_sent = sent.head.fields.contains(self.by.answer.as_str());
        if head.status() == self.by.status {
            return self.challenged(turn, was_sent, head.values(self.by.challenge));
        }
        if was_sent {
            for field in head.values(self.by.info) {
                self.asked.told(self.url, field);
            }
        }
        // Whatever it is, it is no answer to a request with a body.
        Ok((turn == Turn::Held).then_some(Turn::Whole))
    }
}

impl Call {
    /// Takes away the body of a request that has to wait for a challenge; the
    /// caller puts it back when the head is made.
    pub(super) fn hold_body(&mut self) -> Option<RequestBody> {
        let asker = self.asker();
        let for_origin = asker
            .is_some_and(|asker| self.turn == Turn::First && asker.asked.holds_body(asker.url));
        let for_proxy = self.way.as_ref().is_some_and(|way| way.holds_body());
        let request = &mut self.request;
        // A head that speaks of the body by itself would be a lie without it.
        let speaks = || {
            ["content-length", "transfer-encoding", "expect"]
                .iter()
                .any(|name| request.fields.contains(name))
                || request.extra.as_ref().is_some_and(|extra| extra.chunked)
        };
        if !(for_origin || for_proxy) || speaks() {
            return None;
        }
        let body = request.body.take_if(|body| body.length() != Some(0))?;
        // Of two the proxy asks first.
        match &mut self.way {
            Some(way) if for_proxy => way.held(),
            _ => self.turn = Turn::Held,
        }
        Some(body)
    }

    /// Adds the credentials to a head that is complete but for them, and for what
    /// a proxy needs.
    ///
    /// # Errors
    /// They cannot be sent.
    pub(super) fn authorize(&self, head: &mut RequestHead) -> Result<(), Error> {
        let Some(asker) = self.asker() else {
            return Ok(());
        };
        let body = self.request.body.as_ref();
        if let Some(value) = asker.value(self.turn, &head.method, head.target(), body)? {
            head.fields.append(AUTHORIZATION, value);
        }
        Ok(())
    }

    /// Whether the request goes out once more: with what it was asked for, or
    /// with the body that was held back.
    ///
    /// # Errors
    /// It was asked for what cannot be given.
    pub(super) fn is_asked_again(
        &mut self,
        sent: &Exchange,
        head: &ResponseHead,
    ) -> Result<bool, Error> {
        let by_proxy = match &mut self.way {
            None => false,
            Some(way) => way.is_asked_again(sent, head)?,
        };
        if by_proxy && head.status() == PROXY.status {
            // The origin has heard nothing of it: what is held back for its
            // challenge is so still.
            if self.turn == Turn::Held {
                self.turn = Turn::First;
            }
            return Ok(true);
        }
        let Some(asker) = self.asker() else {
            return Ok(by_proxy);
        };
        let Some(turn) = asker.heard(self.turn, sent, head)? else {
            return Ok(by_proxy);
        };
        self.turn = turn;
        Ok(true)
    }

    /// The same is sent once more after a failure. A nonce may not have outlived a
    /// wait; without one, what was asked stays answered, or a server that answers the
    /// first request of a connection alone is asked for ever.
    pub(super) fn turn_again(&mut self, waits: bool) {
        self.turn = self.turn.again(waits);
        if let Some(way) = &mut self.way {
            way.restart(waits);
        }
    }

    /// The request once more, for the reason that has just been found.
    pub(super) fn send_asked(mut self: Box<Self>, sent: &Exchange, reply: &Reply) -> Next {
        // Another request, with a stale connection of its own to make good.
        self.retried = false;
        match self.into_exchange() {
            Ok(exchange) => Next::Again(exchange),
            Err((call, error)) => call.refuse(error, sent, reply),
        }
    }

    fn asker(&self) -> Option<Asker<'_>> {
        let asked = self.request.auth.as_ref().and_then(Auth::asked)?;
        Some(Asker {
            asked,
            url: &self.request.url,
            by: &ORIGIN,
        })
    }
}
