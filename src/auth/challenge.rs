//! Challenges as they stand in a header (RFC 9110 §11.2 to §11.6).
//!
//! One field may hold several challenges, and one list several fields:
//!
//! ```text
//! WWW-Authenticate: Basic realm="a", Digest realm="b, c", nonce="1", Negotiate YWJj==
//! ```
//!
//! A comma stands between challenges and between their parameters, so what
//! tells them apart is the `=`. Servers leave commas out, too; here white space
//! will do. What can be read either way is read; a challenge that is damaged is
//! kept and says so, for nobody knows what else it meant to say.

/// One challenge of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge<'a> {
    /// Its scheme, as it was spelled.
    pub(super) scheme: &'a [u8],
    pub(super) params: Params<'a>,
}

/// `name=value` in order, values without their quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Params<'a> {
    list: Vec<(&'a [u8], Vec<u8>)>,
    /// Something here is no parameter, or a quote is never closed.
    pub(super) is_damaged: bool,
}

impl Challenge<'_> {
    pub(super) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme.as_bytes())
    }
}

impl Params<'_> {
    /// The value of this parameter. A name may come once (RFC 9110 §11.2); of
    /// several the first one counts.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let mut list = self.list.iter();
        let (_, value) = list.find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value)
    }

    /// Whether this parameter says `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.value(name)
            .is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
    }
}

/// The challenges of one field.
pub(super) fn challenges(field: &[u8]) -> Vec<Challenge<'_>> {
    let mut reader = Reader(field);
    let mut all: Vec<Challenge<'_>> = Vec::new();
    loop {
        reader.skip_separators();
        if reader.0.is_empty() {
            return all;
        }
        let word = reader.token();
        if word.is_empty() {
            // No token begins here: what stands between is not understood.
            reader.skip_to_separator();
            if let Some(challenge) = all.last_mut() {
                challenge.params.is_damaged = true;
            }
            continue;
        }
        match (reader.value(), all.last_mut()) {
            (Value::None, _) => {
                all.push(Challenge {
                    scheme: word,
                    params: Params::default(),
                });
                reader.skip_token68();
            }
            (Value::Read(value), Some(challenge)) => challenge.params.list.push((word, value)),
            (Value::Damaged, Some(challenge)) => challenge.params.is_damaged = true,
            // A parameter before any scheme belongs to nobody.
            (Value::Read(_) | Value::Damaged, None) => {}
        }
    }
}

/// A list of parameters with no scheme before it, as `Authentication-Info` has.
pub(super) fn params(field: &[u8]) -> Params<'_> {
    let mut reader = Reader(field);
    let mut params = Params::default();
    loop {
        reader.skip_separators();
        if reader.0.is_empty() {
            return params;
        }
        let word = reader.token();
        match reader.value() {
            Value::Read(value) if !word.is_empty() => params.list.push((word, value)),
            _ => {
                params.is_damaged = true;
                reader.skip_to_separator();
            }
        }
    }
}

/// What stands behind a name.
enum Value {
    /// No `=`: the name is a scheme's.
    None,
    Read(Vec<u8>),
    /// A quote that is never closed.
    Damaged,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn skip_separators(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
    }

    fn skip_to_separator(&mut self) {
        self.skip(|byte| !matches!(byte, b' ' | b'\t' | b','));
    }

    fn token(&mut self) -> &'a [u8] {
        self.skip(is_token)
    }

    /// `= value`, with white space around the sign (RFC 9110's BWS).
    fn value(&mut self) -> Value {
        let mut ahead = Self(self.0);
        ahead.skip(is_blank);
        let Some(rest) = ahead.0.strip_prefix(b"=") else {
            return Value::None;
        };
        ahead.0 = rest;
        ahead.skip(is_blank);
        *self = ahead;
        match self.0.strip_prefix(b"\"") {
            Some(rest) => {
                self.0 = rest;
                self.quoted()
            }
            // More than a token's characters: base64 comes bare, too.
            None => Value::Read(self.skip(|b| !is_blank(b) && b != b',').to_vec()),
        }
    }

    /// Up to the closing quote, `\` taken off what it stands before.
    fn quoted(&mut self) -> Value {
        let mut value = Vec::new();
        loop {
            let (byte, rest) = match self.0 {
                [b'"', rest @ ..] => {
                    self.0 = rest;
                    return Value::Read(value);
                }
                [b'\\', byte, rest @ ..] => (byte, rest),
                [] | [b'\\'] => {
                    self.0 = &[];
                    return Value::Damaged;
                }
                [byte, rest @ ..] => (byte, rest),
            };
            value.push(*byte);
            self.0 = rest;
        }
    }

    /// The base64 that some schemes have instead of parameters: up to a comma
    /// or the end, and so not the name of a parameter.
    fn skip_token68(&mut self) {
        let mut ahead = Self(self.0);
        if ahead.skip(is_blank).is_empty() {
            return;
        }
        let word = ahead.skip(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
        ahead.skip(|byte| byte == b'=');
        let end = ahead.0;
        ahead.skip(is_blank);
        if !word.is_empty() && matches!(ahead.0.first(), None | Some(b',')) {
            self.0 = end;
        }
    }

    /// Takes the bytes that pass, and gives them.
    fn skip(&mut self, pass: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !pass(*byte));
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// `scheme(name=value,...)`, with a `!` where it is damaged.
    fn read(field: &str) -> String {
        let all = challenges(field.as_bytes());
        let all: Vec<_> = all.iter().map(shown).collect();
        all.join(" ")
    }

    fn shown(challenge: &Challenge<'_>) -> String {
        let list: Vec<_> = challenge.params.list.iter().map(pair).collect();
        let mark = if challenge.params.is_damaged { "!" } else { "" };
        let scheme = challenge.scheme.escape_ascii();
        format!("{scheme}({}){mark}", list.join(","))
    }

    fn pair((name, value): &(&[u8], Vec<u8>)) -> String {
        let [name, value] = [name, &value[..]].map(String::from_utf8_lossy);
        format!("{name}={value}")
    }

    #[test]
    fn challenges_are_told_apart() {
        // SPEC A7; the third is RFC 9110 §11.6.1's own example.
        for (field, want) in [
            ("", ""),
            ("Basic", "Basic()"),
            (
                r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#,
                r#"Basic(realm=simple) Newauth(realm=apps,type=1,title=Login to "apps")"#,
            ),
            (
                r#"Digest realm="b, c",nonce=1"#,
                "Digest(realm=b, c,nonce=1)",
            ),
            (
                r#"digest realm = "a" ,	nonce	=	"b""#,
                "digest(realm=a,nonce=b)",
            ),
            // Without commas, and with too many.
            (
                r#"Digest realm="a" nonce="b" Basic realm="c""#,
                "Digest(realm=a,nonce=b) Basic(realm=c)",
            ),
            (
                r#", ,Digest , realm="a",,nonce="b", , Basic"#,
                "Digest(realm=a,nonce=b) Basic()",
            ),
            // Base64 instead of parameters.
            (
                "Negotiate YWJj==, Basic realm=x",
                "Negotiate() Basic(realm=x)",
            ),
            ("NTLM TlRMTVNTUAAC/+a=", "NTLM()"),
            ("Negotiate, Basic realm=x", "Negotiate() Basic(realm=x)"),
            (
                "Digest nonce=YWJj==,realm=\"\"",
                "Digest(nonce=YWJj==,realm=)",
            ),
            // What is not understood stays where it was found.
            (
                r#"Digest realm="a", @@, nonce="b""#,
                "Digest(realm=a,nonce=b)!",
            ),
            (r#"Digest realm="a", nonce="b"#, "Digest(realm=a)!"),
            (r#"Digest realm="a\"#, "Digest()!"),
            (r#"realm="a", Basic"#, "Basic()"),
            ("= , Basic", "Basic()"),
        ] {
            assert_eq!(read(field), want, "{field}");
        }
    }

    #[test]
    fn bytes_beyond_ascii_stay_as_they_are() {
        let all = challenges(b"Digest realm=\"\xe4\", nonce=\xfc");
        assert_eq!(all[0].params.value("REALM"), Some(&b"\xe4"[..]));
        assert_eq!(all[0].params.value("nonce"), Some(&b"\xfc"[..]));
    }

    #[test]
    fn of_a_name_that_comes_twice_the_first_counts() {
        let all = challenges(b"Digest nonce=1, nonce=2, stale=TRUE");
        assert_eq!(all[0].params.value("nonce"), Some(&b"1"[..]));
        assert!(all[0].params.is_true("stale") && !all[0].params.is_true("nonce"));
        assert!(!all[0].params.is_true("userhash"));
    }

    #[test]
    fn parameters_stand_alone_too() {
        // SPEC A7: Authentication-Info.
        let read = |field: &[u8]| {
            let params = params(field);
            let next = params.value("nextnonce").map(<[u8]>::to_vec);
            (next, params.is_damaged)
        };
        let nonce = Some(b"a b".to_vec());
        assert_eq!(
            read(br#"nextnonce="a b", qop=auth, nc=00000001"#),
            (nonce.clone(), false)
        );
        assert_eq!(
            read(br#"Passport1.4 tname=MSPAuth,nextnonce="a b""#),
            (nonce, true)
        );
        assert_eq!(read(b"nextnonce"), (None, true));
        assert_eq!(read(br#"nextnonce="a"#), (None, true));
    }

    /// A cut takes away from the end and adds nothing: whatever is read of the
    /// start of a field was read of the whole, but for the value that was cut.
    #[test]
    fn no_cut_of_a_field_is_taken_for_more() {
        let whole = br#"Basic realm="a\"b", Digest realm="c, d" , nonce=12 qop="auth,auth-int", X YWJj==, Y"#;
        let all = challenges(whole);
        for end in 0..whole.len() {
            let cut = challenges(&whole[..end]);
            assert!(cut.len() <= all.len() + 1, "{end}");
            for (cut, whole) in cut.iter().zip(&all) {
                for ((name, value), (n, v)) in cut.params.list.iter().zip(&whole.params.list) {
                    assert!(n.starts_with(name) && v.starts_with(value), "{end}");
                }
            }
        }
        for start in 0..whole.len() {
            challenges(&whole[start..]);
            params(&whole[start..]);
        }
    }

    #[test]
    fn a_field_of_nothing_but_marks_is_read_in_one_pass() {
        for field in ["\"", "=", ",", "\\", "a=\"", "@ ", "a ", "a=,"] {
            let field = field.repeat(8190);
            challenges(field.as_bytes());
            params(field.as_bytes());
        }
    }
}
