//! A network: an address and how many of its first bits count (RFC 4632).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network {
    /// The address without the bits that do not count, at the low end.
    bits: u128,
    /// How many low bits do not count: 0 to 32, or to 128.
    free: u32,
    is_v6: bool,
}

impl Network {
    /// Whether `ip` lies in it. Of two families, none lies in the other.
    pub(super) fn holds(self, ip: IpAddr) -> bool {
        self.is_v6 == ip.is_ipv6() && self.bits == masked(bits(ip), self.free)
    }
}

/// `10.0.0.0/8`, `fd00::/8`, or one address. Bits behind the prefix are
/// dropped. A network of IPv4 addresses in the form of IPv6 ones is one of
/// IPv4.
impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            // `parse` alone would take `+8`.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u32>().map_err(|_| NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        let free = width.checked_sub(prefix).ok_or(NotANetwork)?;
        let is_mapped = address.to_canonical() != address && free <= 32;
        let address = if is_mapped {
            address.to_canonical()
        } else {
            address
        };
        Ok(Self {
            bits: masked(bits(address), free),
            free,
            is_v6: address.is_ipv6(),
        })
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, width) = if self.is_v6 {
            (IpAddr::from(self.bits.to_be_bytes()), 128)
        } else {
            // 32 bits stand there.
            (IpAddr::from((self.bits as u32).to_be_bytes()), 32)
        };
        write!(f, "{address}/{}", width - self.free)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotANetwork;

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn masked(bits: u128, free: u32) -> u128 {
    // All 128 bits may be free.
    bits.checked_shr(free)
        .map_or(0, |rest| rest << (free % 128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_it() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/8",
                "10.0.0.0 10.255.255.255 10.1.2.3",
                "9.255.255.255 11.0.0.0 ::a00:1 ::ffff:10.0.0.1",
            ),
            ("10.1.2.3/8", "10.0.0.1", "11.1.2.3"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6 192.0.2.8"),
            ("192.0.2.6/31", "192.0.2.6 192.0.2.7", "192.0.2.5 192.0.2.8"),
            ("0.0.0.0/0", "0.0.0.0 255.255.255.255", ":: ::1"),
            ("::/0", ":: ffff::", "0.0.0.0"),
            ("fc00::/7", "fc00:: fdff::1", "fe00:: fbff::"),
            ("::1", "::1", ":: ::2 0.0.0.1"),
            ("2001:db8::/127", "2001:db8:: 2001:db8::1", "2001:db8::2"),
            ("::ffff:10.0.0.0/104", "10.2.3.4", "11.0.0.0"),
            ("::ffff:0.0.0.0/96", "10.2.3.4", "::1"),
            ("::ffff:0.0.0.0/80", "::ffff:0:1 ::1", "10.0.0.1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            for ip in inside.split(' ') {
                assert!(parsed.holds(ip.parse().unwrap()), "{network} {ip}");
            }
            for ip in outside.split(' ') {
                assert!(!parsed.holds(ip.parse().unwrap()), "{network} {ip}");
            }
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/99999999999999999999",
            "::/129",
            "10.0.0/8",
            "10",
            "0x0a.0.0.0/8",
            "example.com",
            "[::1]",
            "fe80::1%3",
            " 10.0.0.0/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
        let shown = format!("{:?}", "fd12::7/8".parse::<Network>().unwrap());
        assert_eq!(shown, "fd00::/8");
        let shown = format!("{:?}", "10.1.2.3/9".parse::<Network>().unwrap());
        assert_eq!(shown, "10.0.0.0/9");
    }
}
