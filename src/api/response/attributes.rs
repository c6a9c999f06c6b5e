//! What the head says of the body, and of others: types, lengths, names,
//! cookies and links.

use url::Url;

use super::Response;
#[cfg(feature = "cookies")]
use crate::cookie::Cookie;
use crate::field::{ContentDisposition, Link, MediaType, links};

impl Response {
    /// What the body is: `Content-Type`, or `application/octet-stream` where
    /// there is none or it is none (SPEC R5). Of several the first counts.
    ///
    /// ```no_run
    /// let response = miohttp::Session::new().get("http://example.com/").send()?;
    /// if response.content_type().essence() == "text/html" {
    ///     println!("{}", response.text()?);
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn content_type(&self) -> MediaType {
        self.media_type().unwrap_or_else(MediaType::octet_stream)
    }

    /// The charset that `Content-Type` declares, as it is written there
    /// (SPEC R5). Which one [`text`](Response::text) takes is
    /// [`encoding`](Response::encoding).
    pub fn charset(&self) -> Option<String> {
        self.media_type()?.charset().map(str::to_owned)
    }

    pub(super) fn media_type(&self) -> Option<MediaType> {
        self.head().first("content-type").and_then(MediaType::parse)
    }

    /// The announced length of the body on the wire, if there is one and it is
    /// digits and nothing else (SPEC R6). A decoded body is usually longer; the
    /// answer to a HEAD has none, whatever is announced.
    pub fn content_length(&self) -> Option<u64> {
        let digits = self.head().first("content-length")?;
        // `parse` alone would take a sign.
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        str::from_utf8(digits)
            .ok()?
            .parse()
            .ok()
            .filter(|_| is_number)
    }

    /// How the body is meant to be shown, and under which name it may be kept
    /// (SPEC R6): `Content-Disposition`, unless there is none that makes sense.
    ///
    /// ```no_run
    /// let response = miohttp::Session::new().get("http://example.com/report").send()?;
    /// let name = response.content_disposition().and_then(|d| d.safe_filename());
    /// let name = name.unwrap_or_else(|| "report".to_owned());
    /// # drop(name);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn content_disposition(&self) -> Option<ContentDisposition> {
        let value = self.head().first("content-disposition")?;
        ContentDisposition::parse(value)
    }

    /// The cookies this response sets, as it sets them (SPEC R4): one for each
    /// `Set-Cookie` that a browser would not ignore. Those that may stay are in
    /// the session's jar already.
    #[cfg(feature = "cookies")]
    pub fn cookies(&self) -> impl Iterator<Item = Cookie> {
        self.head().values("set-cookie").filter_map(Cookie::parse)
    }

    /// The links of the head (RFC 8288), in order, their URLs joined with that
    /// of this response (SPEC R10). What makes no sense is left out.
    pub fn links(&self) -> impl Iterator<Item = Link> {
        self.head()
            .values("link")
            .flat_map(|field| links(field, self.url()))
    }

    /// Where the first link with this relation leads (SPEC R10). Links that are
    /// about something else than this response (they have an `anchor`) do not
    /// count.
    ///
    /// ```no_run
    /// let session = miohttp::Session::new();
    /// let mut next = Some("http://example.com/items".parse()?);
    /// while let Some(url) = next {
    ///     let page = session.get(url).send()?;
    ///     next = page.link("next");
    ///     println!("{}", page.text()?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn link(&self, rel: &str) -> Option<Url> {
        let mut links = self.links();
        let link = links.find(|link| link.has_rel(rel) && link.is_about(self.url()))?;
        Some(link.url().clone())
    }
}
