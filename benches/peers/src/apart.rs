//! Transfers: the server on a processor of its own, and the client on the others.
//!
//! Where both happen to share one, a transfer takes about twice as long as on two, and
//! the scheduler chooses now this, now that, for seconds. Then a ratio tells who was
//! lucky.

use std::cell::Cell;
use std::sync::LazyLock;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread.
const THIS: Pid = Pid::from_raw(0);

/// The processors that there are for this process: the first, and the others.
static PROCESSORS: LazyLock<Option<(CpuSet, CpuSet)>> = LazyLock::new(|| {
    let all = sched_getaffinity(THIS).ok()?;
    let mut there = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu) == Ok(true));
    let (mut first, mut others) = (CpuSet::new(), CpuSet::new());
    first.set(there.next()?).ok()?;
    let mut rest = 0;
    for cpu in there {
        others.set(cpu).ok()?;
        rest += 1;
    }
    (rest > 0).then_some((first, others))
});

thread_local! {
    static IS_APART: Cell<bool> = const { Cell::new(false) };
}

/// Notes what this process may use. Called before anything moves.
pub(crate) fn prepare() {
    LazyLock::force(&PROCESSORS);
}

/// The client of a transfer, before it has other threads. Where there is but one
/// processor, or moving is forbidden, all stays as it is.
pub(crate) fn client() {
    if let Some((_, others)) = &*PROCESSORS {
        let _ = sched_setaffinity(THIS, others);
    }
}

/// A thread of the server, which goes to the first processor for a transfer and may be
/// anywhere otherwise.
pub(crate) fn server(is_transfer: bool) {
    let Some((first, others)) = &*PROCESSORS else {
        return;
    };
    if IS_APART.replace(is_transfer) == is_transfer {
        return;
    }
    let mut wanted = *first;
    if !is_transfer {
        for cpu in (0..CpuSet::count()).filter(|cpu| others.is_set(*cpu) == Ok(true)) {
            let _ = wanted.set(cpu);
        }
    }
    let _ = sched_setaffinity(THIS, &wanted);
}
