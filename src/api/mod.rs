//! What a program sees: sessions, requests, responses and the one way to wait.

pub(crate) mod body;
mod bytes;
pub(crate) mod cancel;
pub(crate) mod charset;
pub(crate) mod completed;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod download;
pub(crate) mod events;
pub(crate) mod form;
pub(crate) mod free;
#[cfg(feature = "json")]
pub(crate) mod pairs;
pub(crate) mod pending;
pub(crate) mod progress;
#[cfg(feature = "tls")]
mod proxy;
mod rates;
pub(crate) mod reader;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod send;
pub(crate) mod session;
mod settings;
mod stretch;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod upgraded;
pub(crate) mod upload;
pub(crate) mod url;
#[cfg(feature = "websocket")]
pub(crate) mod websocket;
