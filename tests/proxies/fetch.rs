//! The example `fetch`, and how it is told of proxies.

use std::process::Output;

use super::{basic, gate, named};
use crate::support::fetch::fetch;
use crate::support::{Peer, ok};

/// Runs it, with these variables as the only ones that say something of proxies.
fn run(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = fetch();
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command
            .env_remove(name)
            .env_remove(name.to_ascii_uppercase());
    }
    command.env_remove("REQUEST_METHOD").args(args);
    command.envs(variables.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn fetch_goes_through_the_proxy_it_is_told() {
    // SPEC X1, X3, X6, X7, X8
    let (gate, other) = (gate(), gate());
    let origin = Peer::serve(|request| ok(request.line()));
    let url = origin.url("/x");
    let proxied = format!("GET {url}");
    let with_login = format!("user:secret@{}", gate.address());
    assert_eq!(said(&run(&["-x", &with_login, &url], &[])), proxied);
    let field = gate.requests()[0]
        .header("proxy-authorization")
        .map(str::to_owned);
    assert_eq!(field, Some(basic("user", "secret")));
    // The environment, and what goes before it.
    let (name, list) = (named(&other), "127.0.0.1");
    let env = [("http_proxy", &*name), ("no_proxy", "")];
    assert_eq!(said(&run(&[&url], &env)), proxied);
    assert_eq!(other.request_count(), 1);
    assert_eq!(said(&run(&["-x", &named(&gate), &url], &env)), proxied);
    assert_eq!(other.request_count(), 1);
    assert_eq!(said(&run(&["-x", "", &url], &env)), "GET /x");
    assert_eq!(said(&run(&["--noproxy", list, &url], &env)), "GET /x");
    assert_eq!(
        said(&run(&["--noproxy", "*", "-x", &name, &url], &[])),
        "GET /x"
    );
    let env = [("http_proxy", &*name), ("no_proxy", list)];
    assert_eq!(said(&run(&[&url], &env)), "GET /x");
    assert_eq!(said(&run(&["--noproxy", "a.test", &url], &env)), proxied);
}

#[test]
fn fetch_says_what_is_wrong_with_a_proxy_and_not_its_password() {
    // SPEC E1, X4, X5
    let nobody = format!("http://user:hunter2@{}", crate::support::refusing_address());
    for (args, status) in [
        (["-x", nobody.as_str()], 7),
        (["-x", "ftp://user:hunter2@p.test"], 3),
        (["-x", "http://user:hunt#er2@p.test"], 3),
        (["--noproxy", "10.0.0.0/99"], 2),
    ] {
        let output = run(&[args[0], args[1], "-v", "http://127.0.0.1:9/"], &[]);
        assert_eq!(output.status.code(), Some(status), "{args:?}");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            !complaint.contains("hunt") && !complaint.is_empty(),
            "{complaint}"
        );
    }
}
