//! A download into a file that survives being broken off.
//!
//! ```text
//!            ┌──────────── start over ◄───────────┐
//!            ▼                                    │ what is there does not hold
//!  PATH.part ┬─ nothing ─► GET ─ 200 ─► write ─┬──┴─► complete ─► verify ─► PATH
//!            └─ a part ──► GET, Range, ─ 206 ──┘ ▲
//!                          If-Range     416 ─────┘ if nothing is missing
//! ```
//!
//! What has come stands in `PATH.part`, and `PATH.part.notes` says what it is a
//! part of. Whoever is killed leaves both, and the next one goes on from there.
//! PATH itself appears whole, by a rename, or not at all.

mod part;
mod range;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::StatusCode;
use url::Url;

use self::part::Part;
use self::range::{ContentRange, validator};
use super::pending::refused;
use super::request::{Configure, RequestBuilder};
use super::response::Response;
use super::session::Session;
use super::url::IntoUrl;
use crate::error::{Error, Kind, Phase};
use crate::handoff::park::{Unwaited, block_on};

/// The gap between received bytes that ends an attempt, where the session sets
/// none: there is no total limit, so a silent server would be waited for.
const GAP: Duration = Duration::from_secs(60);

/// What the wait between two attempts grows to.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often a download may turn out to have been of another file.
const ANEW: u32 = 3;

/// How often a wait looks whether the session was closed meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// A download being put together; made by [`Session::download`], done by
/// [`run`](Self::run).
///
/// What has come so far stands beside the file that is to be, as `NAME.part`,
/// with notes of what it is in `NAME.part.notes`. A download that breaks off, or
/// whose process is killed, leaves them, and the next one of the same URL to the
/// same path goes on behind what is there (`Range`), provided that the server
/// says that the file is still the same one (`If-Range` with a strong validator:
/// RFC 9110, section 13.1.5). Otherwise it begins anew. The file itself appears
/// by a rename when all of it is there, is verified where a hash was given, and
/// is on the disk. One download to a path at a time: nothing keeps two from
/// writing into the same part.
///
/// The file is what the server sends: `Accept-Encoding: identity` asks for bytes
/// without a content coding, and if they have one all the same it is left on
/// them, for a range is cut from those bytes and a published hash is of them.
///
/// There is no total limit, whatever the session has, and a gap limit of 60 s if
/// it has none; [`request`](Self::request) sets others.
///
/// ```no_run
/// let session = miohttp::Session::new();
/// let done = session
///     .download("https://example.com/image.iso", "image.iso")
///     .progress(|now| match now.total() {
///         Some(total) => println!("{} of {total}", now.received()),
///         None => println!("{}", now.received()),
///     })
///     .run()?;
/// println!("{} bytes in {}", done.length(), done.path().display());
/// # Ok::<(), miohttp::Error>(())
/// ```
#[must_use = "nothing is downloaded until it is run"]
pub struct Download {
    session: Session,
    url: Result<Url, Error>,
    path: PathBuf,
    configure: Vec<Configure>,
    overwrite: bool,
    retries: u32,
    retry_delay: Duration,
    progress: Option<Box<dyn FnMut(DownloadProgress) + Send>>,
    #[cfg(feature = "digest")]
    sha256: Option<String>,
}

impl Session {
    /// Sets out to download a file: broken off it goes on where it was, and it
    /// appears under its name when it is whole. See [`Download`].
    ///
    /// ```no_run
    /// let session = miohttp::Session::new();
    /// session.download("https://example.com/image.iso", "image.iso").run()?;
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn download(&self, url: impl IntoUrl, path: impl Into<PathBuf>) -> Download {
        Download::new(self.get(url), path.into())
    }
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadProgress {
    received: u64,
    total: Option<u64>,
}

impl DownloadProgress {
    /// Bytes of the file that are there, those of earlier runs included. It goes
    /// back to 0 where a download begins anew.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of the whole file, where the server says.
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

/// A file that was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    path: PathBuf,
    length: u64,
    resumed_from: u64,
    attempts: u32,
}

impl Downloaded {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many of its bytes were there before, of a run that broke off.
    pub fn resumed_from(&self) -> u64 {
        self.resumed_from
    }

    /// How many requests it took.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// Why an attempt did not bring the file.
enum Setback {
    /// Another one may.
    Again(Error),
    /// What there was is of another file, and is thrown away: another one may.
    Anew(Error),
    Fatal(Error),
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        match error.is_retryable() {
            true => Self::Again(error),
            false => Self::Fatal(error),
        }
    }
}

impl Download {
    fn new(request: RequestBuilder, path: PathBuf) -> Self {
        let (session, url) = request.into_origin();
        Self {
            session,
            url,
            path,
            configure: Vec::new(),
            overwrite: false,
            retries: 5,
            retry_delay: Duration::from_secs(1),
            progress: None,
            #[cfg(feature = "digest")]
            sha256: None,
        }
    }

    /// Changes each request before it is sent: headers, credentials, limits.
    /// Several are applied in order. `Range`, `If-Range` and `Accept-Encoding`
    /// are not for it to set.
    ///
    /// ```
    /// let session = miohttp::Session::new();
    /// let download = session
    ///     .download("https://example.com/image.iso", "image.iso")
    ///     .request(|request| request.header("authorization", "Bearer 1234"));
    /// # drop(download);
    /// ```
    pub fn request(
        mut self,
        configure: impl Fn(RequestBuilder) -> RequestBuilder + Send + 'static,
    ) -> Self {
        self.configure.push(Box::new(configure));
        self
    }

    /// Whether a file that has the name already is replaced, at the end and in
    /// one step. Default false: it is an error, before anything is sent and,
    /// where the file came meanwhile, at the end (the part then stays).
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// How often in a row an attempt may bring nothing before that is an error:
    /// a network that fails, a limit that passes, one of the statuses 408, 425,
    /// 429, 500, 502, 503 and 504 ([`Error::is_retryable`]). Default 5. One that
    /// brought some bytes does not count where the next can go on behind them.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long to wait before the second attempt; each further one in vain
    /// doubles it, up to a minute. Default 1 s.
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }

    /// What the SHA-256 of the whole file has to be, as 64 hexadecimal digits.
    /// It is taken of what stands on the disk. If it is another, the file is
    /// thrown away and there is an error of kind
    /// [`Payload`](crate::Kind::Payload); a download that was put together of
    /// parts is first begun anew, once. Anything but such digits is an error at
    /// [`run`](Self::run).
    #[cfg(feature = "digest")]
    pub fn sha256(mut self, hash: impl Into<String>) -> Self {
        self.sha256 = Some(hash.into());
        self
    }

    /// Called with how far it is: with each answer, and with each piece that was
    /// written. It runs on the thread that runs the download, which waits for it.
    pub fn progress(mut self, progress: impl FnMut(DownloadProgress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Downloads. Blocks until the file is there, waits between attempts
    /// included. It writes files on the calling thread and has no twin that does
    /// not block, as [`copy_to`](crate::Response::copy_to) has none.
    ///
    /// # Errors
    /// The URL or the request is wrong; the last attempt's error, once there were
    /// [too many](Self::retries) or where another one would not help;
    /// [`Kind::Status`] for a status of 400 or above;
    /// [`Kind::Write`] where a file cannot be read or written,
    /// or there is one of that name; [`Kind::Payload`] for
    /// another hash; [`Kind::Closed`] once the session is
    /// closed. What came stays in the part, if there is something that the next
    /// run can go on with.
    pub fn run(mut self) -> Result<Downloaded, Error> {
        let url = self.url.clone()?;
        self.run_to(&url).map_err(|error| error.with_url(&url))
    }

    fn run_to(&mut self, url: &Url) -> Result<Downloaded, Error> {
        self.check_hash()?;
        self.check_path()?;
        let mut part = Part::open(&self.path, url).map_err(unwritable)?;
        let resumed_from = part.length();
        let attempts = match self.complete(url, &mut part) {
            Ok(attempts) => attempts,
            Err(error) => {
                // What nobody can go on with is not left lying about.
                if part.resumable().is_none() {
                    part.discard().map_err(unwritable)?;
                }
                return Err(error);
            }
        };
        let length = part.length();
        part.finish(self.overwrite).map_err(unwritable)?;
        Ok(Downloaded {
            path: std::mem::take(&mut self.path),
            length,
            resumed_from: resumed_from.min(length),
            attempts,
        })
    }

    /// As many attempts as it takes; how many that were.
    fn complete(&mut self, url: &Url, part: &mut Part) -> Result<u32, Error> {
        let (mut attempts, mut vain, mut anew) = (0_u32, 0_u32, 0_u32);
        loop {
            let before = part.length();
            attempts = attempts.saturating_add(1);
            let setback = match self.attempt(url, part) {
                Ok(()) => match self.wrong_hash(part)? {
                    None => return Ok(attempts),
                    // What was put together of parts may be right as a whole.
                    Some(error) => {
                        let is_patched = part.is_patched();
                        part.begin(None, None).map_err(unwritable)?;
                        match is_patched && anew == 0 {
                            true => Setback::Anew(error),
                            false => return Err(error),
                        }
                    }
                },
                Err(setback) => setback,
            };
            let error = match setback {
                Setback::Fatal(error) => return Err(error),
                // A server whose every answer undoes the one before is left.
                Setback::Anew(error) => {
                    anew += 1;
                    if anew > ANEW {
                        return Err(error);
                    }
                    error
                }
                Setback::Again(error) => {
                    // What cannot be gone on with is nothing.
                    let brought = part.length() > before && part.resumable().is_some();
                    vain = if brought { 0 } else { vain + 1 };
                    if vain > self.retries {
                        return Err(error);
                    }
                    error
                }
            };
            log::debug!("a download goes on after attempt {attempts}: {error}");
            self.rest(vain)?;
        }
    }

    /// One request, and all that it brings.
    fn attempt(&mut self, url: &Url, part: &mut Part) -> Result<(), Setback> {
        let from = part
            .resumable()
            .map(|validator| (part.length(), validator.to_owned()));
        let mut timeouts = self.session.timeouts().total(None);
        if timeouts.sock_read.is_none() {
            timeouts = timeouts.sock_read(GAP);
        }
        let mut request = self.session.get(url).timeouts(timeouts);
        for configure in &self.configure {
            request = configure(request);
        }
        request = request
            .auto_decompress(false)
            .error_for_status(false)
            // What a file is verified by must not be told otherwise: where it ends.
            .allow_truncated_tls(false)
            .read_until_eof(true)
            .header("accept-encoding", "identity");
        if let Some((length, validator)) = &from {
            request = request
                .header("range", format!("bytes={length}-"))
                .header("if-range", &validator[..]);
        }
        let response = request.send()?;

        let status = response.status();
        let range = ContentRange::of(response.headers());
        match (status, from) {
            (StatusCode::OK, _) => {
                let now = std::time::SystemTime::now();
                let validator = validator(response.headers(), now);
                // A length beside chunks does not count (RFC 9112 §6.3).
                let is_chunked = response.headers().contains_key("transfer-encoding");
                let total = response.content_length().filter(|_| !is_chunked);
                part.begin(validator, total).map_err(unwritten)?;
            }
            (StatusCode::PARTIAL_CONTENT, Some((length, validator))) => {
                let fits = range
                    .filter(|range| range.first == Some(length))
                    .filter(|_| range::same_file(response.headers(), &validator))
                    .and_then(|range| part.accepts(range.total));
                if fits.is_none() {
                    return Err(start_over(part, "a range came that was not asked for"));
                }
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some((length, _))) => {
                let total = range.and_then(|range| range.total);
                if total == Some(length) && part.accepts(total).is_some() {
                    return Ok(());
                }
                return Err(start_over(part, "there is nothing behind what came before"));
            }
            (StatusCode::PRECONDITION_FAILED, Some(_)) => {
                return Err(start_over(part, "the file has changed meanwhile"));
            }
            (_, _) => {
                // One that is an error comes as that, with the start of its body.
                response.error_for_status()?;
                let status = status.as_u16();
                let message = format!("the server answered {status} to a download");
                let error = Error::new(Kind::Protocol, message).with_phase(Phase::Head);
                return Err(Setback::Fatal(error));
            }
        }
        self.receive(response, part)?;
        if !part.is_ours().map_err(unwritten)? {
            return Err(start_over(part, "somebody else writes into the part"));
        }
        match part.total() {
            Some(total) if part.length() > total => {
                Err(start_over(part, "more came than the file has"))
            }
            // A range that was shorter than asked for, maybe.
            Some(total) if part.length() < total => {
                let message = "the server did not send all of the file";
                let error = Error::new(Kind::Payload, message).with_phase(Phase::Body);
                Err(Setback::Again(error))
            }
            _ => Ok(()),
        }
    }

    fn receive(&mut self, mut response: Response, part: &mut Part) -> Result<(), Setback> {
        let mut tell = |part: &Part| {
            if let Some(progress) = &mut self.progress {
                progress(DownloadProgress {
                    received: part.length(),
                    total: part.total(),
                });
            }
        };
        tell(part);
        while let Some(chunk) = response.chunk()? {
            part.append(&chunk).map_err(unwritten)?;
            tell(part);
        }
        Ok(())
    }

    /// Waits before the next attempt.
    fn rest(&self, vain: u32) -> Result<(), Error> {
        let doublings = vain.saturating_sub(1).min(16);
        let wait = match vain {
            0 => Duration::ZERO,
            _ => self.retry_delay.saturating_mul(1 << doublings),
        };
        // A moment beyond the clock's reach never comes.
        let end = Instant::now().checked_add(wait.min(LONGEST_WAIT.max(self.retry_delay)));
        loop {
            if self.session.is_closed() {
                return Err(Error::closed());
            }
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return Ok(());
            }
            let look = end.map_or(now + LOOK, |end| end.min(now + LOOK));
            match block_on(Some(look), |_| Poll::<()>::Pending) {
                Err(Unwaited::Forbidden) => return Err(refused(Unwaited::Forbidden)),
                Err(Unwaited::Late) | Ok(()) => {}
            }
        }
    }

    /// What can be said before anything is sent.
    fn check_path(&self) -> Result<(), Error> {
        if self.path.file_name().is_none() {
            let message = "the path of a download has no file name";
            return Err(Error::invalid_request(message));
        }
        match fs::symlink_metadata(&self.path) {
            Ok(there) if there.is_dir() => Err(unwritable(io::ErrorKind::IsADirectory.into())),
            Ok(_) if !self.overwrite => Err(unwritable(io::ErrorKind::AlreadyExists.into())),
            _ => Ok(()),
        }
    }

    #[cfg(feature = "digest")]
    fn check_hash(&self) -> Result<(), Error> {
        let is_hash =
            |hash: &String| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self.sha256.as_ref().is_none_or(is_hash) {
            true => Ok(()),
            false => Err(Error::invalid_request(
                "a SHA-256 is written as 64 hexadecimal digits",
            )),
        }
    }

    #[cfg(not(feature = "digest"))]
    fn check_hash(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The hash that is not as it should be, as an error.
    #[cfg(feature = "digest")]
    fn wrong_hash(&self, part: &Part) -> Result<Option<Error>, Error> {
        let Some(want) = &self.sha256 else {
            return Ok(None);
        };
        let got = part.sha256().map_err(unwritable)?;
        if got.eq_ignore_ascii_case(want) {
            return Ok(None);
        }
        let message = format!("the SHA-256 of the download is {got} and not {want}");
        let error = Error::new(Kind::Payload, message).with_phase(Phase::Body);
        Ok(Some(error))
    }

    #[cfg(not(feature = "digest"))]
    fn wrong_hash(&self, _: &Part) -> Result<Option<Error>, Error> {
        Ok(None)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn unwritable(error: io::Error) -> Error {
    Error::new(Kind::Write, "the file of the download cannot be written").with_source(error)
}

fn unwritten(error: io::Error) -> Setback {
    Setback::Fatal(unwritable(error))
}

/// What is there is not what the server has: the next attempt is the first one.
fn start_over(part: &mut Part, message: &'static str) -> Setback {
    match part.begin(None, None) {
        Ok(()) => Setback::Anew(Error::new(Kind::Payload, message).with_phase(Phase::Head)),
        Err(error) => unwritten(error),
    }
}
