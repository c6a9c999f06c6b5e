//! Text goes out in the charset that its request names (SPEC B2).

use crate::api::upload::TEXT;
use crate::call::{Content, Request, RequestBody};
use crate::error::Error;
use crate::field::MediaType;
use crate::text;

/// # Errors
/// It cannot be written in that charset, or not by this build.
pub(super) fn encode(request: &mut Request) -> Result<(), Error> {
    let Some(body) = &request.body else {
        return Ok(());
    };
    // Nothing but `Body::text` is of this type by itself.
    if body.content_type().is_none_or(|own| own != TEXT) {
        return Ok(());
    }
    let announced = request.fields.first("content-type");
    let announced = announced.and_then(MediaType::parse);
    let Some(charset) = announced.as_ref().and_then(MediaType::charset) else {
        return Ok(());
    };
    let refused = || {
        let message = format!("the text cannot be sent in the charset {charset} that is announced");
        Error::invalid_request(message)
    };
    let Content::Memory(pieces) = body.content() else {
        // Somebody watches it go, so it is read while it is sent, as it is.
        let is_utf8 = text::charset(charset) == Some(text::Charset::UTF_8);
        return if is_utf8 { Ok(()) } else { Err(refused()) };
    };
    let utf8 = pieces.clone().take(usize::MAX);
    let utf8 = str::from_utf8(&utf8).map_err(|_| refused())?;
    let encoded = text::encode(charset, utf8).ok_or_else(refused)?;
    if encoded != utf8.as_bytes() {
        let content = Content::Memory(bytes::Bytes::from(encoded).into());
        let content_type = body.content_type().cloned();
        request.body = Some(RequestBody::new(content, content_type));
    }
    Ok(())
}
