//! permessage-deflate in the handshake: what is offered, and what the answer
//! makes of it (RFC 7692, section 7.1; RFC 6455, section 9.1).
//!
//! ```text
//!  Offer ─► Sec-WebSocket-Extensions ─► server ─► Sec-WebSocket-Extensions
//!    └───────────────────────────────────────────────────► agree ─► Agreed
//! ```
//!
//! Every parameter of an answer is checked against the offer, and anything that
//! was not offered fails the handshake: a client that guessed what was meant
//! would find out in the middle of a message.

use crate::coding::ws::{Deflater, Inflater};

#[cfg(test)]
mod tests;

const NAME: &str = "permessage-deflate";

const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_WINDOW: &str = "client_max_window_bits";
const SERVER_WINDOW: &str = "server_max_window_bits";

/// The largest window, and the one of who says nothing.
const LARGEST: u8 = 15;

/// What this client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The largest window this client will deflate with, as a power of two, 9 to
    /// 15. The server may ask for a smaller one.
    pub(crate) client_max_window_bits: u8,
    /// The largest window the server may deflate with, 9 to 15.
    pub(crate) server_max_window_bits: u8,
    /// This client will begin every message with an empty window.
    pub(crate) client_no_context_takeover: bool,
    /// The server has to.
    pub(crate) server_no_context_takeover: bool,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            client_max_window_bits: LARGEST,
            server_max_window_bits: LARGEST,
            client_no_context_takeover: false,
            server_no_context_takeover: false,
        }
    }
}

impl Offer {
    /// The value of `Sec-WebSocket-Extensions`.
    pub(crate) fn header(&self) -> String {
        // Always named, or the server could not ask for a smaller window.
        let mut value = format!("{NAME}; {CLIENT_WINDOW}");
        if self.client_max_window_bits < LARGEST {
            value += &format!("={}", self.client_max_window_bits);
        }
        if self.server_max_window_bits < LARGEST {
            value += &format!("; {SERVER_WINDOW}={}", self.server_max_window_bits);
        }
        if self.client_no_context_takeover {
            value += &format!("; {CLIENT_NO_TAKEOVER}");
        }
        if self.server_no_context_takeover {
            value += &format!("; {SERVER_NO_TAKEOVER}");
        }
        value
    }
}

/// How both sides compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The window of what this client sends, as a power of two, 8 to 15. Nothing
    /// here deflates into a window of 8.
    pub(crate) client_bits: u8,
    /// The window of what the server sends, 8 to 15.
    pub(crate) server_bits: u8,
    /// Whether a message of this client may refer to those before it.
    pub(crate) client_takeover: bool,
    /// Whether one of the server may.
    pub(crate) server_takeover: bool,
}

impl Agreed {
    /// What compresses, with a level of 0 to 9; `None` where every message has
    /// to go as it is (SPEC W7).
    pub(crate) fn deflater(&self, level: u32) -> Option<Deflater> {
        (self.client_bits > 8).then(|| Deflater::new(self.client_bits, self.client_takeover, level))
    }

    /// What makes messages of what the server sends.
    pub(crate) fn inflater(&self) -> Inflater {
        Inflater::new(self.server_takeover)
    }
}

/// What was agreed, by the `Sec-WebSocket-Extensions` values of an answer, in
/// order. `Ok(None)` means no compression. `Err` says in words what is wrong
/// with an answer that cannot be used (RFC 6455, section 4.1, step 5).
pub(crate) fn agree<'a>(
    offer: Option<&Offer>,
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Agreed>, String> {
    let mut agreed = None;
    for value in values {
        let text = str::from_utf8(value)
            .ok()
            .filter(|text| text.is_ascii())
            .ok_or_else(|| "the extensions are not ASCII".to_owned())?;
        let mut reader = Reader { rest: text };
        while let Some(extension) = reader.extension()? {
            if extension.name != NAME {
                return Err(format!(
                    "the extension {:?} was not offered",
                    short(extension.name)
                ));
            }
            let Some(offer) = offer else {
                return Err(format!("{NAME} was not offered"));
            };
            if agreed.is_some() {
                return Err(format!("{NAME} is there twice"));
            }
            agreed = Some(accept(offer, &extension.parameters)?);
        }
    }
    Ok(agreed)
}

/// RFC 7692, sections 7.1.1 and 7.1.2.
fn accept(offer: &Offer, parameters: &[(&str, Option<String>)]) -> Result<Agreed, String> {
    let mut client_no_takeover = false;
    let mut server_no_takeover = false;
    let mut client_bits = None;
    let mut server_bits = None;
    for (name, value) in parameters {
        let value = value.as_deref();
        let twice = match *name {
            CLIENT_NO_TAKEOVER => flag(CLIENT_NO_TAKEOVER, value, &mut client_no_takeover)?,
            SERVER_NO_TAKEOVER => flag(SERVER_NO_TAKEOVER, value, &mut server_no_takeover)?,
            CLIENT_WINDOW => client_bits
                .replace(bits(CLIENT_WINDOW, value, offer.client_max_window_bits)?)
                .is_some(),
            SERVER_WINDOW => server_bits
                .replace(bits(SERVER_WINDOW, value, offer.server_max_window_bits)?)
                .is_some(),
            other => {
                return Err(format!("{NAME} has no parameter {:?}", short(other)));
            }
        };
        if twice {
            return Err(format!("{name} is there twice"));
        }
    }
    // What was asked of the server it accepts by repeating it, or not at all.
    if offer.server_no_context_takeover && !server_no_takeover {
        return Err(format!("the server does not confirm {SERVER_NO_TAKEOVER}"));
    }
    if offer.server_max_window_bits < LARGEST && server_bits.is_none() {
        return Err(format!("the server does not confirm {SERVER_WINDOW}"));
    }
    Ok(Agreed {
        client_bits: client_bits.unwrap_or(offer.client_max_window_bits),
        server_bits: server_bits.unwrap_or(LARGEST),
        // What was said of this client holds, repeated or not.
        client_takeover: !(client_no_takeover || offer.client_no_context_takeover),
        server_takeover: !server_no_takeover,
    })
}

/// Sets a flag; whether it was set already.
fn flag(name: &str, value: Option<&str>, seen: &mut bool) -> Result<bool, String> {
    if value.is_some() {
        return Err(format!("{name} has a value"));
    }
    Ok(std::mem::replace(seen, true))
}

/// The size of a window: digits without a leading zero (RFC 7692, section
/// 7.1.2), and no more than `most`.
fn bits(name: &str, value: Option<&str>, most: u8) -> Result<u8, String> {
    let Some(value) = value else {
        return Err(format!("{name} has no value"));
    };
    let bits = match value.as_bytes() {
        [digit @ b'8'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'5'] => 10 + (digit - b'0'),
        _ => return Err(format!("{name} is {:?}, not 8 to 15", short(value))),
    };
    if bits > most {
        return Err(format!("{name} is {bits}, more than the {most} offered"));
    }
    Ok(bits)
}

/// One element of the header.
struct Extension<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<String>)>,
}

/// Reads ASCII text from its front on (RFC 6455, section 9.1).
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// The next extension; `None` at the end. Empty elements do not count
    /// (RFC 9110, section 5.6.1).
    fn extension(&mut self) -> Result<Option<Extension<'a>>, String> {
        while self.takes(',') {}
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.takes(';') {
            let name = self.token()?;
            let value = match self.takes('=') {
                true => Some(self.value()?),
                false => None,
            };
            parameters.push((name, value));
        }
        self.blank();
        if !(self.rest.is_empty() || self.rest.starts_with(',')) {
            return Err(self.unreadable());
        }
        Ok(Some(Extension { name, parameters }))
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Takes `mark` if it is what comes next.
    fn takes(&mut self, mark: char) -> bool {
        self.blank();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> Result<&'a str, String> {
        self.blank();
        let end = self
            .rest
            .find(|character| !is_token(character))
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        if token.is_empty() {
            return Err(self.unreadable());
        }
        self.rest = rest;
        Ok(token)
    }

    /// A token, or one within quotes.
    fn value(&mut self) -> Result<String, String> {
        if !self.takes('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            let character = match character {
                '"' if !value.is_empty() => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, escaped)) => escaped,
                    None => break,
                },
                plain => plain,
            };
            if !is_token(character) {
                break;
            }
            value.push(character);
        }
        Err(self.unreadable())
    }

    fn unreadable(&self) -> String {
        match self.rest {
            "" => "the extensions end within one".to_owned(),
            rest => format!("the extensions cannot be read at {:?}", short(rest)),
        }
    }
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

/// As much as belongs into a message. Only for ASCII.
fn short(text: &str) -> &str {
    text.get(..40).unwrap_or(text)
}
