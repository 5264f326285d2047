//! Hubs and hooks that misbehave.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::allocate::{Allocation, AllocationHook, AllocationRequest, HookError};
use dps_core::api::Work;
use dps_core::id::HubName;
use dps_testkit::hubs::Fault;

use crate::device::{Device, poll, register};
use crate::site::*;

const SHORT: Duration = Duration::from_millis(20);

async fn site(choices: Choices) -> (Site, Device) {
    let site = Site::with(choices).await;
    site.put(&individual("press-1", keys(1, 2))).await;
    (site, Device::with_key("press-1", &key(1)))
}

#[tokio::test]
async fn a_hub_that_is_down_keeps_the_device_waiting_and_nothing_is_lost() {
    let (site, press) = site(Choices::default()).await;
    let hub = HubName::parse(A).unwrap();
    site.hubs.fail_at(&hub, Fault::Retry { after: None });
    let told = register(&site, &press).await;
    assert_eq!((told.status, told.word()), (202, "assigning"));
    let wait: u64 = told.headers["retry-after"].parse().unwrap();
    assert!((1..=5).contains(&wait));
    let operation = told.operation();
    for _ in 0..5 {
        site.clock.advance(Duration::from_secs(5));
        let told = poll(&site, &press, &operation).await;
        assert_eq!((told.status, told.word()), (202, "assigning"));
    }
    site.hubs.mend(&hub);
    site.clock.advance(HOUR / 60);
    let told = poll(&site, &press, &operation).await;
    assert_eq!((told.status, told.hub()), (200, Some(A)));
}

#[tokio::test]
async fn a_slow_hub_does_not_keep_the_device_on_the_line() {
    let choices = Choices {
        grace: Some(SHORT),
        ..Choices::default()
    };
    let (site, press) = site(choices).await;
    let hold = site.hubs.hold();
    let told = register(&site, &press).await;
    assert_eq!((told.status, told.word()), (202, "assigning"));
    let polled = poll(&site, &press, &told.operation()).await;
    assert_eq!((polled.status, polled.word()), (202, "assigning"));
    drop(hold);
    site.settled().await;
    let polled = poll(&site, &press, &told.operation()).await;
    assert_eq!((polled.status, polled.hub()), (200, Some(A)));
    assert_eq!(site.hubs.calls().len(), 1);
}

#[tokio::test]
async fn a_hub_that_refuses_is_heard_by_the_device() {
    let (site, press) = site(Choices::default()).await;
    let reason = "the hub has no place left".to_owned();
    site.hubs.fail_next(
        1,
        &Fault::Refused {
            code: 403_003,
            reason,
        },
    );
    let told = register(&site, &press).await;
    assert_eq!((told.status, told.word()), (202, "failed"));
    assert_eq!(told.state()["errorCode"], 403_003);
    assert_eq!(told.state()["errorMessage"], "the hub has no place left");
    let polled = poll(&site, &press, &told.operation()).await;
    assert_eq!((polled.status, polled.word()), (200, "failed"));
    assert!(site.hubs_of("press-1").is_empty());
}

/// Answers by a closure; `None` hangs.
struct Scripted<F>(F);

impl<F> std::fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl<F> AllocationHook for Scripted<F>
where
    F: Fn() -> Option<Result<Allocation, HookError>> + Send + Sync + 'static,
{
    async fn allocate(&self, _: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        match (self.0)() {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

async fn with_hook<F>(answer: F) -> (Site, Device)
where
    F: Fn() -> Option<Result<Allocation, HookError>> + Send + Sync + 'static,
{
    let hook = Some(Arc::new(Scripted(answer)) as Arc<dyn AllocationHook>);
    let (site, press) = site(Choices {
        hook,
        grace: Some(SHORT),
        limited: false,
    })
    .await;
    site.put(&custom(individual("press-1", keys(1, 2)))).await;
    (site, press)
}

#[tokio::test]
async fn a_hook_that_fails_is_heard_by_the_device() {
    let (site, press) = with_hook(|| {
        Some(Err(HookError::Refused {
            reason: "not this one".into(),
        }))
    })
    .await;
    let told = register(&site, &press).await;
    assert_eq!((told.status, told.word()), (202, "failed"));
    assert_eq!(told.state()["errorCode"], 400_207);
    assert_eq!(told.state()["errorMessage"], "not this one");
    assert!(site.hubs.calls().is_empty());
}

#[tokio::test]
async fn a_hook_that_names_a_foreign_hub_fails_the_operation() {
    let (site, press) =
        with_hook(|| Some(Ok(HubName::parse("foreign.example").unwrap().into()))).await;
    let told = register(&site, &press).await;
    assert_eq!((told.status, told.word()), (202, "failed"));
    assert_eq!(told.state()["errorCode"], 400_207);
    assert!(site.hubs.calls().is_empty());
}

#[tokio::test]
async fn a_hook_that_hangs_keeps_the_device_waiting_and_others_are_served() {
    let (site, press) = with_hook(|| None).await;
    let told = register(&site, &press).await;
    assert_eq!((told.status, told.word()), (202, "assigning"));
    let mut polled = poll(&site, &press, &told.operation()).await;
    assert_eq!((polled.status, polled.word()), (202, "assigning"));
    site.put(&individual("press-2", keys(5, 5))).await;
    let other = register(&site, &Device::with_key("press-2", &key(5))).await;
    assert_eq!(other.hub(), Some(A));
    // Each lease somebody else asks the hook, until that has been enough.
    for _ in 0..11 {
        assert_eq!((polled.status, polled.word()), (202, "assigning"));
        site.clock.advance(Work::LEASE);
        polled = poll(&site, &press, &told.operation()).await;
    }
    assert_eq!((polled.status, polled.word()), (200, "failed"));
    assert_eq!(polled.state()["errorCode"], 400_207);
}
