//! Events from the file system, as hints: something may have changed there.
//!
//! Owns: what the events of one directory and its subfolders come to. Never: believes an event. A hint leads to a look.

use crate::model::snapshot::PollingReason;
use crate::platform::{Door, Events, Happened, NoEvents};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

/// More names at once than this are answered by reading the whole directory.
const MOST_NAMES: usize = 4096;

/// What the events since the last look say.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Relative paths that may have changed.
    pub(super) paths: HashSet<OsString>,
    /// Events were lost, or a subfolder needs its watch anew: look at everything.
    pub(super) rescan: bool,
    /// The directory itself was deleted, moved or changed: the watch may be on what is not at the path any more. (Its inode
    /// number alone does not tell: it may be dealt again at once.)
    pub(super) root: bool,
}

impl Hints {
    fn add(&mut self, happened: Happened<'_>) {
        match happened {
            Happened::Lost => self.rescan = true,
            Happened::ToAll(directory) if directory.as_os_str().is_empty() => self.root = true,
            Happened::ToAll(directory) => drop(self.paths.insert(directory.as_os_str().to_owned())),
            Happened::To(directory, name) => drop(self.paths.insert(directory.join(name).into_os_string())),
        }
        if self.paths.len() > MOST_NAMES {
            self.paths.clear();
            self.rescan = true;
        }
    }
}

/// A watch on one directory.
pub(super) struct Watch {
    events: Events,
    /// Subfolders that have a watch.
    below: HashSet<OsString>,
    /// Watches for subfolders may be asked for.
    pub(super) takes_more: bool,
}

impl Watch {
    /// Watches the directory itself, not what is below it.
    pub(super) fn start(root: &Path, door: &Door) -> Result<Self, PollingReason> {
        let events = Events::of(root, door).map_err(reason)?;
        Ok(Self { events, below: HashSet::new(), takes_more: true })
    }

    /// What is to be waited for.
    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    /// Watches one more directory, relative to the root, unless it is watched already.
    pub(super) fn add(&mut self, below: &Path) -> Result<(), PollingReason> {
        if self.below.contains(below.as_os_str()) {
            return Ok(());
        }
        match self.events.add(below) {
            Ok(()) => {
                self.below.insert(below.as_os_str().to_owned());
                Ok(())
            }
            // It has gone since it was listed; or it may be searched by others only, and then not be listed either.
            Err(NoEvents::OfThisOne) => Ok(()),
            Err(why) => Err(reason(why)),
        }
    }

    /// Takes the hints so far. A subfolder that they speak of may be another by now, without a watch: it gets one anew, by a
    /// look at everything.
    pub(super) fn take(&mut self) -> Hints {
        let mut hints = Hints::default();
        self.events.take(&mut |happened| hints.add(happened));
        if hints.rescan {
            // Which of them are others by now was lost too. Where it is the same, its watch is found again.
            self.below.clear();
        } else if hints.paths.iter().any(|path| self.below.contains(path)) {
            let touched =
                |below: &OsString| Path::new(below).ancestors().any(|up| hints.paths.contains(up.as_os_str()));
            let (others, kept) = std::mem::take(&mut self.below).into_iter().partition(touched);
            self.below = kept;
            self.events.forget(&others);
            hints.rescan = true;
        }
        hints
    }
}

fn reason(why: NoEvents) -> PollingReason {
    match why {
        NoEvents::OutOfWatches => PollingReason::OutOfWatches,
        NoEvents::OfThisOne => PollingReason::Failed("its events may not be read".into()),
        NoEvents::Failed(why) => PollingReason::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Waited;
    use std::ffi::OsStr;

    fn hints(happened: &[Happened<'_>]) -> Hints {
        let mut hints = Hints::default();
        for one in happened {
            hints.add(*one);
        }
        hints
    }

    #[test]
    fn names_stand_below_the_root() {
        let (root, below) = (Path::new(""), Path::new("x/y"));
        let name = OsStr::new("a.lock");
        let told = hints(&[Happened::To(root, name), Happened::To(below, name), Happened::ToAll(below)]);
        let mut paths: Vec<_> = told.paths.iter().map(|path| path.to_string_lossy()).collect();
        paths.sort();
        assert_eq!(paths, ["a.lock", "x/y", "x/y/a.lock"]);
        assert_eq!((told.root, told.rescan), (false, false));
        assert!(hints(&[Happened::ToAll(root)]).root);
        assert!(hints(&[Happened::Lost]).rescan);
    }

    #[test]
    fn very_many_names_are_one_look_at_everything() {
        let names: Vec<String> = (0..=MOST_NAMES).map(|number| number.to_string()).collect();
        let all: Vec<_> = names.iter().map(|name| Happened::To(Path::new(""), OsStr::new(name))).collect();
        let most = hints(&all[..MOST_NAMES]);
        assert_eq!((most.paths.len(), most.rescan), (MOST_NAMES, false));
        let more = hints(&all);
        assert_eq!((more.paths.len(), more.rescan), (0, true));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_subfolder_that_was_replaced_is_watched_anew() {
        let place = tempfile::tempdir().unwrap();
        let below = place.path().join("x/y");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::create_dir(place.path().join("z")).unwrap();
        let door = Door::new().unwrap();
        let mut watch = Watch::start(place.path(), &door).unwrap();
        let take = |watch: &mut Watch| loop {
            match door.wait(Some(watch.events()), std::time::Duration::from_mins(1)) {
                Waited::Happened => return watch.take(),
                // Elsewhere events come by another thread, which rings a moment after they can be taken.
                Waited::Rung => {}
                Waited::InVain => panic!("nothing is told"),
            }
        };
        for path in ["x", "x/y", "z"] {
            watch.add(Path::new(path)).unwrap();
        }
        std::fs::write(below.join("a.lock"), "").unwrap();
        assert!(!take(&mut watch).rescan, "what happens in it is no news of itself");
        std::fs::rename(place.path().join("x"), place.path().join("away")).unwrap();
        let mut hints = take(&mut watch);
        while !hints.rescan {
            hints = take(&mut watch);
        }
        assert_eq!(watch.below, HashSet::from(["z".into()]), "with what is below it");
        // It has gone, and is not missed until it is there again.
        watch.add(Path::new("x/y")).unwrap();
        assert_eq!(watch.below.len(), 1);
        std::fs::create_dir_all(&below).unwrap();
        watch.add(Path::new("x/y")).unwrap();
        std::fs::write(below.join("b.lock"), "").unwrap();
        let told = |hints: &Hints| hints.paths.contains(OsStr::new("x/y/b.lock"));
        let mut hints = take(&mut watch);
        while !told(&hints) {
            hints = take(&mut watch);
        }
    }
}
