//! Links in the head (RFC 8288).

use std::fmt;

use url::Url;

use super::{MAX_PARAMETERS, Parameters, extended, lenient};

/// One link of a response: `<https://example.com/?page=2>; rel="next"`.
///
/// Made by [`Response::links`](crate::Response::links).
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    url: Url,
    /// What `anchor` says, joined; it may be no URL.
    anchor: Option<Option<Url>>,
    /// Names in lower case, in order; all but the first `rel` are left out.
    parameters: Vec<(String, String)>,
}

impl Link {
    /// Where it leads, joined with the URL of the response.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its relations as they were sent: `next`, `preload`, or a URL of
    /// somebody's own. They compare without case, as
    /// [`has_rel`](Self::has_rel) does.
    pub fn rels(&self) -> impl Iterator<Item = &str> {
        let rels = self.parameter("rel").unwrap_or_default();
        rels.split_ascii_whitespace()
    }

    /// Whether it has this relation.
    pub fn has_rel(&self, rel: &str) -> bool {
        self.rels().any(|known| known.eq_ignore_ascii_case(rel))
    }

    /// The first parameter of this name, which may have any case; empty if it
    /// came without a value. One with an asterisk, `title*`, is decoded
    /// (RFC 8187).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters();
        let found = parameters.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// Names, in lower case, and values of all parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = self.parameters.iter();
        parameters.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether it is about the response it came with: it has no `anchor`, or
    /// one that is `url` but for the fragment.
    pub(crate) fn is_about(&self, url: &Url) -> bool {
        let whole = |url: &Url| {
            let mut url = url.clone();
            url.set_fragment(None);
            url
        };
        match &self.anchor {
            None => true,
            Some(anchor) => anchor
                .as_ref()
                .is_some_and(|anchor| whole(anchor) == whole(url)),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("url", &self.url.as_str())
            .field("parameters", &self.parameters)
            .finish()
    }
}

/// The links of one field. Those whose URL is none are left out.
pub(crate) fn links<'a>(field: &'a [u8], base: &'a Url) -> impl Iterator<Item = Link> + 'a {
    let mut rest = field;
    std::iter::from_fn(move || {
        loop {
            // What is no link reaches to the next one.
            let start = rest.iter().position(|byte| *byte == b'<')?;
            let from = rest.get(start + 1..)?;
            let end = from.iter().position(|byte| *byte == b'>')?;
            let mut parameters = Parameters::in_list(from.get(end + 1..)?);
            let link = read(&from[..end], &mut parameters, base);
            rest = parameters.rest();
            if link.is_some() {
                return link;
            }
        }
    })
}

fn read(target: &[u8], parameters: &mut Parameters<'_>, base: &Url) -> Option<Link> {
    let mut known: Vec<(String, String)> = Vec::new();
    for parameter in parameters {
        let name = parameter.name.to_ascii_lowercase();
        let value = parameter.value.unwrap_or_default();
        let value = match name.ends_with('*') {
            true => extended(&value),
            false => Some(lenient(&value)),
        };
        // RFC 8288 §3.3: of several `rel` the first counts.
        let is_second_rel = name == "rel" && known.iter().any(|(known, _)| known == "rel");
        if let Some(value) = value
            && !is_second_rel
            && known.len() < MAX_PARAMETERS
        {
            known.push((name, value));
        }
    }
    let anchor = known.iter().find(|(name, _)| name == "anchor");
    Some(Link {
        url: base.join(str::from_utf8(target).ok()?.trim()).ok()?,
        anchor: anchor.map(|(_, anchor)| base.join(anchor).ok()),
        parameters: known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("http://h.test/dir/page?q#frag").unwrap()
    }

    fn all(field: &str) -> Vec<String> {
        links(field.as_bytes(), &base())
            .map(|link| {
                let rels: Vec<_> = link.rels().collect();
                format!("{} {}", link.url(), rels.join("+"))
            })
            .collect()
    }

    #[test]
    fn links_are_read_one_by_one_and_joined() {
        // SPEC R10
        for (field, want) in [
            ("", &[][..]),
            ("<>; rel=self", &["http://h.test/dir/page?q self"]),
            ("</a>;rel=next", &["http://h.test/a next"]),
            (
                "<b?x=1,2;3>; rel=\"prev first\"",
                &["http://h.test/dir/b?x=1,2;3 prev+first"],
            ),
            (
                "<//o.test/>;REL=next, <a>; rel=last",
                &["http://o.test/ next", "http://h.test/dir/a last"],
            ),
            (
                "<a>; title=\"x, <b>; rel=no\"; rel=yes",
                &["http://h.test/dir/a yes"],
            ),
            ("<a>; rel=one; rel=two", &["http://h.test/dir/a one"]),
            ("<a>", &["http://h.test/dir/a "]),
            (
                ", ,<a>;rel=x,,<b>;rel=y,",
                &["http://h.test/dir/a x", "http://h.test/dir/b y"],
            ),
            ("junk <a>; rel=x", &["http://h.test/dir/a x"]),
            (
                "<http://[bad>; rel=x, <b>; rel=y",
                &["http://h.test/dir/b y"],
            ),
            (
                "<a>; rel=\"never closed, <b>; rel=y",
                &["http://h.test/dir/a never+closed,+<b>;+rel=y"],
            ),
            ("<a; rel=x", &[]),
        ] {
            assert_eq!(all(field), want, "{field}");
        }
    }

    #[test]
    fn parameters_and_relations_compare_without_case() {
        // SPEC R10
        let field =
            b"<a>; Rel=\"Next x\"; title*=UTF-8''%C3%A4; crossorigin; hreflang=de; hreflang=en";
        let link = links(field, &base()).next().unwrap();
        assert!(link.has_rel("next") && link.has_rel("X") && !link.has_rel("nex"));
        assert_eq!(link.parameter("TITLE*"), Some("\u{e4}"));
        assert_eq!(link.parameter("crossorigin"), Some(""));
        assert_eq!(link.parameter("type"), None);
        assert_eq!(link.parameters().count(), 5);
    }

    #[test]
    fn an_anchor_makes_it_a_link_of_something_else() {
        // SPEC R10
        for (field, about) in [
            ("<a>; rel=x", true),
            ("<a>; rel=x; anchor=\"#part\"", true),
            ("<a>; rel=x; anchor=\"/other\"", false),
            ("<a>; rel=x; anchor=\"http://[\"", false),
        ] {
            let base = base();
            let link = links(field.as_bytes(), &base).next().unwrap();
            assert_eq!(link.is_about(&base), about, "{field}");
        }
    }
}
