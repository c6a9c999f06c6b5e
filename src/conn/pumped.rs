//! What passes between a connection and whoever pumps it: where that which arrives
//! goes, and what is to be waited for.

use std::time::Instant;

use crate::proto::Event;

/// Takes what arrives.
pub(crate) trait Sink {
    fn event(&mut self, event: Event);
    /// False pauses reading until the next pump, and what was read waits.
    fn has_room(&self) -> bool;
    /// False pauses reading, once what was read is handed over.
    fn reads_on(&self) -> bool {
        self.has_room()
    }
    /// About how much one read may bring.
    fn room(&self) -> usize {
        usize::MAX
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) deadline: Option<Instant>,
    /// The wait has to be exact: gaps between bytes are measured, now or as soon as
    /// what is waited for has come, or a rate is.
    pub(crate) gap: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// Nothing more goes now.
    Wants(Want),
    /// More would go, but others wait for their turn.
    Again,
    /// The response is complete.
    Done,
}
