//! Which process a thing belongs to.

use std::process;

#[cfg(unix)]
use forkguard::atfork::Guard;
#[cfg(not(unix))]
use forkguard::noop::Guard;

/// The process in which something was made. A child of it by `fork` has the thing's
/// memory, but neither its threads nor any right to its connections.
///
/// To ask is a comparison of two words: the C library calls a handler in each child
/// by `fork`, which counts. So it does not see a child that was made past the C
/// library, by `_Fork` or a bare system call.
#[derive(Debug)]
pub(crate) struct Home(Made);

#[derive(Debug)]
enum Made {
    BehindForks(Guard),
    /// Where there was no memory for the handler.
    In(u32),
}

impl Home {
    /// This process.
    pub(crate) fn here() -> Self {
        Self(match Guard::try_new() {
            Ok(guard) => Made::BehindForks(guard),
            Err(_) => Made::In(process::id()),
        })
    }

    /// Whether this is that process. Asked before any lock is taken, for another
    /// thread may have held it when the process was forked.
    pub(crate) fn is_here(&self) -> bool {
        match &self.0 {
            // What is asked remembers that it has told.
            Made::BehindForks(guard) => !guard.clone().detected_fork(),
            Made::In(id) => process::id() == *id,
        }
    }

    /// Any other process.
    #[cfg(test)]
    pub(crate) fn elsewhere() -> Self {
        Self(Made::In(process::id().wrapping_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_home() {
        assert!(Home::here().is_here());
        assert!(Home(Made::In(process::id())).is_here());
        assert!(!Home::elsewhere().is_here());
    }
}
