//! Stands in for the TLS configuration in a build without TLS: no such value exists.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Client {}
