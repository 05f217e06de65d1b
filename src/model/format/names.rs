//! Files that end like locks and are none: the lockfiles of dependency managers.

use super::{Candidate, Format, PLAIN, RecordState, Standing};
use crate::model::facts::FileKind;

pub(super) static FORMATS: &[Format] = &[Format {
    id: "dependency-lockfile",
    title: "dependency lockfile",
    names: DEPENDENCY_LOCKFILES,
    standing: Standing::NotALock,
    looks: "known names: content that pins versions",
    caution: Some("This pins the versions of dependencies; it is content, not a lock"),
    read: dependency,
    ..PLAIN
}];

/// Content that pins versions, not a lock. `bundler.lock` and `.cargo-lock` are locks and are not here.
const DEPENDENCY_LOCKFILES: &[&str] = &[
    ".terraform.lock.hcl",
    "Cargo.lock",
    "Chart.lock",
    "Gemfile.lock",
    "Package.resolved",
    "Pipfile.lock",
    "Podfile.lock",
    "buf.lock",
    "bun.lock",
    "bun.lockb",
    "composer.lock",
    "conda-lock.yml",
    "deno.lock",
    "dvc.lock",
    "flake.lock",
    "go.sum",
    "go.work.sum",
    "gradle.lockfile",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "packages.lock.json",
    "paket.lock",
    "pdm.lock",
    "pixi.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pubspec.lock",
    "pylock.toml",
    "rebar.lock",
    "renv.lock",
    "uv.lock",
    "yarn.lock",
];

/// Whether the base name is that of a dependency lockfile.
pub fn is_dependency_lockfile(name: &[u8]) -> bool {
    DEPENDENCY_LOCKFILES.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
}

fn dependency(file: &Candidate<'_>) -> Option<RecordState> {
    (file.kind == FileKind::Regular && is_dependency_lockfile(file.name)).then_some(RecordState::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_as_the_search_needs_it() {
        assert!(DEPENDENCY_LOCKFILES.is_sorted());
        assert!(is_dependency_lockfile(b"Cargo.lock"));
        for lock in [&b"bundler.lock"[..], b".cargo-lock", b"cargo.lock", b"index.lock"] {
            assert!(!is_dependency_lockfile(lock));
        }
    }
}
