//! Which rows of the catalogue a name fits, found by the literal parts of their patterns.
//!
//! Nearly every name of a large directory fits the same few patterns, and to ask all of them as one automaton costs more
//! than the rest of the look at a file. Here a pattern is asked only if the name ends as it ends, begins as it begins, and
//! stands where it stands; most patterns say no more than that.
//!
//! Owns: [`NameIndex`]. Never: decides otherwise than the patterns themselves (a test compares the two).

use super::fields::contains;
use super::name_glob;
use globset::{Glob, GlobMatcher};
use hashbrown::HashMap;
use std::sync::OnceLock;

/// Places in the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places([u64; Places::WORDS]);

impl Places {
    /// 64 rows each.
    const WORDS: usize = 4;

    pub(super) fn of(places: impl Iterator<Item = usize>) -> Self {
        let mut all = Self::default();
        places.for_each(|place| all.add(place));
        all
    }

    fn add(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn with(mut self, others: Self) -> Self {
        self.add_all(others);
        self
    }

    /// Those in both.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word &= other);
        self
    }

    /// Those that are not among the others.
    pub(super) fn but(mut self, others: Self) -> Self {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word &= !other);
        self
    }

    fn add_all(&mut self, others: Self) {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word |= other);
    }

    #[cfg(test)]
    pub(super) fn contains(self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    /// Ascending.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(at, word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

/// One pattern without braces.
#[derive(Debug)]
struct Pattern {
    place: usize,
    /// What a base name that fits begins and ends with.
    begins: Box<[u8]>,
    ends: Box<[u8]>,
    /// What the directory's path ends with, after a slash where that is all of a name; or has in it.
    below: Box<[u8]>,
    below_whole: bool,
    within: Box<[u8]>,
    /// The beginning is all of the name.
    exact: bool,
    /// Its only special part is one star at the beginning.
    all: bool,
    /// Asked last, where the literal parts do not say all.
    glob: Option<LazyGlob>,
}

/// A glob that becomes an automaton when it is first asked: most never are, and each start would wait for all.
#[derive(Debug)]
struct LazyGlob {
    glob: Glob,
    matcher: OnceLock<GlobMatcher>,
}

impl LazyGlob {
    fn of(pattern: &str) -> Option<Self> {
        Some(Self { glob: name_glob(pattern)?, matcher: OnceLock::new() })
    }

    fn is_match(&self, directory: &[u8], name: &[u8]) -> bool {
        self.matcher.get_or_init(|| self.glob.compile_matcher()).is_match(super::path_of(directory, name))
    }
}

/// The patterns that end alike.
#[derive(Debug)]
struct Ending {
    ends: Box<[u8]>,
    /// Fit by every name that ends so.
    all: Places,
    /// These ask for more.
    some: Patterns,
}

/// Patterns, and beside them two bytes of each by which most are passed over without being touched: for one name after a long
/// rest nothing costs more than to fetch what it is compared with.
#[derive(Debug, Default)]
struct Patterns {
    /// The first byte of the name and the last one of the directory, where that is given.
    keys: Vec<[Option<u8>; 2]>,
    patterns: Vec<Pattern>,
}

impl Patterns {
    fn push(&mut self, pattern: Pattern) {
        self.keys.push([pattern.begins.first().copied(), pattern.below.last().copied()]);
        self.patterns.push(pattern);
    }

    fn add_fitting(&self, directory: &[u8], name: &[u8], to: &mut Places) {
        let given = [name.first().copied(), directory.last().copied()];
        let may_fit = |key: &[Option<u8>; 2]| key.iter().zip(given).all(|(key, given)| key.is_none() || *key == given);
        for (key, pattern) in self.keys.iter().zip(&self.patterns) {
            if may_fit(key) && pattern.fits(directory, name) {
                to.add(pattern.place);
            }
        }
    }
}

/// The patterns by what they match.
#[derive(Debug)]
pub(super) struct NameIndex {
    /// Whole names.
    exact: HashMap<Box<[u8]>, Patterns>,
    /// Endings, by their last byte.
    by_last: Vec<Vec<Ending>>,
    /// Those whose last byte may be any.
    any_end: Patterns,
}

const SPECIAL: [char; 6] = ['*', '?', '[', ']', '\\', '!'];

/// The pattern once for each choice in its braces, and for each letter of its brackets; `None` where they are nested.
fn expand(pattern: &str) -> Option<Vec<String>> {
    let Some(open) = pattern.find(['{', '[']) else { return Some(vec![pattern.to_owned()]) };
    let (before, rest) = (&pattern[..open], &pattern[open + 1..]);
    let (choices, after) = if pattern[open..].starts_with('{') {
        let (choices, after) = rest.split_once('}')?;
        (choices.split(',').map(str::to_owned).collect::<Vec<_>>(), after)
    } else {
        let (range, after) = rest.split_once(']')?;
        let mut letters = range.split('-').map(str::parse::<char>);
        let (Some(Ok(first)), Some(Ok(last)), None) = (letters.next(), letters.next(), letters.next()) else {
            return None;
        };
        ((first..=last).map(String::from).collect(), after)
    };
    if choices.iter().any(|choice| choice.contains(['{', '['])) {
        return None;
    }
    let tails = expand(after)?;
    Some(choices.iter().flat_map(|choice| tails.iter().map(move |tail| format!("{before}{choice}{tail}"))).collect())
}

impl Pattern {
    fn of(place: usize, pattern: &str) -> Option<Self> {
        let (directory, base) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let first = base.find(SPECIAL).unwrap_or(base.len());
        // A class in brackets, or an escape, makes what follows no literal.
        let last = base.rfind(SPECIAL).map_or(0, |at| at + 1);
        let exact = first == base.len();
        let (begins, ends) = if exact { (base, base) } else { (&base[..first], &base[last..]) };
        let parent = directory.rsplit('/').next().unwrap_or_default();
        let below_whole = !parent.contains(SPECIAL);
        let below = parent.rfind(SPECIAL).map_or(parent, |at| &parent[at + 1..]);
        let literal = |part: &&str| !part.contains(SPECIAL);
        let within = directory.split('/').filter(literal).max_by_key(|part| part.len()).unwrap_or_default();
        let one_star = !exact && base.len() - begins.len() - ends.len() == 1 && base.contains('*');
        let all = one_star && directory.is_empty() && begins.is_empty();
        let says_all = directory.is_empty() && (exact || one_star);
        let glob = if says_all { None } else { Some(LazyGlob::of(pattern)?) };
        Some(Self {
            place,
            begins: begins.as_bytes().into(),
            ends: ends.as_bytes().into(),
            below: below.as_bytes().into(),
            below_whole,
            within: within.as_bytes().into(),
            exact,
            all,
            glob,
        })
    }

    /// Whether a name fits that ends as it should; where all of it is literal, that is all of it.
    fn fits(&self, directory: &[u8], name: &[u8]) -> bool {
        let fits = self.exact || (name.len() >= self.begins.len() + self.ends.len() && name.starts_with(&self.begins));
        if !fits {
            return false;
        }
        let Some(glob) = &self.glob else { return true };
        let placed = if self.below.is_empty() {
            self.within.is_empty() || contains(directory, &self.within)
        } else {
            let separator = |byte: &u8| std::path::is_separator(char::from(*byte));
            let whole = |rest: &[u8]| !self.below_whole || rest.last().is_none_or(separator);
            directory.strip_suffix(&*self.below).is_some_and(whole)
        };
        placed && glob.is_match(directory, name)
    }
}

impl NameIndex {
    /// Of patterns with their rows.
    pub(super) fn of<'a>(patterns: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let by_last = (0..256).map(|_| Vec::new()).collect();
        let mut index = Self { exact: HashMap::new(), by_last, any_end: Patterns::default() };
        for (place, pattern) in patterns {
            let whole = || vec![pattern.to_owned()];
            for pattern in expand(pattern).unwrap_or_else(whole) {
                if let Some(pattern) = Pattern::of(place, &pattern) {
                    index.add(pattern);
                }
            }
        }
        index
    }

    fn add(&mut self, pattern: Pattern) {
        if pattern.exact {
            self.exact.entry(pattern.begins.clone()).or_default().push(pattern);
            return;
        }
        let Some(last) = pattern.ends.last() else { return self.any_end.push(pattern) };
        let endings = &mut self.by_last[usize::from(*last)];
        let known = endings.iter().position(|ending| ending.ends == pattern.ends);
        let at = known.unwrap_or_else(|| {
            endings.push(Ending { ends: pattern.ends.clone(), all: Places::default(), some: Patterns::default() });
            endings.len() - 1
        });
        let ending = &mut endings[at];
        if pattern.all { ending.all.add(pattern.place) } else { ending.some.push(pattern) }
    }

    /// The rows that a name in a directory fits.
    pub(super) fn find(&self, directory: &[u8], name: &[u8]) -> Places {
        let mut places = Places::default();
        if let Some(exact) = self.exact.get(name) {
            exact.add_fitting(directory, name, &mut places);
        }
        self.any_end.add_fitting(directory, name, &mut places);
        let ending = name.last().and_then(|last| self.by_last.get(usize::from(*last)));
        for ending in ending.into_iter().flatten().filter(|ending| name.ends_with(&ending.ends)) {
            places.add_all(ending.all);
            ending.some.add_fitting(directory, name, &mut places);
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::super::FORMATS;
    use super::*;
    use globset::{GlobSet, GlobSetBuilder};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn patterns() -> impl Iterator<Item = (usize, &'static str)> {
        FORMATS.iter().enumerate().flat_map(|(place, format)| format.names.iter().map(move |name| (place, *name)))
    }

    /// All patterns at once, as globset has them.
    static GLOBS: LazyLock<(GlobSet, Vec<usize>)> = LazyLock::new(|| {
        let mut builder = GlobSetBuilder::new();
        let mut owners = Vec::new();
        for (place, pattern) in patterns() {
            builder.add(name_glob(pattern).unwrap());
            owners.push(place);
        }
        (builder.build().unwrap(), owners)
    });
    static INDEX: LazyLock<NameIndex> = LazyLock::new(|| NameIndex::of(patterns()));

    fn compare(directory: &str, name: &str) -> usize {
        let mut expected: Vec<usize> =
            GLOBS.0.matches(format!("{directory}/{name}")).into_iter().map(|glob| GLOBS.1[glob]).collect();
        expected.sort_unstable();
        expected.dedup();
        let found: Vec<usize> = INDEX.find(directory.as_bytes(), name.as_bytes()).iter().collect();
        assert_eq!(found, expected, "{directory}/{name}");
        found.len()
    }

    /// A name that fits the pattern, where its special parts are made of `filler`.
    fn instance(pattern: &str, filler: &str) -> String {
        let plain = expand(pattern).unwrap().swap_remove(0).replace("**/", "a/b/");
        let mut made = String::new();
        for letter in plain.chars() {
            match letter {
                '*' => made.push_str(filler),
                '?' => made.push('7'),
                other => made.push(other),
            }
        }
        made
    }

    #[test]
    fn the_catalogue_fits_into_the_places() {
        assert!(FORMATS.len() <= Places::WORDS * 64);
        assert!(
            patterns().all(|(_, pattern)| expand(pattern).is_some()),
            "no pattern is nested, or has more than one range"
        );
    }

    #[test]
    fn what_fits_a_pattern_is_found_by_it_wherever_it_stands() {
        let mut found = 0;
        for (place, pattern) in patterns() {
            for filler in ["", "x", "a.b", "-"] {
                let path = format!("/srv/{}", instance(pattern, filler));
                let (directory, name) = path.rsplit_once('/').unwrap();
                compare(directory, name);
                found += usize::from(INDEX.find(directory.as_bytes(), name.as_bytes()).contains(place));
                for (elsewhere, other) in [("", name), ("/x", name), (directory, &*format!("{name}~"))] {
                    compare(elsewhere, other);
                }
            }
        }
        assert!(found > patterns().count() * 2, "most instances fit their own pattern: {found}");
    }

    proptest! {
        #[test]
        fn it_finds_what_the_globs_find(
            directory in "(/(x|lock|locks|\\.locks|snapd|dpkg|pkgs|cache|db|\\.git|apt|\\.hg|store|mysql|\\.dvc|x?\\.readers|tmp)){0,4}",
            name in "[.~]{0,2}(#|LCK\\.\\.|lk|00LOCK-|x|mk|uv-|index|db){0,2}[a-z0-9.*\\[-]{0,6}(\\.lock|\\.pid|\\.lck|LOCK|lock|-wal|\\.sw[a-z]|#|~pid\\.lock)?",
        ) {
            compare(&directory, &name);
        }
    }
}
