//! What servers send, and what the machine must make of it.

/// The requests that replies in the table answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ask {
    Get,
    Head,
    Connect,
    WebSocket,
    /// A POST of 5 bytes, none of which is sent yet.
    Post,
    /// SPEC Q12: `read_until_eof(false)`.
    NoEof,
    /// Limits small enough to be passed in a line.
    Tight,
    /// SPEC R38: strict mode.
    Strict,
    /// SPEC R33: the ends of chunks are told.
    Marked,
}
use Ask::{Connect, Get, Head, Marked, NoEof, Post, Strict, Tight, WebSocket};

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) ask: Ask,
    pub(super) input: &'static [u8],
    /// Whether the peer closes behind the input.
    pub(super) eof: bool,
    /// Events, a fault if there is one, `close REASON`, `left BYTES`.
    pub(super) story: &'static str,
}

const fn case(
    name: &'static str,
    ask: Ask,
    input: &'static [u8],
    eof: bool,
    story: &'static str,
) -> Case {
    Case {
        name,
        ask,
        input,
        eof,
        story,
    }
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Ends of chunks (SPEC R33).
    case("marked, chunks", Marked, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=y\r\nyou\r\n0\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; data hi; mark; data you; mark; end"),
    case("marked, cut short", Marked, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\nyo", true, "head 200 [OK] transfer-encoding=chunked; data hi; mark; data yo; ShortBody { expected: None, got: 4 }; close Failed"),
    case("marked, length", Marked, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, "head 200 [OK] content-length=2; data hi; end"),
    // Strict mode (SPEC R38).
    case("strict, sound", Strict, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, "head 200 [OK] content-length=2; data hi; end"),
    case("strict, chunks", Strict, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; data hi; end"),
    case("strict, length beside chunks", Strict, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", false, "BadFraming(Doubtful); close Failed"),
    case("strict, chunked twice", Strict, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", false, "BadFraming(Doubtful); close Failed"),
    case("strict, identity", Strict, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", false, "BadFraming(Doubtful); close Failed"),
    case("strict, chunks in 1.0", Strict, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "BadFraming(Doubtful); close Http10"),
    case("strict, unknown coding", Strict, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, "BadFraming(UnsupportedCoding(\"gzip\")); close Failed"),
    case("strict, bare LF", Strict, b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", false, "BadHead(LineEnd); close Failed"),
    case("strict, bare LF behind a field", Strict, b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", false, "BadHead(LineEnd); close Failed"),
    case("strict, bare LF at the end", Strict, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", false, "BadHead(LineEnd); close Failed"),
    case("strict, folded", Strict, b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", false, "BadHead(Folded); close Failed"),
    case("strict, space before colon", Strict, b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", false, "BadHead(FieldName); close Failed"),
    case("strict, empty line first", Strict, b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "NotHttp; close Failed"),
    case("strict, space in a trailer's name", Strict, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Trailer); close Failed"),
    case("strict, folded trailer", Strict, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n 2\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Trailer); close Failed"),
    case("strict, no body to HEAD", Strict, b"HTTP/1.1 204 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", false, "head 204 [OK] content-length=2 transfer-encoding=chunked; end"),
    // Framing by length and by status (SPEC R38, RFC 9112 §6.3).
    case("length", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "head 200 [OK] content-length=5; data hello; end"),
    case("length zero", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "head 200 [OK] content-length=0; end"),
    case("length twice the same", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2, 02\r\n\r\nhi", false, "head 200 [OK] content-length=2 content-length=2, 02; data hi; end"),
    case("lengths differ", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", false, "BadFraming(ConflictingLengths); close Failed; left hi"),
    case("lengths differ in a list", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 2,3\r\n\r\n", false, "BadFraming(ConflictingLengths); close Failed"),
    case("length with sign", Get, b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n", false, "BadFraming(InvalidLength); close Failed"),
    case("length negative", Get, b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", false, "BadFraming(InvalidLength); close Failed"),
    case("length with letters", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 2a\r\n\r\n", false, "BadFraming(InvalidLength); close Failed"),
    case("length empty", Get, b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", false, "BadFraming(InvalidLength); close Failed"),
    case("length list with a hole", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 2,,2\r\n\r\n", false, "BadFraming(InvalidLength); close Failed"),
    case("length largest", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx", true, "head 200 [OK] content-length=18446744073709551615; data x; ShortBody { expected: Some(18446744073709551615), got: 1 }; close Failed"),
    case("length overflow", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", false, "BadFraming(InvalidLength); close Failed"),
    case("length, spaces around", Get, b"HTTP/1.1 200 OK\r\nContent-Length: \t2 \t\r\n\r\nhi", false, "head 200 [OK] content-length=2; data hi; end"),
    case("HEAD has no body", Head, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "head 200 [OK] content-length=5; end"),
    case("HEAD with broken framing", Head, b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: gzip\r\n\r\n", false, "head 200 [OK] content-length=x transfer-encoding=gzip; end"),
    case("204", Get, b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, "head 204 [No Content] transfer-encoding=chunked; end"),
    case("304", Get, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, "head 304 [Not Modified] content-length=9; end"),
    case("surplus", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", false, "head 200 [OK] content-length=1; data a; end; close SurplusBytes; left b"),
    case("short", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true, "head 200 [OK] content-length=5; data hel; ShortBody { expected: Some(5), got: 3 }; close Failed"),
    case("until close", Get, b"HTTP/1.1 200 OK\r\n\r\nhello", true, "head 200 [OK]; data hello; end; close CloseDelimited"),
    case("until close, nothing", Get, b"HTTP/1.1 200 OK\r\n\r\n", true, "head 200 [OK]; end; close CloseDelimited"),
    case("until close, still open", Get, b"HTTP/1.1 200 OK\r\n\r\nhello", false, "head 200 [OK]; data hello; close CloseDelimited"),
    case("Q12 no body", NoEof, b"HTTP/1.1 200 OK\r\n\r\n", false, "head 200 [OK]; end; close CloseDelimited"),
    case("Q12 length counts", NoEof, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", false, "head 200 [OK] content-length=1; data a; end"),
    // Chunked.
    case("chunked", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; data hello world; end"),
    case("chunked, any case and hex", Get, b"HTTP/1.1 200 OK\r\ntransfer-ENCODING: Chunked\r\n\r\nA\r\n0123456789\r\n00b\r\n0123456789a\r\n0\r\n\r\n", false, "head 200 [OK] transfer-encoding=Chunked; data 01234567890123456789a; end"),
    case("chunked beats length", Get, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false, "head 200 [OK] content-length=3 transfer-encoding=chunked; data a; end; close LengthBesideChunked"),
    case("chunked twice", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked, chunked; end; close DoubtfulFraming"),
    case("identity is nothing", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na", false, "head 200 [OK] transfer-encoding=identity content-length=1; data a; end; close DoubtfulFraming"),
    case("gzip, chunked", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", false, "BadFraming(UnsupportedCoding(\"gzip\")); close Failed"),
    case("chunked, x", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", false, "BadFraming(UnsupportedCoding(\"x\")); close Failed"),
    case("chunked in HTTP/1.0", Get, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nab\r\n0\r\n\r\n", false, "head 200 [OK] connection=keep-alive transfer-encoding=chunked content-length=1; data ab; end; close DoubtfulFraming"),
    case("chunk extensions", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"b;c\"\r\nx\r\n2 \t;q\r\nyz\r\n0;end\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; data xyz; end"),
    case("chunk size padded", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1   \r\nx\r\n0\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; data x; end"),
    case("chunk size in two words", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 1\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Size); close Failed"),
    case("chunk size missing", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Size); close Failed"),
    case("chunk size signed", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Size); close Failed"),
    case("chunk size 0x", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Size); close Failed"),
    case("chunk size of 16 digits", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab", true, "head 200 [OK] transfer-encoding=chunked; data ab; ShortBody { expected: None, got: 2 }; close Failed"),
    case("chunk size of 17 digits", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(SizeOverflow); close Failed"),
    case("bare LF behind size", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(LineEnd); close Failed"),
    case("bare LF in extension", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nx\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(LineEnd); close Failed"),
    case("bare CR in extension", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(LineEnd); close Failed"),
    case("bare LF behind data", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; data x; BadChunk(LineEnd); close Failed"),
    case("chunk longer than its size", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", false, "head 200 [OK] transfer-encoding=chunked; data x; BadChunk(LineEnd); close Failed"),
    case("no last chunk", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", true, "head 200 [OK] transfer-encoding=chunked; data x; ShortBody { expected: None, got: 1 }; close Failed"),
    case("last chunk cut", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", true, "head 200 [OK] transfer-encoding=chunked; ShortBody { expected: None, got: 0 }; close Failed"),
    // Trailers.
    case("trailers", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nx-b : 2 \r\n 3\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; trailers x-a=1 x-b=2    3; end"),
    case("forbidden trailers", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\nHost: h\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; end"),
    case("trailer with bare LF", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(LineEnd); close Failed; left X-A: 1\\n\\r\\n"),
    case("trailer without colon", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Trailer); close Failed"),
    case("trailer with NUL", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: h\0i\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Trailer); close Failed"),
    case("trailer begins folded", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n X-A: 1\r\n\r\n", false, "head 200 [OK] transfer-encoding=chunked; BadChunk(Trailer); close Failed"),
    // Head syntax (SPEC R38, RFC 9112 §2.2, §5).
    case("bare LF", Get, b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", false, "head 200 [OK] content-length=1; data a; end"),
    case("stray CRLF once", Get, b"\r\nHTTP/1.1 204 x\r\n\r\n", false, "head 204 [x]; end"),
    case("stray CRLF twice", Get, b"\r\n\r\nHTTP/1.1 204 x\r\n\r\n", false, "NotHttp; close Failed"),
    case("no reason", Get, b"HTTP/1.1 204\r\n\r\n", false, "head 204 []; end"),
    case("reason in Latin-1", Get, b"HTTP/1.1 204 d\xe9j\xe0 vu\r\nA: \xe9\r\n\r\n", false, "head 204 [d\\xe9j\\xe0 vu] a=\\xe9; end"),
    case("status 999", Get, b"HTTP/1.1 999 odd\r\nContent-Length: 0\r\n\r\n", false, "head 999 [odd] content-length=0; end"),
    case("status of two digits", Get, b"HTTP/1.1 20 OK\r\n\r\n", false, "BadHead(StatusLine); close Failed"),
    case("status 099", Get, b"HTTP/1.1 099 OK\r\n\r\n", false, "BadHead(StatusLine); close Failed"),
    case("status negative", Get, b"HTTP/1.1 -12 OK\r\n\r\n", false, "BadHead(StatusLine); close Failed"),
    case("folded", Get, b"HTTP/1.1 204 x\r\nA: b\r\n c\r\n\td\r\nE: f\r\n\r\n", false, "head 204 [x] a=b   c  \\td e=f; end"),
    case("space before the first field", Get, b"HTTP/1.1 204 x\r\n Content-Length: 1\r\nA: b\r\n\r\n", false, "head 204 [x] a=b; end"),
    case("space before the colon", Get, b"HTTP/1.1 200 x\r\nContent-Length : 1\r\n\r\na", false, "head 200 [x] content-length=1; data a; end"),
    case("no colon", Get, b"HTTP/1.1 200 x\r\nA b\r\n\r\n", false, "BadHead(FieldName); close Failed"),
    case("no name", Get, b"HTTP/1.1 200 x\r\n: b\r\n\r\n", false, "BadHead(FieldName); close Failed"),
    case("NUL in a value", Get, b"HTTP/1.1 200 x\r\nA: b\0c\r\n\r\n", false, "BadHead(FieldValue); close Failed"),
    case("bare CR in a value", Get, b"HTTP/1.1 200 x\r\nA: b\rC: d\r\n\r\n", false, "BadHead(FieldValue); close Failed"),
    case("two CR", Get, b"HTTP/1.1 200 x\r\nA: b\r\r\n\r\n", false, "BadHead(FieldValue); close Failed"),
    case("not HTTP", Get, b"SSH-2.0-OpenSSH", false, "NotHttp; close Failed"),
    case("not HTTP from its first byte", Get, b"\x16", false, "NotHttp; close Failed"),
    case("HTTP/0.9", Get, b"<html>", false, "NotHttp; close Failed"),
    case("almost HTTP", Get, b"HTTQ/1.1 200 OK", false, "NotHttp; close Failed"),
    case("ICY", Get, b"ICY 200 OK\r\n", false, "NotHttp; close Failed"),
    case("HTTP/2", Get, b"HTTP/2 200\r\n\r\n", false, "BadVersion; close Failed"),
    case("HTTP/1.2", Get, b"HTTP/1.2 200 OK\r\n", false, "BadVersion; close Failed"),
    case("no reply", Get, b"", true, "Disconnected { partial: false }; close Failed"),
    case("half a head", Get, b"HTTP/1.1 200 OK\r\nA: b\r\n", true, "Disconnected { partial: true }; close Failed"),
    // Limits (SPEC S21); see also `limits_fall_at_the_byte_that_passes_them`.
    case("within limits", Tight, b"HTTP/1.1 204 1234567\r\nA: 3456789012345\r\nB: c\r\n\r\n", false, "head 204 [1234567] a=3456789012345 b=c; end"),
    case("line", Tight, b"HTTP/1.1 204 12345678", false, "HeadTooLarge { limit: Line, max: 20 }; close Failed"),
    case("field", Tight, b"HTTP/1.1 204 x\r\nA: 34567890123456", false, "HeadTooLarge { limit: Field, max: 16 }; close Failed"),
    case("field by folding", Tight, b"HTTP/1.1 204 x\r\nA: 34567890\r\n 34567", false, "HeadTooLarge { limit: Field, max: 16 }; close Failed"),
    case("fields", Tight, b"HTTP/1.1 204 x\r\nA: b\r\nA: b\r\nA", false, "HeadTooLarge { limit: Fields, max: 2 }; close Failed"),
    case("field, in a whole head", Tight, b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", false, "HeadTooLarge { limit: Field, max: 16 }; close Failed"),
    // Persistence (SPEC P2, RFC 9112 §9.3).
    case("close", Get, b"HTTP/1.1 204 x\r\nConnection: foo\r\nConnection: bar , CLOSE\r\n\r\n", false, "head 204 [x] connection=foo connection=bar , CLOSE; end; close PeerClosing"),
    case("close is a token", Get, b"HTTP/1.1 204 x\r\nConnection: closed, not-close\r\n\r\n", false, "head 204 [x] connection=closed, not-close; end"),
    case("HTTP/1.0", Get, b"HTTP/1.0 200 x\r\nContent-Length: 1\r\n\r\na", false, "head 200 [x] content-length=1; data a; end; close Http10"),
    case("HTTP/1.0 keep-alive", Get, b"HTTP/1.0 200 x\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", false, "head 200 [x] connection=Keep-Alive content-length=1; data a; end"),
    case("closed behind the reply", Get, b"HTTP/1.1 204 x\r\n\r\n", true, "head 204 [x]; end; close PeerClosing"),
    // Interim replies, upgrades, tunnels, early replies.
    case("interim", Get, b"HTTP/1.1 103 Early\r\nLink: a\r\nContent-Length: 3\r\n\r\nHTTP/1.1 102 P\r\nConnection: close\r\n\r\nHTTP/1.1 204 x\r\n\r\n", false, "info 103; info 102; head 204 [x]; end"),
    case("interim only", Get, b"HTTP/1.1 100 Continue\r\n\r\n", true, "info 100; Disconnected { partial: true }; close Failed"),
    case("101 unasked", Get, b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n", false, "BadHead(UnaskedUpgrade); close Failed"),
    case("101", WebSocket, b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\x81\x00", false, "head 101 [x] upgrade=websocket; upgrade; close Upgraded; left \\x81\\x00"),
    case("no 101", WebSocket, b"HTTP/1.1 400 x\r\nContent-Length: 1\r\n\r\na", false, "head 400 [x] content-length=1; data a; end"),
    case("tunnel", Connect, b"HTTP/1.1 200 x\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\n\r\n\x16\x03", false, "head 200 [x] content-length=9 transfer-encoding=gzip; upgrade; close Upgraded; left \\x16\\x03"),
    case("no tunnel", Connect, b"HTTP/1.1 407 x\r\nContent-Length: 1\r\n\r\na", false, "head 407 [x] content-length=1; data a; end"),
    case("early reply (SPEC B9)", Post, b"HTTP/1.1 413 x\r\nContent-Length: 1\r\n\r\na", false, "head 413 [x] content-length=1; data a; end; close EarlyResponse"),
    case("100 is not early", Post, b"HTTP/1.1 100 x\r\n\r\n", false, "info 100"),
];
