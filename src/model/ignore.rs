//! Which subfolders a recursive look passes over, in the notation of `.gitignore`.
//!
//! Owns: [`IgnoreRules`] and the usual ones. Rules are about directories alone: a lock file in a directory that is
//! entered is listed whatever they say. Never: touches a file.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::path::Path;

/// What is passed over unless the settings say otherwise: much in it, and no locks. Cargo's lock in `target/debug` and
/// git's own in `.git` are still seen.
pub const USUAL: [&str; 8] = [
    "node_modules",
    "__pycache__",
    "site-packages",
    "**/.git/objects",
    "**/.hg/store/data",
    "**/.svn/pristine",
    "**/target/*/{deps,build,incremental,.fingerprint}",
    "**/target/doc",
];

/// Rules made ready. The last one that fits decides.
#[derive(Clone, Debug, Default)]
pub struct IgnoreRules {
    lines: Vec<String>,
    globs: GlobSet,
    /// Of each glob: it brings back what an earlier one has passed over.
    brings_back: Vec<bool>,
}

impl PartialEq for IgnoreRules {
    fn eq(&self, other: &Self) -> bool {
        self.lines == other.lines
    }
}

impl Eq for IgnoreRules {}

impl IgnoreRules {
    /// From lines as they stand in a `.gitignore`; and of those that cannot be used, what is wrong with them.
    pub fn new(lines: &[String]) -> (Self, Vec<String>) {
        let mut rules = Self { lines: lines.to_vec(), ..Self::default() };
        let mut wrong = Vec::new();
        let mut builder = GlobSetBuilder::new();
        for line in lines {
            let Some((pattern, brings_back)) = pattern(line) else { continue };
            match GlobBuilder::new(&pattern).literal_separator(true).build() {
                Ok(glob) => {
                    builder.add(glob);
                    rules.brings_back.push(brings_back);
                }
                Err(error) => wrong.push(format!("\"{line}\" is no rule: {}", error.kind())),
            }
        }
        match builder.build() {
            Ok(globs) => rules.globs = globs,
            Err(error) => {
                rules.brings_back.clear();
                wrong.push(format!("the rules cannot be used together: {error}"));
            }
        }
        (rules, wrong)
    }

    /// The same with more rules after them.
    #[must_use]
    pub fn with(&self, more: &[String]) -> Self {
        Self::new(&[&self.lines[..], more].concat()).0
    }

    /// The lines they were made from.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether a subfolder, given relative to the directory that is looked at, is not entered.
    pub fn pass_over(&self, below: &Path) -> bool {
        let last = self.globs.matches(below).into_iter().max();
        last.and_then(|at| self.brings_back.get(at)).is_some_and(|brings_back| !brings_back)
    }
}

/// The glob that a line stands for, and whether it brings back; `None` = it says nothing.
fn pattern(line: &str) -> Option<(String, bool)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (line, brings_back) = line.strip_prefix('!').map_or((line, false), |rest| (rest, true));
    let line = line.trim_end_matches('/');
    if line.is_empty() {
        return None;
    }
    // With a slash before its end, a pattern is about the path from the top; without one, about any name.
    let pattern = match line.strip_prefix('/') {
        Some(anchored) => anchored.to_owned(),
        None if line.contains('/') => line.to_owned(),
        None => format!("**/{line}"),
    };
    Some((pattern, brings_back))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lines: &[&str]) -> IgnoreRules {
        let (rules, wrong) = IgnoreRules::new(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert_eq!(wrong, Vec::<String>::new());
        rules
    }

    #[test]
    fn rules_read_as_in_a_gitignore() {
        for (lines, path, over) in [
            (&["node_modules"][..], "node_modules", true),
            (&["node_modules"], "a/b/node_modules", true),
            (&["node_modules"], "node_modules2", false),
            (&["node_modules/"], "a/node_modules", true),
            (&["/build"], "build", true),
            (&["/build"], "a/build", false),
            (&["a/build"], "a/build", true),
            (&["a/build"], "b/a/build", false),
            (&["**/a/build"], "b/a/build", true),
            (&["**/a/build"], "a/build", true),
            (&["*.cache"], "x/y.cache", true),
            (&["a/*"], "a/b", true),
            // A star does not reach over a slash.
            (&["a/*"], "a/b/c", false),
            (&["*", "!keep"], "keep", false),
            (&["!keep", "*"], "keep", true),
            (&["# node_modules", "", "  "], "node_modules", false),
            (&["/"], "a", false),
        ] {
            assert_eq!(rules(lines).pass_over(Path::new(path)), over, "{lines:?} {path}");
        }
    }

    #[test]
    fn the_usual_rules_leave_the_places_of_locks_alone() {
        let usual = rules(&USUAL);
        for (path, over) in [
            (".git", false),
            (".git/refs/heads", false),
            (".git/objects", true),
            ("deep/down/.git/objects", true),
            ("target", false),
            ("target/debug", false),
            ("target/debug/deps", true),
            ("web/node_modules", true),
        ] {
            assert_eq!(usual.pass_over(Path::new(path)), over, "{path}");
        }
    }

    #[test]
    fn what_is_no_rule_is_said_and_the_others_hold() {
        let (rules, wrong) = IgnoreRules::new(&["a[".to_owned(), "b".to_owned()]);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("\"a[\" is no rule: "), "{wrong:?}");
        assert!(rules.pass_over(Path::new("x/b")));
    }
}
