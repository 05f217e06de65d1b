//! What a ticket says of the machine: system, kernel, limits.
//!
//! Owns: [`About`]. Never: names the machine, its users or its network.

use std::time::Duration;

/// The machine in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The system as it calls itself (`Debian GNU/Linux 12`), else the family.
    pub system: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The processor's kind.
    pub processor: &'static str,
    /// How long it has been running, by the monotonic clock.
    pub up_for: Duration,
    /// How much may be watched by events: the kernel's limits by name.
    pub limits: Vec<(&'static str, u64)>,
}

/// Looks. What cannot be read is left out.
pub fn about(system: &dyn super::System) -> About {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let release = read("/etc/os-release").unwrap_or_default();
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let limits = ["max_user_instances", "max_user_watches", "max_queued_events"];
    About {
        system: pretty.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned()),
        kernel: read("/proc/sys/kernel/osrelease").map(|release| release.trim().to_owned()),
        processor: std::env::consts::ARCH,
        up_for: system.monotonic(),
        limits: limits
            .into_iter()
            .filter_map(|name| Some((name, read(&format!("/proc/sys/fs/inotify/{name}"))?.trim().parse().ok()?)))
            .collect(),
    }
}
