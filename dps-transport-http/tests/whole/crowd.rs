//! A hundred thousand attempts from one address.

use dps_core::time::Clock;

use crate::device::{Device, Line, register};
use crate::site::*;

const ATTEMPTS: usize = 100_000;
/// Requests that are sent before their answers are read.
const AHEAD: usize = 100;

#[tokio::test]
async fn a_hundred_thousand_failed_attempts_write_nothing_and_others_are_served() {
    let site = Site::with(Choices {
        limited: true,
        ..Choices::default()
    })
    .await;
    site.put(&individual("press-1", keys(1, 2))).await;
    let commits = site.commits();
    let guesser = Device::with_key("press-1", &key(9)).from(2);
    let mut line = Line::open(&site, &guesser).await;
    let request = guesser.registering(site.clock.now());
    let requests = request.repeat(AHEAD);
    let first = line.ask(&request).await;
    for _ in 0..ATTEMPTS / AHEAD {
        line.send(&requests).await;
        for _ in 0..AHEAD {
            let refused = line.receive().await;
            assert_eq!(refused.anonymous(), first.anonymous(), "told as at first");
        }
    }
    assert_eq!(site.commits(), commits);
    assert!(site.verified() <= 60, "{} times", site.verified());
    assert!(site.hubs.calls().is_empty());
    // Its right key does not help there any more; it does elsewhere.
    let press = || Device::with_key("press-1", &key(1));
    assert_eq!(register(&site, &press().from(2)).await.code(), 401_002);
    assert_eq!(register(&site, &press().from(3)).await.hub(), Some(A));
    site.clock.advance(HOUR);
    assert_eq!(register(&site, &press().from(2)).await.hub(), Some(A));
}
