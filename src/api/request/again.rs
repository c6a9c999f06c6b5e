//! For what makes more than one request of one.

use url::Url;

use super::RequestBuilder;
use crate::api::session::Session;
use crate::error::Error;

/// What a caller wants of each of them.
pub(crate) type Configure = Box<dyn Fn(RequestBuilder) -> RequestBuilder + Send>;

impl RequestBuilder {
    /// What it was begun with.
    pub(in crate::api) fn into_origin(self) -> (Session, Result<Url, Error>) {
        (self.session, self.url)
    }
}
