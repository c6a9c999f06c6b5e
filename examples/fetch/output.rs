//! Where a body goes: standard output, or a file that is there whole or not at
//! all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, StdoutLock, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;

pub(crate) enum Output {
    Stdout(StdoutLock<'static>),
    /// A regular file, written under another name until it is complete.
    File(Download),
    /// A device or a pipe, such as /dev/null: it is written to, not replaced.
    Special(File, PathBuf),
}

impl Output {
    /// `length` is that of the body, if it is known: for the progress bar.
    pub(crate) fn open(path: Option<&Path>, length: Option<u64>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::Stdout(io::stdout().lock()));
        };
        let fail = |error| Failure::writing(path, error);
        match fs::metadata(path) {
            Ok(existing) if !existing.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(fail)?;
                Ok(Self::Special(file, path.to_owned()))
            }
            existing => {
                // Through a symbolic link to the file it stands for.
                let path = stands_for(path).map_err(fail)?;
                let permissions = existing.ok().map(|existing| existing.permissions());
                Download::create(path, permissions, length)
                    .map(Self::File)
                    .map_err(fail)
            }
        }
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        match self {
            // Flushed each time, for a slow body is to be seen as it comes.
            Self::Stdout(stdout) => stdout
                .write_all(data)
                .and_then(|()| stdout.flush())
                .map_err(Failure::stdout),
            Self::File(download) => download.write(data),
            Self::Special(file, path) => file
                .write_all(data)
                .map_err(|error| Failure::writing(path, error)),
        }
    }

    /// The body is complete.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::File(download) => download.finish(),
            Self::Stdout(_) | Self::Special(..) => Ok(()),
        }
    }
}

/// A file being written; removed when dropped unfinished. (A killed process
/// leaves its part behind, but never half a file under the real name.)
pub(crate) struct Download {
    path: PathBuf,
    /// In the same directory, so that a rename puts it in place in one step.
    part: PathBuf,
    file: File,
    bar: ProgressBar,
    complete: bool,
}

impl Download {
    fn create(
        path: PathBuf,
        permissions: Option<fs::Permissions>,
        length: Option<u64>,
    ) -> io::Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::other("it has no file name"))?;
        let mut part = name.to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(part);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&part)?;
        let download = Self {
            path,
            part,
            file,
            bar: progress_bar(length),
            complete: false,
        };
        if let Some(permissions) = permissions {
            download.file.set_permissions(permissions)?;
        }
        Ok(download)
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(data)
            .map_err(|error| Failure::writing(&self.path, error))?;
        self.bar.inc(data.len() as u64);
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        fs::rename(&self.part, &self.path).map_err(|error| Failure::writing(&self.path, error))?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if !self.complete {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Draws on standard error, and only if that is a terminal.
fn progress_bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {bytes_per_sec}",
        ),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // The templates above are sound; the plain bar would do, too.
        Err(_) => bar,
    }
}

/// The file a path stands for, through symbolic links: what is renamed onto a
/// link would replace the link. A link whose file does not exist yet counts.
fn stands_for(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as the system follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => {
                let beside = path.parent().unwrap_or(Path::new(""));
                path = beside.join(target);
            }
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}
