//! What goes through a transport's stream, and not past it.

use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use super::*;
use crate::net::transport::{Target, Transport, TransportStream, carry};
use crate::net::{Address, Sockets};

/// Tells of itself by one socket, and writes to another.
struct Apart {
    tells: UnixStream,
    carries: UnixStream,
}

impl AsFd for Apart {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tells.as_fd()
    }
}

impl TransportStream for Apart {
    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_write(&self, from: &[u8]) -> io::Result<usize> {
        TransportStream::try_write(&self.carries, from)
    }
}

struct Once(Mutex<Option<Apart>>);

impl Transport for Once {
    fn connect(&self, _: &Target<'_>) -> io::Result<Box<dyn TransportStream>> {
        let stream = self.0.lock().expect("nobody panics").take();
        Ok(Box::new(stream.expect("one connection")))
    }
}

/// A session's last words have to be framed as all others are.
#[test]
fn all_that_is_written_goes_through_the_transport() {
    // SPEC C9, S23
    let (tells, mut told) = UnixStream::pair().expect("a pair");
    let (carries, mut carried) = UnixStream::pair().expect("a pair");
    let once = Once(Mutex::new(Some(Apart { tells, carries })));
    let sockets = Sockets {
        transport: Some(carry(once)),
        ..Sockets::default()
    };
    let address = Address::Tcp((Ipv4Addr::LOCALHOST, 80).into());
    let mut stream = MioStream::connect(&Destination {
        address: &address,
        host: "host.test",
        port: 80,
        deadline: None,
        sockets: &sockets,
    })
    .expect("a stream");
    let pieces = [io::IoSlice::new(b"words, ")];
    assert_eq!(stream.write_vectored(&pieces).expect("room"), 7);
    assert_eq!(stream.write_last(b"goodbye").expect("room"), 7);
    drop(stream);
    let (mut beside, mut through) = (Vec::new(), Vec::new());
    told.read_to_end(&mut beside).expect("its end");
    carried.read_to_end(&mut through).expect("its end");
    assert_eq!(
        (&beside[..], &through[..]),
        (&b""[..], &b"words, goodbye"[..])
    );
}
