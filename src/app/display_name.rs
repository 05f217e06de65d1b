//! Names of files as they may be shown: no name can disguise itself, and long ones lose their middle.

/// The text with control, bidirectional and invisible characters as visible escapes.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// A name or a path: beside what [`visible`] shows, the spaces that a person would not see or not count: at its ends, at
/// the ends of a path's parts, before an extension, and several in a row. Not for sentences.
pub fn visible_name(name: &str) -> String {
    let begins = |before: Option<char>| matches!(before, None | Some('/' | ' '));
    let ends = |after: Option<char>| matches!(after, None | Some('/' | ' ' | '.'));
    let mut shown = String::with_capacity(name.len());
    let mut before = None;
    let mut letters = name.chars().peekable();
    while let Some(c) = letters.next() {
        if c == ' ' && (begins(before) || ends(letters.peek().copied())) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        before = Some(c);
    }
    visible(&shown)
}

/// Characters that draw nothing, or change how others are drawn: Cc, and of Cf and Zs those that deceive.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
        || (c.is_whitespace() && c != ' ')
}

/// At most `most` characters, the middle one an ellipsis: both ends of a name tell more than its middle.
pub fn elided(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most || most < 5 {
        return text.to_owned();
    }
    let tail = (most - 1) / 2;
    let head = most - 1 - tail;
    let mut shown: String = text.chars().take(head).collect();
    shown.push('…');
    shown.extend(text.chars().skip(count - tail));
    shown
}

/// A path with the home directory as `~`, escaped.
pub(super) fn short_path(path: &std::path::Path, home: Option<&std::path::Path>) -> String {
    let text = match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.to_string_lossy()),
        None => path.to_string_lossy().into_owned(),
    };
    visible_name(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_hidden() {
        for (name, shown) in [
            ("plain.lock", "plain.lock"),
            ("two\nlines", "two\\nlines"),
            ("open\u{202e}kcol.lock", "open\\u{202e}kcol.lock"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("esc\u{1b}[31m", "esc\\u{1b}[31m"),
            ("no\u{a0}break", "no\\u{a0}break"),
            ("Grüße 你好.lock", "Grüße 你好.lock"),
        ] {
            assert_eq!(visible(name), shown);
            assert_eq!(visible_name(name), shown);
        }
    }

    #[test]
    fn no_space_of_a_name_goes_unseen() {
        for (name, shown) in [
            ("my own.lock", "my own.lock"),
            (" first.lock", "\\u{20}first.lock"),
            ("last.lock ", "last.lock\\u{20}"),
            ("a  b.lock", "a\\u{20}\\u{20}b.lock"),
            ("/srv/ in/of a/path /x", "/srv/\\u{20}in/of a/path\\u{20}/x"),
            ("trailing .lock", "trailing\\u{20}.lock"),
            (" ", "\\u{20}"),
            ("", ""),
            ("line\n", "line\\n"),
        ] {
            assert_eq!(visible_name(name), shown, "{name:?}");
        }
        assert_eq!(visible("It said:  nothing. "), "It said:  nothing. ", "a sentence keeps its spaces");
        assert_eq!(short_path("/srv/locks ".as_ref(), None), "/srv/locks\\u{20}");
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(elided("quarterly-numbers-final.lock", 13), "quarte…l.lock");
        assert_eq!(elided("short", 13), "short");
        assert_eq!(elided("Grüße-Grüße-Grüße", 7).chars().count(), 7);
    }

    #[test]
    fn home_is_a_tilde() {
        let home = std::path::Path::new("/home/ada");
        assert_eq!(short_path("/home/ada/locks".as_ref(), Some(home)), "~/locks");
        assert_eq!(short_path("/home/adam".as_ref(), Some(home)), "/home/adam");
    }
}
