//! Which addresses an instance is reached from.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::Access;

/// The most IP rules of an instance.
///
/// # Source
/// *Configure IP filter rules* of the service.
pub const MAX_IP_RULES: usize = 100;

/// Whether callers from some addresses may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpRule {
    /// What people call it; it stands in the trace of whoever is refused by it. Each name once, without
    /// regard to case.
    pub name: Arc<str>,
    /// What becomes of callers that it matches.
    pub action: IpAction,
    /// Where they come from.
    pub mask: IpMask,
    /// What they want to reach; `None` for either.
    pub target: Option<Endpoint>,
}

/// What an [`IpRule`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpAction {
    /// Lets the caller go on to prove itself; later rules are not looked at.
    Accept,
    /// Refuses the caller, whatever it shows.
    Reject,
}

/// One of the two sides that an instance is reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Where operators call.
    Service,
    /// Where devices call.
    Device,
}

impl Access {
    /// The rule that keeps a caller of the public network out; `None` if there is none.
    ///
    /// The first rule that matches decides, and whom none matches may come. An IPv4 address that is
    /// written as an IPv6 one is that IPv4 address.
    ///
    /// # Source
    /// *Configure IP filter rules* of the service. That IPv6 is taken is ours.
    pub(super) fn rule_against(&self, address: IpAddr, endpoint: Endpoint) -> Option<&IpRule> {
        let mut rules = self.rules.iter();
        rules
            .find(|rule| {
                rule.target.is_none_or(|target| target == endpoint) && rule.mask.covers(address)
            })
            .filter(|rule| rule.action == IpAction::Reject)
    }
}

/// An address, or those that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IpMask {
    address: IpAddr,
    /// At most 32 for IPv4, 128 for IPv6.
    prefix: u8,
}

/// A text is not an address or a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mask is an IPv4 or IPv6 address, or a range of them such as 192.0.2.0/24")]
pub struct IpMaskError;

impl IpMask {
    /// Reads an address, or a range as an address and how many of its first bits count. The others may
    /// be anything. IPv4 that is written as IPv6 is taken for IPv4.
    ///
    /// # Errors
    /// [`IpMaskError`] if it is neither, or a range of IPv6 that some IPv4 addresses would belong to by the way
    /// they can be written.
    pub fn parse(text: &str) -> Result<Self, IpMaskError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(bits(prefix).ok_or(IpMaskError)?)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| IpMaskError)?;
        let prefix = prefix.unwrap_or_else(|| width(written));
        let address = written.to_canonical();
        // Of ::ffff:192.0.2.0/120, the 96 bits before the IPv4 address are not counted any more.
        let prefix = prefix
            .checked_sub(width(written) - width(address))
            .ok_or(IpMaskError)?;
        if prefix > width(address) {
            return Err(IpMaskError);
        }
        Ok(Self { address, prefix })
    }

    /// Whether `address` is the one, or one of those, that are meant. `0.0.0.0/0` is every address,
    /// IPv6 as well; `::/0` is every address but IPv4.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(_), _) if prefix == 0 => true,
            (IpAddr::V4(mask), IpAddr::V4(address)) => {
                (mask.to_bits() ^ address.to_bits()).leading_zeros() >= prefix
            }
            (IpAddr::V6(mask), IpAddr::V6(address)) => {
                (mask.to_bits() ^ address.to_bits()).leading_zeros() >= prefix
            }
            _ => false,
        }
    }
}

/// Bits of an address of this family.
const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// A number without sign and without zeros before it.
fn bits(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for IpMask {
    /// As [`IpMask::parse`] reads it, without the length if it is one address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.prefix < width(self.address) {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

impl fmt::Debug for IpMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IpMask({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn covers(mask: &str, address: &str) -> bool {
        let mask = IpMask::parse(mask).unwrap();
        mask.covers(address.parse().unwrap())
    }

    #[test]
    fn a_mask_covers_what_begins_with_its_bits() {
        for (mask, address, said) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.9/24", "192.0.2.1", true),
            ("192.0.2.0/23", "192.0.3.255", true),
            ("128.0.0.0/1", "255.1.2.3", true),
            ("128.0.0.0/1", "127.255.255.255", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("2001:db8::7", "2001:db8::7", true),
            ("2001:db8::7", "2001:db8::8", false),
            ("::/0", "2001:db8::7", true),
        ] {
            assert_eq!(covers(mask, address), said, "{mask} {address}");
        }
    }

    #[test]
    fn an_ipv4_address_is_the_same_however_it_is_written() {
        assert!(covers("192.0.2.0/24", "::ffff:192.0.2.7"));
        assert!(covers("::ffff:192.0.2.0/120", "192.0.2.7"));
        assert!(!covers("::ffff:192.0.2.0/120", "192.0.3.7"));
        assert!(!covers("::/0", "192.0.2.7"));
        assert!(!covers("::/0", "::ffff:192.0.2.7"));
        assert!(!covers("192.0.2.7", "::c000:207"));
    }

    #[test]
    fn every_address_is_covered_by_all_of_ipv4() {
        for address in ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "::"] {
            assert!(covers("0.0.0.0/0", address), "{address}");
            assert!(!covers("0.0.0.0/1", "2001:db8::7"));
        }
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        for text in [
            "",
            "/",
            "/24",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "192.0.2.0/08",
            "192.0.2.0/-1",
            "192.0.2.0/8/8",
            "192.0.2.0/255.255.255.0",
            "192.0.2.0/256",
            "192.0.2",
            "192.0.2.01",
            " 192.0.2.0",
            "192.0.2.0 ",
            "2001:db8::/129",
            "::ffff:192.0.2.0/95",
            "::ffff:0:0/0",
            "fe80::1%eth0",
            "[::1]",
            "one.example",
            "*",
        ] {
            assert_eq!(IpMask::parse(text), Err(IpMaskError), "{text}");
        }
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
        let mapped =
            any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from_bits(bits).to_ipv6_mapped()));
        prop_oneof![v4, v6, mapped]
    }

    /// What `IpMask::covers` ought to say, bit by bit.
    fn shares(mask: IpAddr, prefix: u8, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (mask, address) = (bits(mask), bits(address));
        let nth = |bytes: &[u8], nth: usize| bytes[nth / 8] >> (7 - nth % 8) & 1;
        mask.len() == address.len()
            && (0..usize::from(prefix)).all(|at| nth(&mask, at) == nth(&address, at))
    }

    proptest! {
        #[test]
        fn any_text_is_a_mask_or_an_error(text in "[0-9a-f:./]{0,30}|\\PC{0,30}") {
            if let Ok(mask) = IpMask::parse(&text) {
                prop_assert_eq!(IpMask::parse(&mask.to_string()), Ok(mask));
            }
        }

        #[test]
        fn a_mask_covers_its_own_address_and_its_neighbours(
            mask in any_address(), other in any_address(), prefix in 0_u8..=128
        ) {
            let parsed = IpMask::parse(&format!("{mask}/{prefix}"));
            let (canonical, before) = (mask.to_canonical(), width(mask) - width(mask.to_canonical()));
            if prefix > width(mask) || prefix < before {
                prop_assert_eq!(parsed, Err(IpMaskError));
                return Ok(());
            }
            let (parsed, prefix) = (parsed.unwrap(), prefix - before);
            prop_assert!(parsed.covers(mask));
            prop_assert_eq!(IpMask::parse(&parsed.to_string()), Ok(parsed));
            let all = canonical.is_ipv4() && prefix == 0;
            prop_assert_eq!(
                parsed.covers(other),
                all || shares(canonical, prefix, other.to_canonical())
            );
            // One that differs in a single bit.
            if let (IpAddr::V4(address), 1..) = (canonical, prefix) {
                for at in 0..32 {
                    let near = Ipv4Addr::from_bits(address.to_bits() ^ (1 << (31 - at)));
                    prop_assert_eq!(parsed.covers(near.into()), at >= u32::from(prefix));
                }
            }
        }
    }
}
