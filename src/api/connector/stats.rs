//! What a connector's pool is doing, in figures.

/// The figures of a connector's pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectorStats {
    /// Connections being opened or carrying an exchange; what the limits count. An
    /// idle one whose socket has something to tell is looked at, and counts for that
    /// moment.
    pub in_use: usize,
    /// Connections kept for later.
    pub idle: usize,
    /// Requests waiting for a connection.
    pub waiting: usize,
    /// Connections opened since the start.
    pub opened: u64,
    /// Requests that were given a connection that had served before.
    pub reused: u64,
    /// Requests that were sent once more: what a stale connection had swallowed
    /// (SPEC Y1), and what a [`RetryPolicy`](crate::RetryPolicy) had tried again
    /// (SPEC Y2).
    pub retried: u64,
}
