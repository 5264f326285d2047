//! How often a provider is asked for its keys, and what happens while it is away.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use dps_openid::{KEY_LIFETIME, MAX_KEY_AGE, REFRESH_INTERVAL, RETRY_INTERVAL};
use jsonwebtoken::Algorithm;
use tokio::task::JoinSet;

use crate::provider::Mood;
use crate::signer::{Signer, published};
use crate::site::Site;

const UNKNOWN: &str = "is signed with a key that is not known";
const LATER: &str = "cannot be verified now";
const SECOND: Duration = Duration::from_secs(1);

/// Asks, and does not wait for the answer.
fn begin(asked: Pin<&mut impl Future>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(asked.poll(&mut cx).is_pending());
}

#[tokio::test]
async fn keys_that_nobody_has_do_not_make_us_fetch() {
    let site = Site::open().await;
    assert_eq!(site.ask(&site.token()).await, "let in");
    let mut forger = Signer::new(Algorithm::ES256, "first");
    let token = |forger: &mut Signer, nth: usize| {
        forger.kid = Some(Box::leak(format!("made up {nth}").into_boxed_str()));
        forger.sign(&site.claims())
    };
    for nth in 0..200 {
        assert_eq!(site.ask(&token(&mut forger, nth)).await, UNKNOWN);
    }
    assert_eq!(site.provider.fetches(), 1);
    for minute in 1..=3 {
        site.clock.advance(REFRESH_INTERVAL);
        for nth in 0..100 {
            assert_eq!(site.ask(&token(&mut forger, nth)).await, UNKNOWN);
        }
        assert_eq!(site.provider.fetches(), 1 + minute);
    }
    assert_eq!(site.ask(&site.token()).await, "let in");
}

#[tokio::test]
async fn a_crowd_waits_for_one_fetch() {
    let site = std::sync::Arc::new(Site::open().await);
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        let site = site.clone();
        crowd.spawn(async move { site.ask(&site.token()).await });
    }
    while let Some(answer) = crowd.join_next().await {
        assert_eq!(answer.unwrap(), "let in");
    }
    assert_eq!(site.provider.look(|state| state.connections), 2);
}

#[tokio::test]
async fn a_new_key_is_found_once_a_minute_has_passed() {
    let site = Site::open().await;
    assert_eq!(site.ask(&site.token()).await, "let in");
    let second = Signer::new(Algorithm::ES256, "second");
    let keys = published(&[&second]);
    site.provider.change(|state| state.keys = keys);
    let token = second.sign(&site.claims());
    site.clock.advance(REFRESH_INTERVAL - SECOND);
    assert_eq!(site.ask(&token).await, UNKNOWN);
    site.clock.advance(SECOND);
    assert_eq!(site.ask(&token).await, "let in");
    // The old one is gone.
    assert_eq!(site.ask(&site.token()).await, UNKNOWN);
    assert_eq!(site.provider.fetches(), 2);
}

#[tokio::test]
async fn keys_are_fetched_again_after_a_while_and_nobody_waits() {
    let site = Site::open().await;
    assert_eq!(site.ask(&site.token()).await, "let in");
    site.clock.advance(KEY_LIFETIME - SECOND);
    assert_eq!(site.ask(&site.token()).await, "let in");
    assert_eq!(site.provider.fetches(), 1);
    site.provider.set(Mood::Silent);
    site.clock.advance(SECOND);
    assert_eq!(site.ask(&site.token()).await, "let in");
    let fetched = async {
        while site.provider.look(|state| state.asked.len()) < 3 {
            tokio::task::yield_now().await;
        }
    };
    let fetched = tokio::time::timeout(10 * SECOND, fetched).await;
    fetched.expect("the keys are fetched again");
}

#[tokio::test]
async fn a_provider_that_is_down_at_first_is_asked_again_soon() {
    let site = Site::open().await;
    site.provider.set(Mood::Down);
    for _ in 0..20 {
        assert_eq!(site.ask(&site.token()).await, LATER);
    }
    assert_eq!(site.provider.look(|state| state.connections), 1);
    site.provider.set(Mood::Well);
    site.clock.advance(RETRY_INTERVAL - SECOND);
    assert_eq!(site.ask(&site.token()).await, LATER);
    site.clock.advance(SECOND);
    assert_eq!(site.ask(&site.token()).await, "let in");
}

#[tokio::test]
async fn old_keys_are_used_for_a_day_while_the_provider_is_down() {
    let site = Site::open().await;
    assert_eq!(site.ask(&site.token()).await, "let in");
    site.provider.set(Mood::Down);
    for _ in 0..23 {
        site.clock.advance(Duration::from_secs(3600));
        assert_eq!(site.ask(&site.token()).await, "let in");
    }
    site.clock.advance(Duration::from_secs(3599));
    assert_eq!(site.ask(&site.token()).await, "let in");
    site.clock.advance(SECOND);
    assert_eq!(MAX_KEY_AGE, Duration::from_secs(24 * 3600));
    assert_eq!(site.ask(&site.token()).await, LATER);
    // Not more than one attempt at a time that keys were asked for.
    assert!(site.provider.look(|state| state.connections) <= 2 + 25);
    site.provider.set(Mood::Well);
    site.clock.advance(REFRESH_INTERVAL);
    assert_eq!(site.ask(&site.token()).await, "let in");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_answer_is_not_waited_for_longer_than_set() {
    let site = Site::with(|openid| openid.with_fetch_time(SECOND)).await;
    site.provider.set(Mood::Silent);
    let before = tokio::time::Instant::now();
    assert_eq!(site.ask(&site.token()).await, LATER);
    assert_eq!(before.elapsed().as_secs(), 1);
    assert_eq!(site.ask(&site.token()).await, LATER);
    assert_eq!(before.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn whoever_goes_away_does_not_end_the_fetch() {
    let site = Site::open().await;
    let token = site.token();
    {
        let mut asked = std::pin::pin!(site.ask(&token));
        begin(asked.as_mut());
    }
    while site.provider.fetches() < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.ask(&token).await, "let in");
    assert_eq!(site.provider.fetches(), 1);
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_a_moment_does_not_keep_a_new_key_out() {
    let site = Site::open().await;
    let token = site.token();
    assert_eq!(site.ask(&token).await, "let in");
    let now = dps_core::time::Clock::now(&site.clock);
    site.clock
        .set(now.plus(Duration::from_secs(1000 * 24 * 3600)));
    // Late, but with keys of that moment.
    let late = site.token();
    assert_eq!(site.ask(&late).await, "let in");
    site.clock.set(now);
    let second = Signer::new(Algorithm::ES256, "second");
    site.provider
        .change(|state| state.keys = published(&[&second, &site.signer]));
    assert_eq!(site.ask(&second.sign(&site.claims())).await, "let in");
}

#[tokio::test]
async fn a_fetch_that_takes_long_is_not_joined_by_a_second_one() {
    let day = Duration::from_secs(24 * 3600);
    let site = Site::with(|openid| openid.with_fetch_time(day)).await;
    site.provider.set(Mood::Silent);
    let token = site.token();
    let mut first = std::pin::pin!(site.ask(&token));
    let mut second = std::pin::pin!(site.ask(&token));
    begin(first.as_mut());
    while site.provider.look(|state| state.asked.is_empty()) {
        tokio::task::yield_now().await;
    }
    site.clock.advance(REFRESH_INTERVAL);
    begin(second.as_mut());
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.provider.look(|state| state.connections), 1);
}
