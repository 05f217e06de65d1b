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
    visible(&text)
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
        }
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
