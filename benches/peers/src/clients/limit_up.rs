//! The limit of uploads through TLS: rustls keeps each record where it was
//! encrypted until it is written. Over buffers of our own, as `bare_tls` has it
//! for what is read, it would be copied once more.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::limit::Bodies;
use crate::Error;

/// Plaintext that is encrypted at a time: what it makes stays in the processor's
/// cache until it is written.
const BATCH: usize = 64 * 1024;

pub(super) struct Uploading {
    session: ClientConnection,
    stream: TcpStream,
}

impl Uploading {
    /// Shakes hands.
    pub(super) fn new(config: &Arc<ClientConfig>, mut stream: TcpStream) -> Result<Self, Error> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        let mut session = ClientConnection::new(Arc::clone(config), name)?;
        session.set_buffer_limit(None);
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Self { session, stream })
    }
}

impl Write for Uploading {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let batch = &from[..from.len().min(BATCH)];
        let n = self.session.writer().write(batch)?;
        self.flush()?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream)?;
        }
        Ok(())
    }
}

impl Read for Uploading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            self.session.read_tls(&mut self.stream)?;
            self.session
                .process_new_packets()
                .map_err(io::Error::other)?;
        }
    }
}

impl Bodies for Uploading {
    fn pass(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.read(scratch)
    }
}
