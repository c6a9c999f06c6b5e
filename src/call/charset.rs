//! The caller's idea of the charset of a text that does not say it (SPEC S22).

use std::fmt;
use std::sync::Arc;

use super::About;

type Ask = dyn Fn(&Arc<About>, &[u8]) -> String + Send + Sync;

/// Asked by whoever reads a text, on the thread that reads it.
#[derive(Clone)]
pub(crate) struct CharsetFallback(Arc<Ask>);

impl CharsetFallback {
    pub(crate) fn new(ask: impl Fn(&Arc<About>, &[u8]) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// The label of a charset for this body.
    pub(crate) fn ask(&self, about: &Arc<About>, body: &[u8]) -> String {
        (self.0)(about, body)
    }
}

impl fmt::Debug for CharsetFallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CharsetFallback(..)")
    }
}
