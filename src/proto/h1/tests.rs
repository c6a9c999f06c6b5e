//! The machine against a table of byte streams. Each case runs whole, split in
//! two at every byte, and byte by byte, and must tell the same story each time.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use http::{Method, Version};

use self::corpus::Ask::{self, Connect, Get, Head, Marked, NoEof, Post, Strict, Tight, WebSocket};
use self::corpus::{CASES, Case};
use super::{Limits, Machine};
use crate::head::{BodyLength, Fields, RequestHead};
use crate::proto::{CloseReason, Event, Fault, HeadLimit};

mod corpus;

/// The limits of [`Ask::Tight`].
const TIGHT: Limits = Limits {
    max_line: 20,
    max_field: 16,
    max_fields: 2,
    strict: false,
    marks: false,
};

#[test]
fn replies_tell_the_same_story_however_they_are_split() {
    for case in CASES {
        let whole = run(case, [case.input]);
        assert_eq!(whole, case.story, "case {:?}", case.name);
        for at in 0..=case.input.len() {
            let (one, two) = case.input.split_at(at);
            let split = run(case, [one, two]);
            assert_eq!(split, whole, "case {:?} split at {at}", case.name);
        }
        let bytes = run(case, case.input.chunks(1));
        assert_eq!(bytes, whole, "case {:?} byte by byte", case.name);
    }
}

/// Feeds the parts and writes down what happened.
fn run<'a>(case: &Case, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut machine = asked(case.ask);
    let mut input = BytesMut::new();
    let mut events = Vec::new();
    let mut fault = None;
    for part in parts {
        input.extend_from_slice(part);
        if fault.is_none() {
            fault = drain(&mut events, || machine.receive(&mut input)).err();
        }
    }
    if case.eof && fault.is_none() {
        fault = drain(&mut events, || machine.receive_eof(&mut input)).err();
    }

    let is_complete = events.last() == Some(&Event::End);
    assert_eq!(machine.is_complete(), is_complete, "case {:?}", case.name);
    let reusable = is_complete && machine.close_reason().is_none();
    assert_eq!(
        machine.is_reusable(input.len()),
        reusable && input.is_empty()
    );

    let mut story: Vec<String> = merged(events).iter().map(tell).collect();
    let failed = fault.is_some();
    // How much of a foreign reply is shown depends on how much has come.
    story.extend(fault.map(|fault| match fault {
        Fault::NotHttp { .. } => "NotHttp".to_owned(),
        fault => format!("{fault:?}"),
    }));
    story.extend(
        machine
            .close_reason()
            .map(|reason| format!("close {reason:?}")),
    );
    // What remains behind a fault met before all input came is of no interest,
    // except where the case says what it is.
    let left = format!("left {}", input.escape_ascii());
    if !input.is_empty() && (!failed || case.story.ends_with(&left)) {
        story.push(left);
    }
    story.join("; ")
}

fn drain(
    events: &mut Vec<Event>,
    mut next: impl FnMut() -> Result<Option<Event>, Fault>,
) -> Result<(), Fault> {
    while let Some(event) = next()? {
        events.push(event);
        assert!(events.len() < 10_000, "the machine does not end");
    }
    Ok(())
}

fn merged(events: Vec<Event>) -> Vec<Event> {
    let mut merged: Vec<Event> = Vec::new();
    for event in events {
        match (merged.last_mut(), event) {
            (Some(Event::Data(data)), Event::Data(more)) => {
                *data = [data.as_ref(), &more].concat().into();
            }
            (_, event) => merged.push(event),
        }
    }
    merged
}

fn tell(event: &Event) -> String {
    match event {
        Event::Informational(head) => format!("info {}", head.status().as_u16()),
        Event::Head(head) => {
            let mut told = format!(
                "head {} [{}]",
                head.status().as_u16(),
                head.reason().escape_ascii()
            );
            for (name, value) in head.raw_fields() {
                let name = name.to_ascii_lowercase();
                told += &format!(" {}={}", name.escape_ascii(), value.escape_ascii());
            }
            told
        }
        Event::Data(data) => format!("data {}", data.escape_ascii()),
        Event::ChunkEnd => "mark".to_owned(),
        Event::Trailers(fields) => fields.iter().fold("trailers".to_owned(), |told, (n, v)| {
            format!("{told} {}={}", n.escape_ascii(), v.escape_ascii())
        }),
        Event::End => "end".to_owned(),
        Event::Upgrade => "upgrade".to_owned(),
    }
}

fn request(method: Method, fields: &[(HeaderName, &'static str)], body: BodyLength) -> RequestHead {
    let mut list = Fields::behind(b"/", 0);
    for (name, value) in fields {
        list.append(name.clone(), HeaderValue::from_static(value));
    }
    RequestHead {
        method,
        version: Version::HTTP_11,
        fields: list,
        body,
        expect_continue: false,
    }
}

fn begun(head: &RequestHead) -> Machine {
    let mut machine = Machine::new(Limits::default());
    machine.begin(head, Limits::default(), true, &mut Vec::new());
    machine
}

fn asked(ask: Ask) -> Machine {
    let head = match ask {
        Get | NoEof | Tight | Strict | Marked => request(Method::GET, &[], BodyLength::Empty),
        Head => request(Method::HEAD, &[], BodyLength::Empty),
        Connect => request(Method::CONNECT, &[], BodyLength::Empty),
        WebSocket => request(Method::GET, &[(UPGRADE, "websocket")], BodyLength::Empty),
        Post => request(Method::POST, &[], BodyLength::Known(5)),
    };
    let limits = match ask {
        Tight => TIGHT,
        _ => Limits {
            strict: ask == Strict,
            marks: ask == Marked,
            ..Limits::default()
        },
    };
    let mut machine = Machine::new(limits);
    machine.begin(&head, limits, ask != NoEof, &mut Vec::new());
    machine
}

fn feed(machine: &mut Machine, bytes: &[u8]) -> Result<Vec<Event>, Fault> {
    let mut input = BytesMut::from(bytes);
    let mut events = Vec::new();
    drain(&mut events, || machine.receive(&mut input))?;
    Ok(events)
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn limits_fall_at_the_byte_that_passes_them() {
    // SPEC S21: a peer that never ends a line is refused as soon as it could not
    // end it within the limit any more, and not a byte before.
    let cases: [(&[u8], usize, HeadLimit); 2] = [
        (b"HTTP/1.1 200 ", 8190, HeadLimit::Line),
        (b"HTTP/1.1 200 OK\r\n", 8190 + 17, HeadLimit::Field),
    ];
    for (start, most, limit) in cases {
        let mut machine = asked(Get);
        let mut input = BytesMut::from(start);
        input.resize(most, b'a');
        assert_eq!(machine.receive(&mut input), Ok(None));
        input.extend_from_slice(b"a");
        let fault = Fault::HeadTooLarge { limit, max: 8190 };
        assert_eq!(machine.receive(&mut input), Err(fault));
    }
    // 128 fields pass, 129 do not.
    for (count, passes) in [(128, true), (129, false)] {
        let head = format!("HTTP/1.1 204 x\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert_eq!(feed(&mut asked(Get), head.as_bytes()).is_ok(), passes);
    }
    // The whole is bounded below the product of the parts.
    let field = format!("a: {}\r\n", "b".repeat(8000));
    let head = format!("HTTP/1.1 204 x\r\n{}", field.repeat(60));
    let fault = feed(&mut asked(Get), head.as_bytes()).unwrap_err();
    let limit = HeadLimit::Total;
    assert_eq!(
        fault,
        Fault::HeadTooLarge {
            limit,
            max: 262_144
        }
    );
}

#[test]
fn trailers_have_the_limits_of_heads() {
    let endless = [CHUNKED, b"0\r\nA: ", &[b'a'; 8190]].concat();
    let many = [CHUNKED, b"0\r\n", &b"a: b\r\n".repeat(129)].concat();
    for (input, limit, max) in [
        (endless, HeadLimit::Field, 8190),
        (many, HeadLimit::Fields, 128),
    ] {
        let fault = feed(&mut asked(Get), &input).unwrap_err();
        assert_eq!(fault, Fault::TrailerTooLarge { limit, max });
    }
}

#[test]
fn chunk_extensions_are_bounded() {
    let fault = Fault::BadChunk(crate::proto::ChunkFault::ExtensionTooLong);
    let one = [CHUNKED, b"1;", &[b'x'; 8193]].concat();
    assert_eq!(feed(&mut asked(Get), &one).unwrap_err(), fault);
    let padding = [CHUNKED, b"1", &[b' '; 8194]].concat();
    assert_eq!(feed(&mut asked(Get), &padding).unwrap_err(), fault);
    // Many middling ones on one byte of data each add up ...
    let chunk = [b"1;".as_slice(), &[b'x'; 1024], b"\r\na\r\n"].concat();
    let many = [CHUNKED, &chunk.repeat(66)].concat();
    assert_eq!(feed(&mut asked(Get), &many).unwrap_err(), fault);
    // ... but signed chunks of honest size may go on for ever.
    let chunk = [
        b"400;".as_slice(),
        &[b'x'; 85],
        b"\r\n",
        &[b'a'; 1024],
        b"\r\n",
    ]
    .concat();
    let signed = [CHUNKED, &chunk.repeat(2000), b"0\r\n\r\n"].concat();
    let events = feed(&mut asked(Get), &signed).unwrap();
    assert_eq!(events.last(), Some(&Event::End));
}

#[test]
fn informational_replies_are_bounded() {
    let mut machine = asked(Get);
    let interim = b"HTTP/1.1 102 x\r\n\r\n";
    assert_eq!(feed(&mut machine, &interim.repeat(64)).unwrap().len(), 64);
    let fault = feed(&mut machine, interim).unwrap_err();
    assert_eq!(
        fault,
        Fault::BadHead(crate::proto::HeadFault::TooManyInformational)
    );
}

#[test]
fn a_connection_carries_one_exchange_after_another() {
    let mut machine = Machine::new(Limits::default());
    let mut input = BytesMut::new();
    for _ in 0..3 {
        let head = request(Method::GET, &[], BodyLength::Empty);
        machine.begin(&head, Limits::default(), true, &mut Vec::new());
        assert!(machine.is_sent() && !machine.is_reusable(0));
        input.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
        let mut events = Vec::new();
        drain(&mut events, || machine.receive(&mut input)).unwrap();
        assert_eq!(machine.body_remaining(), Some(2));
        input.extend_from_slice(b"bc");
        drain(&mut events, || machine.receive(&mut input)).unwrap();
        assert_eq!(machine.body_remaining(), Some(0));
        assert!(machine.is_reusable(input.len()) && !machine.is_reusable(1));
        machine.reset();
    }
    // A reply that no request asked for, as servers send on an idle timeout.
    input.extend_from_slice(b"HTTP/1.1 408 Timeout\r\n\r\n");
    assert_eq!(machine.receive(&mut input), Ok(None));
    assert_eq!(machine.close_reason(), Some(CloseReason::SurplusBytes));
}

#[test]
fn the_first_close_reason_is_kept() {
    let mut machine = begun(&request(
        Method::GET,
        &[(CONNECTION, "x, Close")],
        BodyLength::Empty,
    ));
    machine.force_close(CloseReason::PeerClosing);
    feed(&mut machine, b"HTTP/1.0 204 x\r\n\r\n").unwrap();
    assert_eq!(machine.close_reason(), Some(CloseReason::Requested));

    let mut old = request(Method::GET, &[], BodyLength::Empty);
    old.version = Version::HTTP_10;
    assert_eq!(begun(&old).close_reason(), Some(CloseReason::Http10));
    old.fields
        .append(CONNECTION, HeaderValue::from_static("Keep-Alive"));
    assert_eq!(begun(&old).close_reason(), None);
}

#[test]
fn a_request_head_is_written_as_given() {
    let mut head = request(
        Method::POST,
        &[
            (http::header::HOST, "h"),
            (http::header::CONTENT_LENGTH, "2"),
        ],
        BodyLength::Known(2),
    );
    head.set_target(b"/a?b=\xe9");
    let mut out = Vec::new();
    Machine::new(Limits::default()).begin(&head, Limits::default(), true, &mut out);
    assert_eq!(
        out.escape_ascii().to_string(),
        "POST /a?b=\\xe9 HTTP/1.1\\r\\nhost: h\\r\\ncontent-length: 2\\r\\n\\r\\n"
    );

    // No URL can end the request line or begin a second request.
    head.fields = Fields::behind(b"/ HTTP/1.1\r\n\r\n\x7f", 0);
    head.version = Version::HTTP_10;
    let mut out = Vec::new();
    Machine::new(Limits::default()).begin(&head, Limits::default(), true, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "POST /%20HTTP/1.1%0D%0A%0D%0A%7F HTTP/1.0\r\n\r\n"
    );
}

/// Sends the pieces and gives back what stands on the wire, or the fault.
fn upload(body: BodyLength, pieces: &[&'static str]) -> Result<Vec<u8>, Fault> {
    let mut machine = begun(&request(Method::POST, &[], body));
    let mut out = VecDeque::new();
    let sent = pieces
        .iter()
        .try_for_each(|piece| machine.send(Bytes::from_static(piece.as_bytes()), &mut out));
    let sent = sent.and_then(|()| machine.finish_send(&mut out));
    assert!(machine.is_sent() && !machine.wants_body());
    let reason = sent.is_err().then_some(CloseReason::Failed);
    assert_eq!(machine.close_reason(), reason);
    sent.map(|()| out.iter().flatten().copied().collect())
}

#[test]
fn uploads_are_framed() {
    // SPEC H5: a declared length is kept or the upload fails.
    let wire = |text: &str| Ok(text.as_bytes().to_vec());
    let fault = |offered| {
        let declared = 5;
        Err(Fault::UploadLength { declared, offered })
    };
    let long = "0123456789abcdefghijklmnopqrstuv";
    assert_eq!(long.len(), 0x20);
    assert_eq!(
        upload(BodyLength::Known(5), &["he", "", "llo"]),
        wire("hello")
    );
    assert_eq!(upload(BodyLength::Known(5), &["hell"]), fault(4));
    assert_eq!(upload(BodyLength::Known(5), &["hell", "oh"]), fault(6));
    assert_eq!(upload(BodyLength::Known(0), &[""]), wire(""));
    assert!(upload(BodyLength::Empty, &["x"]).is_err());
    assert_eq!(upload(BodyLength::Chunked, &[]), wire("0\r\n\r\n"));
    assert_eq!(
        upload(BodyLength::Chunked, &[long, "", "a"]),
        wire(&format!("20\r\n{long}\r\n1\r\na\r\n0\r\n\r\n"))
    );
}

#[test]
fn expect_continue() {
    // SPEC Q11: a 100 or the driver's patience starts the body, a 102 does not;
    // a final status instead of it means that the body is not wanted.
    let mut head = request(Method::PUT, &[], BodyLength::Known(1));
    head.expect_continue = true;

    let mut machine = begun(&head);
    feed(&mut machine, b"HTTP/1.1 102 x\r\n\r\n").unwrap();
    assert!(machine.awaits_continue() && !machine.wants_body() && !machine.is_sent());
    feed(&mut machine, b"HTTP/1.1 100 x\r\n\r\n").unwrap();
    assert!(!machine.awaits_continue() && machine.wants_body());

    let mut machine = begun(&head);
    machine.proceed();
    assert!(machine.wants_body());

    let mut machine = begun(&head);
    feed(&mut machine, b"HTTP/1.1 417 x\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(machine.is_sent() && machine.is_complete());
    assert_eq!(machine.close_reason(), Some(CloseReason::EarlyResponse));

    // There is nothing to hold back without a body.
    head.body = BodyLength::Empty;
    assert!(begun(&head).is_sent());
}

#[test]
fn a_reply_during_the_upload() {
    // SPEC B9: whether a reply is early depends on what has been handed over.
    const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let cases = [
        (BodyLength::Known(2), "ab", true),
        (BodyLength::Known(3), "ab", false),
        // Without the last chunk the peer still waits for more.
        (BodyLength::Chunked, "ab", false),
    ];
    for (body, sent, reusable) in cases {
        let mut machine = begun(&request(Method::POST, &[], body));
        let mut out = VecDeque::new();
        machine.send(Bytes::from(sent), &mut out).unwrap();
        feed(&mut machine, REPLY).unwrap();
        assert!(machine.is_sent() && machine.is_complete());
        assert_eq!(machine.is_reusable(0), reusable, "{body:?}");
        // Neither a piece still on its way nor the end of the upload reaches
        // the wire behind a stop.
        out.clear();
        if !reusable {
            assert_eq!(machine.send(Bytes::from("c"), &mut out), Ok(()));
        }
        assert_eq!(machine.finish_send(&mut out), Ok(()));
        assert!(out.is_empty());
    }
}

#[test]
fn body_bytes_are_not_copied() {
    let mut machine = asked(Get);
    let mut input = BytesMut::from(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".as_slice());
    let body_at = input.as_ptr().addr() + input.len() - 5;
    let mut events = Vec::new();
    drain(&mut events, || machine.receive(&mut input)).unwrap();
    let data = events.iter().find_map(|event| match event {
        Event::Data(data) => Some(data.as_ptr().addr()),
        _ => None,
    });
    assert_eq!(data, Some(body_at));
}

/// Mutates the table's inputs: nothing may panic or run for ever, and whole
/// and split runs must agree whether the reply was sound.
#[test]
fn mangled_replies_neither_panic_nor_hang() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    const SPICE: &[u8] = b"\r\n :;,0159aF\0\xff\t-x";
    for _ in 0..40 {
        for case in CASES.iter().filter(|case| !case.input.is_empty()) {
            let mut input = case.input.to_vec();
            for _ in 0..=random(3) {
                let at = random(input.len());
                match random(3) {
                    0 => input[at] = SPICE[random(SPICE.len())],
                    1 => input.insert(at, SPICE[random(SPICE.len())]),
                    _ => input.truncate(at.max(1)),
                }
            }
            let whole = run(case, [input.as_slice()]);
            let bytes = run(case, input.chunks(1));
            // The rest that a fault leaves behind depends on what had come.
            let told = |story: &str| story.split("; left").next().map(str::to_owned);
            assert_eq!(told(&whole), told(&bytes), "{}", input.escape_ascii());
        }
    }
}
