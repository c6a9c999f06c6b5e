//! A session with a store of hosts that want https.

use std::sync::Arc;

use super::SessionBuilder;
use crate::call::Strict;
use crate::hsts::HstsStore;

impl SessionBuilder {
    /// Asks hosts that want it by https alone, and learns which ones do, with this
    /// store, which others may share (RFC 6797): see [`HstsStore`]. Default: none.
    ///
    /// Credentials and cookies go by the URL that is asked in the end;
    /// those of [`auth`](Self::auth) with a [`base_url`](Self::base_url) by the one
    /// the request was made with.
    ///
    /// ```
    /// use miohttp::{HstsStore, Session};
    ///
    /// let session = Session::builder().hsts(HstsStore::new()).build();
    /// # drop(session);
    /// ```
    pub fn hsts(mut self, store: HstsStore) -> Self {
        self.hsts = Some(Arc::new(store));
        self
    }
}

impl Strict for HstsStore {
    fn covers(&self, host: &str) -> bool {
        self.covers(host)
    }

    fn note(&self, host: &str, field: &[u8]) {
        self.note(host, field);
    }
}
