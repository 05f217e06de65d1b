//! Programs that lock the document they edit: Emacs, Vim, LibreOffice, MS Office, KiCad, GnuCash.

use super::fields::{field, is_empty, owned, target};
use super::marker::{object, text_field};
use super::text::{is_digits, text};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState, Scope};
use crate::model::facts::FileKind;
use crate::model::holder::Pid;
use crate::model::time::Wall;
use std::borrow::Cow;

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "emacs",
        title: "Emacs",
        mechanism: Mechanism::Symlink,
        names: &[".#*"],
        common_names: true,
        programs: &["emacs", "emacs-gtk", "emacs-lucid", "emacs-nox", "emacs-pgtk", "emacs-x", "Emacs", "xemacs"],
        looks: "`.#NAME`, a symbolic link to `USER@HOST.PID` or `USER@HOST.PID:BOOT`; a file where there are no links",
        stale_rule: Some(
            "removed by the next Emacs on the same host once the PID is gone or the machine was booted since; else it asks",
        ),
        caution: Some("While Emacs has unsaved changes, deleting it lets others change the file without a warning"),
        read: emacs,
        ..PLAIN
    },
    Format {
        id: "vim",
        title: "Vim swap",
        mechanism: Mechanism::Existence,
        names: &["*.sw[a-z]", "*.sv[t-z]"],
        common_names: true,
        claim: Claim::Magic,
        programs: &[
            "vim",
            "vi",
            "nvim",
            "gvim",
            "view",
            "vimdiff",
            "ex",
            "rvim",
            "rview",
            "gview",
            "gvimdiff",
            "vim.basic",
            "vim.tiny",
            "vim.nox",
            "vim.gtk3",
            "vim.gtk",
            "vim.motif",
            "Vim",
            "MacVim",
        ],
        looks: "`b0VIM` and a block with PID, user, host and file name; encrypted `bc`, `bC`, `bd`, `bS`, `bs`",
        stale_rule: Some(
            "deleted by the next Vim only if its PID on the same host is gone and nothing in it is unsaved; else Vim asks",
        ),
        caution: Some(
            "It may hold the only copy of unsaved text: `vim -r FILE` shows it, while the swap file is there",
        ),
        asked: Asked::FILE.if_it_begins(b"b"),
        read: vim,
        ..PLAIN
    },
    Format {
        id: "libreoffice",
        title: "LibreOffice",
        mechanism: Mechanism::Existence,
        names: &[".~lock.*#"],
        programs: &["soffice.bin", "oosplash", "soffice"],
        scope: Scope::Machine,
        looks: "`NAME,LOGIN,HOST,DD.MM.YYYY HH:MM,PROFILE;`, with `\\` before commas within",
        stale_rule: Some("none: it asks the person, unless the lock is its own"),
        caution: Some("While somebody edits the document, deleting it lets others write to it without a warning"),
        read: libreoffice,
        ..PLAIN
    },
    Format {
        id: "msoffice",
        title: "MS Office",
        mechanism: Mechanism::Existence,
        names: &["~$*"],
        common_names: true,
        programs: &["soffice.bin"],
        scope: Scope::Machine,
        looks: "162 bytes (Word) or 165 (Excel, PowerPoint): the user's name, once in bytes and once in UTF-16",
        stale_rule: Some("none: Office deletes it when the document is closed; after a crash it stays"),
        caution: Some("While somebody edits the document, deleting it lets others write to it without a warning"),
        read: msoffice,
        ..PLAIN
    },
    Format {
        id: "kicad",
        title: "KiCad",
        mechanism: Mechanism::Existence,
        names: &["~*.lck"],
        programs: &["kicad", "pcbnew", "eeschema", "gerbview", "pl_editor"],
        scope: Scope::Machine,
        looks: "JSON with `hostname`, `username` and, in newer versions, `token`; also locked by the kernel while it is held",
        stale_rule: Some("taken over if the kernel lock is free and user and host are one's own"),
        caution: Some("While somebody edits the project, deleting it lets others write to it"),
        read: kicad,
        ..PLAIN
    },
    Format {
        id: "gnucash",
        title: "GnuCash",
        mechanism: Mechanism::Hardlink,
        names: &["*.LCK"],
        common_names: true,
        programs: &["gnucash", "gnucash-cli"],
        scope: Scope::Machine,
        looks: "`F.LCK`, empty, with a second name `F.HOSTID.PID.LNK` beside it",
        stale_rule: Some("none: it asks the person"),
        caution: Some(
            "The second name goes with it; while the book is open elsewhere, changes of one of both are lost",
        ),
        read: gnucash,
        ..PLAIN
    },
];

/// `src/filelock.c`: the last `@`, the last `.` before the boot time; on CIFS the colon is U+F022 (Bug#24656).
fn emacs(file: &Candidate<'_>) -> Option<RecordState> {
    let whole = match file.kind {
        FileKind::Symlink => target(file)?,
        FileKind::Regular => text(file)?,
        _ => return None,
    };
    let (user, rest) = whole.rsplit_once('@')?;
    let (host, numbers) = rest.rsplit_once('.')?;
    let (digits, boot) = match numbers.split_once([':', '\u{f022}']) {
        Some((digits, boot)) => (digits, Some(boot)),
        None => (numbers, None),
    };
    if user.is_empty() || host.is_empty() || !is_digits(digits) || boot.is_some_and(|boot| !is_digits(boot)) {
        return None;
    }
    let booted_at = match boot.map(str::parse::<i64>) {
        None | Some(Ok(0)) => None,
        // What a wall clock can say, in nanoseconds.
        Some(Ok(secs)) if secs < i64::MAX / 1_000_000_000 => Some(Wall::from_parts(secs, 0)),
        Some(_) => return Some(RecordState::Malformed("a time of boot beyond all years")),
    };
    let rest = Record { user: Some(user.into()), host: Some(host.into()), booted_at, ..Record::default() };
    Some(owned(digits, rest))
}

/// The text up to the first NUL; `None` where that is nothing.
fn padded(bytes: Option<&[u8]>) -> Option<Cow<'_, str>> {
    let text = bytes?.split(|b| *b == 0).next()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text))
}

/// Block 0 of a swap file (`src/memline.c`, `struct block0`; offsets are those of every build, but the magics at its end
/// are in the byte order of the machine that wrote them).
fn vim(file: &Candidate<'_>) -> Option<RecordState> {
    const DIRTY: u8 = 0x55;
    let bytes = file.bytes;
    let plain = bytes.starts_with(b"b0");
    let encrypted = [b"bc", b"bC", b"bd", b"bS", b"bs"].iter().any(|id| bytes.starts_with(*id));
    // Neovim calls itself nVIM.
    let version = bytes.get(2..).is_some_and(|rest| rest.starts_with(b"VIM ") || rest.starts_with(b"nVIM "));
    if file.kind != FileKind::Regular || !(plain || encrypted) || !version {
        return None;
    }
    let Some(magic) = field::<8>(bytes, 1008) else { return Some(RecordState::CutShort) };
    const LITTLE: &[u8] = b"3210";
    let big = magic.starts_with(b"0123") || magic.ends_with(b"0123");
    if !magic.starts_with(LITTLE) && !big {
        return Some(RecordState::Malformed("block 0 of the swap file is damaged"));
    }
    let pid = u32::from_le_bytes(field(bytes, 24)?);
    if pid > i32::MAX as u32 {
        return Some(RecordState::Malformed("PID beyond 2^31-1"));
    }
    let edits = padded(bytes.get(108..1006)).map(|name| {
        let key = if encrypted { " (encrypted)" } else { "" };
        format!("edits {name}{key}").into()
    });
    let dirty = bytes.get(1007) == Some(&DIRTY);
    Some(RecordState::Parsed(Box::new(Record {
        pid: Pid::new(pid.into()),
        user: padded(bytes.get(28..68)).map(Into::into),
        host: padded(bytes.get(68..108)).map(Into::into),
        detail: edits,
        precious: dirty.then_some("unsaved text: recover it with vim -r first"),
        complete: true,
        ..Record::default()
    })))
}

/// `svl/source/misc/lockfilecommon.cxx`: five fields, commas between, a semicolon behind the last.
fn libreoffice(file: &Candidate<'_>) -> Option<RecordState> {
    const LONGEST: u64 = 16 * 1024; // names and profile have no limit of their own
    if file.kind != FileKind::Regular {
        return None;
    }
    let text = (file.size <= LONGEST).then(|| std::str::from_utf8(file.bytes).ok()).flatten();
    let Some(text) = text else { return Some(RecordState::Malformed("no UTF-8 text")) };
    let mut fields = vec![String::new()];
    let mut letters = text.chars();
    let mut ended = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => fields.last_mut()?.extend(letters.next()),
            ',' => fields.push(String::new()),
            ';' => {
                ended = true;
                break;
            }
            plain => fields.last_mut()?.push(plain),
        }
    }
    if !ended {
        return Some(RecordState::CutShort);
    }
    let [name, login, host, time, _profile] = &fields[..] else {
        return Some(RecordState::Malformed("LibreOffice writes five fields"));
    };
    let given = |text: &String| (!text.is_empty()).then(|| text.as_str().into());
    // The time is that machine's local one, without a zone: told, never reckoned with.
    let detail = match (name.is_empty(), time.is_empty()) {
        (true, true) => None,
        (false, true) => Some(name.clone()),
        (true, false) => Some(format!("since {time} there")),
        (false, false) => Some(format!("{name}, since {time} there")),
    };
    Some(RecordState::Parsed(Box::new(Record {
        user: given(login).or_else(|| given(name)),
        host: given(host),
        detail: detail.map(Into::into),
        complete: true,
        ..Record::default()
    })))
}

/// As LibreOffice re-engineered it (`msodocumentlockfile.cxx`): the length and the name in UTF-16, little end first.
fn msoffice(file: &Candidate<'_>) -> Option<RecordState> {
    const LONGEST_NAME: u16 = 52;
    let at = match file.size {
        162 => 54,
        165 => 55,
        _ => return None,
    };
    if file.kind != FileKind::Regular {
        return None;
    }
    let length = u16::from_le_bytes(field(file.bytes, at)?);
    let plain = *file.bytes.first()?;
    if u16::from(plain) > LONGEST_NAME || length > LONGEST_NAME {
        return None;
    }
    let units = file.bytes.get(at + 2..at + 2 + usize::from(length) * 2)?;
    let units: Vec<u16> = units.chunks_exact(2).map(|pair| u16::from(pair[0]) | u16::from(pair[1]) << 8).collect();
    let user = String::from_utf16_lossy(&units);
    let user = user.trim_end_matches(['\0', ' ']);
    Some(RecordState::Parsed(Box::new(Record {
        user: (!user.is_empty()).then(|| user.into()),
        complete: true,
        ..Record::default()
    })))
}

/// `include/lockfile.h`.
fn kicad(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Regular || !file.bytes.starts_with(b"{") {
        return None;
    }
    let map = match object(file) {
        Ok(map) => map,
        Err(state) => return Some(state),
    };
    let (host, user) = (text_field(&map, &["hostname"]), text_field(&map, &["username"]));
    if host.is_none() && user.is_none() {
        return Some(RecordState::Malformed("neither hostname nor username"));
    }
    Some(RecordState::Parsed(Box::new(Record { user, host, complete: true, ..Record::default() })))
}

/// `gnc-xml-backend.cpp`: `F.LCK` is linked to `F.<gethostid hex>.<pid>.LNK`. A host id is no host name, and machines share
/// it: it is told and not compared.
fn gnucash(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_empty(file) {
        return None;
    }
    let book = std::str::from_utf8(file.name.strip_suffix(b".LCK")?).ok();
    let linked = file.linked_name.and_then(|name| std::str::from_utf8(name).ok());
    let numbers = book.zip(linked).and_then(|(book, linked)| {
        let (host, digits) = linked.strip_prefix(book)?.strip_prefix('.')?.strip_suffix(".LNK")?.split_once('.')?;
        (is_digits(digits) && !host.is_empty() && host.bytes().all(|b| b.is_ascii_hexdigit())).then_some((host, digits))
    });
    match numbers {
        Some((host, digits)) => {
            Some(owned(digits, Record { detail: Some(format!("host id {host}").into()), ..Record::default() }))
        }
        // Where links cannot be made, the file alone is the lock and names nobody.
        None => file.name.ends_with(b".gnucash.LCK").then_some(RecordState::None),
    }
}
