//! The limit of messages: a bare socket, frames made by hand, and headers that
//! are looked at and no more.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::client::UnbufferedClientConnection;

use super::{Blocking, dial, handshake, is_agreed};
use crate::bare_tls::BareTls;
use crate::clients::Job;
use crate::clients::limit::tls_config;
use crate::plan::{BLOCK, MESSAGE};
use crate::{Error, Outcome};

/// The longest header, its mask included.
const HEAD: usize = 14;

pub(super) fn plain(job: &Job) -> Result<Limit<TcpStream>, Error> {
    Limit::new(job, dial(job)?)
}

pub(super) fn tls(job: &Job) -> Result<Limit<BareTls<UnbufferedClientConnection>>, Error> {
    let stream = BareTls::client(&tls_config(job)?, dial(job)?, BLOCK.len())?;
    Limit::new(job, stream)
}

pub(super) struct Limit<S> {
    stream: S,
    /// Masked frames up to `unsent`, to be written when there is a block of
    /// them or something has to be waited for.
    out: Vec<u8>,
    unsent: usize,
    /// What was read, from `start` to `end`.
    into: Vec<u8>,
    start: usize,
    end: usize,
    /// Makes the masks; by splitmix64.
    seed: u64,
}

impl<S: Read + Write> Limit<S> {
    fn new(job: &Job, mut stream: S) -> Result<Self, Error> {
        stream.write_all(handshake(job).as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !is_agreed(&answer)? {
            stream.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        Ok(Self {
            stream,
            out: vec![0; HEAD + BLOCK.len()],
            unsent: 0,
            into: vec![0; BLOCK.len()],
            start: 0,
            end: 0,
            seed: 1,
        })
    }

    fn mask(&mut self) -> u32 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as u32
    }

    fn head(&mut self, bytes: usize, mask: u32) {
        let mut head = [0; HEAD];
        head[0] = 0x82;
        let length = match bytes {
            0..=125 => {
                head[1] = bytes as u8;
                2
            }
            126..=65_535 => {
                head[1] = 126;
                head[2..4].copy_from_slice(&(bytes as u16).to_be_bytes());
                4
            }
            _ => {
                head[1] = 127;
                head[2..10].copy_from_slice(&(bytes as u64).to_be_bytes());
                10
            }
        };
        head[1] |= 0x80;
        head[length..length + 4].copy_from_slice(&mask.to_ne_bytes());
        self.out[self.unsent..self.unsent + length + 4].copy_from_slice(&head[..length + 4]);
        self.unsent += length + 4;
    }

    fn write(&mut self) -> Outcome {
        let unsent = std::mem::take(&mut self.unsent);
        Ok(self.stream.write_all(&self.out[..unsent])?)
    }

    fn fill(&mut self) -> Outcome {
        if self.unsent > 0 {
            self.write()?;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.into.len() - self.end < HEAD {
            self.into.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.stream.read(&mut self.into[self.end..])? {
            0 => Err("the server has gone".into()),
            n => {
                self.end += n;
                Ok(())
            }
        }
    }
}

impl<S: Read + Write> Blocking for Limit<S> {
    fn send(&mut self, bytes: usize) -> Outcome {
        let mask = self.mask();
        if self.unsent + HEAD > self.out.len() {
            self.write()?;
        }
        self.head(bytes, mask);
        let mut body = &MESSAGE[..bytes];
        while !body.is_empty() {
            // Whole words, so that the mask begins anew with each piece.
            let room = (self.out.len() - self.unsent) & !7;
            let (now, rest) = body.split_at(body.len().min(room));
            mask_into(
                &mut self.out[self.unsent..self.unsent + now.len()],
                now,
                mask,
            );
            self.unsent += now.len();
            body = rest;
            if !body.is_empty() {
                self.write()?;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<usize, Error> {
        let (head, body) = loop {
            if let Some(found) = header(&self.into[self.start..self.end])? {
                break found;
            }
            self.fill()?;
        };
        self.start += head;
        let mut left = body;
        loop {
            let n = left.min(self.end - self.start);
            self.start += n;
            left -= n;
            if left == 0 {
                return Ok(body);
            }
            self.fill()?;
        }
    }
}

/// The length of a header, and of what follows it. `None`: more is to come.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    let Some([first, second]) = bytes.first_chunk() else {
        return Ok(None);
    };
    if *first != 0x82 {
        return Err("a frame that was not asked for".into());
    }
    Ok(match second {
        126 => bytes[2..]
            .first_chunk()
            .map(|length| (4, usize::from(u16::from_be_bytes(*length)))),
        127 => bytes[2..]
            .first_chunk()
            .map(|length| (10, u64::from_be_bytes(*length) as usize)),
        length => Some((2, usize::from(*length))),
    })
}

fn mask_into(to: &mut [u8], from: &[u8], mask: u32) {
    let twice = u64::from(mask) << 32 | u64::from(mask);
    let (words, rest) = from.as_chunks::<8>();
    let (to_words, to_rest) = to.as_chunks_mut::<8>();
    for (to, from) in to_words.iter_mut().zip(words) {
        *to = (u64::from_ne_bytes(*from) ^ twice).to_ne_bytes();
    }
    let mask = twice.to_ne_bytes();
    for ((to, from), mask) in to_rest.iter_mut().zip(rest).zip(mask) {
        *to = from ^ mask;
    }
}
