//! A looker that is still to come: who reads the kernel's lock table first in a while waits some 10 ms for all processors
//! (`fs/locks.c` takes a per-processor lock for writing), and there is something to do meanwhile.
//!
//! Owns: [`Looks`], and the reading of the table beside something else. Never: looks at a file.

use super::LookOptions;
use super::evidence::{Looker, table_of};
use crate::model::kernel::KernelLock;
use crate::platform::{Directory, System};
use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::thread::{Builder, ScopedJoinHandle};

/// Who looks, or will.
pub(crate) trait Looks {
    /// `None` = not yet.
    fn ready(&self) -> Option<&Looker>;
    /// Waits until it is.
    fn wait(&self) -> &Looker;
}

impl Looks for Looker {
    fn ready(&self) -> Option<&Looker> {
        Some(self)
    }

    fn wait(&self) -> &Looker {
        self
    }
}

/// One whose lock table is being read.
struct Coming<'scope, 'a> {
    looker: OnceCell<Looker>,
    /// `None` = there was no thread to be had.
    reading: Cell<Option<ScopedJoinHandle<'scope, Option<Vec<KernelLock>>>>>,
    system: &'a Arc<dyn System>,
    directory: &'a dyn Directory,
    options: &'a LookOptions,
}

impl Coming<'_, '_> {
    fn make(&self) -> Looker {
        let table = match self.reading.take() {
            Some(reading) => reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            None => table_of(&**self.system),
        };
        Looker::with_table(self.system, self.directory, self.options, None, table)
    }
}

impl Looks for Coming<'_, '_> {
    fn ready(&self) -> Option<&Looker> {
        self.looker.get()
    }

    fn wait(&self) -> &Looker {
        self.looker.get_or_init(|| self.make())
    }
}

impl Looker {
    /// As [`Looker::new`], with something done while the lock table is read.
    pub(crate) fn beside<T>(
        system: &Arc<dyn System>, directory: &dyn Directory, options: &LookOptions,
        meanwhile: impl FnOnce(&dyn Looks) -> T,
    ) -> (Self, T) {
        std::thread::scope(|scope| {
            let reading = Builder::new().name("lock-table".into()).spawn_scoped(scope, || table_of(&**system));
            let reading = Cell::new(reading.ok());
            let mut coming = Coming { looker: OnceCell::new(), reading, system, directory, options };
            let done = meanwhile(&coming);
            (coming.looker.take().unwrap_or_else(|| coming.make()), done)
        })
    }
}

// What is listed for its lock alone is known on Linux only.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[cfg(test)]
mod tests {
    use super::super::pass::list_names_entering;
    use super::*;
    use crate::model::facts::FileSystem;
    use crate::model::holder::{Pid, ProcessLook};
    use crate::model::time::Wall;
    use crate::platform::{Host, ProcessSweep, this_machine};
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// This machine, which tells when its lock table is asked for, and reads it when it is told so.
    struct Slow(Arc<dyn System>, Sender<()>, Mutex<Receiver<()>>);

    impl System for Slow {
        fn kernel_locks(&self) -> std::io::Result<Vec<KernelLock>> {
            self.1.send(()).expect("somebody listens");
            self.2.lock().expect("nobody panics").recv().expect("it is told");
            self.0.kernel_locks()
        }
        fn wall(&self) -> Wall {
            self.0.wall()
        }
        fn monotonic(&self) -> Duration {
            self.0.monotonic()
        }
        fn host(&self) -> Host {
            self.0.host()
        }
        fn file_system(&self, mount: u64) -> FileSystem {
            self.0.file_system(mount)
        }
        fn lock_device(&self, mount: u64) -> Option<(u32, u32, bool)> {
            self.0.lock_device(mount)
        }
        fn look_at(&self, pid: Pid) -> ProcessLook {
            self.0.look_at(pid)
        }
        fn count_processes(&self) -> (u32, u32) {
            self.0.count_processes()
        }
        fn sweep(&self) -> ProcessSweep {
            self.0.sweep()
        }
        fn open_paths(&self, pid: Pid) -> Option<Vec<PathBuf>> {
            self.0.open_paths(pid)
        }
        fn open_directory(&self, path: &Path) -> std::io::Result<Box<dyn Directory>> {
            self.0.open_directory(path)
        }
    }

    /// Ready only when it is waited for.
    struct Late(Looker, Cell<bool>);

    impl Looks for Late {
        fn ready(&self) -> Option<&Looker> {
            None
        }
        fn wait(&self) -> &Looker {
            self.1.set(true);
            &self.0
        }
    }

    #[test]
    fn something_is_done_while_the_table_is_read() {
        let base = tempfile::tempdir().unwrap();
        let ((tell, told), (begin, begun)) = (channel(), channel());
        let system: Arc<dyn System> = Arc::new(Slow(this_machine(), begin, Mutex::new(told)));
        let directory = system.open_directory(base.path()).unwrap();
        let (looker, done) = Looker::beside(&system, &*directory, &LookOptions::default(), |looks| {
            begun.recv_timeout(Duration::from_secs(20)).expect("it is being read");
            assert!(looks.ready().is_none());
            tell.send(()).unwrap();
            assert!(looks.wait().sight.kernel_table);
            looks.ready().is_some()
        });
        assert!(done && looker.sight.kernel_table);
        // Nobody has waited for it until the end.
        let (_, ()) = Looker::beside(&system, &*directory, &LookOptions::default(), |_| tell.send(()).unwrap());
    }

    #[test]
    fn only_what_is_listed_for_its_lock_waits_for_the_looker() {
        let base = tempfile::tempdir().unwrap();
        let system = this_machine();
        let options = LookOptions::default();
        std::fs::write(base.path().join("a.lock"), "1\n").unwrap();
        let held = std::fs::File::create(base.path().join("notes")).unwrap();
        held.lock().unwrap();
        let list = || {
            let directory = system.open_directory(base.path()).unwrap();
            let late = Late(Looker::new(&system, &*directory, &options, None), Cell::new(false));
            let mut names = list_names_entering(&*directory, &late, &options, &mut |_, _| {}).unwrap();
            assert_eq!(names.listed.len(), names.kinds.len());
            names.listed.sort();
            (names.listed, late.1.get())
        };
        assert_eq!(list(), (vec!["a.lock".into(), "notes".into()], true));
        // Very many do not wait: they are asked about as they come.
        for number in 0..5000 {
            std::fs::write(base.path().join(format!("{number}.txt")), "").unwrap();
        }
        assert_eq!(list(), (vec!["a.lock".into(), "notes".into()], true));
        drop(held);
        assert_eq!(list(), (vec!["a.lock".into()], true));
        for number in 0..5000 {
            std::fs::remove_file(base.path().join(format!("{number}.txt"))).unwrap();
        }
        std::fs::remove_file(base.path().join("notes")).unwrap();
        assert_eq!(list(), (vec!["a.lock".into()], false));
    }
}
