//! The example `fetch`, built and started.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs};

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
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PATH.get_or_init(build_fetch))
}

/// Cargo builds no examples for `cargo test --test …`, so it is asked to here,
/// in the test's own profile. A build that is up to date costs nothing.
fn build_fetch() -> PathBuf {
    // target/[TRIPLE/]PROFILE/deps/interop-…
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--example", "fetch"])
        .arg("--target-dir")
        .arg(target);
    match profile.file_name().unwrap().to_str().unwrap() {
        "debug" => {}
        name => _ = cargo.args(["--profile", name]),
    }
    let parent = profile.parent().unwrap();
    if parent != target {
        cargo.arg("--target").arg(parent.file_name().unwrap());
    }
    let Output { status, stderr, .. } = cargo.output().unwrap();
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "fetch cannot be built: {complaint}");
    profile.join("examples").join("fetch")
}
