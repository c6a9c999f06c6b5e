//! WebSockets (RFC 6455), as a program sees them.

mod builder;
mod connect;
mod options;

pub use self::builder::WebSocketBuilder;
pub use self::options::PerMessageDeflate;
