//! Addresses at the edges of every range.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn check(filter: &AddressFilter, admitted: &str, refused: &str) {
    for address in admitted.split_whitespace() {
        assert!(filter.admits(ip(address)), "{address} is refused");
    }
    for address in refused.split_whitespace() {
        assert!(!filter.admits(ip(address)), "{address} is admitted");
    }
}

#[test]
fn the_public_internet() {
    // SPEC Q2: what the address filter judges.
    let filter = AddressFilter::public_only();
    check(
        &filter,
        "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
         169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0
         192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255
         198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
         8.8.8.8",
        "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0
         127.0.0.1 127.255.255.255 169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0
         172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.0 192.88.99.255
         192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255
         203.0.113.0 203.0.113.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255",
    );
    check(
        &filter,
        "2000:: 2001:200:: 2001:db7:ffff:: 2001:db9:: 2606:4700::1111 2a00:1450:: 3fff:1000::
         3ffe:: 3fff:ffff::",
        ":: ::1 ::2 100:: 1fff:ffff:: 4000:: 5f00:: fc00:: fd00:ec2::254 fdff:: fe80::1
         febf:ffff:: fec0:: ff00:: ff02::1 2001:1::1 2001:2:: 2001:20:: 2001:1ff:ffff::
         2001:db8:: 2001:db8:ffff:: 3fff:: 3fff:fff:: 64:ff9b:1:: 64:ff9b:1::808:808",
    );
}

/// Who connects to no address at all reaches this machine.
#[test]
fn no_address_is_this_machine() {
    // SPEC Q2.
    let filter = AddressFilter::all().deny("127.0.0.0/8, ::1");
    check(&filter, "0.0.0.1 ::2 10.0.0.1", "0.0.0.0 :: ::ffff:0.0.0.0");
    let filter = AddressFilter::all().deny("127.0.0.1");
    check(&filter, "::1 ::", "0.0.0.0 ::ffff:0.0.0.0");
    let filter = AddressFilter::none().allow("127.0.0.0/8, ::1");
    check(&filter, "127.0.0.1 ::1", "0.0.0.0 ::");
}

/// IPv4 addresses that travel inside of IPv6 ones.
#[test]
fn addresses_in_addresses() {
    // SPEC Q2.
    let filter = AddressFilter::public_only();
    check(
        &filter,
        "::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808:: 2001:0:808:404:0:0:f7f7:f7f7
         2606:4700::5efe:808:808 2606:4700::200:5efe:808:808",
        "::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0
         ::8.8.8.8 ::10.0.0.1 ::127.0.0.1 ::ffff:0:808:808
         64:ff9b::a00:1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:0:1::808:808
         2002:a00:1:: 2002:7f00:1::1 2002:c0a8:101:: 2002:a9fe:a9fe::
         2001:0:808:808:0:0:f5ff:fffe 2001:0:808:808::80ff:fffe 2001:0:7f00:1:0:0:f7f7:f7f7
         2606:4700::5efe:a00:1 2606:4700::200:5efe:7f00:1 2002:808:808::5efe:a00:1
         64:ff9b:: 2002:: 2002:0:1::",
    );
}

/// What is allowed around an address says nothing of the address.
#[test]
fn an_allowed_network_opens_no_way_to_what_is_inside() {
    // SPEC Q2.
    for (allowed, admitted, refused) in [
        (
            "64:ff9b::/96",
            "64:ff9b::808:808",
            "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe",
        ),
        (
            "2000::/3",
            "2001:db8::1 2002:808:808::",
            "2002:7f00:1:: 2001:0:808:808::80ff:fffe 2001:db8::5efe:10.0.0.1",
        ),
        (
            "::/0",
            "::1 :: fd00::1 ::2 ::ff:ffff ::8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b:1:: 64:ff9b:1:2::",
            "::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 fe80::5efe:10.0.0.1 127.0.0.1",
        ),
        (
            // Prefixes of 96, 64, 56 and 48 bits (RFC 6052 §2.2).
            "64:ff9b:1::/48",
            "64:ff9b:1::808:808 64:ff9b:1:0:8:808:800:0 64:ff9b:1:8:8:808:: 64:ff9b:1:808:8:800::",
            "64:ff9b:1::7f00:1 64:ff9b:1:0:7f:0:100:0 64:ff9b:1:7f:0:1:: 64:ff9b:1:7f00:0:100::
             64:ff9b:1:7f00:0:100:808:808",
        ),
        // Both of them.
        (
            "::/0, 127.0.0.0/8",
            "64:ff9b::7f00:1 2002:7f00:1:: ::127.0.0.1 64:ff9b:1::7f00:1",
            "64:ff9b::a00:1",
        ),
    ] {
        let filter = AddressFilter::public_only().allow(allowed);
        check(&filter, admitted, refused);
    }
    // Where nothing else is admitted, both have to be.
    check(
        &AddressFilter::none().allow("192.0.2.0/24, 2002::/16, ::1"),
        "192.0.2.1 ::ffff:192.0.2.1 2002:c000:201:: ::1",
        "2002:a00:1:: 2002:808:808:: 64:ff9b::c000:201 ::2",
    );
}

/// Who denies an IPv4 address denies all that leads to it.
#[test]
fn a_denied_address_is_denied_in_every_form() {
    // SPEC Q2.
    for (high, low) in [("127.0.0.1", "7f00:1"), ("10.1.2.3", "a01:203")] {
        let filter = AddressFilter::all().deny("10.0.0.0/8, 127.0.0.0/8");
        let turned = match low {
            "7f00:1" => "80ff:fffe",
            _ => "f5fe:fdfc",
        };
        for form in [
            format!("{high} ::ffff:{high} ::{high} ::ffff:0:{high}"),
            format!("64:ff9b::{low} 64:ff9b:1::{low} 64:ff9b:1:2:3:4:{low} 2002:{low}::1"),
            format!("2001:0:{low}:0:0:f7f7:f7f7 2001:0:808:808:0:0:{turned}"),
            format!("fe80::5efe:{high} fe80::200:5efe:{high} 2001:db8::5efe:{low}"),
        ] {
            check(&filter, "", &form);
        }
        // The same bits where they mean nothing.
        check(
            &filter,
            &format!(
                "2001:db8::{low} fe80::{low} 64:ff9b:0:1::{low} 64:ff9c::{low} 2001:db8::5eff:{low}
                 2001:db8::100:5efe:{low} 2001:1:{low}:: 2003:{low}:: ::fffe:0:{low} ::1:0:{low}"
            ),
            "",
        );
    }
    let filter = AddressFilter::all().deny("10.0.0.0/8, 0.0.0.0/8, 240.0.0.0/4");
    check(
        &filter,
        "::1 :: ::2 64:ff9b:1::808:808 64:ff9b:1::",
        "64:ff9b:1:a00:0:100:: 64:ff9b:1:a:0:1:: 64:ff9b:1:0:a:0:100:0",
    );
}

#[test]
fn exceptions() {
    let filter = AddressFilter::public_only()
        .allow("10.0.0.0/8, fd00::/8,192.0.2.1")
        .deny("10.0.0.5 , 8.8.8.0/24")
        .deny("fd00::7");
    check(
        &filter,
        "10.0.0.4 10.255.0.1 fd12::1 192.0.2.1 ::ffff:10.0.0.4 64:ff9b::a00:4 2002:a00:4::
         8.8.4.4",
        "10.0.0.5 ::ffff:10.0.0.5 64:ff9b::a00:5 2002:a00:5:: fd00::7 8.8.8.8 64:ff9b::808:808
         192.0.2.2",
    );
    check(
        &AddressFilter::all().deny("127.0.0.0/8, ::1"),
        "10.0.0.1 fe80::1 8.8.8.8 64:ff9b::a00:1",
        "127.0.0.1 ::1 :: ::ffff:127.1.2.3 64:ff9b::7f00:1 2002:7f00:1::",
    );
    check(
        &AddressFilter::none().allow("192.0.2.0/24, 2002::/16"),
        "192.0.2.1 ::ffff:192.0.2.1 2002:c000:201::",
        "8.8.8.8 127.0.0.1 2000:: 2002:a00:1:: 64:ff9b::c000:201",
    );
    check(&AddressFilter::none(), "", "8.8.8.8 2000::");
    check(&AddressFilter::all(), "8.8.8.8 ::1", "");
}

/// A guard that was misspelt does not stand open.
#[test]
fn a_mistake_admits_nothing() {
    for text in [
        "10.0.0.0/33",
        "",
        "10.0.0.0/8,",
        "example.com",
        "10.0.0.1 ::1",
    ] {
        for filter in [
            AddressFilter::all().allow(text),
            AddressFilter::all().deny(text),
            AddressFilter::all().deny(text).allow("0.0.0.0/0"),
        ] {
            check(&filter, "", "8.8.8.8 10.0.0.1");
            assert!(filter.mistake().is_some(), "{text}");
        }
    }
    assert_eq!(AddressFilter::all().mistake(), None);
}
