//! Browsers, desktop programs and what they stand on: Firefox, Chromium, VS Code, Qt, Steam, Wine, X11, Zotero.

use super::asked::DIGIT;
use super::fields::{SQLITE, any_content, is_empty, is_hex, owned, target};
use super::text::{is_digits, is_host, text};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState, Scope, Standing};
use crate::model::facts::FileKind;
use crate::model::holder::parse_boot_id;

const MOZILLA: &[&str] = &[
    "firefox",
    "firefox-bin",
    "firefox-esr",
    "GeckoMain",
    "thunderbird",
    "thunderbird-bin",
    "zotero",
    "zotero-bin",
    "librewolf",
    "waterfox",
    "icecat",
    "seamonkey",
    "floorp",
    "zen",
];

const KERNEL_RULE: Option<&str> = Some("none is needed: the kernel drops the lock with its holder");

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "firefox-link",
        title: "Firefox",
        mechanism: Mechanism::Symlink,
        names: &["lock"],
        programs: MOZILLA,
        looks: "`lock` in a profile, a symbolic link to `IP:+PID`; without `+` the link alone is the lock",
        stale_rule: Some(
            "with `+` obsolete once `.parentlock` can be locked; without, removed once the PID at the same IP is gone",
        ),
        caution: Some("While `.parentlock` beside it is locked, the profile is in use whatever this link says"),
        read: firefox,
        ..PLAIN
    },
    Format {
        id: "firefox-fcntl",
        title: "Firefox profile",
        mechanism: Mechanism::Posix,
        names: &[".parentlock", "parent.lock"],
        programs: MOZILLA,
        looks: "`.parentlock` in a profile (`parent.lock` on Windows); empty, its time is that of the last start",
        stale_rule: KERNEL_RULE,
        caution: Some("Deleting it while Firefox runs lets a second one into the same profile"),
        read: |file| {
            let own_name = file.name == b".parentlock" && file.kind == FileKind::Regular;
            (own_name || is_empty(file)).then_some(RecordState::None)
        },
        ..PLAIN
    },
    Format {
        id: "chromium",
        title: "Chromium",
        mechanism: Mechanism::Symlink,
        names: &["SingletonLock"],
        looks: "`SingletonLock`, a symbolic link to `HOST-PID`",
        stale_rule: Some(
            "on the same host a browser that does not answer for 20 s is killed; from another host it only says so",
        ),
        caution: Some("Starting the browser to see whether it clears may kill the one that has the profile"),
        read: chromium,
        ..PLAIN
    },
    Format {
        id: "vscode",
        title: "VS Code",
        mechanism: Mechanism::Existence,
        names: &["code.lock"],
        programs: &["code", "code-insiders", "code-oss", "codium", "cursor", "electron"],
        scope: Scope::Machine,
        looks: "`code.lock`, a `PID` without a newline; a socket is the lock itself",
        stale_rule: Some("none: it is written anew at the next start"),
        read: vscode,
        ..PLAIN
    },
    Format {
        id: "qt-qlockfile",
        title: "Qt",
        mechanism: Mechanism::Existence,
        claim: Claim::Grammar,
        looks: "`PID`, program, `HOST`, machine id and boot id, each on a line; before Qt 5.10 the first three. Also locked \
                by the kernel while it is held",
        stale_rule: Some(
            "removed on the same machine once it was booted since, the PID is gone or is another program; else by its age",
        ),
        asked: Asked::FILE.if_it_begins(DIGIT),
        read: qt,
        ..PLAIN
    },
    Format {
        id: "steam",
        title: "Steam",
        mechanism: Mechanism::Existence,
        names: &["steam.pid"],
        programs: &["steam"],
        scope: Scope::Machine,
        looks: "a `PID` and a newline",
        stale_rule: Some("ignored once the PID is gone, or does not have `steam.pipe` open"),
        read: steam,
        ..PLAIN
    },
    Format {
        id: "wine",
        title: "Wine server",
        mechanism: Mechanism::Posix,
        names: &[".wine-*/server-*/lock"],
        programs: &["wineserver", "wineserver64", "wineserver32"],
        looks: "`lock` in the server's directory; empty",
        stale_rule: KERNEL_RULE,
        caution: Some("Deleting it lets a second server into the same prefix; `wineserver -k` ends the one there is"),
        read: any_content,
        ..PLAIN
    },
    Format {
        id: "x11",
        title: "X server",
        mechanism: Mechanism::Existence,
        names: &[".X*-lock", ".tX*-lock"],
        programs: &[
            "Xorg",
            "X",
            "Xvfb",
            "Xwayland",
            "Xephyr",
            "Xnest",
            "Xvnc",
            "Xtigervnc",
            "Xtightvnc",
            "Xdummy",
            "gnome-shell",
            "mutter",
            "kwin_wayland",
            "kwin_wayland_wr",
            "weston",
            "sway",
            "Hyprland",
            "labwc",
            "wayfire",
            "niri",
            "xwayland-satell",
        ],
        scope: Scope::Machine,
        looks: "`.Xn-lock`: a `PID` aligned to the right, exactly 11 bytes",
        stale_rule: Some("removed by the next server once the PID is gone, or if it is shorter than 11 bytes"),
        caution: Some("A display may still listen on its socket in /tmp/.X11-unix"),
        read: x11,
        ..PLAIN
    },
    // Listed only while a kernel lock is on it: it is data.
    Format {
        id: "zotero",
        title: "Zotero",
        mechanism: Mechanism::Posix,
        standing: Standing::Data,
        claim: Claim::Magic,
        programs: &["zotero", "zotero-bin"],
        scope: Scope::Machine,
        looks: "the database `zotero.sqlite` itself, while Zotero has it locked",
        stale_rule: KERNEL_RULE,
        caution: Some("It is the library: never delete it"),
        asked: Asked::FILE.if_it_begins(b"S"),
        read: |file| {
            let mine = file.name == b"zotero.sqlite" && file.kind == FileKind::Regular;
            (mine && file.bytes.starts_with(SQLITE)).then_some(RecordState::None)
        },
        ..PLAIN
    },
];

/// Four numbers up to 255; whether the first says loopback.
fn loopback(ip: &str) -> Option<bool> {
    let parts: Vec<&str> = ip.split('.').collect();
    let fits = parts.len() == 4 && parts.iter().all(|part| is_digits(part) && part.parse::<u8>().is_ok());
    fits.then(|| parts.first() == Some(&"127"))
}

/// `toolkit/profile/nsProfileLock.cpp`. `lock` is called many a thing: only a link that fits is Firefox's. 127.x names no
/// machine, as every one has it.
fn firefox(file: &Candidate<'_>) -> Option<RecordState> {
    let (ip, owner) = target(file)?.split_once(':')?;
    let loopback = loopback(ip)?;
    let (digits, advisory) = match owner.strip_prefix('+') {
        Some(digits) => (digits, true),
        None => (owner, false),
    };
    is_digits(digits).then(|| {
        let host = (!loopback).then(|| ip.into());
        let detail = advisory.then(|| "advisory: the kernel lock on .parentlock decides".into());
        owned(digits, Record { host, detail, ..Record::default() })
    })
}

/// `process_singleton_lock_posix.cc`: a host may have dashes, so the last one counts.
fn chromium(file: &Candidate<'_>) -> Option<RecordState> {
    let (host, digits) = target(file)?.rsplit_once('-')?;
    let fits = is_digits(digits) && !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| owned(digits, Record { host: Some(host.into()), ..Record::default() }))
}

/// `main.ts`. Without a newline nothing tells that it is whole.
fn vscode(file: &Candidate<'_>) -> Option<RecordState> {
    let digits = text(file).filter(|text| is_digits(text))?;
    Some(match owned(digits, Record::default()) {
        RecordState::Parsed(record) => RecordState::Parsed(Box::new(Record { complete: false, ..*record })),
        state => state,
    })
}

/// `qlockfile.cpp`, `qlockfile_unix.cpp`. Either id may be missing where the machine has none.
fn qt(file: &Candidate<'_>) -> Option<RecordState> {
    let lines: Vec<&str> = text(file)?.strip_suffix('\n')?.split('\n').collect();
    let (digits, program, host, ids) = match lines[..] {
        [pid, program, host, machine, boot] => (pid, program, host, Some((machine, boot))),
        [pid, program, host] => (pid, program, host, None),
        _ => return None,
    };
    let is_id = |text: &str| text.is_empty() || is_hex(text, 32);
    let fits = match ids {
        Some((machine, boot)) => is_id(machine) && is_id(&boot.replace('-', "")),
        // Three lines are less of a grammar: then program and host must look like such.
        None => program.bytes().any(|b| b.is_ascii_alphabetic()) && is_host(host),
    };
    if !fits || !is_digits(digits) || program.chars().any(char::is_control) || host.chars().any(char::is_control) {
        return None;
    }
    let given = |text: &str| (!text.is_empty()).then(|| text.into());
    let rest = Record {
        program: given(program),
        host: given(host),
        machine_id: ids.and_then(|(machine, _)| parse_boot_id(machine)),
        boot_id: ids.and_then(|(_, boot)| parse_boot_id(boot)),
        ..Record::default()
    };
    Some(owned(digits, rest))
}

/// `steam.sh`.
fn steam(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Regular {
        return None;
    }
    let text = text(file).unwrap_or_default();
    Some(match text.strip_suffix('\n') {
        Some(digits) if is_digits(digits) => owned(digits, Record::default()),
        None if file.size == 0 || is_digits(text) => RecordState::CutShort,
        _ => RecordState::Malformed("no PID"),
    })
}

/// `os/utils.c`: `%10lu\n`, and what is shorter the server takes for bogus.
fn x11(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Regular {
        return None;
    }
    if file.size < 11 {
        return Some(RecordState::CutShort);
    }
    let digits = text(file).filter(|text| text.len() == 11).and_then(|text| text.strip_suffix('\n'));
    let digits = digits.map(|text| text.trim_start_matches(' ')).filter(|digits| is_digits(digits));
    Some(digits.map_or(RecordState::Malformed("not a PID in 11 bytes"), |digits| owned(digits, Record::default())))
}
