//! Credentials that are sent when they are asked for: Digest, or what the
//! server prefers.
//!
//! ```text
//! Nothing ──401: Digest──▶ Digest(nonce, count) ──next nonce, 401──▶ Digest
//!    └──────401: Basic───▶ Basic            (only where both will do)
//! ```
//!
//! The state belongs to the credentials and is shared by their clones, so all
//! requests of a session use one nonce and count it together. Nothing here knows
//! of a status or of a field's name: 401 and `WWW-Authenticate`, 407 and
//! `Proxy-Authenticate` are the business of who asks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use url::{Origin, Url};

use super::challenge::{Params, challenges, params};
use super::digest::{Digest, Signer};
use super::{Auth, BasicAuth, Message, Repr, Wanted};
use crate::digest;
use crate::error::{Error, Kind, Phase};
use crate::sync::{Mutex, lock};

/// A login and its password, for Digest authentication (RFC 7616, SPEC A7).
///
/// The password never leaves the program: the server sends a challenge with its
/// `401`, and the request is made once more with an answer to it. From then on
/// requests carry an answer by themselves, as long as the server's nonce holds
/// and within the paths it named (its `domain`; otherwise all of it).
///
/// **One value is for one server.** It is bound to the origin of the first
/// request that it is used for, and other origins get nothing, unless the first
/// one names them in its `domain`. Clones are the same value: keep the [`Auth`]
/// that this becomes, in a session or beside it. Made anew for each request it
/// would be asked each time.
///
/// | setting | default |
/// |---|---|
/// | [`preemptive`](Self::preemptive) | true |
/// | [`or_basic`](Self::or_basic) | false |
/// | [`ask_first`](Self::ask_first) | false |
///
/// Known are MD5, SHA-256 and SHA-512-256, SHA and SHA-512 as aiohttp has them,
/// each with `-sess`; `userhash`, `charset`, `stale` and `nextnonce`. Of several
/// challenges the first one that can be answered is. `qop=auth` goes before
/// `auth-int`, which signs the body, too, and so needs one that is in memory.
/// Signing a long one takes time, so a started request with more than 8 MiB in
/// memory answers a `401` only while somebody waits for it.
/// Logins that are not ASCII are sent and hashed in UTF-8.
///
/// A request is sent once more for a `401`, not twice: what comes then is the
/// answer. Only where the server says then that the credentials were right and
/// their nonce is used up (`stale`) it goes a last time, with the new one. A challenge that cannot be answered (damaged, without a nonce, of an
/// algorithm nobody knows) is an error of kind
/// [`Protocol`](crate::Kind::Protocol) with the response's status and headers. A
/// `401` without any Digest challenge is a response like any other. A body that
/// cannot be sent a second time fails with
/// [`BodyNotReplayable`](crate::Kind::BodyNotReplayable): see
/// [`ask_first`](Self::ask_first).
///
/// ```
/// use miohttp::{Auth, DigestAuth, Session};
///
/// let session = Session::builder().auth(Auth::digest("user", "secret")).build();
/// let auth: Auth = DigestAuth::new("user", "secret").ask_first(true).into();
/// let upload = session.put("http://example.com/large").auth(auth.clone());
/// # drop(upload);
/// ```
#[derive(Clone)]
#[must_use]
pub struct DigestAuth {
    login: String,
    password: String,
    preemptive: bool,
    or_basic: bool,
    ask_first: bool,
}

impl DigestAuth {
    /// This login and this password. A `:` or a control character in the login
    /// is an error at the verb.
    pub fn new(login: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            login: login.into(),
            password: password.into(),
            preemptive: true,
            or_basic: false,
            ask_first: false,
        }
    }

    /// Whether a request carries credentials before it is asked for them, once
    /// the server has asked an earlier one. Default true, which saves a round
    /// trip a request.
    pub fn preemptive(mut self, preemptive: bool) -> Self {
        self.preemptive = preemptive;
        self
    }

    /// Whether a server that asks for Basic and for no Digest gets that. Default
    /// false. Whoever can change the server's answer on its way then gets the
    /// password: use it with https, or where Basic would do.
    pub fn or_basic(mut self, or_basic: bool) -> Self {
        self.or_basic = or_basic;
        self
    }

    /// Whether a body waits for the server's challenge. Default false: it is
    /// sent with the first request, and again with the answer.
    ///
    /// With true the first request goes out without its body, as curl does it,
    /// and the body goes once, with the answer; with a challenge known already it
    /// is not held back at all. That spares a long body the second way, and
    /// a body that can be sent once only is not spent on a `401`. A server
    /// that asks for nothing, whatever else it answers, has then seen a request
    /// with an empty body, and gets it again with the whole one. Requests that
    /// state `Content-Length`, `Transfer-Encoding` or `Expect` by themselves are
    /// not held back.
    pub fn ask_first(mut self, ask_first: bool) -> Self {
        self.ask_first = ask_first;
        self
    }
}

impl fmt::Debug for DigestAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestAuth")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl From<DigestAuth> for Auth {
    fn from(of: DigestAuth) -> Self {
        // Only uniqueness matters, no other memory hangs on the order.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Repr::Asked(Asked(Arc::new(Inner {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            mistake: mistake(&of.login),
            of,
            state: Mutex::default(),
        })))
        .into()
    }
}

impl Auth {
    /// Digest authentication (RFC 7616, SPEC A7); [`DigestAuth`] says what that
    /// is, and has the options.
    pub fn digest(login: impl Into<String>, password: impl Into<String>) -> Self {
        DigestAuth::new(login, password).into()
    }

    /// Digest or Basic authentication, as the server asks for; nothing is sent
    /// before it does. Where it offers both it gets Digest. The same as
    /// [`DigestAuth::or_basic`], and its warning holds.
    pub fn any(login: impl Into<String>, password: impl Into<String>) -> Self {
        DigestAuth::new(login, password).or_basic(true).into()
    }
}

/// SPEC A2: what would make a login another one.
fn mistake(login: &str) -> Option<&'static str> {
    if login.contains(':') {
        Some("a digest auth login cannot contain a colon")
    } else if login.chars().any(char::is_control) {
        Some("a digest auth login cannot contain control characters")
    } else {
        None
    }
}

/// Credentials and what the server has said of them so far.
#[derive(Clone)]
pub(crate) struct Asked(Arc<Inner>);

struct Inner {
    /// Tells it from all others.
    id: u64,
    of: DigestAuth,
    mistake: Option<&'static str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The origin of the first request.
    home: Option<Origin>,
    known: Known,
}

#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    Basic,
    Digest(Session),
}

/// A challenge in use.
struct Session {
    digest: Arc<Digest>,
    /// Where requests carry an answer unasked; empty is all of the home origin.
    space: Vec<(Origin, String)>,
    /// How many requests have used the nonce.
    count: u32,
    /// The client's own nonce where it must stay the same.
    cnonce: Option<String>,
}

/// A server needs no more paths than these; each is kept with its origin.
const MAX_SPACE: usize = 64;

impl Asked {
    /// The `Authorization` of this request, if it gets one. `is_asked`: it
    /// answers a challenge, and is no attempt to be before one.
    ///
    /// # Errors
    /// The credentials cannot be sent, or the body has to be signed and cannot
    /// be seen.
    pub(crate) fn value(
        &self,
        message: &mut Message<'_>,
        is_asked: bool,
    ) -> Result<Option<HeaderValue>, Error> {
        if let Some(mistake) = self.0.mistake {
            return Err(Error::invalid_request(mistake));
        }
        let signing = {
            let mut state = lock(&self.0.state);
            let unasked = self.0.of.preemptive && state.covers(message.url);
            let is_home = state.is_home(message.url);
            if !is_asked && !unasked {
                return Ok(None);
            }
            match &mut state.known {
                Known::Nothing => return Ok(None),
                // The password itself is for nobody but the first origin.
                Known::Basic if !is_home => return Ok(None),
                Known::Basic => None,
                Known::Digest(session) => {
                    // A server that lets a nonce serve so often gets it again
                    // from the start, and asks anew if it minds.
                    session.count = session.count.checked_add(1).unwrap_or(1);
                    let challenge = Arc::clone(&session.digest);
                    Some((challenge, session.count, session.cnonce.clone()))
                }
            }
        };
        let Some((challenge, count, cnonce)) = signing else {
            let basic = BasicAuth::new(&self.0.of.login, &self.0.of.password);
            return basic.encode().map(Some);
        };
        let cnonce = match cnonce {
            Some(cnonce) => cnonce,
            None => digest::random()?,
        };
        let signer = Signer {
            login: &self.0.of.login,
            password: &self.0.of.password,
            count,
            cnonce: &cnonce,
        };
        let answer = challenge.answer(signer, message).map_err(unanswerable)?;
        let mut value = HeaderValue::from_bytes(&answer)
            .map_err(|_| unanswerable("it holds what no header may"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Reads the challenges of a response to a request for this URL. `was_sent`: it carried credentials.
    ///
    /// # Errors
    /// There is a Digest challenge and it cannot be answered.
    pub(crate) fn challenged<'a>(
        &self,
        url: &Url,
        fields: impl Iterator<Item = &'a [u8]>,
        was_sent: bool,
    ) -> Result<Wanted, Error> {
        self.read(url, fields, was_sent, space)
    }

    /// As [`Asked::challenged`], by a proxy: a space means nothing there, it is
    /// always all of the proxy (RFC 7616 §3.3).
    pub(crate) fn challenged_by_proxy<'a>(
        &self,
        url: &Url,
        fields: impl Iterator<Item = &'a [u8]>,
        was_sent: bool,
    ) -> Result<Wanted, Error> {
        self.read(url, fields, was_sent, |_, _| Vec::new())
    }

    fn read<'a>(
        &self,
        url: &Url,
        fields: impl Iterator<Item = &'a [u8]>,
        was_sent: bool,
        space: fn(&Url, &Params<'_>) -> Vec<(Origin, String)>,
    ) -> Result<Wanted, Error> {
        let mut found = None;
        let mut refused = None;
        let mut offers_basic = false;
        for field in fields {
            for challenge in challenges(field) {
                if challenge.is("digest") && found.is_none() {
                    match Digest::read(&challenge.params) {
                        Ok(digest) => {
                            let is_stale = challenge.params.is_true("stale");
                            found = Some((digest, space(url, &challenge.params), is_stale));
                        }
                        Err(why) => refused = refused.or(Some(why)),
                    }
                }
                offers_basic |= challenge.is("basic");
            }
        }
        let mut state = lock(&self.0.state);
        if !state.is_home(url) && !state.covers(url) {
            return Ok(Wanted::Nothing);
        }
        if let Some((digest, space, is_stale)) = found {
            state.use_digest(url, digest, space)?;
            return Ok(match is_stale {
                true => Wanted::NewNonce,
                false => Wanted::Credentials,
            });
        }
        if self.0.of.or_basic && offers_basic && state.is_home(url) {
            let again = !(was_sent && matches!(state.known, Known::Basic));
            state.known = Known::Basic;
            return Ok(match again {
                true => Wanted::Credentials,
                false => Wanted::Nothing,
            });
        }
        match refused {
            Some(why) => Err(unanswerable(why)),
            None => Ok(Wanted::Nothing),
        }
    }

    /// Reads an `Authentication-Info` of a response to a request that carried
    /// an answer: the nonce of the next one (RFC 7616 §3.5).
    pub(crate) fn told(&self, url: &Url, field: &[u8]) {
        let params = params(field);
        let Some(nonce) = params.value("nextnonce").filter(|nonce| !nonce.is_empty()) else {
            return;
        };
        let mut state = lock(&self.0.state);
        if state.is_home(url)
            && let Known::Digest(session) = &mut state.known
            && *session.digest.nonce != *nonce
        {
            let mut digest = Digest::clone(&session.digest);
            digest.nonce = nonce.to_vec();
            let space = session.space.clone();
            // Without random bytes the old nonce stays.
            let _ = state.use_digest(url, digest, space);
        }
    }

    /// Which credentials these are; clones are the same.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether a body has to wait until the server has asked.
    pub(crate) fn holds_body(&self, url: &Url) -> bool {
        self.0.of.ask_first && {
            let mut state = lock(&self.0.state);
            state.is_home(url) && matches!(state.known, Known::Nothing)
        }
    }
}

impl State {
    /// Whether this is the origin the credentials are for; the first one is.
    fn is_home(&mut self, url: &Url) -> bool {
        let origin = url.origin();
        *self.home.get_or_insert_with(|| origin.clone()) == origin
    }

    /// Whether requests for this URL carry credentials unasked.
    fn covers(&mut self, url: &Url) -> bool {
        let is_home = self.is_home(url);
        match &self.known {
            Known::Digest(session) if !session.space.is_empty() => {
                let origin = url.origin();
                let mut space = session.space.iter();
                space.any(|(of, path)| *of == origin && lies_below(url.path(), path))
            }
            _ => is_home,
        }
    }

    fn use_digest(
        &mut self,
        url: &Url,
        digest: Digest,
        space: Vec<(Origin, String)>,
    ) -> Result<(), Error> {
        let cnonce = match digest.is_session() {
            true => Some(digest::random()?),
            false => None,
        };
        let is_home = self.is_home(url);
        let known = match std::mem::take(&mut self.known) {
            Known::Digest(mut session) => {
                // A nonce that comes again has been counted before.
                if session.digest.nonce != digest.nonce {
                    session.count = 0;
                    session.cnonce = cnonce;
                } else if session.digest.is_session() != digest.is_session() {
                    session.cnonce = cnonce;
                }
                // Another origin of the space does not say what the space is.
                if is_home {
                    session.space = space;
                }
                session.digest = Arc::new(digest);
                session
            }
            Known::Nothing | Known::Basic => Session {
                digest: Arc::new(digest),
                space,
                count: 0,
                cnonce,
            },
        };
        self.known = Known::Digest(known);
        Ok(())
    }
}

/// RFC 7616 §3.3, `domain`: URLs, relative ones on this one's origin.
fn space(url: &Url, params: &Params<'_>) -> Vec<(Origin, String)> {
    let Some(domain) = params
        .value("domain")
        .and_then(|d| std::str::from_utf8(d).ok())
    else {
        return Vec::new();
    };
    domain
        .split_ascii_whitespace()
        .filter_map(|text| url.join(text).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(|url| (url.origin(), url.path().to_owned()))
        .take(MAX_SPACE)
        .collect()
}

/// Whole segments: `/a` covers `/a` and `/a/b`, not `/ab`.
fn lies_below(path: &str, space: &str) -> bool {
    path.strip_prefix(space)
        .is_some_and(|rest| rest.is_empty() || space.ends_with('/') || rest.starts_with('/'))
}

fn unanswerable(why: &'static str) -> Error {
    let message = format!("a Digest challenge cannot be answered: {why}");
    Error::new(Kind::Protocol, message).with_phase(Phase::Head)
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked(..)")
    }
}

/// A law, of the fuzzer and of a test: a challenge is answered by one line that can be read again,
/// with the challenge's own nonce, or refused.
#[cfg(any(fuzzing, all(test, not(loom))))]
pub(crate) fn check_challenge(field: &[u8]) {
    let Ok(url) = Url::parse("http://h.test/a?b") else {
        return;
    };
    let auth = Auth::any("us\"er\\", "secret");
    let Some(asked) = auth.asked() else { return };
    asked.told(&url, field);
    let wanted = asked.challenged(&url, [field].into_iter(), false);
    if !matches!(wanted, Ok(Wanted::Credentials | Wanted::NewNonce)) {
        return;
    }
    let mut message = Message {
        method: "GET",
        url: &url,
        target: b"/a?b",
        body: Some(&mut std::iter::empty()),
    };
    let Ok(Some(value)) = asked.value(&mut message, true) else {
        return;
    };
    let answers = challenges(value.as_bytes());
    assert_eq!(answers.len(), 1, "{value:?}");
    let answer = &answers[0];
    if answer.is("digest") {
        assert!(!answer.params.is_damaged);
        let asked = challenges(field);
        let mut nonces = asked
            .iter()
            .map(|challenge| challenge.params.value("nonce"));
        let nonce = answer.params.value("nonce");
        assert!(nonces.any(|asked| asked == nonce), "{value:?}");
        let username = answer.params.value("username");
        assert!(answer.params.is_true("userhash") || username == Some(b"us\"er\\"));
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
