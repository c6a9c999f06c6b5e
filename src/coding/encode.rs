//! The way out: a request's body in a content coding (SPEC Q9).
//!
//! An [`Encode`] takes pieces and gives pieces; it works on the thread that
//! has the body, in steps of bounded size. Nothing is flushed in between: a
//! request body is one thing, and smallest as one.

use std::io;

#[cfg(feature = "brotli")]
use super::brotli;
#[cfg(feature = "gzip")]
use super::flate;
#[cfg(feature = "zstd")]
use super::zstd;

/// How much is encoded at a time.
pub(crate) const STEP: usize = 32 * 1024;

/// A content coding for the body of a request; see
/// [`RequestBuilder::compress`](crate::RequestBuilder::compress) (SPEC Q9).
///
/// There is a coding here for each that is compiled in: the features `gzip`,
/// `brotli` and `zstd`. How hard each tries is fixed, to what is usual for
/// bodies that are compressed while they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// `deflate`, in the zlib format (RFC 9110, section 8.4.1.2), at level 6.
    #[cfg(feature = "gzip")]
    Deflate,
    /// `gzip` (RFC 1952), at level 6.
    #[cfg(feature = "gzip")]
    Gzip,
    /// `br` (RFC 7932), at quality 5.
    #[cfg(feature = "brotli")]
    Brotli,
    /// `zstd` (RFC 8878), at level 3.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Encoding {
    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "gzip")]
            Self::Deflate => "deflate",
            #[cfg(feature = "gzip")]
            Self::Gzip => "gzip",
            #[cfg(feature = "brotli")]
            Self::Brotli => "br",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    /// # Errors
    /// There is no memory for it.
    pub(crate) fn encoder(self) -> io::Result<Box<dyn Encode>> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Deflate => Ok(Box::new(flate::zlib_encoder())),
            #[cfg(feature = "gzip")]
            Self::Gzip => Ok(Box::new(flate::gzip_encoder())),
            #[cfg(feature = "brotli")]
            Self::Brotli => Ok(Box::new(brotli::Encoder::new())),
            #[cfg(feature = "zstd")]
            Self::Zstd => Ok(Box::new(zstd::Encoder::new()?)),
        }
    }
}

/// Encodes one body. What it gives is empty while it gathers.
pub(crate) trait Encode: Send {
    fn encode(&mut self, input: &[u8]) -> io::Result<Vec<u8>>;

    /// Behind the last input.
    fn finish(self: Box<Self>) -> io::Result<Vec<u8>>;
}
