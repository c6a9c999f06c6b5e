//! How far a link comes on a thread that must run no foreign code.

use super::{Link, LinkFault, Stage};
use crate::net::Stream;

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    /// For its socket.
    Waiting,
    /// What comes next may run foreign code, and so block.
    Foreign,
}

impl<S: Stream> Link<S> {
    /// As [`establish`](Self::establish), which runs whatever there is to run, up to
    /// where that may be foreign code.
    pub(crate) fn establish_here(&mut self) -> Result<Step, LinkFault> {
        while self.stage != Stage::Open {
            if self.whose().is_some_and(|(client, _)| client.is_foreign()) {
                return Ok(match self.has_next_step() {
                    true => Step::Foreign,
                    false => Step::Waiting,
                });
            }
            if !self.step()? {
                return Ok(Step::Waiting);
            }
        }
        Ok(Step::Open)
    }

    /// Whether its handshake could begin now, or go on.
    fn has_next_step(&self) -> bool {
        let has_begun = self.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        !has_begun || self.wire.is_readable() || (self.wire.writable && self.has_outgoing())
    }
}
