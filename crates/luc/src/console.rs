//! Serial consoles as people read them in a terminal of their own.

/// A console's text without the sequences by which firmware clears screens.
pub(crate) fn printable(log: &str) -> String {
    let mut text = String::with_capacity(log.len());
    let mut rest = log;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        // `ESC [ … letter`, or `ESC letter`.
        let skipped = match after.strip_prefix('[') {
            Some(control) => control
                .find(|c: char| c.is_ascii_alphabetic())
                .map_or(after.len(), |at| at + 2),
            None => after.chars().next().map_or(0, char::len_utf8),
        };
        rest = &after[skipped..];
    }
    text.push_str(rest);
    text.retain(|character| character == '\n' || !character.is_control());
    // What is left of the firmware's sequences where the API has taken out the escape character, as
    // Nova does.
    ["c[?7l", "[2J", "[0m"]
        .iter()
        .fold(text, |text, left| text.replace(left, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_shown_without_control_sequences() {
        let log = "\u{1b}c\u{1b}[?7l\u{1b}[2J\u{1b}[0mSeaBIOS\r\nup \u{1b}[é\u{1b}";
        assert_eq!(printable(log), "SeaBIOS\nup ");
        assert_eq!(printable("a\u{1b}éb\u{1b}[12;3Hc"), "abc");
        assert_eq!(printable("c[?7l[2J[0mSeaBIOS"), "SeaBIOS");
    }
}
