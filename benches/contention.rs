//! The long run of `tests/contention.rs`: `cargo bench --bench contention`. `LOCKSCOPE_HOLDS` = how often the lock is taken
//! (1,000,000); the naive breaker gets a tenth of that, and no help.

#[path = "../tests/support/contention.rs"]
mod contention;

use contention::{Breaker, Plan, contend, play};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

fn main() {
    if play(&[]) {
        return;
    }
    // `cargo test --benches` builds and starts this too: the short test is the other one.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let holds = std::env::var("LOCKSCOPE_HOLDS").ok().and_then(|holds| holds.parse().ok()).unwrap_or(1_000_000);
    let longest = Duration::from_hours(2);
    let plan = |breaker, holds| Plan { breaker, holds, crash_every: 200, until_double: false, longest };
    let mut ours = 0;
    for plan in [plan(Breaker::Lockscope, holds), plan(Breaker::Naive { gap: false }, holds / 10)] {
        let began = Instant::now();
        let tally = contend(plan, &[]);
        println!("{}", tally.report(plan.breaker, began.elapsed()));
        if plan.breaker == Breaker::Lockscope {
            ours = tally.double.load(SeqCst) + tally.lost.load(SeqCst);
        }
    }
    assert_eq!(ours, 0, "two holders, or a lock that was taken away");
}
