//! The third experiment: CPU time of something that happens within this process, on one thread.

use std::any::Any;
use std::fmt;
use std::time::Instant;

use crate::measure::{Figures, Window};
use crate::process::{own_cpu_time, own_wait_for_cpu};

/// What a window does: so many units, and then something that is dropped when the clock has stopped.
pub type Run<'a> = Box<dyn FnOnce() -> (u64, Box<dyn Any>) + 'a>;

/// One thing to measure.
pub struct Inside<'a> {
    /// What the table calls it.
    pub label: String,
    /// Makes everything ready for one window; not counted.
    pub prepare: Box<dyn FnMut() -> Run<'a> + 'a>,
}

impl fmt::Debug for Inside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inside({})", self.label)
    }
}

impl<'a> Inside<'a> {
    /// One that needs nothing made ready: `unit` is done `times` times in each window.
    pub fn repeat(label: &str, times: u64, unit: impl Fn(u64) + 'a) -> Self {
        let unit = std::rc::Rc::new(unit);
        let prepare = move || {
            let unit = std::rc::Rc::clone(&unit);
            let run = move || {
                (0..times).for_each(|n| unit(n));
                (times, Box::new(()) as Box<dyn Any>)
            };
            Box::new(run) as Run<'a>
        };
        Self {
            label: label.to_owned(),
            prepare: Box::new(prepare),
        }
    }
}

/// Lets them take turns for so many rounds, after one that does not count.
pub fn alternate(all: &mut [Inside<'_>], rounds: usize) -> Vec<Figures> {
    let figures = |one: &Inside<'_>| Figures {
        label: one.label.clone(),
        windows: Vec::new(),
        failed: 0,
    };
    let mut found: Vec<_> = all.iter().map(figures).collect();
    for round in 0..=rounds {
        for (one, figures) in all.iter_mut().zip(&mut found) {
            let window = window((one.prepare)());
            if round > 0 {
                figures.windows.push(window);
            }
        }
    }
    found
}

fn window(run: Run<'_>) -> Window {
    // The kernel brings the counters of a thread up to date when it leaves its CPU.
    std::thread::yield_now();
    let (from, cpu, waited) = (Instant::now(), own_cpu_time(), own_wait_for_cpu());
    let (done, kept) = run();
    std::thread::yield_now();
    let cpu = (own_cpu_time() - cpu).as_secs_f64();
    let waited = (own_wait_for_cpu() - waited).as_secs_f64();
    let passed = from.elapsed().as_secs_f64();
    drop(kept);
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of one run are far below 2^53"
    )]
    let done = done as f64;
    Window {
        cpu_micros: cpu * 1e6 / done,
        rate: done / passed,
        busy: cpu / passed,
        waited: waited / passed,
    }
}
