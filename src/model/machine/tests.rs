//! The pictures that tests make by hand: who is in which group, in which order, in which circle.

use super::*;
use crate::model::kernel::{TableKind, parse_table};
use crate::model::waits::{Waiter, wait_tree};

fn process(pid: Pid) -> ProcessRef {
    let facts = ProcessFacts {
        pid,
        start_ticks: Some(u64::from(pid.get())),
        started_at: Wall::default(),
        uids: None,
        user: Some("ada".into()),
        comm: format!("prog{}", pid.get() % 10).into(),
        command: format!("prog{pid} --work").into(),
        kernel_thread: false,
        inner_pid: None,
        same_time_ns: Some(true),
    };
    ProcessRef { pid, facts: Some(Arc::new(facts)) }
}

/// Each file is called after its inode, in the directory `/d` and its tens: `/d/1/12.lock`.
fn picture(table: &str, seconds: u64) -> MachinePicture {
    let (lines, strange) = parse_table(table);
    let locks = lines
        .into_iter()
        .map(|line| {
            let ino = line.file.unwrap_or_default().ino;
            let place = if ino == 0 {
                Place::Unseen { why: Unseen::NoFile, mount: None }
            } else {
                let path = PathBuf::from(format!("/d/{}/{ino}.lock", ino / 10)).into();
                Place::Seen { path, deleted: ino == 99, elsewhere: ino == 77 }
            };
            MachineLock {
                line,
                processes: line.pid().map(process).into_iter().collect(),
                taker_gone: false,
                place,
                waiting_since: None,
                in_circle: false,
            }
        })
        .collect();
    MachinePicture {
        locks,
        strange: strange as u32,
        taken_monotonic: Duration::from_secs(seconds),
        ..MachinePicture::default()
    }
}

fn completed(table: &str) -> MachinePicture {
    let mut picture = picture(table, 100);
    picture.complete(None);
    picture
}

const QUEUE: &str = "\
1: FLOCK  ADVISORY  WRITE 10 fe:00:12 0 EOF
1: -> FLOCK  ADVISORY  WRITE 11 fe:00:12 0 EOF
1:  -> FLOCK  ADVISORY  WRITE 12 fe:00:12 0 EOF
2: POSIX  ADVISORY  READ  13 fe:00:15 100 199
3: FLOCK  ADVISORY  WRITE 11 fe:00:31 0 EOF
3: -> FLOCK  ADVISORY  WRITE 14 fe:00:31 0 EOF
4: FLOCK  ADVISORY  WRITE 15 fe:00:77 0 EOF
5: FLOCK  ADVISORY  WRITE 16 fe:00:99 0 EOF
";

#[test]
fn directories_are_counted_and_those_that_are_waited_for_come_first() {
    let picture = completed(QUEUE);
    let told: Vec<_> = picture
        .directories
        .iter()
        .map(|d| (d.path.to_str().unwrap(), d.held, d.waiting, d.programs.join(" ")))
        .collect();
    assert_eq!(
        told,
        [
            ("/d/1", 2, 2, "prog0 prog3".to_owned()),
            ("/d/3", 1, 1, "prog1".to_owned()),
            ("/d/9", 1, 0, "prog6".to_owned())
        ],
        "what is in a container has no directory here"
    );
    assert_eq!(picture.counts(), (5, 3));
}

#[test]
fn who_waits_stays_under_whom_it_waits_for_however_it_is_sorted_and_searched() {
    let picture = completed(QUEUE);
    let listed = |search, sort, descending| picture.listed(search, sort, descending);
    assert_eq!(listed("", MachineSort::Table, false), (0..8).collect::<Vec<_>>());
    assert_eq!(listed("", MachineSort::Waiting, true), [0, 1, 2, 4, 5, 3, 6, 7]);
    assert_eq!(listed("", MachineSort::Pid, true), [7, 6, 3, 4, 5, 0, 1, 2]);
    assert_eq!(listed("12", MachineSort::Path, false), [0, 1, 2], "a PID, and part of a path");
    assert_eq!(listed("prog4 flock", MachineSort::Path, false), [4, 5], "a waiter brings whom it waits for");
    assert_eq!(listed("POSIX", MachineSort::Path, false), [3]);
    assert_eq!(listed("deleted", MachineSort::Path, false), [7]);
    assert!(listed("nothing is called so", MachineSort::Path, false).is_empty());
}

#[test]
fn waiting_is_counted_from_when_it_was_first_seen() {
    let mut first = picture(QUEUE, 100);
    first.complete(None);
    let mut second = picture(QUEUE, 112);
    second.complete(Some(&first));
    let since = |picture: &MachinePicture, at: usize| picture.locks[at].waiting_since.map(|since| since.as_secs());
    assert_eq!((since(&second, 1), since(&second, 0)), (Some(100), None));
    assert!(second.shows_the_same(&first), "time alone is no news");
    // Another process with the same number has begun to wait anew.
    let mut third = picture(QUEUE, 120);
    let mut other = ProcessFacts::clone(third.locks[1].facts().unwrap());
    other.start_ticks = Some(9999);
    third.locks[1].processes[0].facts = Some(Arc::new(other));
    third.complete(Some(&second));
    assert_eq!((since(&third, 1), since(&third, 2)), (Some(120), Some(100)));
}

fn told(waiters: &[Waiter]) -> String {
    let one = |waiter: &Waiter| {
        let pid = waiter.process.as_ref().map_or_else(|| "?".to_owned(), |process| process.pid.to_string());
        let through = waiter.through.map_or_else(String::new, |at| format!("@{at}"));
        let circle = if waiter.in_circle { "!" } else { "" };
        let below = told(&waiter.waiters);
        let below = if below.is_empty() { below } else { format!("({below})") };
        format!("{pid}{through}{circle}{below}")
    };
    waiters.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn file(ino: u64) -> KernelFile {
    KernelFile { major: 0xfe, minor: 0, ino }
}

#[test]
fn who_waits_for_what_a_waiter_holds_stands_under_it() {
    let picture = completed(QUEUE);
    assert_eq!(told(&wait_tree(&picture, file(12), 50)), "11(12 14@4)");
    assert_eq!(told(&wait_tree(&picture, file(31), 50)), "14");
    assert_eq!(told(&wait_tree(&picture, file(12), 2)), "11(12)", "no more than is asked for");
    assert_eq!(told(&wait_tree(&picture, file(15), 50)), "");
}

#[test]
fn who_waits_in_a_circle_is_marked_and_the_tree_ends() {
    let picture = completed(
        "1: FLOCK  ADVISORY  WRITE 20 fe:00:1 0 EOF\n\
         1: -> FLOCK  ADVISORY  WRITE 21 fe:00:1 0 EOF\n\
         1:  -> FLOCK  ADVISORY  WRITE 23 fe:00:1 0 EOF\n\
         2: FLOCK  ADVISORY  WRITE 21 fe:00:2 0 EOF\n\
         2: -> FLOCK  ADVISORY  WRITE 20 fe:00:2 0 EOF\n\
         3: FLOCK  ADVISORY  WRITE 24 fe:00:3 0 EOF\n\
         3: -> FLOCK  ADVISORY  WRITE 24 fe:00:3 0 EOF\n",
    );
    let circles: Vec<bool> = picture.locks.iter().map(|lock| lock.in_circle).collect();
    // 23 only stands in the queue behind one of them; 24 waits for itself.
    assert_eq!(circles, [false, true, false, false, true, false, true]);
    assert_eq!(told(&wait_tree(&picture, file(1), 50)), "21!(23 20@3!)");
}

#[test]
fn what_cannot_be_seen_says_why() {
    let pid = Pid::new(812).unwrap();
    let denied = Unseen::Denied(process(pid));
    assert_eq!(denied.why(), "PID 812 runs as ada and does not show you its open files. Root sees more.");
    for why in [denied, Unseen::TakerGone(pid), Unseen::NotOpen(process(pid)), Unseen::NotNamed, Unseen::OtherHost] {
        assert!(why.why().ends_with('.') && !why.id().is_empty());
    }
    let picture = completed("1: OFDLCK *NOINODE* WRITE -1 <none>:0 5 EOF\n1: what is this\n");
    assert_eq!((picture.locks.len(), picture.strange), (1, 1));
    let lock = &picture.locks[0];
    assert_eq!((lock.range().as_str(), lock.mode(), lock.line.kind), ("5-end", "write", TableKind::Ofd));
}
