//! Connecting and writing of a link.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;

/// Connects when told to, and keeps what is written to it.
struct Connecting {
    connected: bool,
    written: usize,
}

impl Stream for Connecting {
    type Shared = ();

    fn share(&self) {}

    fn shut((): &()) {}

    fn read_spare(&mut self, _: &mut Vec<u8>) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn abort_on_close(&mut self) {}

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let length = from.iter().map(|slice| slice.len()).sum();
        self.written += length;
        Ok(length)
    }

    fn connected(&mut self) -> io::Result<bool> {
        Ok(self.connected)
    }
}

#[test]
fn an_attempt_that_never_connects_takes_no_ticket() {
    // RFC 8446 §C.4: a ticket serves once, and making a session takes it.
    let stream = Connecting {
        connected: false,
        written: 0,
    };
    let client = tls::Client::build(&tls::Settings::default()).unwrap();
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 443));
    let mut link = Link::new(stream, peer.into(), Some((&client, "localhost")), None);
    let ready = Readiness {
        readable: false,
        writable: true,
        hung_up: false,
    };
    link.ready(ready);
    assert!(!link.establish().unwrap());
    assert!(link.tls.is_none());

    link.stream_mut().connected = true;
    link.ready(ready);
    assert!(!link.establish().unwrap());
    assert_eq!(link.stage(), Stage::Handshake);
    assert!(link.tls.is_some() && link.stream().written > 0);
}
