//! How far something has come.

/// How much of a body has been moved so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes so far; of a coded body those that it was decoded to.
    pub bytes: u64,
    /// How many there will be, where that is known.
    pub total: Option<u64>,
}
