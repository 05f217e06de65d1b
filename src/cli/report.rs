//! `report`: an incident bundle for a ticket.
//!
//! Owns: its words. Never: writes over a file.

use super::Io;
use super::args::Report;
use super::exit::{Exit, Failure};
use super::output::text;
use super::world::World;
use crate::engine::incident::Incident;
use crate::engine::papers::NotSaved;
use crate::engine::redact::Include;
use std::sync::Arc;

/// Looks once, and saves what was seen.
pub fn report(world: &dyn World, args: &Report, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let mut options = world.settings().look_options(&args.directory);
    options.recursive |= args.recursive;
    let snapshot = world.look(&args.directory, &options)?;
    // A journal that cannot be read is no reason to have no bundle.
    let journal = world.journal().unwrap_or_else(|error| {
        super::complain(io.err, &error);
        Vec::new()
    });
    let incident = Incident {
        snapshot: Arc::new(snapshot),
        journal: Arc::new(journal),
        include: Include { arguments: args.include_arguments, names: args.include_home },
        zone: world.zone(),
        history: world.history(&args.directory),
    };
    let path = args.output.clone().unwrap_or_else(|| incident.file_name().into());
    match world.save_bundle(&incident, &path) {
        Ok(()) => {
            writeln!(io.out, "saved  {}", text::name(path.as_os_str()))?;
            let kept = match (args.include_home, args.include_arguments) {
                (false, false) => "Home directories, users, hosts and command arguments were replaced.",
                (false, true) => "Home directories, users and hosts were replaced; command arguments were not.",
                (true, false) => "Command arguments were replaced; home directories, users and hosts were not.",
                (true, true) => "Nothing was replaced.",
            };
            writeln!(io.out, "{kept} The names of locks are as they are: look at it before you pass it on.")?;
            Ok(Exit::Done)
        }
        Err(error @ NotSaved::Exists(_)) => {
            super::complain(io.err, &error.to_string());
            Ok(Exit::Refused)
        }
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}
