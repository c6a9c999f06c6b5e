//! The examples, built and started.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

/// The example of this name, ready to be given arguments.
pub(crate) fn example(name: &'static str) -> Command {
    static PATHS: LazyLock<Mutex<HashMap<&str, PathBuf>>> = LazyLock::new(Mutex::default);
    let mut paths = PATHS.lock().unwrap();
    Command::new(paths.entry(name).or_insert_with(|| build(name)))
}

/// Cargo builds no examples for `cargo test --test …`, so it is asked to here,
/// in the test's own profile. A build that is up to date costs nothing.
fn build(name: &str) -> PathBuf {
    // target/[TRIPLE/]PROFILE/deps/interop-…
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--example", name])
        .arg("--target-dir")
        .arg(target);
    match profile.file_name().unwrap().to_str().unwrap() {
        "debug" => {}
        profile => _ = cargo.args(["--profile", profile]),
    }
    let parent = profile.parent().unwrap();
    if parent != target {
        cargo.arg("--target").arg(parent.file_name().unwrap());
    }
    let Output { status, stderr, .. } = cargo.output().unwrap();
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{name} cannot be built: {complaint}");
    profile.join("examples").join(name)
}
