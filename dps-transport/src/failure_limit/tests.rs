use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use dps_core::access::Ingress;
use dps_core::api::{DeviceResponse, Origin, Session, Transport};
use dps_core::attest::{Attested, SignIn};
use dps_core::crypto::CryptoError;
use dps_core::hub::DeviceAuth;
use dps_core::id::{IdScope, RegistrationId};
use dps_testkit::clock::ManualClock;

use super::*;
use crate::failures::ADDRESSES;

/// Believes the device `good`, asks `asked` for more, cannot judge `broken`, and counts how often it is asked.
#[derive(Debug, Default)]
struct Judge {
    asked: AtomicUsize,
}

impl Judge {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl DeviceApi for Judge {
    async fn authenticate(&self, hello: DeviceHello) -> Authentication {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let reason = match hello.registration.as_str() {
            "good" => {
                let sign_in = SignIn::Known(DeviceAuth::CertificateAuthority);
                let attested = Attested::assertion(sign_in);
                return Authentication::Accepted(Session::assertion(&hello, attested));
            }
            "asked" => {
                return Authentication::Challenge {
                    authentication_key: vec![1],
                };
            }
            "broken" => Reason::Unavailable,
            _ => Reason::Unauthorized,
        };
        let tracking = TrackingId::from_random([7; 16]);
        Authentication::Denied(ServiceError::new(reason).with_tracking(tracking))
    }

    async fn call(&self, _: &Session, _: &ApiVersion, _: DeviceRequest) -> Reply {
        DeviceResponse::Error(ServiceError::new(Reason::Unauthorized)).into()
    }
}

/// Counts.
#[derive(Debug)]
struct Numbers(AtomicUsize);

static NUMBERS: Numbers = Numbers(AtomicUsize::new(0));

impl SecureRandom for Numbers {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        out[..8].copy_from_slice(&next);
        Ok(())
    }
}

struct Bench {
    judge: Arc<Judge>,
    clock: Arc<ManualClock>,
    limit: FailureLimit,
}

impl Bench {
    fn new() -> Self {
        let (judge, clock) = (Arc::new(Judge::default()), Arc::new(ManualClock::new()));
        let limit = FailureLimit::new(
            Arc::clone(&judge) as Arc<dyn DeviceApi>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            &NUMBERS,
        );
        Self {
            judge,
            clock,
            limit,
        }
    }

    async fn attempt(&self, from: &str, device: &str) -> Authentication {
        let hello = DeviceHello {
            scope: IdScope::parse("0ne00000001").unwrap(),
            registration: RegistrationId::parse(device).unwrap(),
            evidence: None,
            operation: None,
            origin: Origin {
                address: from.parse().unwrap(),
                ingress: Ingress::Public,
                transport: Transport::Http,
            },
        };
        self.limit.authenticate(hello).await
    }

    async fn is_believed(&self, from: &str) -> bool {
        matches!(
            self.attempt(from, "good").await,
            Authentication::Accepted(_)
        )
    }
}

const ATTACKER: &str = "198.51.100.1";
const NEIGHBOUR: &str = "198.51.100.2";

#[tokio::test]
async fn a_hundred_thousand_failures_from_one_address_cost_little_and_others_are_served() {
    let bench = Bench::new();
    for n in 0..100_000 {
        let denied = bench.attempt(ATTACKER, "stranger").await;
        assert!(matches!(denied, Authentication::Denied(_)));
        if n % 10_000 == 0 {
            assert!(bench.is_believed(NEIGHBOUR).await);
        }
    }
    assert_eq!(bench.judge.asked(), 60 + 10);
    assert_eq!(bench.limit.failures.addresses(), 1);
}

#[tokio::test]
async fn the_limit_tells_what_a_wrong_key_is_told() {
    let bench = Bench::new();
    let Authentication::Denied(wrong) = bench.attempt(ATTACKER, "stranger").await else {
        panic!("a stranger was believed");
    };
    let mut told = Vec::new();
    for _ in 0..100 {
        let Authentication::Denied(error) = bench.attempt(ATTACKER, "stranger").await else {
            panic!("a stranger was believed");
        };
        told.push(error);
    }
    assert_eq!(bench.judge.asked(), 60);
    let last = &told[98..];
    assert_ne!(last[0].tracking(), last[1].tracking());
    for error in last {
        assert!(error.tracking().is_some());
        let same = error
            .clone()
            .with_tracking(TrackingId::from_random([7; 16]));
        assert_eq!(same, wrong);
    }
}

#[tokio::test]
async fn failures_are_forgiven_with_time() {
    let bench = Bench::new();
    for _ in 0..1000 {
        bench.attempt(ATTACKER, "stranger").await;
    }
    assert!(!bench.is_believed(ATTACKER).await);
    bench.clock.advance(Duration::from_millis(999));
    assert!(!bench.is_believed(ATTACKER).await);
    bench.clock.advance(Duration::from_millis(1));
    assert!(bench.is_believed(ATTACKER).await);
    // Being believed is not counted.
    assert!(bench.is_believed(ATTACKER).await);

    let asked = bench.judge.asked();
    bench.clock.advance(Duration::from_secs(3600));
    for _ in 0..1000 {
        bench.attempt(ATTACKER, "stranger").await;
    }
    assert_eq!(bench.judge.asked() - asked, 60);
}

#[tokio::test]
async fn a_network_of_64_bits_is_one_address() {
    let bench = Bench::new();
    for n in 0..1000 {
        let from = format!("2001:db8:1:2::{n:x}");
        bench.attempt(&from, "stranger").await;
    }
    assert_eq!(bench.judge.asked(), 60);
    assert!(!bench.is_believed("2001:db8:1:2:ffff::1").await);
    assert!(bench.is_believed("2001:db8:1:3::1").await);
}

#[tokio::test]
async fn only_refusals_count() {
    let bench = Bench::new();
    for _ in 0..1000 {
        bench.attempt(ATTACKER, "broken").await;
        assert!(bench.is_believed(ATTACKER).await);
    }
    assert_eq!(bench.judge.asked(), 2000);
    assert_eq!(bench.limit.failures.addresses(), 0);
}

#[tokio::test]
async fn memory_is_bounded_however_many_addresses_there_are() {
    let bench = Bench::new();
    for n in 0..70_000_u32 {
        let from = IpAddr::from(n.to_be_bytes()).to_string();
        bench.attempt(&from, "stranger").await;
    }
    assert_eq!(bench.limit.failures.addresses(), ADDRESSES.get());
}

#[tokio::test]
async fn another_limit_can_be_set() {
    let mut bench = Bench::new();
    let limit = bench.limit;
    bench.limit = limit.with_limit(NonZeroU32::new(6).unwrap(), NonZeroU32::MIN);
    for _ in 0..10 {
        bench.attempt(ATTACKER, "stranger").await;
    }
    assert_eq!(bench.judge.asked(), 1);
    bench.clock.advance(Duration::from_secs(10));
    assert!(bench.is_believed(ATTACKER).await);
}

#[tokio::test]
async fn a_challenge_weighs_a_tenth_of_a_failure() {
    let bench = Bench::new();
    for _ in 0..100_000 {
        bench.attempt(ATTACKER, "asked").await;
    }
    // One more than what fits beside a failure.
    assert_eq!(bench.judge.asked(), 10 * 59 + 1);
    assert!(!bench.is_believed(ATTACKER).await);
    assert!(bench.is_believed(NEIGHBOUR).await);
    bench.clock.advance(Duration::from_millis(100));
    assert!(bench.is_believed(ATTACKER).await);
}

#[tokio::test]
async fn many_devices_behind_one_address_can_be_challenged_and_believed() {
    let bench = Bench::new();
    for _ in 0..2000 {
        let asked = bench.attempt(ATTACKER, "asked").await;
        assert!(matches!(asked, Authentication::Challenge { .. }));
        assert!(bench.is_believed(ATTACKER).await);
        bench.clock.advance(Duration::from_millis(100));
    }
}

#[tokio::test]
async fn challenges_and_failures_are_counted_together() {
    let bench = Bench::new();
    for _ in 0..590 {
        bench.attempt(ATTACKER, "asked").await;
    }
    assert!(bench.is_believed(ATTACKER).await);
    bench.attempt(ATTACKER, "stranger").await;
    assert!(!bench.is_believed(ATTACKER).await);
}

#[tokio::test]
async fn a_challenge_weighs_something_whatever_the_limit() {
    let mut bench = Bench::new();
    let limit = bench.limit;
    bench.limit = limit.with_limit(NonZeroU32::MAX, NonZeroU32::new(5).unwrap());
    for _ in 0..100 {
        bench.attempt(ATTACKER, "asked").await;
    }
    assert_eq!(bench.judge.asked(), 5);
}
