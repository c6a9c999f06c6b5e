//! Files as request bodies.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;

use super::guess::guess;
use super::source::{self, ReadPieces};
use super::{Body, OCTETS};
use crate::error::{Error, Phase};

impl Body {
    /// A file, from its beginning, as the type that its name stands for, or
    /// `application/octet-stream`, unless a `Content-Type` says otherwise
    /// (SPEC B5). A file that is open already becomes a body by `into()`, and
    /// is sent from where it stands.
    ///
    /// It is opened here and closed when the request is over; one that cannot
    /// be is an error at the verb, of [`Kind::Io`](crate::Kind::Io). Its length
    /// is taken now and announced: a file that has shrunk or grown when it is
    /// sent fails the request. It can be sent any number of times. It is read
    /// on a thread of its own. What is no regular file, such as a pipe, is read
    /// once, to its end, as a [`reader`](Self::reader) is.
    ///
    /// ```no_run
    /// use miohttp::{Body, Session};
    ///
    /// let photo = Body::file("/home/me/photo.jpeg");
    /// Session::new().put("http://example.com/photo").body(photo).send()?;
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        match File::open(path) {
            Ok(file) => Self::open_file(file, guess(path)),
            Err(error) => {
                let message = format!("the file {} cannot be opened", path.display());
                Self::mistaken(file_error(message, error))
            }
        }
    }

    pub(super) fn open_file(mut file: File, content_type: &'static str) -> Self {
        let facts = file.metadata().and_then(|facts| {
            let position = match facts.is_file() {
                true => file.stream_position()?,
                false => 0,
            };
            Ok((facts, position))
        });
        let (facts, position) = match facts {
            Ok(facts) => facts,
            Err(error) => {
                let message = "the length of a file cannot be told".to_owned();
                return Self::mistaken(file_error(message, error));
            }
        };
        if facts.is_dir() {
            let message = "a directory is no request body".to_owned();
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Self::mistaken(file_error(message, error));
        }
        let content_type = HeaderValue::from_static(content_type);
        let Some(length) = left(&facts, position) else {
            let reader = Box::new(ReadPieces::new(file));
            return Self::of(source::once(reader, None), Some(content_type));
        };
        let file = Arc::new(file);
        let open = move || -> io::Result<Box<dyn Read + Send>> {
            let file = Arc::clone(&file);
            Ok(Box::new(FileFrom { file, position }))
        };
        Self::from_opener(open, Some(length), Some(content_type))
    }
}

/// From where it stands, as `application/octet-stream` unless a `Content-Type`
/// says otherwise; for the rest see [`Body::file`].
impl From<File> for Body {
    fn from(file: File) -> Self {
        Self::open_file(file, OCTETS)
    }
}

/// What is left of a file, if it is one whose length means anything.
fn left(facts: &Metadata, position: u64) -> Option<u64> {
    facts
        .is_file()
        .then(|| facts.len().saturating_sub(position))
}

fn file_error(message: String, error: io::Error) -> Error {
    Error::of_source(message)
        .with_phase(Phase::Request)
        .with_source(error)
}

/// A file read by position: two readings of one handle do not disturb each
/// other, nor whoever else has it.
struct FileFrom {
    file: Arc<File>,
    position: u64,
}

impl Read for FileFrom {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = read_at(&self.file, into, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, position)
}

#[cfg(windows)]
fn read_at(file: &File, into: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, position)
}

#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, into: &mut [u8], position: u64) -> io::Result<usize> {
    file.seek(io::SeekFrom::Start(position))?;
    file.read(into)
}
