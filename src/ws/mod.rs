//! The pure parts of WebSockets (RFC 6455, RFC 7692): frames, messages and the
//! opening handshake. Bytes in, values out.
