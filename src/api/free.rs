//! Requests without a session of one's own (SPEC O1).

use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;

use http::Method;

use super::request::RequestBuilder;
use super::session::Session;
use super::url::IntoUrl;

/// A request with any method, as [`Session::request`], in a session that all of
/// these functions share.
///
/// It is made on first use, keeps connections and no cookies, and has the
/// defaults of [`SessionBuilder`](crate::SessionBuilder). A child of the process
/// gets one of its own. Whoever needs other settings, cookies or an end makes a
/// [`Session`].
///
/// ```no_run
/// let response = miohttp::request("PROPFIND", "http://example.com/").send()?;
/// # drop(response);
/// # Ok::<(), miohttp::Error>(())
/// ```
pub fn request(
    method: impl TryInto<Method, Error: Into<http::Error>>,
    url: impl IntoUrl,
) -> RequestBuilder {
    shared().request(method, url)
}

/// A GET request in the session that [`request`] shares.
///
/// ```no_run
/// let text = miohttp::get("http://example.com/").send()?.text()?;
/// # drop(text);
/// # Ok::<(), miohttp::Error>(())
/// ```
pub fn get(url: impl IntoUrl) -> RequestBuilder {
    shared().get(url)
}

/// A HEAD request in the session that [`request`] shares; redirects are not
/// followed unless that is [said](RequestBuilder::redirects).
pub fn head(url: impl IntoUrl) -> RequestBuilder {
    shared().head(url)
}

/// A POST request in the session that [`request`] shares.
pub fn post(url: impl IntoUrl) -> RequestBuilder {
    shared().post(url)
}

/// A PUT request in the session that [`request`] shares.
pub fn put(url: impl IntoUrl) -> RequestBuilder {
    shared().put(url)
}

/// A PATCH request in the session that [`request`] shares.
pub fn patch(url: impl IntoUrl) -> RequestBuilder {
    shared().patch(url)
}

/// A DELETE request in the session that [`request`] shares.
pub fn delete(url: impl IntoUrl) -> RequestBuilder {
    shared().delete(url)
}

/// An OPTIONS request in the session that [`request`] shares.
pub fn options(url: impl IntoUrl) -> RequestBuilder {
    shared().options(url)
}

/// How often a lock that somebody holds is tried again. It is held for a few
/// instructions; that it stays held means that this is a child of a process in
/// which another thread held it, and that nobody will let go of it here.
const TRIES: u32 = 10_000;

fn shared() -> Session {
    static SHARED: Kept = Kept(Mutex::new(None));
    SHARED.session()
}

struct Kept(Mutex<Option<Session>>);

impl Kept {
    /// The session that is kept. Waits for nobody: it may be called in a child
    /// of a process whose other threads were anywhere.
    fn session(&self) -> Session {
        for _ in 0..TRIES {
            let mut kept = match self.0.try_lock() {
                Ok(kept) => kept,
                Err(TryLockError::Poisoned(kept)) => PoisonError::into_inner(kept),
                Err(TryLockError::WouldBlock) => {
                    thread::yield_now();
                    continue;
                }
            };
            // In a child of the process that made it a session is closed.
            if let Some(session) = &*kept
                && !session.is_closed()
            {
                return session.clone();
            }
            let session = make();
            let before = kept.replace(session.clone());
            drop(kept);
            drop(before);
            return session;
        }
        make()
    }
}

fn make() -> Session {
    let builder = Session::builder();
    #[cfg(feature = "cookies")]
    let builder = builder.no_cookies();
    builder.build()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::ptr;

    use super::*;

    fn is_same(one: &Session, other: &Session) -> bool {
        ptr::eq(one.connector(), other.connector())
    }

    #[test]
    fn one_session_is_kept_until_it_is_of_no_use() {
        // SPEC O1
        let kept = Kept(Mutex::new(None));
        let first = kept.session();
        assert!(is_same(&first, &kept.session()));
        #[cfg(feature = "cookies")]
        assert!(first.cookie_jar().is_none());
        // As in the child of the process that made it.
        first.close();
        let second = kept.session();
        assert!(!is_same(&first, &second) && !second.is_closed());
        assert!(is_same(&second, &kept.session()));
    }

    #[test]
    fn a_lock_that_nobody_lets_go_of_keeps_nobody_waiting() {
        // SPEC O1
        let kept = Kept(Mutex::new(None));
        let first = kept.session();
        let held = kept.0.lock();
        let other = kept.session();
        assert!(!is_same(&first, &other) && !other.is_closed());
        drop(held);
        assert!(is_same(&first, &kept.session()));
    }
}
