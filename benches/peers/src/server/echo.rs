//! A WebSocket that sends back what it gets, with as little as can be: frames
//! are unmasked where they lie, and all that came whole go back in one write.

use std::io::{self, IoSlice};
use std::ops::Range;

use tungstenite::handshake::derive_accept_key;

use super::BUFFER;
use super::connection::Stream;

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Frames a write.
const AT_ONCE: usize = 64;

/// Answers the handshake, then every frame until one says goodbye. `early` is
/// what came with the handshake.
pub(super) fn serve(stream: &mut impl Stream, key: &[u8], early: &[u8]) -> io::Result<()> {
    let accept = derive_accept_key(key);
    stream.write_all(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .as_bytes(),
    )?;
    stream.flush()?;
    let mut buffer = vec![0; BUFFER];
    let mut filled = early.len();
    buffer[..filled].copy_from_slice(early);
    let mut answers = Vec::with_capacity(AT_ONCE);
    loop {
        let mut at = 0;
        let mut closing = false;
        // As much as the frame under way takes, if that is known.
        let mut whole = 0;
        while let Some(frame) = Frame::parse(&buffer[at..filled]) {
            whole = frame.whole();
            if at + whole > filled {
                break;
            }
            answers.push(frame.answer(&mut buffer, at));
            at += whole;
            whole = 0;
            closing = frame.opcode == CLOSE;
            if closing {
                break;
            }
        }
        send(stream, &buffer, &answers)?;
        if closing {
            return Ok(());
        }
        answers.clear();
        buffer.copy_within(at..filled, 0);
        filled -= at;
        if buffer.len() < whole {
            buffer.resize(whole, 0);
        }
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            n => filled += n,
        }
    }
}

fn send(stream: &mut impl Stream, buffer: &[u8], answers: &[Range<usize>]) -> io::Result<()> {
    for answers in answers.chunks(AT_ONCE) {
        let mut pieces = [IoSlice::new(&[]); AT_ONCE];
        for (piece, answer) in pieces.iter_mut().zip(answers) {
            *piece = IoSlice::new(&buffer[answer.clone()]);
        }
        let mut left = &mut pieces[..answers.len()];
        while !left.is_empty() {
            match stream.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut left, n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    stream.flush()
}

/// A client's frame.
#[derive(Debug)]
struct Frame {
    opcode: u8,
    /// Of the header, without the mask behind it.
    head: usize,
    body: usize,
}

const MASK: usize = 4;

impl Frame {
    /// `None`: the header is not yet whole.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (bytes.first()?, bytes.get(1)?);
        let (head, body) = match second & 0x7f {
            126 => {
                let length = bytes.get(2..4)?.try_into().ok()?;
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => {
                let length = bytes.get(2..10)?.try_into().ok()?;
                (10, u64::from_be_bytes(length) as usize)
            }
            length => (2, usize::from(length)),
        };
        Some(Self {
            opcode: first & 0x0f,
            head,
            body,
        })
    }

    fn whole(&self) -> usize {
        self.head + MASK + self.body
    }

    /// Makes the frame that stands at `at` the one that goes back; where that is.
    fn answer(&self, buffer: &mut [u8], at: usize) -> Range<usize> {
        let start = at + MASK;
        let body = start + self.head;
        let end = body + self.body;
        let mut mask = [0; MASK];
        mask.copy_from_slice(&buffer[at + self.head..body]);
        buffer.copy_within(at..at + self.head, start);
        buffer[start + 1] &= 0x7f;
        if self.opcode == PING {
            buffer[start] ^= PING ^ PONG;
        }
        unmask(&mut buffer[body..end], mask);
        start..end
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; MASK]) {
    let [a, b, c, d] = mask;
    let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ twice).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_back_unmasked_whatever_their_length() {
        for length in [0, 1, 7, 125, 126, 1024, 65_535, 65_536] {
            let body: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
            let head = match length {
                0..=125 => vec![0x82, 0x80 | length as u8],
                126..=65_535 => [&[0x82, 0xfe], &(length as u16).to_be_bytes()[..]].concat(),
                _ => [&[0x82, 0xff], &u64::from(length).to_be_bytes()[..]].concat(),
            };
            let mask = [1, 2, 3, 4];
            let masked = body.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b);
            let mut bytes = [&head[..], &mask, &masked.collect::<Vec<u8>>()].concat();
            let frame = Frame::parse(&bytes).expect("a whole header");
            assert_eq!(frame.whole(), bytes.len());
            assert!((0..head.len()).all(|cut| Frame::parse(&bytes[..cut]).is_none()));
            let answer = frame.answer(&mut bytes, 0);
            let mut plain = head.clone();
            plain[1] &= 0x7f;
            assert_eq!(bytes[answer], [plain, body].concat());
        }
    }
}
