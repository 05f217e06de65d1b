//! Which rows are selected: one or many, by mouse and keyboard as in a file manager.

use crate::engine::listing::Row;
use crate::model::snapshot::LockId;
use std::collections::BTreeSet;

/// The selection, by lock and not by place, so that it stays with its lock when rows move.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    ids: BTreeSet<LockId>,
    /// Where a range starts.
    anchor: Option<LockId>,
    /// The row that the keyboard moves from, shown in the side panel.
    pub(super) cursor: Option<LockId>,
}

/// How a click or key changes the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// This one alone.
    Only,
    /// This one as well, or no longer (Ctrl).
    Toggle,
    /// All from the anchor to this one (Shift).
    Range,
    /// None other than before; only the keyboard stands here now (Ctrl with an arrow).
    Pass,
}

impl Selection {
    pub(super) fn contains(&self, id: LockId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = LockId> {
        self.ids.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn all(&mut self, rows: &[Row]) {
        self.ids = locks(rows).collect();
        self.cursor = self.cursor.or_else(|| locks(rows).next());
    }

    /// Forgets what is not there any more.
    pub(super) fn retain(&mut self, there: impl Fn(LockId) -> bool) {
        self.ids.retain(|id| there(*id));
        self.cursor = self.cursor.filter(|id| there(*id));
        self.anchor = self.anchor.filter(|id| there(*id));
    }

    pub(super) fn choose(&mut self, id: LockId, reach: Reach, rows: &[Row]) {
        match reach {
            Reach::Only => self.ids = BTreeSet::from([id]),
            Reach::Pass => {}
            Reach::Toggle => {
                if !self.ids.remove(&id) {
                    self.ids.insert(id);
                }
            }
            Reach::Range => {
                let place = |wanted| locks(rows).position(|known| known == wanted);
                let from = self.anchor.and_then(place).unwrap_or(0);
                let to = place(id).unwrap_or(from);
                self.ids = locks(rows).skip(from.min(to)).take(from.abs_diff(to) + 1).collect();
            }
        }
        if !matches!(reach, Reach::Range | Reach::Pass) {
            self.anchor = Some(id);
        }
        self.cursor = Some(id);
    }

    /// The lock that is `by` rows away from the cursor, and the row it stands in.
    pub(super) fn moved(&self, by: isize, rows: &[Row]) -> Option<(LockId, usize)> {
        let places: Vec<(usize, LockId)> = rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| if let Row::Lock(id) = row { Some((at, *id)) } else { None })
            .collect();
        let last = places.len().checked_sub(1)?;
        let now = self.cursor.and_then(|id| places.iter().position(|(_, known)| *known == id));
        let next = match now {
            Some(now) => now.saturating_add_signed(by).min(last),
            // From nowhere, one down is the first row and one up the last.
            None if by > 0 => usize::try_from(by - 1).unwrap_or(0).min(last),
            None => last.saturating_add_signed(by + 1),
        };
        places.get(next).map(|(at, id)| (*id, *at))
    }
}

fn locks(rows: &[Row]) -> impl Iterator<Item = LockId> {
    rows.iter().filter_map(|row| if let Row::Lock(id) = row { Some(*id) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let heading = Row::Group(Box::default());
        vec![heading.clone(), Row::Lock(LockId(7)), Row::Lock(LockId(3)), heading, Row::Lock(LockId(5))]
    }

    #[test]
    fn moving_passes_over_headings_and_stops_at_the_ends() {
        let mut selection = Selection::default();
        assert_eq!(selection.moved(1, &rows()), Some((LockId(7), 1)));
        selection.choose(LockId(3), Reach::Only, &rows());
        assert_eq!(selection.moved(1, &rows()), Some((LockId(5), 4)));
        assert_eq!(selection.moved(100, &rows()), Some((LockId(5), 4)));
        assert_eq!(selection.moved(-100, &rows()), Some((LockId(7), 1)));
        assert_eq!(selection.moved(1, &[]), None);
        let nowhere = Selection::default();
        assert_eq!(nowhere.moved(-1, &rows()), Some((LockId(5), 4)));
        assert_eq!(nowhere.moved(100, &rows()), Some((LockId(5), 4)));
        assert_eq!(nowhere.moved(-100, &rows()), Some((LockId(7), 1)));
    }

    #[test]
    fn ranges_and_toggles_work_as_in_a_file_manager() {
        let mut selection = Selection::default();
        selection.choose(LockId(7), Reach::Only, &rows());
        selection.choose(LockId(5), Reach::Range, &rows());
        assert_eq!(selection.len(), 3);
        selection.choose(LockId(3), Reach::Toggle, &rows());
        assert_eq!(selection.ids().collect::<Vec<_>>(), [LockId(5), LockId(7)]);
        selection.retain(|id| id != LockId(5));
        assert_eq!(selection.len(), 1);
    }
}
