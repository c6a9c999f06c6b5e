//! Bodies that are read once: readers and iterators.

use std::io::{self, Read};

use bytes::Bytes;
use http::HeaderValue;

use super::source::{self, ReadPieces};
use super::{Body, OCTETS};
use crate::call::Pull;

impl Body {
    /// What a reader gives, to its end; sent in chunks as
    /// `application/octet-stream` unless a `Content-Type` says otherwise
    /// (SPEC B6). A request with an explicit `Content-Length` announces that,
    /// and fails if it turns out to be wrong.
    ///
    /// It is read on a thread of its own and may block. It is dropped when it
    /// has ended, or when a read returns after the request is over. A reader
    /// that fails or panics fails the request. It can be read once, so a
    /// redirect that keeps the body is an error: see the table above.
    ///
    /// ```no_run
    /// use std::process::{Command, Stdio};
    ///
    /// use miohttp::{Body, Session};
    ///
    /// let mut tar = Command::new("tar").args(["c", "."]).stdout(Stdio::piped()).spawn()?;
    /// let archive = tar.stdout.take().expect("it is piped");
    /// Session::new().put("http://example.com/backup.tar").body(Body::reader(archive)).send()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self::once(Box::new(ReadPieces::new(reader)), None)
    }

    /// What a reader gives, which must be `length` bytes: that is announced, and
    /// a reader that ends before or goes on after it fails the request, with
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest). To send the
    /// beginning of something longer, [`take`](Read::take) it. For the rest see
    /// [`reader`](Self::reader) (SPEC B8).
    ///
    /// ```no_run
    /// use std::net::TcpStream;
    ///
    /// use miohttp::{Body, Session};
    ///
    /// # use std::io::Read;
    /// let camera = TcpStream::connect("192.0.2.7:9000")?;
    /// let frame = Body::sized_reader(camera.take(4096), 4096);
    /// Session::new().post("http://example.com/frames").body(frame).send()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sized_reader(reader: impl Read + Send + 'static, length: u64) -> Self {
        Self::once(Box::new(ReadPieces::new(reader)), Some(length))
    }

    /// What an iterator gives, each piece as it comes, sent in chunks as
    /// `application/octet-stream` unless a `Content-Type` says otherwise
    /// (SPEC B6). The iterator runs on a thread of its own and may block; one
    /// that panics fails the request. For pieces that are all there already,
    /// [`pieces`](Self::pieces) needs no thread. For the rest see
    /// [`reader`](Self::reader).
    ///
    /// ```
    /// use miohttp::Body;
    ///
    /// let lines = Body::iter((0..1_000_000).map(|n| format!("{n}\n")));
    /// # drop(lines);
    /// ```
    pub fn iter<I>(pieces: I) -> Self
    where
        I: IntoIterator<Item: Into<Bytes>, IntoIter: Send + 'static>,
    {
        let pieces = pieces.into_iter().map(|piece| Ok(piece.into()));
        Self::once(Box::new(Iterated(pieces)), None)
    }

    /// As [`iter`](Self::iter), of an iterator that may fail: its first error
    /// fails the request, and is the cause of the request's error.
    ///
    /// ```
    /// use miohttp::Body;
    ///
    /// let rows = ["1", "2", "three"].map(|text| text.parse::<u32>().map(|n| vec![n as u8]));
    /// let body = Body::try_iter(rows);
    /// # drop(body);
    /// ```
    pub fn try_iter<I, B, E>(pieces: I) -> Self
    where
        I: IntoIterator<Item = Result<B, E>, IntoIter: Send + 'static>,
        B: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let pieces = pieces.into_iter();
        let pieces = pieces.map(|piece| piece.map(Into::into).map_err(io::Error::other));
        Self::once(Box::new(Iterated(pieces)), None)
    }

    pub(super) fn once(pull: Box<dyn Pull>, length: Option<u64>) -> Self {
        let content_type = HeaderValue::from_static(OCTETS);
        Self::of(source::once(pull, length), Some(content_type))
    }
}

struct Iterated<I>(I);

impl<I> Pull for Iterated<I>
where
    I: Iterator<Item = io::Result<Bytes>> + Send,
{
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.0.next().transpose()
    }
}
