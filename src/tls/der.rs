//! As much of DER as it takes to say who issued a certificate. For messages only:
//! what is trusted is decided elsewhere.

/// Elements of DER, one behind another.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    /// Tag and content.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const EXPLICIT_0: u8 = 0xa0;

fn inside(bytes: &[u8], tag: u8) -> Option<Elements<'_>> {
    match Elements(bytes).next()? {
        (found, content) if found == tag => Some(Elements(content)),
        _ => None,
    }
}

/// Two distinguished names, each as the content of its sequence.
pub(super) struct Names<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
}

/// Those of a certificate (RFC 5280 §4.1).
pub(super) fn names(certificate: &[u8]) -> Option<Names<'_>> {
    let (_, tbs) = inside(certificate, SEQUENCE)?.next()?;
    let mut fields = Elements(tbs);
    if tbs.first() == Some(&EXPLICIT_0) {
        fields.next()?;
    }
    // Behind the serial number and the signature's algorithm; validity between.
    let (_, issuer) = fields.nth(2)?;
    let (_, subject) = fields.nth(1)?;
    Some(Names { issuer, subject })
}

/// What people would call it: its common name, or else its organization.
pub(super) fn label(name: &[u8]) -> Option<String> {
    // id-at-commonName, id-at-organizationName, id-at-organizationalUnitName.
    [3, 10, 11]
        .iter()
        .find_map(|attribute| attribute_of(name, &[0x55, 4, *attribute]))
}

fn attribute_of(name: &[u8], wanted: &[u8]) -> Option<String> {
    let sets = Elements(name).filter(|(tag, _)| *tag == SET);
    sets.flat_map(|(_, set)| Elements(set))
        .find_map(|(_, pair)| {
            let mut pair = Elements(pair);
            let (OID, oid) = pair.next()? else {
                return None;
            };
            let (tag, value) = pair.next().filter(|_| oid == wanted)?;
            Some(match tag {
                BMP_STRING => {
                    let units = value
                        .chunks_exact(2)
                        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                    char::decode_utf16(units)
                        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                        .collect()
                }
                _ => String::from_utf8_lossy(value).into_owned(),
            })
        })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    use super::*;

    fn certificate(name: Vec<(DnType, DnValue)>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in name {
            params.distinguished_name.push(kind, value);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_common_name_goes_before_the_organization() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let organization = (DnType::OrganizationName, text("Härte & Söhne"));
        let common = (DnType::CommonName, text("root 1"));
        let bmp = DnValue::BmpString("Ω root".try_into().unwrap());
        for (name, expected) in [
            (vec![organization.clone(), common.clone()], Some("root 1")),
            (vec![organization], Some("Härte & Söhne")),
            (vec![(DnType::CommonName, bmp)], Some("Ω root")),
            (vec![(DnType::CountryName, text("DE"))], None),
            (vec![], None),
        ] {
            let der = certificate(name);
            let names = names(&der).unwrap();
            assert_eq!(names.issuer, names.subject);
            assert_eq!(label(names.issuer).as_deref(), expected);
        }
    }

    #[test]
    fn no_damage_is_more_than_no_name() {
        let text = DnValue::Utf8String("somebody".to_owned());
        let der = certificate(vec![(DnType::CommonName, text)]);
        for at in 0..der.len() {
            let _ = names(&der[..at]).map(|names| label(names.issuer));
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = der.clone();
                damaged[at] = value;
                let _ = names(&damaged).map(|names| label(names.issuer));
            }
        }
    }
}
