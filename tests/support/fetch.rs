//! The example `fetch`, built and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::example::example;

/// A directory that goes with the test.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("fetch-{name}-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The example `fetch`, ready to be given arguments.
pub(crate) fn fetch() -> Command {
    example("fetch")
}
