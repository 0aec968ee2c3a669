//! How far a long run has come, and the bar that shows it to a person.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Runs that are over sooner show nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks at the counters.
const INTERVAL: Duration = Duration::from_millis(100);

/// Units of work done, of a total. The run adds, the bar looks: neither waits for the other.
#[derive(Debug, Default)]
pub struct Progress {
    /// Units done.
    pub done: AtomicU64,
    /// Units that there are; 0 while nobody knows.
    pub total: AtomicU64,
}

impl Progress {
    /// Nothing done of `total` units.
    pub fn of(total: u64) -> Self {
        Progress {
            done: AtomicU64::new(0),
            total: AtomicU64::new(total),
        }
    }

    /// One more unit is done.
    pub fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `work`. When it takes longer than two seconds and standard error is a terminal, a bar there shows
/// `progress` in `units`, its rate and the time left; it is gone when `work` is done.
pub fn watch<T: Send>(progress: &Progress, units: &str, work: impl FnOnce() -> T + Send) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let (over, wait) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let begun = Instant::now();
            // Hidden at first, so that it knows the rate when it is shown.
            let bar = bar(units);
            while wait.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if bar.is_hidden() && begun.elapsed() >= PATIENCE {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                }
                update(&bar, progress);
            }
            bar.finish_and_clear();
        });
        // Dropped at the end of `work`, and also when it panics, so that the bar's thread ends.
        let _over = over;
        work()
    })
}

/// A hidden bar for work in `units`.
fn bar(units: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    let style = ProgressStyle::with_template(&template(units));
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Writing to the line cannot fail.
        let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
    };
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style.with_key("rate", rate));
    bar
}

fn template(units: &str) -> String {
    format!(
        "{{spinner}} {{elapsed_precise}} {{human_pos}} of {{human_len}} {units}, {{rate}}, {{eta}} left"
    )
}

fn update(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.done.load(Ordering::Relaxed));
    let total = progress.total.load(Ordering::Relaxed);
    if total > 0 {
        bar.set_length(total);
    }
    bar.tick();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_what_is_done_and_knows_its_template() {
        let progress = Progress::of(10);
        progress.advance();
        let bar = bar("CTAs");
        update(&bar, &progress);
        assert_eq!((bar.position(), bar.length()), (1, Some(10)));
        assert!(ProgressStyle::with_template(&template("CTAs")).is_ok());
    }

    #[test]
    fn what_the_work_returns_comes_through() {
        assert_eq!(watch(&Progress::default(), "CTAs", || 7), 7);
    }
}
