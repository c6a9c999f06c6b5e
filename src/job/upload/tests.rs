//! Uploads in pieces.

use super::*;

#[test]
fn an_upload_gives_its_pieces_in_order_and_no_empty_one() {
    let large = "x".repeat(5000);
    let pieces = ["", "ab", &large, "", "cdefg", "h", &large, &large, "i", ""];
    let pieces = pieces.map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
    let expected = pieces.concat();
    let whole = Upload::of_pieces(pieces.into_iter());
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
    let many = Upload::of_pieces((0..200_000).map(|_| Bytes::from_static(b"x")));
    assert_eq!((many.len(), many.rest().len()), (200_000, 3));
    assert!(Upload::of_pieces(std::iter::empty()).is_empty());
}
