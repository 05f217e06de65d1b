//! Where locks usually are: the places that are offered when they are there.
//!
//! Owns: [`PLACES`], one row a place. Never: looks whether one exists; `engine::places` does.

/// What a place's path begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The root of the file system.
    Root,
    /// The working directory.
    Here,
    /// The working directory or the first one above it that has this: a repository's own directory.
    Above,
    /// The home directory.
    Home,
    /// The user's directory for caches.
    Cache,
    /// The user's directory for settings.
    Config,
    /// The user's directory for state.
    State,
}

/// A place, whether it is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// What it is called in a list.
    pub title: &'static str,
    /// What one finds there, in one line.
    pub holds: &'static str,
    /// What its path begins at.
    pub base: Base,
    /// Its path from there.
    pub path: &'static str,
    /// An environment variable that names the whole path instead; empty = none.
    pub variable: &'static str,
    /// The locks are below it.
    pub recursive: bool,
    /// What is passed over there, beside the usual.
    pub ignore: &'static [&'static str],
}

const fn flat(title: &'static str, base: Base, path: &'static str, holds: &'static str) -> KnownPlace {
    KnownPlace { title, holds, base, path, variable: "", recursive: false, ignore: &[] }
}

const fn deep(
    title: &'static str, base: Base, path: &'static str, holds: &'static str, ignore: &'static [&'static str],
) -> KnownPlace {
    KnownPlace { recursive: true, ignore, ..flat(title, base, path, holds) }
}

/// What is nearest first: the work at hand, then the user's programs, then the system.
pub const PLACES: &[KnownPlace] = &[
    deep("This git repository", Base::Above, ".git", "index.lock and ref locks that a killed git left", &["/objects"]),
    deep("This Mercurial repository", Base::Above, ".hg", "wlock and store/lock", &["/store/data"]),
    flat("storage/locks", Base::Here, "storage/locks", "locks of this application's storage"),
    flat("This virtual environment", Base::Here, ".venv", "uv's lock on the environment"),
    KnownPlace {
        variable: "HF_HOME",
        ..deep("Hugging Face cache", Base::Cache, "huggingface", "locks of downloads and data sets", HUB)
    },
    deep("PyTorch extensions", Base::Cache, "torch_extensions", "the baton of a build that waits for ever", &[]),
    KnownPlace {
        variable: "CARGO_HOME",
        ..flat("Cargo", Base::Home, ".cargo", "Blocking waiting for file lock on package cache")
    },
    KnownPlace { variable: "UV_CACHE_DIR", ..flat("uv cache", Base::Cache, "uv", "uv's lock on its cache") },
    deep("Poetry cache", Base::Cache, "pypoetry", "locks of Poetry's downloads", &["/virtualenvs", "/artifacts"]),
    deep("pip cache", Base::Cache, "pip", "locks of pip's downloads", &["/wheels"]),
    flat("pre-commit", Base::Cache, "pre-commit", "the lock on its hooks"),
    flat("npm", Base::Home, ".npm/_locks", "locks of npm's cache"),
    KnownPlace {
        variable: "GRADLE_USER_HOME",
        ..deep(
            "Gradle",
            Base::Home,
            ".gradle",
            "locks of caches and daemons",
            &["/wrapper", "files-2.1", "/caches/*/transforms"],
        )
    },
    deep("Borg cache", Base::Cache, "borg", "locks of backups in progress", &[]),
    deep("Firefox", Base::Home, ".mozilla/firefox", "a profile that is already in use", &["storage", "cache2"]),
    deep(
        "Thunderbird",
        Base::Home,
        ".thunderbird",
        "a profile that is already in use",
        &["ImapMail", "Mail", "cache2"],
    ),
    flat("Chrome", Base::Config, "google-chrome", "SingletonLock: a profile that is already in use"),
    flat("Chromium", Base::Config, "chromium", "SingletonLock: a profile that is already in use"),
    flat("Visual Studio Code", Base::Config, "Code", "code.lock"),
    deep("LibreOffice", Base::Config, "libreoffice", "the lock on its profile", &["cache"]),
    flat("GnuPG", Base::Home, ".gnupg", "locks on the key database"),
    flat("Syncthing", Base::State, "syncthing", "the lock on its database"),
    deep("Vim swap files", Base::State, "nvim/swap", "files that are open in Neovim, or were when it died", &[]),
    flat("minikube", Base::Home, ".minikube", "locks on its profiles"),
    flat("dpkg", Base::Root, "/var/lib/dpkg", "Could not get lock: dpkg, apt, unattended-upgrades"),
    flat("apt lists", Base::Root, "/var/lib/apt/lists", "apt update in progress"),
    flat("apt archives", Base::Root, "/var/cache/apt/archives", "apt downloads in progress"),
    flat("rpm", Base::Root, "/var/lib/rpm", "rpm and dnf transactions"),
    flat("pacman", Base::Root, "/var/lib/pacman", "db.lck"),
    flat("/run/lock", Base::Root, "/run/lock", "serial lines, and services' own locks"),
    flat("/run", Base::Root, "/run", "PID files and locks of services"),
    flat("/tmp", Base::Root, "/tmp", "X displays, and what programs leave there"),
    flat("/etc", Base::Root, "/etc", ".pwd.lock and passwd.lock of user management"),
];

const HUB: &[&str] = &["blobs", "snapshots"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ignore::IgnoreRules;
    use std::collections::HashSet;

    #[test]
    fn each_place_is_said_once_and_its_rules_are_rules() {
        let mut titles = HashSet::new();
        for place in PLACES {
            assert!(titles.insert(place.title), "{}", place.title);
            assert!(!place.holds.is_empty() && !place.holds.ends_with('.'), "{}", place.title);
            assert_eq!(place.path.starts_with('/'), place.base == Base::Root, "{}", place.title);
            assert!(place.recursive || place.ignore.is_empty(), "{}", place.title);
            let rules: Vec<String> = place.ignore.iter().map(|rule| (*rule).to_owned()).collect();
            assert_eq!(IgnoreRules::new(&rules).1, Vec::<String>::new(), "{}", place.title);
        }
    }
}
