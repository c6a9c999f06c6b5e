//! Files in which a program keeps what it has learnt, cookies for one: read
//! within a bound, and written whole or not at all, for their owner alone. What
//! stands in them is the business of whoever keeps it: bytes in, values out.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that is longer is none of ours: a full jar, every cookie of the
/// largest size, is about half of it, and nothing else that is kept is larger.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Why a file could not be saved or loaded. It repeats nothing of what stands
/// there, which may be secret.
pub(crate) struct FileFault {
    path: PathBuf,
    what: What,
}

enum What {
    Write(io::Error),
    Read(io::Error),
    Malformed(Malformed),
}

/// What is wrong with the bytes of a file, in words that repeat none of them.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) line: Option<usize>,
    pub(crate) message: &'static str,
}

impl Malformed {
    pub(crate) fn at(line: usize, message: &'static str) -> Self {
        let line = Some(line);
        Self { line, message }
    }

    pub(crate) fn whole(message: &'static str) -> Self {
        Self {
            line: None,
            message,
        }
    }
}

/// Reads a file in this format.
pub(crate) fn load<T>(
    path: &Path,
    read: impl FnOnce(&[u8]) -> Result<T, Malformed>,
) -> Result<T, FileFault> {
    let bytes = read_file(path).map_err(|error| FileFault::new(path, What::Read(error)))?;
    let read = match bytes.len() as u64 > MAX_FILE {
        true => Err(Malformed::whole("it is longer than 64 MiB")),
        false => read(&bytes),
    };
    read.map_err(|fault| FileFault::new(path, What::Malformed(fault)))
}

/// Puts a file with these bytes into that place. On Unix its mode is 0600, from
/// the moment it exists.
pub(crate) fn save(path: &Path, bytes: &[u8]) -> Result<(), FileFault> {
    write_file(path, bytes).map_err(|error| FileFault::new(path, What::Write(error)))
}

impl FileFault {
    fn new(path: &Path, what: What) -> Self {
        let path = path.to_owned();
        Self { path, what }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(&self.what, What::Read(error) if error.kind() == io::ErrorKind::NotFound)
    }

    pub(crate) fn malformed(&self) -> Option<&Malformed> {
        match &self.what {
            What::Malformed(fault) => Some(fault),
            What::Write(_) | What::Read(_) => None,
        }
    }

    pub(crate) fn io(&self) -> Option<&io::Error> {
        match &self.what {
            What::Write(error) | What::Read(error) => Some(error),
            What::Malformed(_) => None,
        }
    }

    /// One level, with what kind of file it is.
    pub(crate) fn say(&self, kind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.what {
            What::Write(_) => write!(f, "cannot write the {kind} {path}"),
            What::Read(_) => write!(f, "cannot read the {kind} {path}"),
            What::Malformed(fault) => {
                write!(f, "the {kind} {path} is malformed")?;
                if let Some(line) = fault.line {
                    write!(f, " in line {line}")?;
                }
                write!(f, ": {}", fault.message)
            }
        }
    }
}

/// A public error over a [`FileFault`], which says what kind of file it is about.
macro_rules! file_error {
    ($(#[$about:meta])* $name:ident, $kind:literal) => {
        $(#[$about])*
        #[derive(Clone)]
        pub struct $name(std::sync::Arc<$crate::saved::FileFault>);

        impl $name {
            /// The file.
            pub fn path(&self) -> &std::path::Path {
                self.0.path()
            }

            /// Whether there is no such file.
            pub fn is_not_found(&self) -> bool {
                self.0.is_not_found()
            }

            /// Whether the file was read and is not what it should be, or is a
            /// damaged one.
            pub fn is_malformed(&self) -> bool {
                self.0.malformed().is_some()
            }

            /// The line at which the file is malformed, from 1; `None` if it is
            /// not, or if no line is to blame.
            pub fn line(&self) -> Option<usize> {
                self.0.malformed()?.line
            }
        }

        impl From<$crate::saved::FileFault> for $name {
            fn from(fault: $crate::saved::FileFault) -> Self {
                Self(std::sync::Arc::new(fault))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.say($kind, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut debug = f.debug_struct(stringify!($name));
                debug.field("path", &self.path());
                if let Some(error) = self.0.io() {
                    debug.field("source", error);
                }
                if let Some(fault) = self.0.malformed() {
                    debug.field("line", &fault.line).field("message", &fault.message);
                }
                debug.finish()
            }
        }

        impl std::error::Error for $name {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.0.io().map(|error| error as _)
            }
        }
    };
}
pub(crate) use file_error;

/// The file, or one byte more of it than may be.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file of its own beside `path`, and moves it there.
fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, beside) = create_beside(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    let moved = written.and_then(|()| std::fs::rename(&beside, path));
    if moved.is_err() {
        // The first error is the one to tell; this one would add nothing.
        let _ = std::fs::remove_file(&beside);
    }
    moved
}

/// A new file in the same folder: a move is atomic within one file system only.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    let mut options = OpenOptions::new();
    // Never one that is there already: it may be somebody's link to elsewhere.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut attempts = 0;
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{count}.new", std::process::id()));
        let beside = path.with_file_name(beside);
        match options.open(&beside) {
            Ok(file) => return Ok((file, beside)),
            // Left behind by a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts < 100 => {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
