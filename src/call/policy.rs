//! Which redirects a request follows.

/// Which redirects are followed (SPEC D14).
///
/// ```
/// use miohttp::{RedirectPolicy, Session};
///
/// let session = Session::builder().redirects(RedirectPolicy::Limit(3)).build();
/// let request = session.get("http://example.com/").redirects(RedirectPolicy::None);
/// # drop(request);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectPolicy {
    /// None: a redirect is a response like any other.
    None,
    /// This many; one more is an error of kind
    /// [`TooManyRedirects`](crate::Kind::TooManyRedirects) that carries the
    /// last status and the history (SPEC D5). The default is 10.
    Limit(u32),
}

impl Default for RedirectPolicy {
    fn default() -> Self {
        Self::Limit(10)
    }
}
