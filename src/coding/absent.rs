//! Stands in for the codings that are not compiled in: none is ever named, so
//! there is no value whose methods could be called.

use super::Step;

#[derive(Debug)]
pub(super) enum Absent {}

impl Absent {
    pub(super) fn named(_: &[u8]) -> Option<Self> {
        None
    }

    pub(super) fn name(&self) -> &'static str {
        match *self {}
    }

    pub(super) fn step(&mut self, _: &[u8], _: &mut [u8]) -> Step {
        match *self {}
    }

    pub(super) fn complete(&self) -> bool {
        match *self {}
    }
}
