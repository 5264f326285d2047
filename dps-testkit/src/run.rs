//! Drives futures without a runtime.

use std::future::Future;
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
