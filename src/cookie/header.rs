//! The `Cookie` request header, written.

use http::HeaderValue;

use super::Cookie;

/// Writes `a=b; c=d`, or `None` for no cookies. The value is marked sensitive.
pub(super) fn write<'a>(cookies: impl IntoIterator<Item = &'a Cookie>) -> Option<HeaderValue> {
    let mut line = Vec::new();
    for cookie in cookies {
        push(&mut line, &[&cookie.name, b"=", &cookie.value]);
    }
    finish(line)
}

fn push(line: &mut Vec<u8>, parts: &[&[u8]]) {
    if !line.is_empty() {
        line.extend_from_slice(b"; ");
    }
    for part in parts {
        line.extend_from_slice(part);
    }
}

fn finish(line: Vec<u8>) -> Option<HeaderValue> {
    if line.is_empty() {
        return None;
    }
    // Never an error: control characters were refused when the pairs came in.
    let mut value = HeaderValue::from_maybe_shared(line).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_header_is_sensitive_and_byte_exact() {
        let cookies = [
            Cookie::from_pair(b"a".to_vec(), b"\"x y\",\xff".to_vec()),
            Cookie::from_pair(b"b".to_vec(), b"".to_vec()),
        ];
        let header = write(&cookies).unwrap();
        assert_eq!(header.as_bytes(), b"a=\"x y\",\xff; b=");
        assert!(header.is_sensitive());
        assert_eq!(write([]), None);
    }
}
