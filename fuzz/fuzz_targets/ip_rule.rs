//! Masks of IP rules: what is read is said as the same, and covers its own address.
#![no_main]

use std::net::IpAddr;

use dps_core::access::IpMask;
use libfuzzer_sys::fuzz_target;

// A mask, and perhaps a space and an address that is asked about.
fuzz_target!(|text: &str| {
    let (mask, other) = text.split_once(' ').unwrap_or((text, ""));
    let Ok(mask) = IpMask::parse(mask) else {
        return;
    };
    let said = mask.to_string();
    assert_eq!(IpMask::parse(&said), Ok(mask));
    let own = said.split('/').next().unwrap_or_default();
    let own: IpAddr = own.parse().expect("an address stands before the slash");
    assert!(mask.covers(own));
    if let IpAddr::V4(address) = own {
        assert!(mask.covers(address.to_ipv6_mapped().into()));
    }
    if let Ok(other) = other.parse::<IpAddr>() {
        // Whatever is covered is covered however it is written.
        assert_eq!(mask.covers(other), mask.covers(other.to_canonical()));
    }
});
