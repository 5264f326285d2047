//! Drives futures without a runtime, and draws numbers that come again.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// A future that a fixture drives to its end.
pub type Duty<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs `future` to its end on this thread, which sleeps while there is nothing to do.
///
/// Futures that need a runtime have to be run inside it instead.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Lets other futures of the same task or thread have their turn, in any runtime: is not done when polled first.
pub async fn give_way() {
    let mut given = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Numbers that look random, and come again for the same seed (splitmix64, by Sebastiano Vigna).
#[derive(Clone, Debug, Default)]
pub struct Dice(u64);

impl Dice {
    /// What is thrown follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, of all.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `bound`; zero if that is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// A place in a list that is so long.
    pub fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }
}

/// Makes one function of each duty that needs only what a fixture opens.
macro_rules! duty_functions {
    ([$open:ident] alone { $($group:ident: $($alone:ident)+;)+ } together { $($crowd:ident: $($together:ident)+;)* }) => {
        /// Every duty by its name, over a fixture.
        #[doc(hidden)]
        pub mod duties {
            $($(
                pub fn $alone(fixture: &impl super::Fixture) {
                    super::$open(fixture, |opened| Box::pin(super::$group::$alone(opened)));
                }
            )+)+
            $($(pub use super::$crowd::$together;)+)*
        }

        /// Every duty, for running them one by one: its name, and what runs it.
        #[must_use]
        pub fn all<F: Fixture>() -> Vec<(&'static str, fn(&F))> {
            vec![
                $($((stringify!($alone), duties::$alone as fn(&F)),)+)+
                $($((stringify!($together), duties::$together as fn(&F)),)+)*
            ]
        }
    };
}
pub(crate) use duty_functions;

/// Makes one `#[test]` of each duty. Called by the suites' own macros.
#[doc(hidden)]
#[macro_export]
macro_rules! __duty_tests {
    ([$suite:ident $fixture:expr] alone { $($group:ident: $($alone:ident)+;)+ } together { $($crowd:ident: $($together:ident)+;)* }) => {
        $($(
            #[test]
            fn $alone() {
                $crate::$suite::duties::$alone(&$fixture);
            }
        )+)+
        $($(
            #[test]
            fn $together() {
                $crate::$suite::duties::$together(&$fixture);
            }
        )+)*
    };
}
