//! Answers to Digest challenges (RFC 7616, and RFC 2617 before it): a pure
//! function of the challenge, the login and the request.

use bytes::Bytes;

use super::Message;
use super::challenge::Params;
use crate::digest::Hash;

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    realm: Vec<u8>,
    pub(super) nonce: Vec<u8>,
    /// Goes back as it came, where it came.
    opaque: Option<Vec<u8>>,
    algorithm: Algorithm,
    qop: Option<Qop>,
    /// The server says that it takes login and password for UTF-8.
    is_utf8: bool,
    /// The login goes out as a hash.
    userhash: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Algorithm {
    hash: Hash,
    /// The `-sess` of its name: the secret holds the nonce.
    is_session: bool,
    /// As the challenge spells it, if it does: the answer has to agree.
    name: Option<Vec<u8>>,
}

/// What the answer protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Qop {
    /// Method and target.
    Auth,
    /// And the body.
    AuthInt,
}

/// Who answers, and with which of its own numbers.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) login: &'a str,
    pub(super) password: &'a str,
    /// How many requests the nonce has been used for, this one included.
    pub(super) count: u32,
    pub(super) cnonce: &'a str,
}

impl Digest {
    /// # Errors
    /// What is wrong with the challenge, as the end of a sentence.
    pub(super) fn read(params: &Params<'_>) -> Result<Self, &'static str> {
        if params.is_damaged {
            return Err("it is damaged");
        }
        let text = |name| params.value(name).map(<[u8]>::to_vec);
        let realm = text("realm").ok_or("it has no realm")?;
        let nonce = text("nonce").ok_or("it has no nonce")?;
        if nonce.is_empty() {
            return Err("its nonce is empty");
        }
        Ok(Self {
            realm,
            nonce,
            opaque: text("opaque"),
            algorithm: Algorithm::read(params.value("algorithm"))?,
            qop: qop(params.value("qop").unwrap_or_default())?,
            is_utf8: params
                .value("charset")
                .is_some_and(|charset| charset.eq_ignore_ascii_case(b"utf-8")),
            userhash: params.is_true("userhash"),
        })
    }

    /// Whether the secret stays the same for all that a nonce is used for.
    pub(super) fn is_session(&self) -> bool {
        self.algorithm.is_session
    }

    /// The value of the `Authorization` field (RFC 7616 §3.4).
    ///
    /// # Errors
    /// The body has to be signed and cannot be seen.
    pub(super) fn answer(
        &self,
        signer: Signer<'_>,
        message: &mut Message<'_>,
    ) -> Result<Vec<u8>, &'static str> {
        let count = format!("{:08x}", signer.count);
        let response = self.response(signer, &count, message)?;
        let mut field = Writer(b"Digest ".to_vec());
        self.username(signer.login, &mut field);
        field.quoted("realm", &self.realm);
        field.quoted("nonce", &self.nonce);
        field.quoted("uri", message.target);
        field.quoted("response", response.as_bytes());
        if let Some(name) = &self.algorithm.name {
            field.plain("algorithm", name);
        }
        if let Some(opaque) = &self.opaque {
            field.quoted("opaque", opaque);
        }
        if let Some(qop) = self.qop {
            field.plain("qop", qop.name());
            field.plain("nc", count.as_bytes());
        }
        // Without a qop it stands in the secret of a session alone.
        if self.qop.is_some() || self.is_session() {
            field.quoted("cnonce", signer.cnonce.as_bytes());
        }
        if self.userhash {
            field.plain("userhash", b"true");
        }
        Ok(field.0)
    }

    /// RFC 7616 §3.4.1 to §3.4.3.
    fn response(
        &self,
        signer: Signer<'_>,
        count: &str,
        message: &mut Message<'_>,
    ) -> Result<String, &'static str> {
        let hash = |parts: &[&[u8]]| self.hash().hex(&with_colons(parts));
        let cnonce = signer.cnonce.as_bytes();
        let (login, password) = (signer.login.as_bytes(), signer.password.as_bytes());
        let mut secret = hash(&[login, &self.realm, password]);
        if self.is_session() {
            secret = hash(&[secret.as_bytes(), &self.nonce, cnonce]);
        }
        let secret = secret.as_bytes();
        let (method, target) = (message.method.as_bytes(), message.target);
        let what = match self.qop {
            Some(Qop::AuthInt) => {
                let body = self.hash_body(message.body.as_deref_mut())?;
                hash(&[method, target, body.as_bytes()])
            }
            Some(Qop::Auth) | None => hash(&[method, target]),
        };
        let what = what.as_bytes();
        Ok(match self.qop {
            None => hash(&[secret, &self.nonce, what]),
            Some(qop) => {
                let count = count.as_bytes();
                hash(&[secret, &self.nonce, count, cnonce, qop.name(), what])
            }
        })
    }

    fn hash(&self) -> Hash {
        self.algorithm.hash
    }

    fn hash_body(
        &self,
        body: Option<&mut (dyn Iterator<Item = Bytes> + '_)>,
    ) -> Result<String, &'static str> {
        let body = body
            .ok_or("it wants the body signed (qop auth-int), which only a body in memory can be")?;
        let mut hasher = self.hash().start();
        for piece in body {
            hasher.update(&piece);
        }
        Ok(hasher.hex())
    }

    fn username(&self, login: &str, field: &mut Writer) {
        if self.userhash {
            let hashed = self.hash().hex(&[login.as_bytes(), b":", &self.realm]);
            field.quoted("username", hashed.as_bytes());
        } else if self.is_utf8 && !login.is_ascii() {
            // RFC 7616 §3.4: a server that says charset knows of this form.
            field.extended("username", login);
        } else {
            field.quoted("username", login.as_bytes());
        }
    }
}

impl Algorithm {
    /// Those of RFC 7616, and the others that aiohttp's client knows.
    fn read(name: Option<&[u8]>) -> Result<Self, &'static str> {
        let upper = name.unwrap_or(b"MD5").to_ascii_uppercase();
        let (base, is_session) = match upper.strip_suffix(b"-SESS") {
            Some(base) => (base, true),
            None => (&upper[..], false),
        };
        let hash = match base {
            b"MD5" => Hash::Md5,
            b"SHA" => Hash::Sha1,
            b"SHA-256" | b"SHA256" => Hash::Sha256,
            b"SHA-512" | b"SHA512" => Hash::Sha512,
            b"SHA-512-256" => Hash::Sha512To256,
            _ => return Err("its algorithm is not known"),
        };
        Ok(Self {
            hash,
            is_session,
            name: name.map(<[u8]>::to_vec),
        })
    }
}

impl Qop {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Auth => b"auth",
            Self::AuthInt => b"auth-int",
        }
    }
}

/// Of several the one that needs no look at the body: it is what all clients
/// but few choose, and what servers have tried.
fn qop(list: &[u8]) -> Result<Option<Qop>, &'static str> {
    let offered = |qop: Qop| {
        list.split(|byte| *byte == b',')
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(qop.name()))
    };
    if list.trim_ascii().is_empty() {
        // RFC 2069's way, which knows no client nonce.
        Ok(None)
    } else if offered(Qop::Auth) {
        Ok(Some(Qop::Auth))
    } else if offered(Qop::AuthInt) {
        Ok(Some(Qop::AuthInt))
    } else {
        Err("none of its qop values is known")
    }
}

fn with_colons<'a>(parts: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut all = Vec::with_capacity(parts.len() * 2);
    for part in parts {
        if !all.is_empty() {
            all.push(&b":"[..]);
        }
        all.push(part);
    }
    all
}

/// The parameters of a field, one after the other.
struct Writer(Vec<u8>);

impl Writer {
    fn plain(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.0.extend_from_slice(value);
    }

    fn quoted(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.0.push(b'"');
        for byte in value {
            if matches!(byte, b'"' | b'\\') {
                self.0.push(b'\\');
            }
            self.0.push(*byte);
        }
        self.0.push(b'"');
    }

    /// RFC 8187's form.
    fn extended(&mut self, name: &str, value: &str) {
        self.name(name);
        // The name's own mark stands before the sign.
        self.0.pop();
        self.0.extend_from_slice(b"*=UTF-8''");
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                self.0.push(byte);
            } else {
                self.0.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
    }

    fn name(&mut self, name: &str) {
        if !self.0.ends_with(b" ") {
            self.0.extend_from_slice(b", ");
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
