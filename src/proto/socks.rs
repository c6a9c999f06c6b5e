//! A connection by SOCKS: 4, 4a and 5 (RFC 1928), with user name and password
//! (RFC 1929).
//!
//! ```text
//! 4, 4a   Asked ─────────────────────────────────────────▶ open
//! 5       Greeted ─▶ (LoggingIn) ─▶ Asked ─▶ Bound(length) ▶ open
//! ```
//!
//! Every reply has a length that its first bytes say, and not one byte behind it
//! is touched. A refusal counts as soon as its code is there: some servers send
//! no more of the reply than that.

use std::fmt;

use bytes::{Buf, BytesMut};

use super::tunnel::{Dialog, Goal, Octets, ProxyFault, Step};

/// No acceptable method.
const NONE_OF_THESE: u8 = 0xff;
const NO_LOGIN: u8 = 0x00;
const USER_AND_PASSWORD: u8 = 0x02;

const CONNECT: u8 = 0x01;

const IPV4: u8 = 0x01;
const NAME: u8 = 0x03;
const IPV6: u8 = 0x04;

/// What a part of a message can have whose length is one byte.
const MAX_PART: usize = 255;

/// An IPv4 address of this form says that a name follows (SOCKS4a).
const NAME_FOLLOWS: [u8; 4] = [0, 0, 0, 1];

/// Why a SOCKS server leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocksFault {
    /// Its reply does not begin with the version it has to: it speaks another
    /// protocol.
    Version(u8),
    /// It chose a way to log in that it was not offered.
    MethodNotOffered(u8),
    /// It accepts none of those it was offered; there was a login or not.
    NoMethod { login: bool },
    /// It did not take user name and password; its status.
    Login(u8),
    /// A SOCKS4 refusal.
    Refused4(u8),
    /// A SOCKS5 refusal.
    Refused5(u8),
    /// Its reply has an address of no known type.
    AddressType(u8),
    /// It closed the connection in the middle of it.
    Disconnected,
    /// SOCKS4 can be told no IPv6 address.
    NoIpv6,
    /// A name that is too long for it, or empty, or with a NUL in it; to SOCKS4 an
    /// address that says there that a name follows.
    Name,
    /// A user name or a password that it cannot carry.
    Unspeakable,
}

impl SocksFault {
    pub(super) fn is_refusal(self) -> bool {
        match self {
            Self::NoMethod { .. } | Self::Login(_) | Self::Refused4(_) | Self::Refused5(_) => true,
            // Not said to anybody, and not sayable to others either.
            Self::NoIpv6 | Self::Name | Self::Unspeakable => true,
            Self::Version(_)
            | Self::MethodNotOffered(_)
            | Self::AddressType(_)
            | Self::Disconnected => false,
        }
    }

    pub(super) fn may_pass(self) -> bool {
        // General failure; unreachable network or host; refused; expired.
        matches!(
            self,
            Self::Disconnected | Self::Refused4(91) | Self::Refused5(1 | 3..=6)
        )
    }
}

impl fmt::Display for SocksFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version(byte) => {
                return write!(
                    f,
                    "the proxy does not speak this version of SOCKS: its reply begins with {byte:#04x}"
                );
            }
            Self::MethodNotOffered(method) => {
                return write!(
                    f,
                    "the SOCKS proxy chose login method {method:#04x}, which was not offered"
                );
            }
            Self::NoMethod { login: false } => "the SOCKS proxy asks for a login",
            Self::NoMethod { login: true } => "the SOCKS proxy accepts no user name and password",
            Self::Login(status) => {
                return write!(
                    f,
                    "the SOCKS proxy did not accept user name and password (status {status})"
                );
            }
            Self::Refused4(91) => "the SOCKS proxy refused or failed to connect (91)",
            Self::Refused4(92) => "the SOCKS proxy refused: it reaches no identd here (92)",
            Self::Refused4(93) => "the SOCKS proxy refused: identd tells another user (93)",
            Self::Refused5(1) => "the SOCKS proxy failed (1)",
            Self::Refused5(2) => "the SOCKS proxy's rules do not allow this connection (2)",
            Self::Refused5(3) => "the SOCKS proxy cannot reach the network (3)",
            Self::Refused5(4) => "the SOCKS proxy cannot reach the host (4)",
            Self::Refused5(5) => "the host refused the SOCKS proxy's connection (5)",
            Self::Refused5(6) => "the SOCKS proxy's connection took too many hops (6)",
            Self::Refused5(7) => "the SOCKS proxy does not know the command (7)",
            Self::Refused5(8) => "the SOCKS proxy does not know this type of address (8)",
            Self::Refused4(code) | Self::Refused5(code) => {
                return write!(f, "the SOCKS proxy refused with the unknown code {code}");
            }
            Self::AddressType(kind) => {
                return write!(
                    f,
                    "the SOCKS proxy's reply has an address of the unknown type {kind:#04x}"
                );
            }
            Self::Disconnected => "the SOCKS proxy disconnected before its reply was complete",
            Self::NoIpv6 => "SOCKS4 cannot carry an IPv6 address",
            Self::Name => "SOCKS cannot carry this host name",
            Self::Unspeakable => "SOCKS cannot carry this user name or password",
        })
    }
}

impl std::error::Error for SocksFault {}

impl From<SocksFault> for ProxyFault {
    fn from(fault: SocksFault) -> Self {
        Self::Socks(fault)
    }
}

/// SOCKS4 and 4a.
#[derive(Debug)]
pub(crate) struct Socks4(());

impl Socks4 {
    /// Writes the request. Without an address the name is told, which is 4a.
    pub(crate) fn begin(
        goal: &Goal<'_>,
        user: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Self, SocksFault> {
        if user.contains(&0) || user.len() > MAX_PART {
            return Err(SocksFault::Unspeakable);
        }
        let (address, name) = match goal.address {
            // It would be read as a promise of a name.
            Some(Octets::V4([0, 0, 0, last])) if last != 0 => return Err(SocksFault::Name),
            Some(Octets::V4(address)) => (address, None),
            Some(Octets::V6(_)) => return Err(SocksFault::NoIpv6),
            None => (NAME_FOLLOWS, Some(name(goal.host)?)),
        };
        out.extend_from_slice(&[4, CONNECT]);
        out.extend_from_slice(&goal.port.to_be_bytes());
        out.extend_from_slice(&address);
        out.extend_from_slice(user);
        out.push(0);
        if let Some(name) = name {
            out.extend_from_slice(name);
            out.push(0);
        }
        Ok(Self(()))
    }
}

impl Dialog for Socks4 {
    fn receive(&mut self, input: &mut BytesMut, _: &mut Vec<u8>) -> Result<Step, ProxyFault> {
        match **input {
            [0, 90, ..] if input.len() >= 8 => {
                input.advance(8);
                Ok(Step::Open(None))
            }
            [] | [0] | [0, 90, ..] => Ok(Step::More),
            [0, code, ..] => Err(SocksFault::Refused4(code).into()),
            [version, ..] => Err(SocksFault::Version(version).into()),
        }
    }

    fn end(&mut self, _: &mut BytesMut) -> ProxyFault {
        SocksFault::Disconnected.into()
    }
}

/// SOCKS5.
pub(crate) struct Socks5 {
    state: State,
    /// The message to log in with; empty without a login.
    login: Vec<u8>,
    /// The message that asks for the connection.
    request: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Greeted,
    LoggingIn,
    Asked,
}

impl Socks5 {
    /// Writes the greeting.
    pub(crate) fn begin(
        goal: &Goal<'_>,
        login: Option<(&[u8], &[u8])>,
        out: &mut Vec<u8>,
    ) -> Result<Self, SocksFault> {
        let login = match login {
            None => Vec::new(),
            Some((user, password)) => {
                let mut message = vec![1];
                part(user, &mut message).ok_or(SocksFault::Unspeakable)?;
                part(password, &mut message).ok_or(SocksFault::Unspeakable)?;
                message
            }
        };
        let mut request = vec![5, CONNECT, 0];
        match goal.address {
            Some(Octets::V4(address)) => {
                request.push(IPV4);
                request.extend_from_slice(&address);
            }
            Some(Octets::V6(address)) => {
                request.push(IPV6);
                request.extend_from_slice(&address);
            }
            None => {
                request.push(NAME);
                part(name(goal.host)?, &mut request).ok_or(SocksFault::Name)?;
            }
        }
        request.extend_from_slice(&goal.port.to_be_bytes());
        out.extend_from_slice(match login.is_empty() {
            true => &[5, 1, NO_LOGIN],
            false => &[5, 2, NO_LOGIN, USER_AND_PASSWORD],
        });
        Ok(Self {
            state: State::Greeted,
            login,
            request,
        })
    }
}

impl Dialog for Socks5 {
    fn receive(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Step, ProxyFault> {
        loop {
            let expected = match self.state {
                State::LoggingIn => 1,
                State::Greeted | State::Asked => 5,
            };
            let answer = match **input {
                [version, ..] if version != expected => {
                    return Err(SocksFault::Version(version).into());
                }
                [_, answer, ..] => answer,
                _ => return Ok(Step::More),
            };
            match (self.state, answer) {
                (State::Greeted, NO_LOGIN) => {
                    out.extend_from_slice(&self.request);
                    self.state = State::Asked;
                }
                (State::Greeted, USER_AND_PASSWORD) if !self.login.is_empty() => {
                    out.extend_from_slice(&self.login);
                    self.state = State::LoggingIn;
                }
                (State::Greeted, NONE_OF_THESE) => {
                    let login = !self.login.is_empty();
                    return Err(SocksFault::NoMethod { login }.into());
                }
                (State::Greeted, other) => return Err(SocksFault::MethodNotOffered(other).into()),
                (State::LoggingIn, 0) => {
                    out.extend_from_slice(&self.request);
                    self.state = State::Asked;
                }
                (State::LoggingIn, status) => return Err(SocksFault::Login(status).into()),
                (State::Asked, 0) => {
                    // Where it is connected from is of no interest, but how
                    // long that is.
                    let address = match input.get(3..) {
                        Some([IPV4, ..]) => 4,
                        Some([IPV6, ..]) => 16,
                        Some([NAME, length, ..]) => 1 + usize::from(*length),
                        Some([NAME] | []) | None => return Ok(Step::More),
                        Some([other, ..]) => return Err(SocksFault::AddressType(*other).into()),
                    };
                    let length = 4 + address + 2;
                    if input.len() < length {
                        return Ok(Step::More);
                    }
                    input.advance(length);
                    return Ok(Step::Open(None));
                }
                (State::Asked, code) => return Err(SocksFault::Refused5(code).into()),
            }
            // A server that says more before it is asked for it is taken at
            // its word.
            input.advance(2);
        }
    }

    fn end(&mut self, _: &mut BytesMut) -> ProxyFault {
        SocksFault::Disconnected.into()
    }
}

impl fmt::Debug for Socks5 {
    // The login is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socks5").field(&self.state).finish()
    }
}

/// A host name as it can be told.
fn name(host: &str) -> Result<&[u8], SocksFault> {
    let is_fit = !host.is_empty() && host.len() <= MAX_PART && !host.contains('\0');
    is_fit.then_some(host.as_bytes()).ok_or(SocksFault::Name)
}

/// Appends a part behind its length.
fn part(part: &[u8], message: &mut Vec<u8>) -> Option<()> {
    message.push(u8::try_from(part.len()).ok()?);
    message.extend_from_slice(part);
    Some(())
}

#[cfg(test)]
mod tests;
