//! What is remembered between runs: `settings.json` in the configuration directory.
//!
//! Owns: its shape, and reading and writing it under one lock, so that two Lockscopes never lose each other's writes.
//! Never: drops a damaged file; that is kept aside, and said.

use crate::inspect::{EmptyFiles, LookOptions};
use crate::lock::json::{self, JsonError};
use crate::lock::{LockConfig, Wait};
use crate::model::format::{UserPattern, UserPatterns};
use crate::model::ignore::{self, IgnoreRules};
use crate::model::naming::NamePatterns;
use crate::platform::environment;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::listing::SortKey;

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// As the desktop says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// Whether things may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MotionChoice {
    /// As the desktop says.
    #[default]
    System,
    /// Nothing fades or glides.
    Reduced,
}

/// The table's columns, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Column {
    /// Verdict.
    Verdict,
    /// Name.
    Lock,
    /// Holder, or owner where nobody holds.
    Holder,
    /// Format.
    Format,
    /// Age.
    Age,
    /// Whether the holder or owner lives.
    Liveness,
    /// Waiters.
    Waiting,
}

/// A column's width and whether it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnSetting {
    /// Which.
    pub column: Column,
    /// In points.
    pub width: f32,
    /// Shown or hidden.
    pub shown: bool,
}

/// A directory that was watched before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Where.
    pub path: PathBuf,
    /// Stale locks when it was last looked at.
    pub stale: u32,
    /// Held locks then.
    pub held: u32,
}

/// A directory that is watched, as it is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchedFolder {
    /// Where.
    pub path: PathBuf,
    /// Its subfolders too.
    pub recursive: bool,
    /// Which subfolders are passed over, in the notation of `.gitignore`; `None` = as in [`Settings::ignore`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Vec<String>>,
}

impl WatchedFolder {
    /// Without subfolders.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

/// All that is remembered. Fields that a newer version wrote are passed over; missing ones get their default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The directory to open with.
    pub directory: Option<PathBuf>,
    /// The directories that are watched, in the order of the sidebar.
    pub watched: Vec<WatchedFolder>,
    /// Which subfolders are passed over where they are looked at, in the notation of `.gitignore`.
    pub ignore: Vec<String>,
    /// The sidebar: there, not there, or (`null`) there as soon as several directories are watched.
    pub sidebar: Option<bool>,
    /// Its width in points.
    pub sidebar_width: f32,
    /// Newest first, 12 at most.
    pub recent: Vec<Recent>,
    /// In seconds.
    pub stale_after_secs: u64,
    /// Outer window size in points.
    pub window_size: (f32, f32),
    /// Light or dark.
    pub theme: ThemeChoice,
    /// What the table is sorted by.
    pub sort: SortKey,
    /// The other way round.
    pub sort_descending: bool,
    /// Rows under their group's heading.
    pub grouped: bool,
    /// Columns; empty = as designed.
    pub columns: Vec<ColumnSetting>,
    /// More keys for `{id}_{key}.lock`.
    pub known_keys: Vec<String>,
    /// Formats of the user's own: name, mechanism, and where the PID stands.
    pub formats: Vec<UserPattern>,
    /// Directories in which empty files are known to be kernel-lock files.
    pub kernel_lock_directories: Vec<PathBuf>,
    /// Directories in which empty files are known to be existence locks.
    pub existence_lock_directories: Vec<PathBuf>,
    /// How Lockscope takes locks itself: `lockscope run`.
    pub locks: LockConfig,
    /// How large everything is shown, 100 to 300.
    pub zoom_percent: u16,
    /// Whether things may move.
    pub motion: MotionChoice,
    /// Tell when a lock turns stale.
    pub tell_when_stale: bool,
    /// The panel below the table.
    pub below: BelowSettings,
    /// The timeline in it.
    pub timeline: TimelineSettings,
}

/// What the panel below the table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BelowTab {
    /// Who held and who waited.
    #[default]
    Timeline,
    /// What was cleared, refused and put back.
    Journal,
}

/// The panel below the table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BelowSettings {
    /// Shown or hidden.
    pub shown: bool,
    /// In points.
    pub height: f32,
    /// Its tab.
    pub tab: BelowTab,
}

impl Default for BelowSettings {
    fn default() -> Self {
        Self { shown: true, height: 148.0, tab: BelowTab::Timeline }
    }
}

/// The timeline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimelineSettings {
    /// Of all locks, and not of the chosen one alone.
    pub all: bool,
    /// As a list instead of a drawing.
    pub as_list: bool,
}

impl Default for TimelineSettings {
    fn default() -> Self {
        Self { all: true, as_list: false }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: None,
            watched: Vec::new(),
            ignore: ignore::USUAL.map(str::to_owned).to_vec(),
            sidebar: None,
            sidebar_width: 216.0,
            recent: Vec::new(),
            stale_after_secs: 600,
            window_size: (1280.0, 800.0),
            theme: ThemeChoice::System,
            sort: SortKey::Verdict,
            sort_descending: false,
            grouped: true,
            columns: Vec::new(),
            known_keys: Vec::new(),
            formats: Vec::new(),
            kernel_lock_directories: Vec::new(),
            existence_lock_directories: Vec::new(),
            locks: LockConfig::default(),
            zoom_percent: 100,
            motion: MotionChoice::System,
            tell_when_stale: false,
            below: BelowSettings::default(),
            timeline: TimelineSettings::default(),
        }
    }
}

impl Settings {
    /// The threshold.
    pub fn stale_after(&self) -> Duration {
        Duration::from_secs(self.stale_after_secs)
    }

    /// What is remembered of a watched directory.
    pub fn watched_folder(&self, directory: &Path) -> WatchedFolder {
        let known = self.watched.iter().find(|folder| folder.path == directory);
        known.cloned().unwrap_or_else(|| WatchedFolder::at(directory))
    }

    /// How to watch a directory: as [`Self::look_options`], with subfolders where it is so remembered. The command line
    /// does not go by that: what it looks at is what it was told.
    pub fn watch_options(&self, folder: &WatchedFolder) -> LookOptions {
        let ignore = folder.ignore.as_ref().map(|lines| IgnoreRules::new(lines).0);
        let usual = self.look_options(&folder.path);
        LookOptions { recursive: folder.recursive, ignore: ignore.unwrap_or(usual.ignore), ..usual }
    }

    /// How to look at a directory, by what is set for it.
    pub fn look_options(&self, directory: &Path) -> LookOptions {
        let directory = environment::absolute(directory);
        let empty_files = if self.kernel_lock_directories.contains(&directory) {
            EmptyFiles::KernelLocks
        } else if self.existence_lock_directories.contains(&directory) {
            EmptyFiles::Existence
        } else {
            EmptyFiles::ByEvidence
        };
        LookOptions {
            threshold: self.stale_after(),
            recursive: false,
            ignore: IgnoreRules::new(&self.ignore).0,
            patterns: NamePatterns { keys: self.known_keys.clone() },
            empty_files,
            custom: UserPatterns::new(&self.formats).0,
            learned: HashSet::new(),
        }
    }

    /// Puts a directory first among the recent ones.
    pub fn remember(&mut self, path: PathBuf) {
        let old = self.recent.iter().position(|recent| recent.path == path).map(|at| self.recent.remove(at));
        self.recent.insert(0, old.unwrap_or(Recent { path: path.clone(), stale: 0, held: 0 }));
        self.recent.truncate(12);
        self.directory = Some(path);
    }
}

/// Another Lockscope that writes its settings holds their lock for milliseconds.
fn patience() -> LockConfig {
    LockConfig::waiting(Wait::For(Duration::from_secs(5)))
}

/// Reads the settings; a missing file gives the defaults. The second value is what a person must be told: a damaged file
/// was kept aside, and where.
pub fn load(directory: &Path) -> (Settings, Option<String>) {
    match json::read(directory.join("settings.json"), &patience()) {
        Ok(settings) => {
            let settings: Settings = settings;
            let formats = UserPatterns::new(&settings.formats).1;
            let of_folders = settings.watched.iter().filter_map(|folder| folder.ignore.as_deref());
            let ignore = of_folders.chain([&settings.ignore[..]]).flat_map(|lines| IgnoreRules::new(lines).1).collect();
            let wrong = [("formats", formats), ("ignore", ignore)].into_iter().filter(|(_, wrong)| !wrong.is_empty());
            let said: Vec<String> =
                wrong.map(|(what, wrong)| format!("Settings, {what}: {}", wrong.join("; "))).collect();
            (settings, (!said.is_empty()).then(|| said.join(". ")))
        }
        Err(error) => (Settings::default(), Some(format!("Settings: {error}"))),
    }
}

/// Writes the settings.
pub fn save(directory: &Path, settings: &Settings) -> Result<(), JsonError> {
    json::update(directory.join("settings.json"), &patience(), |kept: &mut Settings| kept.clone_from(settings))
}
