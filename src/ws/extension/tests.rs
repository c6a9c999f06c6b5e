use super::{Agreed, Offer, agree};

/// Offers with every parameter, for answers that have to fit.
const SMALL: Offer = Offer {
    client_max_window_bits: 12,
    server_max_window_bits: 10,
    client_no_context_takeover: false,
    server_no_context_takeover: false,
};
const FRESH: Offer = Offer {
    client_max_window_bits: 15,
    server_max_window_bits: 15,
    client_no_context_takeover: true,
    server_no_context_takeover: true,
};

const ALL: Agreed = Agreed {
    client_bits: 15,
    server_bits: 15,
    client_takeover: true,
    server_takeover: true,
};

fn answer(offer: &Offer, value: &str) -> Result<Option<Agreed>, String> {
    agree(Some(offer), [value.as_bytes()])
}

#[test]
fn an_offer_names_what_is_not_the_default() {
    // SPEC W7
    assert_eq!(
        Offer::default().header(),
        "permessage-deflate; client_max_window_bits"
    );
    assert_eq!(
        SMALL.header(),
        "permessage-deflate; client_max_window_bits=12; server_max_window_bits=10"
    );
    assert_eq!(
        FRESH.header(),
        "permessage-deflate; client_max_window_bits; client_no_context_takeover; \
         server_no_context_takeover"
    );
}

#[test]
fn without_an_answer_nothing_is_compressed() {
    // SPEC W7
    for values in [&[][..], &["".as_bytes()], &[b" , ,"]] {
        assert_eq!(
            agree(Some(&Offer::default()), values.iter().copied()),
            Ok(None)
        );
        assert_eq!(agree(None, values.iter().copied()), Ok(None));
    }
}

#[test]
fn answers_that_can_be_used() {
    // SPEC W7
    let any = Offer::default();
    let table: &[(&Offer, &str, Agreed)] = &[
        (&any, "permessage-deflate", ALL),
        (&any, " , permessage-deflate ,", ALL),
        (
            &any,
            "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",
            ALL,
        ),
        (
            &any,
            "permessage-deflate;server_max_window_bits=9;client_max_window_bits=10",
            Agreed {
                client_bits: 10,
                server_bits: 9,
                ..ALL
            },
        ),
        (
            &any,
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
            Agreed {
                client_bits: 8,
                server_bits: 8,
                ..ALL
            },
        ),
        (
            &any,
            "permessage-deflate\t; client_max_window_bits = \"1\\1\"",
            Agreed {
                client_bits: 11,
                ..ALL
            },
        ),
        // The server may say of itself, and ask of the client, what was not offered.
        (
            &any,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Agreed {
                client_takeover: false,
                server_takeover: false,
                ..ALL
            },
        ),
        (
            &SMALL,
            "permessage-deflate; server_max_window_bits=10",
            Agreed {
                client_bits: 12,
                server_bits: 10,
                ..ALL
            },
        ),
        (
            &SMALL,
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12",
            Agreed {
                client_bits: 12,
                server_bits: 9,
                ..ALL
            },
        ),
        // What this client said of itself holds without an answer.
        (
            &FRESH,
            "permessage-deflate; server_no_context_takeover",
            Agreed {
                client_takeover: false,
                server_takeover: false,
                ..ALL
            },
        ),
    ];
    for (offer, value, agreed) in table {
        assert_eq!(answer(offer, value), Ok(Some(*agreed)), "{value}");
    }
}

#[test]
fn an_answer_may_stand_in_any_of_several_fields() {
    let values = ["", "permessage-deflate; client_max_window_bits=9", ","];
    let agreed = agree(
        Some(&Offer::default()),
        values.iter().map(|value| value.as_bytes()),
    );
    let expected = Agreed {
        client_bits: 9,
        ..ALL
    };
    assert_eq!(agreed, Ok(Some(expected)));
}

#[test]
fn answers_that_cannot_be_used() {
    // SPEC W7, W9
    let any = Offer::default();
    let table: &[(&Offer, &str, &str)] = &[
        (&any, "x-webkit-deflate-frame", "was not offered"),
        (&any, "permessage-deflate, mux", "was not offered"),
        (&any, "PERMESSAGE-DEFLATE", "was not offered"),
        (&any, "permessage-deflate, permessage-deflate", "twice"),
        (&any, "permessage-deflate; mux", "no parameter"),
        (
            &any,
            "permessage-deflate; server_max_window_bits",
            "no value",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits",
            "no value",
        ),
        (
            &any,
            "permessage-deflate; server_max_window_bits=7",
            "8 to 15",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=16",
            "8 to 15",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=09",
            "8 to 15",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=+9",
            "8 to 15",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=100000000000000000010",
            "8 to 15",
        ),
        (
            &any,
            "permessage-deflate; server_no_context_takeover=1",
            "has a value",
        ),
        (
            &any,
            "permessage-deflate; client_no_context_takeover=\"true\"",
            "has a value",
        ),
        (
            &any,
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "twice",
        ),
        (
            &any,
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "twice",
        ),
        (
            &any,
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            "twice",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=10; client_max_window_bits=11",
            "twice",
        ),
        (
            &SMALL,
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=13",
            "more than the 12 offered",
        ),
        (
            &SMALL,
            "permessage-deflate; server_max_window_bits=11",
            "more than the 10 offered",
        ),
        (&SMALL, "permessage-deflate", "does not confirm server_max"),
        (
            &FRESH,
            "permessage-deflate; client_no_context_takeover",
            "does not confirm server_no",
        ),
        (&any, "permessage-deflate;", "end within"),
        (&any, "permessage-deflate; client_max_window_bits=", "end"),
        (
            &any,
            "permessage-deflate; client_max_window_bits=\"",
            "end within",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=\"\"",
            "cannot be read",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=\"9",
            "cannot be read",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=\"9\\",
            "cannot be read",
        ),
        (
            &any,
            "permessage-deflate; client_max_window_bits=\"1 0\"",
            "cannot be read",
        ),
        (&any, "permessage-deflate mux", "cannot be read"),
        (&any, "permessage-deflate; =9", "cannot be read"),
        (&any, "; client_max_window_bits=9", "cannot be read"),
        (&any, "permessage-d\u{e9}flate", "not ASCII"),
    ];
    for (offer, value, part) in table {
        let error = answer(offer, value).expect_err(value);
        assert!(error.contains(part), "{value}: {error}");
    }
    let twice = ["permessage-deflate"; 2].map(str::as_bytes);
    assert!(agree(Some(&any), twice).is_err());
    assert!(agree(Some(&any), [&b"\xff"[..]]).is_err());
}

#[test]
fn no_extension_fits_where_none_was_offered() {
    // SPEC W9
    let error = agree(None, [&b"permessage-deflate"[..]]).expect_err("none was offered");
    assert!(error.contains("not offered"), "{error}");
}

#[test]
fn a_long_value_does_not_fill_the_error() {
    let value = "x".repeat(10_000);
    let error = answer(&Offer::default(), &value).expect_err("not offered");
    assert!(error.len() < 200, "{error}");
}

#[test]
fn what_is_agreed_makes_the_coders() {
    // SPEC W7
    let agreed = Agreed {
        client_bits: 8,
        ..ALL
    };
    assert!(agreed.deflater(6).is_none());
    let agreed = Agreed {
        client_bits: 9,
        ..ALL
    };
    assert!(agreed.deflater(6).is_some());
}
