//! What the environment says of proxies, to a session that trusts it and to one
//! that does not. Each looks at a child of this program, with an environment of
//! its own.

use std::env;
use std::process::Command;

#[cfg(unix)]
use miohttp::Connector;
use miohttp::{NoProxy, Proxy, Session, SessionBuilder};

use super::{basic, gate, named};
use crate::support::{Peer, ok};

/// Says to the child what it is to do, and to the test below that it is one.
const TASK: &str = "MIOHTTP_TEST_TASK";

/// What a child prints of the response, or of the error.
fn child(task: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "environment::of_a_child", "--nocapture"]);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.to_ascii_lowercase().ends_with("_proxy") || name == "REQUEST_METHOD" {
            command.env_remove(&*name);
        }
    }
    // So that no netrc file has a say.
    command.env("NETRC", "/nonexistent").env(TASK, task);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once("child: "));
    match line {
        Some((_, line)) => line.to_owned(),
        None => panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// No test but what [`child`] runs.
#[test]
fn of_a_child() {
    let Ok(task) = env::var(TASK) else {
        return;
    };
    let (task, rest) = task.split_once(' ').expect("what and where");
    let (url, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let builder = Session::builder();
    let session = match task {
        "plain" => builder,
        "trusting" => builder.trust_env(true),
        "explicit" => builder.trust_env(true).proxy(Proxy::all(more).unwrap()),
        "direct" => builder.no_proxy().trust_env(true),
        "listed" => {
            let list = NoProxy::parse(more).unwrap();
            builder.proxy(Proxy::from_env().no_proxy(list))
        }
        #[cfg(unix)]
        "unix" => claiming(builder.trust_env(true)).connector(Connector::unix(more)),
        "claiming" => claiming(builder.trust_env(true)),
        "claiming-plainly" => claiming(builder),
        other => panic!("{other}"),
    };
    match session.build().get(url).send() {
        Ok(answer) => println!("child: {}", answer.text().unwrap()),
        Err(error) => println!("child: {:?} {error:#}", error.kind()),
    }
}

/// With credentials that are meant for a proxy.
fn claiming(builder: SessionBuilder) -> SessionBuilder {
    builder.default_header("proxy-authorization", "Own hunter2")
}

#[test]
fn a_session_that_trusts_the_environment_goes_by_its_proxies() {
    // SPEC S15, X6
    let gate = gate();
    let origin = Peer::serve(|request| ok(request.line()));
    let url = origin.url("/x");
    let (direct, proxied) = ("GET /x".to_owned(), format!("GET {url}"));
    let named = named(&gate);
    let trusting = format!("trusting {url}");
    for (name, other, want) in [
        ("http_proxy", "", &proxied),
        ("HTTP_PROXY", "", &proxied),
        ("all_proxy", "", &proxied),
        ("ALL_PROXY", "", &proxied),
        ("https_proxy", "", &direct),
        ("HTTP_PROXY", "REQUEST_METHOD", &direct),
        ("http_proxy", "REQUEST_METHOD", &proxied),
    ] {
        let mut variables = vec![(name, named.as_str())];
        if !other.is_empty() {
            variables.push((other, "GET"));
        }
        assert_eq!(child(&trusting, &variables), *want, "{name} {other}");
        // One that does not, does not.
        assert_eq!(child(&format!("plain {url}"), &variables), direct);
    }
    let login = named.replace("http://", "http://f%61ke:se%3Acret@");
    assert_eq!(child(&trusting, &[("http_proxy", &login)]), proxied);
    let field = gate.requests().pop().unwrap();
    let field = field.header("proxy-authorization").map(str::to_owned);
    assert_eq!(field, Some(basic("fake", "se:cret")));
    assert_eq!(child(&trusting, &[]), direct);
}

#[test]
fn its_list_of_hosts_is_heeded() {
    // SPEC S15, X7
    let gate = gate();
    let origin = Peer::serve(|request| ok(request.line()));
    let url = origin.url("/x");
    let (direct, proxied) = ("GET /x".to_owned(), format!("GET {url}"));
    let named = named(&gate);
    let ask = |task: &str, list: &str| {
        let variables = [("http_proxy", named.as_str()), ("NO_PROXY", list)];
        child(task, &variables)
    };
    assert_eq!(ask(&format!("trusting {url}"), "127.0.0.1"), direct);
    assert_eq!(ask(&format!("trusting {url}"), "127.0.0.0/8"), direct);
    assert_eq!(ask(&format!("trusting {url}"), "*"), direct);
    assert_eq!(ask(&format!("trusting {url}"), "localhost"), proxied);
    // A list of the program's goes in its place, an empty one too.
    assert_eq!(ask(&format!("listed {url} 127.0.0.1"), "a.test"), direct);
    assert_eq!(ask(&format!("listed {url} a.test"), "127.0.0.1"), proxied);
    assert_eq!(ask(&format!("listed {url} "), "127.0.0.1"), proxied);
    // A host of the list is reached without a look at what the proxy is.
    let variables = [
        ("http_proxy", "http://proxy.invalid:1"),
        ("no_proxy", "127.0.0.1"),
    ];
    assert_eq!(child(&format!("trusting {url}"), &variables), direct);
}

#[test]
fn what_the_program_says_goes_first() {
    // SPEC S15, X8
    let (gate, other) = (gate(), gate());
    let origin = Peer::serve(|request| ok(request.line()));
    let url = origin.url("/x");
    let named = named(&gate);
    let explicit = format!("explicit {url} http://{}", other.address());
    // The environment's list is for the environment's proxies.
    let variables = [("http_proxy", named.as_str()), ("no_proxy", "127.0.0.1")];
    assert_eq!(child(&explicit, &variables), format!("GET {url}"));
    assert_eq!(child(&format!("direct {url}"), &variables[..1]), "GET /x");
    assert_eq!((gate.request_count(), other.request_count()), (0, 1));
}

#[test]
fn a_value_that_is_no_proxy_is_named_and_not_shown() {
    // SPEC S15, X5, X6
    let origin = Peer::serve(|request| ok(request.line()));
    let url = origin.url("/x");
    let value = "ftp://user:hunter2@127.0.0.1:1";
    let said = child(&format!("trusting {url}"), &[("HTTP_PROXY", value)]);
    assert!(
        said.starts_with("InvalidUrl ") && said.contains("HTTP_PROXY"),
        "{said}"
    );
    assert!(
        !said.contains("hunter2") && !said.contains("user"),
        "{said}"
    );
    // It is for http alone, and so others are not harmed.
    let said = child(&format!("trusting {url}"), &[("HTTPS_PROXY", value)]);
    assert_eq!(said, "GET /x");
}

#[test]
fn credentials_for_a_proxy_are_no_origins_whatever_the_environment_says() {
    // SPEC S15, X5
    let gate = gate();
    let origin = Peer::serve(|request| ok(request.line()));
    let url = origin.url("/x");
    let named = named(&gate);
    let seen = |peer: &Peer| {
        let request = peer.requests().pop().expect("a request");
        request.header("proxy-authorization").map(str::to_owned)
    };
    let environments: &[&[(&str, &str)]] = &[
        &[],
        &[("http_proxy", "")],
        &[("https_proxy", &named)],
        &[("no_proxy", "*")],
        &[("http_proxy", &named), ("no_proxy", "127.0.0.1")],
    ];
    for variables in environments {
        let said = child(&format!("claiming {url}"), variables);
        assert_eq!(said, "GET /x", "{variables:?}");
        assert_eq!(seen(&origin), None, "{variables:?}");
    }
    let said = child(&format!("claiming {url}"), &[("http_proxy", &named)]);
    assert_eq!(said, format!("GET {url}"));
    assert_eq!(seen(&gate).as_deref(), Some("Own hunter2"));
    // Where nobody speaks of proxies it is a header as any other.
    let said = child(&format!("claiming-plainly {url}"), &[]);
    assert_eq!(said, "GET /x");
    assert_eq!(seen(&origin).as_deref(), Some("Own hunter2"));
}

#[cfg(unix)]
#[test]
fn what_goes_to_a_unix_socket_goes_there() {
    // SPEC S15, U1
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    let path = env::temp_dir().join(format!("miohttp-env-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(&ok("unix")).unwrap();
        String::from_utf8(head).unwrap()
    });
    let gate = gate();
    let task = format!("unix http://docker/version {}", path.display());
    let said = child(&task, &[("http_proxy", &named(&gate))]);
    assert_eq!(said, "unix");
    let head = server.join().unwrap();
    assert!(head.starts_with("GET /version HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains("hunter2"), "{head}");
    std::fs::remove_file(path).unwrap();
}
