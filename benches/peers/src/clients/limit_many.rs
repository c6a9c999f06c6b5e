//! The limit of many in flight: connections under one bare epoll.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::limit::{Head, Prepared};
use crate::meter::Meter;
use crate::plan::SMALL;
use crate::{Error, Outcome};

/// Keeps `count` requests in flight until the meter has all it wants.
pub(super) fn fly(url: &Prepared, count: usize, meter: &Meter) -> Outcome {
    let mut lanes: Vec<_> = (0..count).map(|_| meter.lane()).collect();
    drive(url, count, |lane| {
        lanes.get_mut(lane).is_some_and(|lane| lane.turn())
    })
}

/// Keeps `count` requests in flight until told to stop.
pub(super) fn until(url: &Prepared, count: usize, stop: &AtomicBool) -> Outcome {
    drive(url, count, |_| !stop.load(Ordering::Relaxed))
}

/// Each time a lane is free, `turn` says whether it sends another.
fn drive(url: &Prepared, count: usize, mut turn: impl FnMut(usize) -> bool) -> Outcome {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut streams = Vec::with_capacity(count);
    for lane in 0..count {
        let stream = TcpStream::connect(url.server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, lane as u64))?;
        streams.push(stream);
    }
    let mut flying = 0;
    for (lane, stream) in streams.iter_mut().enumerate() {
        if turn(lane) {
            stream.write_all(&url.get)?;
            flying += 1;
        }
    }
    let mut events = vec![EpollEvent::empty(); count];
    let mut scratch = vec![0; 16 * 1024];
    let limit = EpollTimeout::try_from(Duration::from_secs(10)).map_err(|_| "a long timeout")?;
    while flying > 0 {
        let ready = epoll.wait(&mut events, limit)?;
        if ready == 0 {
            return Err("the server does not answer".into());
        }
        for event in events.iter().take(ready) {
            let lane = event.data() as usize;
            let Some(stream) = streams.get_mut(lane) else {
                continue;
            };
            if !answered(stream, &mut scratch)? {
                continue;
            }
            if turn(lane) {
                stream.write_all(&url.get)?;
            } else {
                flying -= 1;
            }
        }
    }
    Ok(())
}

/// Takes an answer, which comes in one piece: it is small, and so written.
fn answered(stream: &mut TcpStream, scratch: &mut [u8]) -> Result<bool, Error> {
    let n = match stream.read(scratch) {
        Ok(n) => n,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let head = Head::parse(&scratch[..n]).ok_or("an answer in pieces")?;
    if head.body == Some(SMALL as u64) && n == head.end + SMALL {
        Ok(true)
    } else {
        Err("an answer that was not asked for".into())
    }
}
