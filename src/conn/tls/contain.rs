//! Foreign code inside a session (a verifier, a store of tickets, a log of keys,
//! cryptography made elsewhere), which may panic wherever it is called: that fails
//! its own session, and nothing else.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Receiving, TlsFault, TlsSession};

/// Runs what may run foreign code.
#[cold]
pub(super) fn contain<T>(run: impl FnOnce() -> Result<T, TlsFault>) -> Result<T, TlsFault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        log::warn!("the code of a TLS configuration panicked; that connection fails");
        // A payload is foreign, too, and its drop may panic again.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(again);
        }
        Err(TlsFault::Panicked)
    })
}

impl TlsSession {
    /// Runs a part of this session, which is over if that panics: nothing is known of
    /// the state it was left in.
    #[cold]
    pub(super) fn contained<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, TlsFault>,
    ) -> Result<T, TlsFault> {
        let result = contain(|| run(self));
        if let Err(TlsFault::Panicked) = result {
            self.receiving = Receiving::Failed(TlsFault::Panicked);
            self.inbound.clear();
        }
        result
    }
}
