//! `undo` and `log`.
//!
//! Owns: their words. Never: reads or writes the journal itself.

use super::Io;
use super::args::{Log, Undo};
use super::exit::{Exit, Failure};
use super::output::json::{Done, PathText, Refused};
use super::output::{json, table, text};
use super::world::World;
use crate::engine::export::journal_csv;

/// Puts back what a clear took away.
pub fn undo(world: &dyn World, args: &Undo, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let undone = world.undo(args.id.as_deref()).map_err(Failure::Failed)?;
    let nothing = undone.restored.is_empty() && undone.refused.is_empty();
    if args.json {
        let restored: Vec<Done> =
            undone.restored.iter().map(|(path, id)| Done { path: PathText::of(path), id: Some(id.clone()) }).collect();
        let refused: Vec<Refused> = undone
            .refused
            .iter()
            .map(|(path, why)| Refused { path: PathText::of(path), verdict: None, why: why.clone() })
            .collect();
        json::undo(io.out, &restored, &refused)?;
    } else {
        for (path, _) in &undone.restored {
            writeln!(io.out, "restored  {}", text::name(path))?;
        }
        for (path, why) in &undone.refused {
            writeln!(io.out, "refused  {}  {}", text::name(path), text::line(why))?;
        }
        if nothing {
            writeln!(io.out, "Nothing to undo.")?;
        }
    }
    Ok(if undone.refused.is_empty() && !nothing { Exit::Done } else { Exit::Refused })
}

/// Shows the journal.
pub fn log(world: &dyn World, args: &Log, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let entries = world.journal().map_err(Failure::Failed)?;
    if args.json {
        json::log(io.out, &entries)?;
    } else if args.csv {
        write!(io.out, "{}", journal_csv(&entries.iter().collect::<Vec<_>>()))?;
    } else {
        table::log(io.out, &entries)?;
    }
    Ok(Exit::Done)
}
