//! Many processes on one lock: those that take it, those that die with it, and those that clear it. Never two holders; and
//! a breaker as scripts write it, to show that this would be noticed. The long run is `cargo bench --bench contention`.

#[path = "support/contention.rs"]
mod contention;

use contention::{Breaker, Plan, contend, play};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const ENTRY: [&str; 3] = ["--exact", "a_process_of_the_contention", "--nocapture"];

/// Far more than it takes: beside a second copy of all tests 37 s.
const LONGEST: Duration = Duration::from_mins(6);

#[test]
fn a_process_of_the_contention() {
    // Started by the tests below: then it plays its role. By itself it has none.
    play(&ENTRY.map(str::to_owned));
}

#[test]
fn lockscope_among_eight_processes_never_lets_two_in() {
    let plan =
        Plan { breaker: Breaker::Lockscope, holds: 4_000, crash_every: 50, until_double: false, longest: LONGEST };
    let began = Instant::now();
    let tally = contend(plan, &ENTRY);
    let report = tally.report(plan.breaker, began.elapsed());
    println!("{report}");
    assert!(tally.holds.load(SeqCst) >= plan.holds, "in time: {report}");
    assert_eq!((tally.double.load(SeqCst), tally.lost.load(SeqCst)), (0, 0), "{report}");
    // Who dies with a lock stops all the others until it is cleared: perhaps but for the last.
    let removed = tally.cleared.load(SeqCst) + tally.raced.load(SeqCst);
    assert!(removed + 1 >= tally.crashes.load(SeqCst), "{report}");
    assert!(tally.cleared.load(SeqCst) > 0 && tally.cleaned.load(SeqCst) > 0, "there was something to do: {report}");
}

#[test]
fn a_naive_breaker_lets_two_in() {
    let plan = Plan {
        breaker: Breaker::Naive { gap: true },
        holds: u64::MAX,
        crash_every: 20,
        until_double: true,
        longest: LONGEST,
    };
    let began = Instant::now();
    let tally = contend(plan, &ENTRY);
    let report = tally.report(plan.breaker, began.elapsed());
    println!("{report}");
    assert!(tally.double.load(SeqCst) > 0, "{report}");
}
