//! The system and its package managers.

use super::files::{KERNEL, is_regular, kernel_file, last_taker, one_pid, owned_by, parent, parsed, pid_file};
use super::marker::{looks_like_json, object, text_field};
use super::text::{is_digits, pid, text};
use super::{Candidate, Format, Mechanism, PLAIN, Record, RecordState, Scope, Standing};
use crate::model::holder::Pid;

// What starts `dpkg`; a name is cut at 15 bytes by the kernel.
const DPKG: &[&str] = &[
    "dpkg",
    "apt",
    "apt-get",
    "apt.systemd.dai",
    "aptitude",
    "unattended-upgr",
    "packagekitd",
    "synaptic",
    "nala",
    "update-manager",
    "gnome-software",
    "plasma-discover",
];
const PACMAN: &[&str] = &[
    "pacman",
    "pamac",
    "pamac-daemon",
    "pamac-manager",
    "packagekitd",
    "yay",
    "paru",
    "pikaur",
    "trizen",
    "octopi",
    "octopi-helper",
    "makepkg",
];
const ACCOUNTS: &[&str] = &[
    "useradd",
    "userdel",
    "usermod",
    "groupadd",
    "groupdel",
    "groupmod",
    "groupmems",
    "passwd",
    "chage",
    "chsh",
    "chfn",
    "gpasswd",
    "chpasswd",
    "chgpasswd",
    "newusers",
    "pwck",
    "grpck",
    "pwconv",
    "pwunconv",
    "grpconv",
    "grpunconv",
    "vipw",
    "vigr",
];

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "dpkg",
        title: "dpkg/apt",
        mechanism: Mechanism::Posix,
        names: &["lock-frontend", "dpkg/lock", "dpkg/triggers/Lock", "apt/lists/lock", "apt/archives/lock"],
        programs: DPKG,
        scope: Scope::Machine,
        caution: Some(
            "Removing it is always wrong: it frees nobody, and two programs would change the packages at once",
        ),
        after_clearing: Some("dpkg --configure -a"),
        ..KERNEL
    },
    Format {
        id: "rpm",
        title: "RPM",
        mechanism: Mechanism::Posix,
        names: &[".rpm.lock"],
        programs: &["rpm", "dnf", "dnf5", "yum", "zypper", "packagekitd", "rpm-ostree", "microdnf"],
        scope: Scope::Machine,
        caution: Some(
            "Removing it is always wrong: it frees nobody, and two programs would change the packages at once",
        ),
        after_clearing: Some("rpm --verifydb"),
        ..KERNEL
    },
    Format {
        id: "dnf4",
        title: "DNF",
        mechanism: Mechanism::Existence,
        names: &["{metadata,download,rpmdb,log}_lock.pid"],
        programs: &["dnf", "dnf-3", "yum", "dnf-automatic"],
        scope: Scope::Machine,
        looks: "`PID`, no newline; empty = free",
        stale_rule: Some("the next `dnf` takes it over if there is no such process"),
        caution: Some("Deleting it while DNF runs lets a second one in"),
        // `dnf/lock.py` empties the file when it lets go.
        read: last_taker,
        ..PLAIN
    },
    Format {
        id: "zypp",
        title: "libzypp",
        mechanism: Mechanism::Existence,
        names: &["zypp.pid"],
        programs: &["zypper", "packagekitd", "y2base", "zypp-rpm"],
        scope: Scope::Machine,
        looks: "the PID",
        read: pid_file,
        ..PLAIN
    },
    Format {
        id: "pacman",
        title: "pacman",
        mechanism: Mechanism::Existence,
        names: &["db.lck"],
        programs: PACMAN,
        scope: Scope::Machine,
        looks: "empty, no permissions at all (mode 0000), or in a directory `pacman`. It names no owner",
        stale_rule: Some("none: pacman says that you may remove it if you are sure that no package manager runs"),
        caution: Some("Deleting it while pacman runs lets a second one change the packages"),
        after_clearing: Some("pacman -Dk"),
        read: pacman,
        ..PLAIN
    },
    Format {
        id: "shadow",
        title: "accounts (shadow)",
        mechanism: Mechanism::Existence,
        names: &["{passwd,shadow,group,gshadow,subuid,subgid}.lock"],
        programs: ACCOUNTS,
        scope: Scope::Machine,
        looks: "the PID and a NUL, no newline",
        stale_rule: Some("the next `useradd` or the like removes it if it cannot signal the PID"),
        caution: Some("Deleting it while such a program runs lets two write the accounts"),
        after_clearing: Some("pwck -r && grpck -r"),
        read: shadow,
        ..PLAIN
    },
    Format {
        id: "lckpwdf",
        title: "accounts (glibc)",
        mechanism: Mechanism::Posix,
        names: &[".pwd.lock"],
        programs: ACCOUNTS,
        scope: Scope::Machine,
        ..KERNEL
    },
    Format {
        id: "uucp",
        title: "serial port",
        mechanism: Mechanism::Existence,
        names: &["LCK..*"],
        looks: "the PID in decimal and a newline, or in exactly 4 bytes as a binary number; perhaps the program and user after it",
        stale_rule: Some("the next program on this port removes it if there is no such process"),
        caution: Some("Deleting it while the port is in use lets two programs talk on it"),
        read: uucp,
        ..PLAIN
    },
    Format {
        id: "puppet-run",
        title: "Puppet run",
        mechanism: Mechanism::Existence,
        names: &["agent_catalog_run.lock"],
        programs: &["puppet", "ruby"],
        scope: Scope::Machine,
        looks: "`PID`, no newline",
        stale_rule: Some("the next run removes it if there is no such process, or if that is neither Ruby nor Puppet"),
        caution: Some("Deleting it while Puppet runs lets a second run start"),
        read: pid_file,
        ..PLAIN
    },
    Format {
        id: "puppet-disabled",
        title: "Puppet disabled",
        mechanism: Mechanism::Existence,
        names: &["agent_disabled.lock"],
        standing: Standing::Administrative,
        looks: "a JSON object; `disabled_message` says why",
        stale_rule: Some("never stale: an administrator disabled Puppet, and it stays so"),
        caution: Some("Deleting it lets Puppet change this machine again"),
        unlocker: Some("puppet agent --enable"),
        read: puppet_disabled,
        ..PLAIN
    },
    Format {
        id: "chef",
        title: "Chef",
        mechanism: Mechanism::Flock,
        names: &["chef-client-running.pid"],
        programs: &["chef-client", "chef-infra-clie", "cinc-client", "ruby"],
        scope: Scope::Machine,
        looks: "`PID` of the last run, no newline; it stays when the run is over",
        read: last_taker,
        ..KERNEL
    },
];

/// `lib/libalpm/handle.c` creates it with mode 0. Derby has a `db.lck` too, with text in it.
fn pacman(file: &Candidate<'_>) -> Option<RecordState> {
    let mine = parent(file) == b"pacman" || file.mode.trailing_zeros() >= 9; // not even its owner may read it
    if mine { kernel_file(file) } else { None }
}

/// `lib/commonio.c` writes the NUL that ends its buffer. In `/etc` the name is its own; elsewhere the NUL is the mark.
fn shadow(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    let at_home = parent(file) == b"etc";
    if file.size == 0 {
        return at_home.then_some(RecordState::CutShort);
    }
    match text(file).and_then(|text| text.strip_suffix('\0')) {
        Some(digits) if is_digits(digits) => {
            Some(owned_by(pid(digits), Record { complete: true, ..Record::default() }))
        }
        _ => at_home.then_some(RecordState::Malformed("no PID and NUL")),
    }
}

/// Digits and perhaps a program and a user after them (HDB), or a binary number. 4 bytes could be either: text has
/// digits and white space only, and as a number that would be beyond any PID of Linux.
fn uucp(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    if file.size == 0 {
        return Some(RecordState::CutShort);
    }
    if let Ok(four) = <[u8; 4]>::try_from(file.bytes)
        && !four.iter().all(|b| b.is_ascii_digit() || b.is_ascii_whitespace())
    {
        let Ok(number) = u64::try_from(i32::from_le_bytes(four)) else {
            return Some(RecordState::Malformed("negative PID"));
        };
        return Some(parsed(Record { pid: Pid::new(number), complete: true, ..Record::default() }));
    }
    let Some(text) = text(file) else { return Some(RecordState::Malformed("no PID")) };
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (program, user) = match words[..] {
        [_] => return Some(one_pid(text)),
        [_, program] => (program, None),
        [_, program, user] => (program, Some(user)),
        _ => return Some(RecordState::Malformed("no PID")),
    };
    Some(match one_pid(words.first().copied().unwrap_or_default()) {
        RecordState::Parsed(record) => parsed(Record {
            program: Some(program.into()),
            user: user.map(Into::into),
            complete: text.ends_with('\n'),
            ..*record
        }),
        state => state,
    })
}

/// `agent/disabler.rb`; without a message the object is empty.
fn puppet_disabled(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    if file.size == 0 {
        return Some(RecordState::None); // its being there is what counts
    }
    if !looks_like_json(file) {
        return Some(RecordState::Malformed("no JSON object"));
    }
    Some(match object(file) {
        Ok(map) => {
            parsed(Record { detail: text_field(&map, &["disabled_message"]), complete: true, ..Record::default() })
        }
        Err(state) => state,
    })
}
