//! The event stream format (WHATWG HTML, section 9.2.6): from bytes, in pieces
//! cut anywhere, to events.

use std::time::Duration;

use bytes::{Buf, Bytes};

use super::Event;

/// Reads one stream after another. What one had begun the next does not end,
/// but the id of the last event stays.
#[derive(Debug)]
pub(super) struct Parser {
    /// The most bytes of one event, and of one line.
    pub(super) max: usize,
    /// A line that has not ended yet.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed behind it belongs to it.
    after_return: bool,
    /// Nothing but the first line may begin with a byte order mark.
    at_start: bool,
    data: Vec<u8>,
    kind: Vec<u8>,
    /// What the next event's id will be.
    id: Vec<u8>,
    last_id: Vec<u8>,
    retry: Option<Duration>,
}

/// An event, or a line, is longer than what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Parser {
    pub(super) fn new(max: usize, last_id: Vec<u8>) -> Self {
        Self {
            max,
            line: Vec::new(),
            after_return: false,
            at_start: true,
            data: Vec::new(),
            kind: Vec::new(),
            id: last_id.clone(),
            last_id,
            retry: None,
        }
    }

    /// Another stream begins. An event that had not ended is none.
    pub(super) fn restart(&mut self) {
        let last_id = std::mem::take(&mut self.last_id);
        let retry = self.retry;
        *self = Self::new(self.max, last_id);
        self.retry = retry;
    }

    /// The id of the last event, or of a blank line since; empty if there is none.
    pub(super) fn last_id(&self) -> &[u8] {
        &self.last_id
    }

    /// How long the server wants to be left alone before the next stream.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The next event, taken from `input`. `None`: all of it is used up.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Event>, TooLarge> {
        loop {
            match input.first() {
                None => return Ok(None),
                Some(first) => {
                    if std::mem::take(&mut self.after_return) && *first == b'\n' {
                        input.advance(1);
                        continue;
                    }
                }
            }
            let end = input.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let part = input.split_to(end.unwrap_or(input.len()));
            let held = self.line.len() + self.data.len() + self.kind.len();
            if part.len() > self.max.saturating_sub(held) {
                return Err(TooLarge);
            }
            let Some(_) = end else {
                self.line.extend_from_slice(&part);
                return Ok(None);
            };
            self.after_return = input.get_u8() == b'\r';
            let event = match self.line.is_empty() {
                true => self.line(&part),
                false => {
                    let mut line = std::mem::take(&mut self.line);
                    line.extend_from_slice(&part);
                    self.line(&line)
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Option<Event> {
        let line = match std::mem::take(&mut self.at_start) {
            true => line.strip_prefix(BOM).unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.kind = value.to_vec(),
            // One that no header could give back is none; NUL is among them.
            b"id" if !value.iter().any(u8::is_ascii_control) => self.id = value.to_vec(),
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            // A comment, or of a kind to come.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.last_id.clone_from(&self.id);
        let kind = std::mem::take(&mut self.kind);
        let mut data = std::mem::take(&mut self.data);
        // Of lines there is at least one, maybe empty, or there is no event.
        data.pop()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Event {
            kind: match kind.is_empty() {
                true => "message".to_owned(),
                false => text(&kind),
            },
            data: text(&data),
            id: text(&self.last_id),
        })
    }
}

fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
    text.parse().ok().map(Duration::from_millis)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    type Events = Vec<(String, String, String)>;

    fn run(pieces: &[&[u8]], max: usize) -> (Events, Option<Duration>, Result<(), TooLarge>) {
        let mut parser = Parser::new(max, Vec::new());
        let mut events = Vec::new();
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            loop {
                match parser.next(&mut input) {
                    Ok(Some(event)) => events.push((event.kind, event.data, event.id)),
                    Ok(None) => break,
                    Err(error) => return (events, parser.retry(), Err(error)),
                }
            }
            assert!(input.is_empty());
        }
        (events, parser.retry(), Ok(()))
    }

    /// The events of a stream, the same however it is cut.
    #[track_caller]
    fn events(stream: &str) -> Events {
        let stream = stream.as_bytes();
        let expected = run(&[stream], 1000);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(run(&bytes, 1000), expected);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(run(&[head, tail], 1000), expected, "cut at {at}");
        }
        expected.0
    }

    fn plain(data: &[&str]) -> Events {
        let event = |data: &&str| ("message".to_owned(), (*data).to_owned(), String::new());
        data.iter().map(event).collect()
    }

    #[test]
    fn events_end_with_a_blank_line() {
        assert_eq!(events("data: a\n\ndata: b\n\n"), plain(&["a", "b"]));
        assert_eq!(events("data: a\n\ndata: unfinished\n"), plain(&["a"]));
        assert_eq!(events("data: a\ndata: b\n\n"), plain(&["a\nb"]));
        assert_eq!(events("data\n\ndata\ndata\n\ndata:"), plain(&["", "\n"]));
        assert_eq!(
            events("data:test\n\ndata: test\n\n"),
            plain(&["test", "test"])
        );
        assert_eq!(events("data:  two\n\n"), plain(&[" two"]));
        assert_eq!(events("\n\n\nevent: nothing\n\n"), plain(&[]));
        assert_eq!(events(""), plain(&[]));
    }

    #[test]
    fn lines_end_in_three_ways_that_may_be_mixed() {
        assert_eq!(
            events("data: a\r\n\r\ndata: b\r\rdata: c\n\n"),
            plain(&["a", "b", "c"])
        );
        assert_eq!(
            events("data: a\r\ndata: b\n\rdata: c\r\n\n"),
            plain(&["a\nb", "c"])
        );
        assert_eq!(events("data: a\r\n\ndata: b\r\r\n"), plain(&["a", "b"]));
    }

    #[test]
    fn fields_that_are_none_are_passed_over() {
        let stream = ": a comment\n:\nDATA: x\ndata : x\nfoo: x\ndata: a:b\n: more\n\n";
        assert_eq!(events(stream), plain(&["a:b"]));
        assert_eq!(events("\u{feff}data: a\n\n"), plain(&["a"]));
        assert_eq!(events("data: a\n\n\u{feff}data: b\n\n"), plain(&["a"]));
        assert_eq!(events("\u{feff}\u{feff}data: a\n\n"), plain(&[]));
        let broken = run(&[b"data: a\xff\xc3\n\n"], 1000).0;
        assert_eq!(broken, plain(&["a\u{fffd}\u{fffd}"]));
    }

    #[test]
    fn a_kind_is_of_one_event_and_an_id_stays() {
        let event =
            |kind: &str, data: &str, id: &str| (kind.to_owned(), data.to_owned(), id.to_owned());
        let stream = "event: add\nid: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n\
            id: 2\n\ndata: d\n\nid: a\0b\ndata: e\n\nevent: x\nevent\ndata: f\n\n";
        let want = [
            event("add", "a", "1"),
            event("message", "b", "1"),
            event("message", "c", ""),
            event("message", "d", "2"),
            event("message", "e", "2"),
            event("message", "f", "2"),
        ];
        assert_eq!(events(stream), want);
    }

    #[test]
    fn a_new_stream_keeps_the_id_of_the_last_event_alone() {
        let mut parser = Parser::new(100, b"0".to_vec());
        assert_eq!(parser.last_id(), b"0");
        let mut input = Bytes::from_static(b"id: 1\ndata: a\n\nretry: 7\nid: 2\ndata: b\r");
        assert!(parser.next(&mut input).unwrap().is_some());
        assert!(parser.next(&mut input).unwrap().is_none());
        parser.restart();
        assert_eq!(parser.last_id(), b"1");
        assert_eq!(parser.retry(), Some(Duration::from_millis(7)));
        let mut input = Bytes::from_static(b"\n\xef\xbb\xbfdata: c\n\ndata: d\n\n");
        let event = parser.next(&mut input).unwrap().unwrap();
        assert_eq!((&event.data[..], &event.id[..]), ("d", "1"));
    }

    #[test]
    fn retry_is_digits_alone() {
        for (value, want) in [
            ("1500", Some(1500)),
            ("0", Some(0)),
            ("", None),
            ("1.5", None),
            ("+5", None),
            ("-5", None),
            ("5s", None),
            ("99999999999999999999999", None),
        ] {
            let (_, retry, _) = run(&[format!("retry: {value}\n").as_bytes()], 1000);
            assert_eq!(retry, want.map(Duration::from_millis), "{value:?}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = [b"data: ", &[b'x'; 100][..], b"\n\n"].concat();
        assert_eq!(run(&[&long], 106).2, Ok(()));
        assert_eq!(run(&[&long], 105).2, Err(TooLarge));
        // A line that never ends, a comment among them, and an event that
        // never does.
        for (start, line) in [("", "x"), (":", "x"), ("", "data: x\n"), ("data", "data\n")] {
            let mut pieces = vec![start.as_bytes()];
            pieces.resize(1000, line.as_bytes());
            assert_eq!(run(&pieces, 300).2, Err(TooLarge), "{start:?} {line:?}");
        }
        // Many small ones are as many as there are.
        let many = b"data: x\n\n".repeat(1000);
        assert_eq!(run(&[&many], 20).0.len(), 1000);
        let comments = b": x\nid: 5\nevent: y\n".repeat(1000);
        assert_eq!(run(&[&comments], 20).2, Ok(()));
    }
}
