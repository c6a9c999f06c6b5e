//! The locks two threads share, from `std` or, under `--cfg loom`, from loom:
//! one switch for every model-checked module.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};

/// Locks, entering a poisoned lock too: every critical section here leaves its
/// state whole at each step, and one panicking thread must not take the
/// others with it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}
