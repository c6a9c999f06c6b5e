//! Percent-encoding in `Location`: in one form, or as it is written.

use miohttp::{Connector, RequestBuilder, Session};

use crate::support::{Peer, ok};
use crate::to;

/// Leads from `/from` over the first target to the relative second one, and
/// then shows what was asked for.
fn peer(first: &'static str, second: &'static str) -> Peer {
    Peer::serve(move |request| match request.target.as_str() {
        "/from" => to("302 Found", first),
        target if target.ends_with("?once") => to("302 Found", second),
        target => ok(target),
    })
}

#[test]
fn the_encoding_of_a_target_is_normalised_unless_it_is_to_be_kept() {
    // SPEC S32
    let peer = peer("/%7e/%c3'|/x?once", "%2d?%41%2f\"100%");
    let [plain, verbatim] = ["/~/%C3'|/-?A%2F%22100%25", "/%7e/%c3'|/%2d?%41%2f\"100%"];
    for drives in [true, false] {
        let connector = Connector::builder().caller_drives(drives).build();
        let of = |requote| {
            let builder = Session::builder().connector(connector.clone());
            builder.requote_redirect_url(requote).build()
        };
        let by_default = Session::builder().connector(connector.clone()).build();
        let get = |session: &Session| session.get(peer.url("/from"));
        let asked = |request: RequestBuilder| {
            let response = request.send().unwrap();
            assert_eq!(response.url().path(), "/~/%C3'|/-");
            response.text().unwrap()
        };
        assert_eq!(asked(get(&by_default)), plain);
        assert_eq!(asked(get(&of(true))), plain);
        assert_eq!(asked(get(&of(true)).requote_redirect_url(true)), plain);
        for request in [get(&of(false)), get(&of(true)).requote_redirect_url(false)] {
            let response = request.send().unwrap();
            assert_eq!(response.url().path(), "/%7e/%c3'|/%2d");
            assert_eq!(response.text().unwrap(), verbatim);
        }
    }
}

#[test]
fn a_space_in_a_query_is_that_of_a_form() {
    // SPEC S32
    let peer = peer("/a b?once", "?name=d a niel#f g");
    let response = Session::new().get(peer.url("/from")).send().unwrap();
    assert_eq!(response.text().unwrap(), "/a%20b?name=d+a+niel");
}

#[test]
fn nothing_that_ends_a_request_line_is_sent_as_it_is_written() {
    // SPEC S32, H9
    let peer = peer("/a b\tc\u{fc}?once", "?d e\u{e9}#f g");
    let session = Session::builder().requote_redirect_url(false).build();
    let response = session.get(peer.url("/from")).send().unwrap();
    assert_eq!(response.text().unwrap(), "/a%20b%09c%C3%BC?d%20e%C3%A9");
}
