//! The locks two threads share, from `std` or, under `--cfg loom`, from loom:
//! one switch for every model-checked module.

#[cfg(any(feature = "websocket", all(test, loom)))]
use std::sync::TryLockError;
#[cfg(all(not(loom), feature = "websocket"))]
pub(crate) use std::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};

/// Locks, entering a poisoned lock too: every critical section here leaves its
/// state whole at each step, and one panicking thread must not take the
/// others with it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// As [`lock`], but `None` while another thread has it.
#[cfg(any(feature = "websocket", all(test, loom)))]
pub(crate) fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What tells this thread from the others that there are now: an even number.
pub(crate) fn this_thread() -> usize {
    std::thread_local! {
        static MARK: u64 = const { 0 };
    }
    MARK.try_with(|mark| std::ptr::from_ref(mark).addr())
        .unwrap_or(0)
}
