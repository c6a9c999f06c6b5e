//! The kernel's own count of sockets, which no client can talk its way around:
//! how many connections this machine holds towards a port, and in what state.

use std::fs;
use std::io;

/// Sockets by state (`/proc/net/tcp`), seen from the side that connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sockets {
    pub(crate) established: usize,
    pub(crate) syn_sent: usize,
    /// The peer has closed and the client has not yet noticed or cared.
    pub(crate) close_wait: usize,
    /// The client has closed and waits for the peer (`FIN_WAIT1`, `FIN_WAIT2`,
    /// `CLOSING`, `LAST_ACK`).
    pub(crate) closing: usize,
    /// Only the kernel remembers them.
    pub(crate) time_wait: usize,
}

impl Sockets {
    /// Those whose descriptor the client may still hold.
    pub(crate) fn open(&self) -> usize {
        self.established + self.syn_sent + self.close_wait
    }

    fn add(&mut self, state: &str) {
        // The numbers are those of the kernel's `include/net/tcp_states.h`.
        match state {
            "01" => self.established += 1,
            "02" => self.syn_sent += 1,
            "04" | "05" | "09" | "0B" => self.closing += 1,
            "06" => self.time_wait += 1,
            "08" => self.close_wait += 1,
            _ => {}
        }
    }
}

/// Counts the sockets whose remote port is `port`; `None` on a platform that
/// has no `/proc/net/tcp`. A peer in the same process does not disturb the
/// count: its sockets have `port` on their local side.
pub(crate) fn towards(port: u16) -> Option<Sockets> {
    let mut sockets = Sockets::default();
    let mut seen = false;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(table) {
            Ok(text) => {
                seen = true;
                count(&text, port, &mut sockets);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => panic!("{table}: {error}"),
        }
    }
    seen.then_some(sockets)
}

/// Columns: `sl local_address rem_address st …`, addresses as `HEX:PORT`.
fn count(table: &str, port: u16, sockets: &mut Sockets) {
    let port = format!("{port:04X}");
    for line in table.lines().skip(1) {
        let mut columns = line.split_whitespace().skip(2);
        if let (Some(remote), Some(state)) = (columns.next(), columns.next())
            && remote.rsplit_once(':').is_some_and(|(_, p)| p == port)
        {
            sockets.add(state);
        }
    }
}
