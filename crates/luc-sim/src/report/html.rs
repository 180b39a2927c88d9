//! Text that becomes HTML, escaped on the way.

/// HTML in the making.
#[derive(Debug)]
pub(super) struct Html {
    text: String,
}

impl Html {
    pub(super) fn new() -> Self {
        Self {
            text: String::with_capacity(64 * 1024),
        }
    }

    /// Appends markup as it is; only for text that is written in this crate.
    pub(super) fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    /// Appends text, escaped.
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(&escaped(text));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `text` with everything that markup could be made of taken out of its way.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A number with `digits` after the point, thousands apart.
pub(super) fn number(value: f64, digits: usize) -> String {
    let plain = format!("{:.digits$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut shown = String::new();
    if value < 0.0 && plain.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        shown.push('−');
    }
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left.is_multiple_of(3) && whole.len() > 4 {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    if !fraction.is_empty() {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        assert_eq!(
            escaped("<script>\"&'\u{0}"),
            "&lt;script&gt;&quot;&amp;&#39;\u{fffd}"
        );
    }

    #[test]
    fn numbers_are_shown_for_people() {
        assert_eq!(number(1234.5, 1), "1234.5");
        assert_eq!(number(81_920.0, 0), "81\u{202f}920");
        assert_eq!(number(-0.001, 2), "0.00");
        assert_eq!(number(-3.0, 0), "−3");
    }
}
