//! How far the sending of a body has come.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::produce::Foreign;
use super::{Body, source};
use crate::api::progress::Progress;
use crate::call::Pull;

type Callback = Box<dyn FnMut(Progress) + Send>;

impl Body {
    /// Has `callback` told of each piece of this body (64 KiB or less) that
    /// was handed to the connection, the last one included; up to 256 KiB of
    /// that, and what the system buffers, may still be on their way out. Where
    /// the body is sent again it begins anew. It is called on
    /// the thread that reads the body, which also a body in memory has then; it
    /// may block, and holds up this body and nobody else. One that panics fails
    /// the request.
    ///
    /// ```no_run
    /// use miohttp::{Body, Session};
    ///
    /// let film = Body::file("film.mp4").on_progress(|progress| {
    ///     let total = progress.total.unwrap_or_default().max(1);
    ///     eprint!("\r{} %", progress.bytes * 100 / total);
    /// });
    /// Session::new().put("http://example.com/film").body(film).send()?;
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn on_progress(self, callback: impl FnMut(Progress) + Send + 'static) -> Self {
        Self(self.0.map(|body| {
            let total = body.length();
            let callback: Callback = Box::new(callback);
            let callback = Arc::new(Foreign::new(Mutex::new(callback)));
            let watch = move |inner| -> Box<dyn Pull> {
                Box::new(Watched {
                    inner,
                    callback: Arc::clone(&callback),
                    progress: Progress { bytes: 0, total },
                    told: 0,
                })
            };
            source::map(body, total, Arc::new(watch))
        }))
    }
}

struct Watched {
    inner: Box<dyn Pull>,
    callback: Arc<Foreign<Mutex<Callback>>>,
    progress: Progress,
    told: u64,
}

impl Pull for Watched {
    /// Asked for more, it is known that what was given before has gone on.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.told < self.progress.bytes
            && let Some(callback) = self.callback.get()
        {
            self.told = self.progress.bytes;
            let mut callback = callback.lock().unwrap_or_else(PoisonError::into_inner);
            (*callback)(self.progress);
        }
        let piece = self.inner.next()?;
        let length = piece.as_ref().map_or(0, Bytes::len);
        self.progress.bytes = self.progress.bytes.saturating_add(length as u64);
        Ok(piece)
    }
}
