//! `sweep`: clears what is stale, again and again, until interrupted.
//!
//! Owns: the loop and its lines. Never: decides what goes or when it is tried again; [`crate::engine::sweep`] does.

use super::Io;
use super::args::Sweep as Args;
use super::exit::{Exit, Failure};
use super::output::{table, text};
use super::world::World;
use crate::engine::bulk::Came;
use crate::engine::sweep::{Act, Hands, PutBack, Sweep};
use crate::inspect::LookOptions;
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::time::say_duration;
use std::sync::Arc;

/// What a round acts with.
struct OnWorld<'a> {
    world: &'a dyn World,
    snapshot: &'a Snapshot,
    options: &'a LookOptions,
}

impl Hands for OnWorld<'_> {
    fn is_stopped(&self) -> bool {
        self.world.is_interrupted()
    }

    fn put_back(&self) -> Result<PutBack, String> {
        self.world.put_back()
    }

    fn clear(&self, seen: &Arc<Lock>) -> Came {
        self.world.sweep(seen, self.snapshot, self.options)
    }
}

/// Sweeps until SIGINT or SIGTERM comes; what it is at then is done first.
pub fn sweep(world: &dyn World, args: &Args, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let settings = args.subfolders.onto(world.settings().look_options(&args.directory));
    let options = LookOptions { threshold: args.stale_after.unwrap_or(settings.threshold), ..settings };
    world.heed_interrupts().map_err(Failure::Failed)?;
    // A directory that is not there now is a slip of the pen; one that goes later may come back.
    let mut picture = world.look(&args.directory, &options)?;
    let mut sweep = Sweep::new(args.every);
    let (every, threshold) = (say_duration(args.every), say_duration(options.threshold));
    let directory = text::name(args.directory.as_os_str());
    writeln!(
        io.err,
        "Clearing what is stale in {directory} every {every}, stale after {threshold}. Ctrl-C or SIGTERM ends it."
    )?;
    world.recover();
    world.expire();
    let mut seen = Ok(());
    loop {
        // Each act is a line at once: whoever reads along knows of it before the next.
        let mut written = Ok(());
        let mut tell = |act: Act| {
            if written.is_ok() {
                written = table::act(io.out, &world.wall().rfc3339(), &act);
            }
        };
        match seen {
            Ok(()) => {
                let hands = OnWorld { world, snapshot: &picture, options: &options };
                sweep.round(&picture, world.monotonic(), &hands, &mut tell);
            }
            Err(why) => sweep.missed(why, &mut tell),
        }
        written?;
        if world.rest(sweep.pause()) {
            return Ok(Exit::Done);
        }
        seen = match world.look_after(&args.directory, &options, &picture) {
            Ok(now) => {
                picture = now;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
    }
}
