//! Names and texts made safe to show: no control, bidirectional or invisible character reaches a terminal.
//!
//! Owns: the escapes. Never: changes a name that is acted on; JSON output carries names as they are.

use std::ffi::OsStr;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// A file name as it can be shown in one line: `\n`, `\x1b`, `\u{202e}`, and `\xff` for a byte that is no UTF-8.
pub fn name(name: &OsStr) -> String {
    let mut shown = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter == '\\' {
                shown.push_str("\\\\");
            } else {
                push_visible(&mut shown, letter);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// The same for text that is no name (a sentence, a command): a backslash stays what it is.
pub fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        push_visible(&mut shown, letter);
    }
    shown
}

fn push_visible(shown: &mut String, letter: char) {
    match letter {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        '\0'..='\x1f' | '\x7f' => {
            let _ = write!(shown, "\\x{:02x}", letter as u32);
        }
        _ if is_invisible(letter) => {
            let _ = write!(shown, "\\u{{{:x}}}", letter as u32);
        }
        _ => shown.push(letter),
    }
}

/// Controls, bidirectional marks, joiners, fillers, tags, variation selectors, and spaces that look like the plain one.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || (letter.is_whitespace() && letter != ' ')
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// At most `columns` wide; what is cut off leaves an ellipsis.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut used = 0;
    for letter in text.chars() {
        let wide = unicode_width::UnicodeWidthChar::width(letter).unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        fitted.push(letter);
    }
    fitted.push('…');
    fitted
}

/// Like [`fit`], but keeps both ends: of a path, its last part tells more than its middle.
pub fn fit_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns || columns < 5 {
        return fit(text, columns);
    }
    let head = fit(text, columns / 2);
    let mut tail = Vec::new();
    let mut left = columns.saturating_sub(width(&head));
    for letter in text.chars().rev() {
        let wide = unicode_width::UnicodeWidthChar::width(letter).unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        tail.push(letter);
    }
    head + &tail.iter().rev().collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_reaches_a_terminal() {
        for (given, shown) in [
            ("plain_memory.lock", "plain_memory.lock"),
            ("a\nb.lock", "a\\nb.lock"),
            ("\x1b[31mred", "\\x1b[31mred"),
            ("back\\slash", "back\\\\slash"),
            ("x\u{202e}kcol", "x\\u{202e}kcol"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("no\u{a0}break", "no\\u{a0}break"),
            ("c1\u{9b}", "c1\\u{9b}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("grüße 日本 🔒", "grüße 日本 🔒"),
        ] {
            assert_eq!(name(OsStr::new(given)), shown, "{given:?}");
        }
        assert_eq!(line("C:\\x\ny"), "C:\\x\\ny");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_utf8_are_told_apart() {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(name(OsStr::from_bytes(b"a\xff\xfe.lock")), "a\\xff\\xfe.lock");
        assert_eq!(name(OsStr::from_bytes(b"a\\xff.lock")), "a\\\\xff.lock", "not the same as the one above");
    }

    #[test]
    fn texts_fit_their_columns() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit_middle("abcdefghij.lock", 9), "abc….lock");
        for columns in 0..20 {
            assert!(width(&fit_middle("日本語/abcdefghij.lock", columns)) <= columns.max(1));
        }
    }
}
