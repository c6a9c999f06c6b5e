//! Bodies in pieces, and bodies that are still being made.

use super::*;

#[test]
fn an_upload_gives_its_pieces_in_order_and_no_empty_one() {
    let large = "x".repeat(5000);
    let pieces = ["", "ab", &large, "", "cdefg", "h", &large, &large, "i", ""];
    let pieces = pieces.map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
    let expected = pieces.concat();
    let whole = Pieces::of(pieces.into_iter());
    for most in [1, 2, 3, 6000] {
        let mut upload = whole.clone();
        let mut all = Vec::new();
        while !upload.is_empty() {
            assert_eq!(upload.len(), (expected.len() - all.len()) as u64);
            let piece = upload.take(most);
            assert!((1..=most).contains(&piece.len()));
            all.extend_from_slice(&piece);
        }
        assert_eq!(all, expected);
        assert!(upload.take(most).is_empty());
    }
    // A place each would cost many times what is in them.
    let many = Pieces::of((0..200_000).map(|_| Bytes::from_static(b"x")));
    assert_eq!((many.len(), many.rest().len()), (200_000, 3));
    assert!(Pieces::of(std::iter::empty()).is_empty());
}

#[test]
fn a_feed_is_begun_when_it_is_asked_for_and_not_before() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::handoff::feed::feed;

    let (mut writer, reader) = feed(10);
    let begun = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&begun);
    let mut upload = Upload::later(Box::new(move || {
        noted.store(true, Ordering::SeqCst);
        reader
    }));
    assert!(upload.is_feed() && !begun.load(Ordering::SeqCst));
    assert!(matches!(upload.take(5), Taken::Later));
    assert!(begun.load(Ordering::SeqCst));
    writer.push(Bytes::from_static(b"abc")).unwrap();
    assert!(matches!(upload.take(2), Taken::Data(data) if data == "ab"));
    drop(writer);
    assert!(matches!(upload.take(2), Taken::Data(data) if data == "c"));
    assert!(
        matches!(upload.take(2), Taken::Failed(error) if error.kind() == crate::error::Kind::Io)
    );
}
