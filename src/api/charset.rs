//! What a text is taken for that does not say it (SPEC S22).

use super::response::Response;
use super::response::text::without_body;
use crate::call::CharsetFallback;

/// The setting that a caller's function becomes: the layers below know no
/// responses.
pub(super) fn fallback<C: Into<String>>(
    resolve: impl Fn(&Response, &[u8]) -> C + Send + Sync + 'static,
) -> CharsetFallback {
    CharsetFallback::new(move |about, body| resolve(&without_body(about), body).into())
}

/// Guesses the charset of a text from its bytes, as browsers do, with the top
/// domain of its host as a hint. For
/// [`charset_fallback`](crate::SessionBuilder::charset_fallback), where nothing
/// declares a charset; what is UTF-8 is never taken for another.
///
/// A guess can be wrong, the more so the shorter the text is. At most 256 KiB of
/// it are looked at, from the first byte on that is not ASCII.
///
/// ```
/// let session = miohttp::Session::builder()
///     .charset_fallback(miohttp::detect_charset)
///     .build();
/// # drop(session);
/// ```
#[cfg(feature = "charset")]
pub fn detect_charset(response: &Response, body: &[u8]) -> &'static str {
    let host = response.url().domain();
    let top = host.and_then(|host| host.trim_end_matches('.').rsplit('.').next());
    crate::text::detect(body, top)
}
