//! Which of the places where locks usually are exist here, and may be read.
//!
//! Owns: [`Place`]. Looking may take a while (a home on a network): it is asked for, and done on a thread of its own.
//! Never: watches one by itself.

use super::settings::WatchedFolder;
use crate::model::ignore::USUAL;
use crate::model::places::{Base, KnownPlace, PLACES};
use crate::platform::{System, environment, os_name};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A place that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is called in a list.
    pub title: &'static str,
    /// What one finds there, in one line.
    pub holds: &'static str,
    /// How to watch it.
    pub folder: WatchedFolder,
}

/// Where places begin on this machine.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    /// The working directory.
    pub here: PathBuf,
    /// The home directory, and the user's directories for caches, settings and state; `None` = without a home.
    pub home: Option<PathBuf>,
    /// See `home`.
    pub cache: Option<PathBuf>,
    /// See `home`.
    pub config: Option<PathBuf>,
    /// See `home`.
    pub state: Option<PathBuf>,
    /// By name, what environment variables say.
    pub variables: Vec<(&'static str, PathBuf)>,
}

impl Bases {
    /// Of this process.
    pub fn of_this_process() -> Self {
        let [cache, config, state] = environment::user_directories();
        let variable = |place: &KnownPlace| Some((place.variable, environment::path_in(place.variable)?));
        Self {
            here: environment::absolute(Path::new(".")),
            home: environment::home_dir(),
            cache,
            config,
            state,
            variables: PLACES.iter().filter(|place| !place.variable.is_empty()).filter_map(variable).collect(),
        }
    }
}

/// Looks for all of them.
pub fn find(system: &dyn System, bases: &Bases) -> Vec<Place> {
    PLACES
        .iter()
        .filter_map(|place| {
            let path = locate(system, place, bases)?;
            let usual = USUAL.iter().chain(place.ignore).map(|rule| (*rule).to_owned());
            let ignore = (!place.ignore.is_empty()).then(|| usual.collect());
            let folder = WatchedFolder { path, recursive: place.recursive, ignore };
            Some(Place { title: place.title, holds: place.holds, folder })
        })
        .collect()
}

fn locate(system: &dyn System, place: &KnownPlace, bases: &Bases) -> Option<PathBuf> {
    let named = bases.variables.iter().find(|(name, _)| *name == place.variable && !name.is_empty());
    let is_there = |path: PathBuf| system.open_directory(&path).is_ok().then_some(path);
    let at = |base: &Option<PathBuf>| is_there(base.as_ref()?.join(place.path));
    match (named, place.base) {
        (Some((_, path)), _) => is_there(path.clone()),
        (None, Base::Root) => is_there(PathBuf::from(place.path)),
        (None, Base::Here) => is_there(bases.here.join(place.path)),
        (None, Base::Above) => bases.here.ancestors().find_map(|up| own_directory(system, up, OsStr::new(place.path))),
        (None, Base::Home) => at(&bases.home),
        (None, Base::Cache) => at(&bases.cache),
        (None, Base::Config) => at(&bases.config),
        (None, Base::State) => at(&bases.state),
    }
}

/// The repository's directory that stands in `up`, or that a file there points to: git's worktrees and submodules.
fn own_directory(system: &dyn System, up: &Path, name: &OsStr) -> Option<PathBuf> {
    let path = up.join(name);
    if system.open_directory(&path).is_ok() {
        return Some(path);
    }
    let (_, bytes) = system.open_directory(up).ok()?.read(name, 4096).ok()?;
    let target = bytes.strip_prefix(b"gitdir: ")?;
    let target = up.join(os_name(target.trim_ascii_end()));
    // Mostly `../..` and so on; what is shown is where that leads.
    let opened = system.open_directory(&target).ok()?;
    Some(opened.real_path().unwrap_or(target))
}
