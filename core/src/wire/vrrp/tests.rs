use super::*;
use proptest::prelude::*;

const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 3));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1));
const ALL: IpAddr = IpAddr::V4(GROUP_V4);

/// A unicast advert of Keepalived 2.0.12 from 10.1.0.3 to 10.1.0.1, as its log printed it.
const KEEPALIVED_V3: [u8; 12] = [0x31, 0x58, 0xc6, 0x01, 0x00, 0x64, 0x9c, 0x19, 0x0a, 0xc3, 0x4c, 0xe3];

fn v2() -> Header {
    Header {
        version: Version::V2,
        vrid: 51,
        priority: 100,
        interval_centis: 100,
        auth_type: AuthType::SimplePassword,
        auth_data: *b"s3cr3tpw",
    }
}

fn v3() -> Header {
    Header { version: Version::V3, vrid: 0x58, priority: 0xc6, interval_centis: 100, ..Header::default() }
}

fn written(header: &Header, address: IpAddr, checksum: Checksum, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let mut out = [0xee; 64];
    let len = write(&mut out, header, [address].into_iter(), checksum, source, destination).unwrap();
    out[..len].to_vec()
}

use alloc::vec::Vec;

#[test]
fn an_advert_of_keepalived_is_read_and_written() {
    let advert = Advert::parse(&KEEPALIVED_V3, NODE, PEER).unwrap();
    assert_eq!(advert.header, v3());
    let vip = IpAddr::from([10, 195, 76, 227]);
    assert!(advert.addresses().eq([vip]));
    assert_eq!(written(&v3(), vip, Checksum::WithPseudoHeader, NODE, PEER), KEEPALIVED_V3);
    // The pseudo-header is part of it.
    assert_eq!(Advert::parse(&KEEPALIVED_V3, NODE, ALL), Err(AdvertError::Checksum));
}

#[test]
fn both_checksums_of_version_3_are_taken() {
    let vip = IpAddr::from([10, 195, 76, 227]);
    let bytes = written(&v3(), vip, Checksum::AdvertOnly, NODE, ALL);
    assert_ne!(bytes[6..8], written(&v3(), vip, Checksum::WithPseudoHeader, NODE, ALL)[6..8]);
    for destination in [ALL, PEER] {
        assert_eq!(Advert::parse(&bytes, NODE, destination).unwrap().header, v3());
    }
}

#[test]
fn version_2_covers_its_password_and_no_pseudo_header() {
    let vip = IpAddr::from([10, 98, 0, 100]);
    let bytes = written(&v2(), vip, Checksum::WithPseudoHeader, NODE, ALL);
    assert_eq!(bytes[..6], [0x21, 51, 100, 1, 1, 1]);
    assert_eq!(bytes[8..], [10, 98, 0, 100, b's', b'3', b'c', b'r', b'3', b't', b'p', b'w']);
    assert_eq!(Advert::parse(&bytes, PEER, NODE).unwrap().header, v2());
    let mut forged = bytes.clone();
    forged[12] = b'S';
    assert_eq!(Advert::parse(&forged, NODE, ALL), Err(AdvertError::Checksum));
}

#[test]
fn ipv6_wants_the_pseudo_header() {
    let source = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0x98, 1]);
    let group = IpAddr::V6(GROUP_V6);
    let vip = IpAddr::from([0xfd98, 0, 0, 0, 0, 0, 0, 0x100]);
    let bytes = written(&v3(), vip, Checksum::AdvertOnly, source, group);
    assert_eq!(bytes.len(), 24);
    let advert = Advert::parse(&bytes, source, group).unwrap();
    assert!(advert.addresses().eq([vip]));
    assert_eq!(Advert::parse(&bytes, source, source), Err(AdvertError::Checksum));
}

/// `bytes` with a checksum that holds.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[6..8].fill(0);
    let sum = !fold(add(0, &bytes));
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn each_fault_has_its_error() {
    let good = sealed(KEEPALIVED_V3.to_vec());
    assert!(Advert::parse(&good, NODE, ALL).is_ok());
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        sealed(bytes)
    };
    let long = sealed([&good[..], &[0, 0]].concat());
    for (what, bytes, error) in [
        ("version 4", with(0, 0x41), AdvertError::Version),
        ("version 1", with(0, 0x11), AdvertError::Version),
        ("type 2", with(0, 0x32), AdvertError::Type),
        ("VRID 0", with(1, 0), AdvertError::Field),
        ("two addresses", with(3, 2), AdvertError::Length),
        ("interval 0", with(5, 0), AdvertError::Field),
        ("trailing bytes", long, AdvertError::Length),
        ("version 2 without authentication data", with(0, 0x21), AdvertError::Length),
    ] {
        assert_eq!(Advert::parse(&bytes, NODE, ALL), Err(error), "{what}");
    }
    let none = sealed([&with(3, 0)[..8]].concat());
    assert_eq!(Advert::parse(&none, NODE, ALL), Err(AdvertError::Field));
    for len in 0..good.len() {
        assert_eq!(Advert::parse(&good[..len], NODE, ALL), Err(AdvertError::Length), "{len}");
    }
    let over_ipv6 = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]);
    let v2 = written(&v2(), PEER, Checksum::AdvertOnly, NODE, ALL);
    assert_eq!(Advert::parse(&v2, over_ipv6, over_ipv6), Err(AdvertError::Version));
}

#[test]
fn the_password_stays_out_of_debug() {
    assert!(!alloc::format!("{:?}", v2()).contains("115"), "{:?}", v2());
}

#[test]
fn what_does_not_fit_is_not_written() {
    let vips = || core::iter::repeat_n(NODE, 256);
    let mut out = [0; ADVERT_MAX];
    assert_eq!(write(&mut out, &v3(), vips(), Checksum::AdvertOnly, NODE, ALL), None);
    assert_eq!(write(&mut out, &v3(), vips().take(255), Checksum::AdvertOnly, NODE, ALL), Some(8 + 255 * 4));
    assert_eq!(write(&mut out[..1_000], &v3(), vips().take(255), Checksum::AdvertOnly, NODE, ALL), None);
    assert_eq!(write(&mut out, &v3(), [IpAddr::V6(GROUP_V6)].into_iter(), Checksum::AdvertOnly, NODE, ALL), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), ipv6: bool) {
        let source = if ipv6 { IpAddr::V6(GROUP_V6) } else { NODE };
        if let Ok(advert) = Advert::parse(&bytes, source, source) {
            prop_assert!(advert.addresses().count() > 0);
        }
    }

    #[test]
    fn what_is_written_is_read(
        v2: bool, ipv6: bool, pseudo: bool, vrid in 1u8.., priority: u8, interval in 1u16..=40, vips in 1usize..=20,
        password: [u8; 8],
    ) {
        let (version, ipv6) = if v2 { (Version::V2, false) } else { (Version::V3, ipv6) };
        let auth_type = if v2 { AuthType::SimplePassword } else { AuthType::None };
        let auth_data = if v2 { password } else { [0; 8] };
        let header = Header { version, vrid, priority, interval_centis: interval * 100, auth_type, auth_data };
        let source = if ipv6 { IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 7]) } else { NODE };
        let checksum = if pseudo { Checksum::WithPseudoHeader } else { Checksum::AdvertOnly };
        let mut out = [0; ADVERT_MAX];
        let len = write(&mut out, &header, core::iter::repeat_n(source, vips), checksum, source, PEER).unwrap();
        // The destination is of the other family in half of the cases; it counts all the same.
        let advert = Advert::parse(&out[..len], source, PEER).unwrap();
        prop_assert_eq!(advert.header, header);
        prop_assert!(advert.addresses().eq(core::iter::repeat_n(source, vips)));
        for at in 0..len {
            out[at] ^= 0x40;
            prop_assert!(Advert::parse(&out[..len], source, PEER).is_err(), "byte {}", at);
            out[at] ^= 0x40;
        }
    }
}
