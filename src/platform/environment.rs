//! Where Lockscope keeps its own things: XDG directories, overridable by two environment variables.

use crate::model::time::{Wall, Zone};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn from_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn strategy() -> Option<impl etcetera::BaseStrategy> {
    etcetera::base_strategy::choose_base_strategy().ok()
}

/// `$LOCKSCOPE_CONFIG_DIR`, else `lockscope` in the user's configuration directory; `None` without a home.
pub fn config_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    from_variable("LOCKSCOPE_CONFIG_DIR").or_else(|| Some(strategy()?.config_dir().join("lockscope")))
}

/// `$LOCKSCOPE_STATE_DIR`, else `lockscope` in the user's state directory; `None` without a home.
pub fn state_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    from_variable("LOCKSCOPE_STATE_DIR").or_else(|| {
        let strategy = strategy()?;
        Some(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("lockscope"))
    })
}

/// The home directory, for showing `~`.
pub fn home_dir() -> Option<PathBuf> {
    etcetera::home_dir().ok()
}

/// The user's directories for caches, settings and state; `None` where there is none.
pub fn user_directories() -> [Option<PathBuf>; 3] {
    use etcetera::BaseStrategy as _;
    let Some(strategy) = strategy() else { return [None, None, None] };
    [Some(strategy.cache_dir()), Some(strategy.config_dir()), strategy.state_dir()]
}

/// The path that a variable names, if it is set.
pub fn path_in(variable: &str) -> Option<PathBuf> {
    from_variable(variable)
}

/// Whether a display server can be reached at all, by the variables that name one.
pub fn has_display() -> bool {
    cfg!(not(target_os = "linux"))
        || ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"].iter().any(|name| from_variable(name).is_some())
}

/// Whether the display is Wayland: there a folder cannot be dropped on the window (winit 0.30).
pub fn is_wayland() -> bool {
    from_variable("WAYLAND_DISPLAY").is_some()
}

/// The path made absolute by the working directory, links left as they are.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// This process.
pub fn own_pid() -> u32 {
    std::process::id()
}

/// From now on this thread gets processor time after the others, as far as the system can do that.
pub fn give_way() {
    // On Linux each thread has a priority of its own (setpriority(2), "C library/kernel differences"): 10 is a tenth of the time
    // of a thread that wants it too.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "this thread cannot give way");
    }
}

/// The user's name, as the login session gives it; [`super::System::user_name`] knows more.
pub fn user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
}

/// The time zone of this computer, or the one that `TZ` names; read once. UTC where neither can be read.
pub fn zone() -> &'static Zone {
    static ZONE: OnceLock<Zone> = OnceLock::new();
    ZONE.get_or_init(|| Zone::of(jiff::tz::TimeZone::system()))
}

/// The wall clock, for what has no [`super::System`] at hand: names of files of our own.
pub fn wall() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Wall::default().plus(since)
}
