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
        "::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808:: 2001:0:7f00:1:0:0:f7f7:f7f7",
        "::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0
         ::8.8.8.8 ::10.0.0.1 ::127.0.0.1 ::ffff:0:808:808
         64:ff9b::a00:1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:0:1::808:808
         2002:a00:1:: 2002:7f00:1::1 2002:c0a8:101:: 2002:a9fe:a9fe::
         2001:0:808:808:0:0:f5ff:fffe 2001:0:808:808::80ff:fffe",
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
        "192.0.2.1 ::ffff:192.0.2.1 2002:a00:1::",
        "8.8.8.8 127.0.0.1 2000:: 64:ff9b::c000:201",
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
