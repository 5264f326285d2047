//! Whom the service may call because a tenant's operator names them.
//!
//! Operators write host names: of hubs, of OpenID providers. Without a rule, anybody who may configure one
//! instance could make the service call machines that only the service can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::access::IpMask;

/// Which hosts may be called. By default those with a public address. Cheap to clone.
///
/// Whoever connects asks twice: [`Egress::permits_host`] about what is written, and
/// [`Egress::permits_address`] about each address that its name stands for, for a name may stand for any.
/// It has to connect to the address that was judged, and must not follow redirects.
///
/// ```
/// use dps_core::access::IpMask;
/// use dps_core::egress::Egress;
///
/// let egress = Egress::default().with_range(IpMask::parse("10.20.0.0/16")?);
/// assert!(egress.permits_host("hub.example.net"));
/// assert!(!egress.permits_host("localhost"));
/// assert!(egress.permits_address([10, 20, 0, 7].into()));
/// assert!(!egress.permits_address([169, 254, 169, 254].into()));
/// # Ok::<(), dps_core::access::IpMaskError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Egress {
    anywhere: bool,
    hosts: Arc<[Arc<str>]>,
    ranges: Arc<[IpMask]>,
}

impl Egress {
    /// Calls whomever an operator names. For tests, and for services whose operators are all trusted with the
    /// network that the service stands in.
    #[must_use]
    pub fn anywhere() -> Self {
        Self {
            anywhere: true,
            ..Self::default()
        }
    }

    /// Takes the host of this name, too, whatever addresses it has.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        let more = Arc::from(plain(host));
        self.hosts = self.hosts.iter().cloned().chain([more]).collect();
        self
    }

    /// Takes addresses of this range, too.
    #[must_use]
    pub fn with_range(mut self, range: IpMask) -> Self {
        self.ranges = self.ranges.iter().copied().chain([range]).collect();
        self
    }

    /// Whether a host may be called by what is written: a name, or an address, which may have brackets.
    ///
    /// A name that is refused is one of this machine (`localhost`), or a number that some resolvers take for an
    /// address. What others stand for is not known before they are looked up.
    #[must_use]
    pub fn permits_host(&self, host: &str) -> bool {
        if self.anywhere || self.names(host) {
            return true;
        }
        let host = plain(host);
        if let Ok(address) = host.parse() {
            return self.permits_address(address);
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        last != "localhost" && !last.is_empty() && !is_number(last)
    }

    /// Whether an address may be called that `host` stands for.
    #[must_use]
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        self.permits_host(host) && (self.names(host) || self.permits_address(address))
    }

    /// Whether an address may be called, whatever name led to it.
    #[must_use]
    pub fn permits_address(&self, address: IpAddr) -> bool {
        self.anywhere
            || self.ranges.iter().any(|range| range.covers(address))
            || match address.to_canonical() {
                IpAddr::V4(address) => is_public_v4(address),
                IpAddr::V6(address) => is_public_v6(address),
            }
    }

    fn names(&self, host: &str) -> bool {
        let host = plain(host);
        self.hosts.iter().any(|named| **named == *host)
    }
}

/// Without brackets, without the dot of the root, in lower case.
fn plain(host: &str) -> String {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// What `inet_aton` reads as a part of an IPv4 address: `127.1` and `0x7f000001` are this machine.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x");
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// # Source
/// *IANA IPv4 Special-Purpose Address Registry* (RFC 6890), and multicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Global unicast only, and of it nothing that leads to an IPv4 address which is not public.
///
/// # Source
/// *IANA IPv6 Special-Purpose Address Registry* (RFC 6890); RFC 6052 for NAT64, RFC 3056 for 6to4.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let bits = u32::from(high) << 16 | u32::from(low);
        is_public_v4(Ipv4Addr::from_bits(bits))
    };
    match address.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        // Teredo, benchmarks, ORCHID and other protocols; documentation.
        [0x2001, 0x0000..=0x01ff | 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn permits(text: &str) -> bool {
        Egress::default().permits_address(text.parse().unwrap())
    }

    #[test]
    fn addresses_that_only_we_can_reach_are_refused_however_they_are_written() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.7",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.1.2.3",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(address), "{address}");
            assert!(!Egress::default().permits_host(address), "{address}");
            assert!(!Egress::default().permits_host(&format!("[{address}]")));
        }
    }

    #[test]
    fn public_addresses_are_permitted() {
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
        ] {
            assert!(permits(address), "{address}");
        }
    }

    #[test]
    fn names_of_this_machine_and_numbers_are_refused() {
        let egress = Egress::default();
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "hub.localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0x",
            "127.0.0.1.",
            "",
            ".",
        ] {
            assert!(!egress.permits_host(host), "{host}");
        }
        for host in [
            "hub.example.net",
            "localhost.example.net",
            "x0",
            "0xyz",
            "1.a",
        ] {
            assert!(egress.permits_host(host), "{host}");
        }
    }

    #[test]
    fn what_is_named_is_permitted_and_nothing_else() {
        let egress = Egress::default()
            .with_host("Hub.Internal.")
            .with_host("localhost")
            .with_range(IpMask::parse("10.20.0.0/16").unwrap());
        let private = [10, 21, 0, 1].into();
        assert!(egress.permits("hub.internal", private));
        assert!(egress.permits("localhost", Ipv4Addr::LOCALHOST.into()));
        assert!(!egress.permits("other.internal", private));
        assert!(egress.permits("other.internal", [10, 20, 0, 1].into()));
        assert!(!egress.permits("x.localhost", [10, 20, 0, 1].into()));
        assert!(egress.permits_host("10.20.255.255"));
        assert!(!egress.permits_host("10.21.0.1"));
        assert!(Egress::anywhere().permits("localhost", Ipv4Addr::LOCALHOST.into()));
    }

    proptest! {
        #[test]
        fn an_address_is_judged_alike_as_text_and_in_any_notation(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let egress = Egress::default();
            let said = egress.permits_address(address.into());
            prop_assert_eq!(egress.permits_host(&address.to_string()), said);
            prop_assert_eq!(egress.permits_address(address.to_ipv6_mapped().into()), said);
        }

        #[test]
        fn no_text_is_too_strange(host: String) {
            let _ = Egress::default().permits_host(&host);
        }
    }
}
