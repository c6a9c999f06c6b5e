//! Stands in for credentials that are asked for, in a build without Digest: no
//! such value exists.

use http::HeaderValue;
use url::Url;

use super::{Message, Wanted};
use crate::error::Error;

#[derive(Clone, Debug)]
pub(crate) enum Asked {}

impl Asked {
    pub(crate) fn value(&self, _: &mut Message<'_>, _: bool) -> Result<Option<HeaderValue>, Error> {
        match *self {}
    }

    pub(crate) fn challenged<'a>(
        &self,
        _: &Url,
        _: impl Iterator<Item = &'a [u8]>,
        _: bool,
    ) -> Result<Wanted, Error> {
        match *self {}
    }

    pub(crate) fn challenged_by_proxy<'a>(
        &self,
        _: &Url,
        _: impl Iterator<Item = &'a [u8]>,
        _: bool,
    ) -> Result<Wanted, Error> {
        match *self {}
    }

    pub(crate) fn id(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn told(&self, _: &Url, _: &[u8]) {
        match *self {}
    }

    pub(crate) fn holds_body(&self, _: &Url) -> bool {
        match *self {}
    }
}
