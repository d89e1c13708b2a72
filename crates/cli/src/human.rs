//! Numbers as people read them, and text that cannot play tricks on a terminal.

use std::ops::Range;
use std::time::Duration;

/// Bytes with a binary unit and about three digits: `512 B`, `1.5 GiB`, `123 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let tenths_of = |unit: usize| {
        let one = 1u128 << (10 * (unit + 1));
        (u128::from(bytes) * 10 + one / 2) / one
    };
    let mut unit = 0;
    // 1023.5 and more would be shown as 1024.
    while tenths_of(unit) >= 10_235 && unit + 1 < UNITS.len() {
        unit += 1;
    }
    let tenths = tenths_of(unit);
    if tenths < 1000 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, UNITS[unit])
    }
}

/// Bytes with a unit and exactly: `1.5 KiB (1536 B)`.
pub fn bytes_exactly(count: u64) -> String {
    if count < 1024 {
        bytes(count)
    } else {
        format!("{} ({count} B)", bytes(count))
    }
}

/// A text in which sizes stand as people read them: `1.5 GiB` for `1610612736 bytes`. Those that would look like others
/// keep their bytes, too; small ones stay as they are.
fn sizes(text: &str) -> String {
    const LEAST: u64 = 1 << 20;
    const WORD: &str = " bytes";
    let mut found: Vec<(Range<usize>, u64)> = Vec::new();
    for (at, _) in text.match_indices(WORD) {
        let before = &text[..at];
        let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let is_whole = !before[..at - digits].ends_with(|c: char| c.is_alphanumeric() || c == '.');
        let ends = !text[at + WORD.len()..].starts_with(char::is_alphanumeric);
        let count = before[at - digits..].parse().ok();
        if let Some(count) = count.filter(|count| is_whole && ends && *count >= LEAST) {
            found.push((at - digits..at + WORD.len(), count));
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, count) in &found {
        let said = bytes(*count);
        let alike = |(_, other): &(_, u64)| other != count && bytes(*other) == said;
        out += &text[done..range.start];
        out += &said;
        if found.iter().any(alike) {
            out += &[" (", &text[range.clone()], ")"].concat();
        }
        done = range.end;
    }
    out + &text[done..]
}

/// A stretch of time: `0.34 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`, `3 d 04 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{:.2} s", time.as_secs_f64()),
        1..60 => format!("{}.{} s", seconds, time.subsec_millis() / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// A stretch of time that nobody needs to the tenth: `12 s`, `2 min 05 s`.
pub fn guess(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{} s", seconds.max(1)),
        _ => duration(time),
    }
}

/// Bytes in a stretch of time: `123 MiB/s`.
pub fn rate(count: u64, time: Duration) -> String {
    format!("{}/s", bytes(per_second(count, time)))
}

/// Bytes per second, 0 when no time has passed.
pub fn per_second(bytes: u64, time: Duration) -> u64 {
    let micros = time.as_micros();
    let rate = (u128::from(bytes) * 1_000_000).checked_div(micros);
    u64::try_from(rate.unwrap_or(0)).unwrap_or(u64::MAX)
}

/// A share of a whole: `12.3 %`.
pub fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000).checked_div(whole.into());
    let tenths = tenths.unwrap_or(1000);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// What is told to people: sizes as they read them, and nothing that plays tricks.
pub fn readable(text: &str) -> String {
    printable(&sizes(text))
}

/// Text from outside (labels, names, messages of other programs) with its control characters made
/// visible: an image's label must not be able to move the cursor, nor to turn what follows. Line breaks are kept.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && c != '\n') || turns(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether a character is not seen, but changes where or in which order others are: what it is in shows another name
/// than it has. These are the characters that Unicode calls `Default_Ignorable_Code_Point` (UAX #44), separators of lines,
/// and marks of annotations.
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A path as shells read it.
pub(crate) fn shell_word(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "/._-+:".contains(sign);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    shell_quoted(path)
}

/// The same in quotes, whatever is in it.
pub(crate) fn shell_quoted(path: &std::path::Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, bytes_exactly, duration, per_second, percent, printable, rate, sizes};

    #[test]
    fn bytes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (102_300, "99.9 KiB"),
            (102_400, "100 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (1 << 20, "1.0 MiB"),
            (123 << 20, "123 MiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text, "{count}");
        }
        assert_eq!(bytes_exactly(1536), "1.5 KiB (1536 B)");
        assert_eq!(bytes_exactly(7), "7 B");
    }

    #[test]
    fn sizes_in_a_text_are_said_in_units() {
        let cases = [
            (
                "has 1610612736 bytes, needs 4096 bytes",
                "has 1.5 GiB, needs 4096 bytes",
            ),
            (
                "has 10485760 bytes, needs 10485761 bytes",
                "has 10.0 MiB (10485760 bytes), needs 10.0 MiB (10485761 bytes)",
            ),
            ("10485760 bytes and 10485760 bytes", "10.0 MiB and 10.0 MiB"),
            (
                "x10485760 bytes, 1.10485760 bytes",
                "x10485760 bytes, 1.10485760 bytes",
            ),
            (
                "99999999999999999999999 bytes, bytes",
                "99999999999999999999999 bytes, bytes",
            ),
            ("año 2097152 bytes", "año 2.0 MiB"),
        ];
        for (text, said) in cases {
            assert_eq!(sizes(text), said);
        }
    }

    #[test]
    fn durations_and_rates() {
        let cases = [
            (340, "0.34 s"),
            (12_345, "12.3 s"),
            (59_999, "59.9 s"),
            (125_000, "2 min 05 s"),
            (3_725_000, "1 h 02 min"),
            (273_600_000, "3 d 04 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(rate(246 << 20, Duration::from_secs(2)), "123 MiB/s");
        assert_eq!(per_second(100, Duration::ZERO), 0);
        assert_eq!(per_second(u64::MAX, Duration::from_micros(1)), u64::MAX);
        assert_eq!(
            (percent(1, 8), percent(0, 0)),
            ("12.5 %".into(), "100.0 %".into())
        );
    }

    #[test]
    fn nothing_turns_what_follows_it() {
        assert_eq!(printable("a\u{202e}gmi.txt"), "a\\u{202e}gmi.txt");
        assert_eq!(printable("win\u{ad}\u{3164}"), "win\\u{ad}\\u{3164}");
        assert_eq!(
            printable("\u{2066}\u{feff}\u{200b}ñ"),
            "\\u{2066}\\u{feff}\\u{200b}ñ"
        );
    }

    #[test]
    fn no_escape_sequence_survives() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{9b}1m\nñ"),
            "a\\u{1b}[2Jb\\u{9b}1m\nñ"
        );
    }
}
