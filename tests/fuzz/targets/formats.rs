//! Any bytes under any name give a reading: parsed, malformed with a reason, or not recognised. Nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockscope::model::facts::FileKind;
use lockscope::model::format::{Candidate, recognise};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(4, |byte| *byte == 0);
    let (kind, name, directory) = (parts.next(), parts.next(), parts.next());
    let kind = match kind.and_then(<[u8]>::first) {
        Some(b'd') => FileKind::Directory,
        Some(b'l') => FileKind::Symlink,
        _ => FileKind::Regular,
    };
    let bytes = parts.next().unwrap_or_default();
    let candidate = Candidate::plain(name.unwrap_or(b"x.lock"), directory.unwrap_or(b"/srv/locks"), kind, bytes);
    let _ = recognise(&candidate);
});
