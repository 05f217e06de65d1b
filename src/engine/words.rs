//! What is said to a session, and how it waits: for words and events at once, with one thread.
//!
//! Owns: [`Word`], and the two ends [`Words`] and [`Inbox`]. Never: acts on a word.

use crate::model::ignore::IgnoreRules;
use crate::platform::{Bell, Door, Events, Waited};
use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use std::ffi::OsString;
use std::io;
use std::time::Duration;

/// What a session is told.
#[derive(Debug)]
pub(super) enum Word {
    /// Another threshold.
    Threshold(Duration),
    /// Look at everything now.
    Rescan,
    /// Look at these paths now: we changed them ourselves.
    Look(Vec<OsString>),
    /// Look at subfolders too, or no more, and pass these over.
    Subfolders(bool, IgnoreRules),
    /// It is shown now: what was put off as it was not is to be done.
    Shown,
    /// End.
    End,
}

/// Rings once more when it goes.
#[derive(Clone, Debug)]
struct LastRing(Bell);

impl Drop for LastRing {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// Speaks to a session. When the last of them goes, the session ends.
#[derive(Clone, Debug)]
pub(super) struct Words {
    // Goes first, so that who comes to the bell finds that nobody speaks any more.
    words: Sender<Word>,
    bell: LastRing,
}

impl Words {
    /// Says it. One that has ended hears nothing.
    pub(super) fn send(&self, word: Word) {
        if self.words.send(word).is_ok() {
            self.bell.0.ring();
        }
    }
}

/// Where a session waits.
pub(super) struct Inbox {
    words: Receiver<Word>,
    door: Door,
}

/// What a session has waited for.
#[derive(Debug)]
pub(super) enum Wake {
    /// A word.
    Word(Word),
    /// There are events.
    Hints,
    /// The time is up.
    Tick,
    /// Nothing, after all.
    Nothing,
}

impl Inbox {
    /// Both ends.
    pub(super) fn open() -> io::Result<(Words, Self)> {
        let door = Door::new()?;
        let (send, words) = unbounded();
        Ok((Words { words: send, bell: LastRing(door.bell()) }, Self { words, door }))
    }

    /// Where its events are to be waited for.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// Waits for a word, events, or the end of this time. A word goes first.
    pub(super) fn wait(&self, events: Option<&Events>, at_most: Duration) -> Wake {
        if let Some(word) = self.word() {
            return Wake::Word(word);
        }
        match self.door.wait(events, at_most) {
            Waited::Rung => self.word().map_or(Wake::Nothing, Wake::Word),
            Waited::Happened => Wake::Hints,
            Waited::InVain => Wake::Tick,
        }
    }

    fn word(&self) -> Option<Word> {
        match self.words.try_recv() {
            Ok(word) => Some(word),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Word::End),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[test]
    fn words_come_in_their_order_and_each_once() {
        let (words, inbox) = Inbox::open().unwrap();
        words.send(Word::Rescan);
        words.clone().send(Word::Shown);
        assert!(matches!(inbox.wait(None, LONG), Wake::Word(Word::Rescan)));
        assert!(matches!(inbox.wait(None, LONG), Wake::Word(Word::Shown)));
        // They have rung as well, and so did the clone that went.
        while let Wake::Nothing = inbox.wait(None, Duration::ZERO) {}
        assert!(matches!(inbox.wait(None, Duration::ZERO), Wake::Tick));
        let speaks = std::thread::spawn(move || {
            words.send(Word::Rescan);
            words
        });
        assert!(matches!(inbox.wait(None, LONG), Wake::Word(Word::Rescan)), "by another thread");
        drop(speaks.join().unwrap());
    }

    #[test]
    fn when_nobody_speaks_any_more_it_ends() {
        let (words, inbox) = Inbox::open().unwrap();
        let other = words.clone();
        drop(words);
        while let Wake::Nothing = inbox.wait(None, Duration::ZERO) {}
        assert!(matches!(inbox.wait(None, Duration::ZERO), Wake::Tick), "one is left");
        let last = std::thread::spawn(move || drop(other));
        assert!(matches!(inbox.wait(None, LONG), Wake::Word(Word::End)));
        last.join().unwrap();
    }

    #[test]
    fn a_word_and_events_are_both_heard() {
        let place = tempfile::tempdir().unwrap();
        let (words, inbox) = Inbox::open().unwrap();
        let events = Events::of(place.path(), inbox.door()).unwrap();
        std::fs::write(place.path().join("a.lock"), "").unwrap();
        assert!(matches!(inbox.wait(Some(&events), LONG), Wake::Hints));
        words.send(Word::Rescan);
        assert!(matches!(inbox.wait(Some(&events), LONG), Wake::Word(Word::Rescan)));
        let wake = inbox.wait(Some(&events), LONG);
        let wake = if let Wake::Nothing = wake { inbox.wait(Some(&events), LONG) } else { wake };
        assert!(matches!(wake, Wake::Hints), "nobody has taken them: {wake:?}");
    }
}
