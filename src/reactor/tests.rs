//! The engine in a scripted world: [`sim`] drives it one turn at a time and
//! [`audit`] goes over its books after each.

mod audit;
mod bodies;
mod caller;
mod control;
mod dialing;
mod faults;
#[cfg(feature = "tls")]
mod foreign;
#[cfg(feature = "tls")]
mod layers;
mod leases;
mod lending;
mod limits;
mod names;
mod pace;
mod pooling;
mod request;
mod resting;
mod sim;
mod soak;
#[cfg(unix)]
mod sockets;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod tunnels;
#[cfg(all(feature = "hickory-dns", unix))]
mod turns;
#[cfg(feature = "websocket")]
mod websocket;
#[cfg(feature = "websocket")]
mod websocket_driving;
