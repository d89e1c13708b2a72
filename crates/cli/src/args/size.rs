//! Values that a user types and that clap does not know: sizes, levels, numbers, durations, fingerprints.
//!
//! A parser refuses with [`BadValue`], which is only a key of the catalogue: the words come later, in
//! the user's language.

use std::time::Duration;

/// Why a value was refused: a key of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub &'static str);

/// Bytes: `4096`, `10K`, `10KiB`, `1.5G`, `10MB`. Without `B` or with `iB` the unit is binary, as in
/// the coreutils; with `B` alone it is decimal.
///
/// # Errors
/// [`BadValue`] when it is no size or does not fit in 64 bits.
pub fn size(text: &str) -> Result<u64, BadValue> {
    const BAD: BadValue = BadValue("bad-size");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit_of(unit.trim_start()).ok_or(BAD)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits_ok = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits_ok(whole)
        || !digits_ok(fraction)
        || fraction.len() > 9
        || fraction_of_byte(number, unit)
    {
        return Err(BAD);
    }
    let whole: u128 = whole.parse().map_err(|_| BAD)?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).expect("at most 9"));
    let fraction: u128 = fraction.parse().map_err(|_| BAD)?;
    let bytes = whole
        .checked_mul(unit)
        .and_then(|bytes| bytes.checked_add(fraction * unit / scale))
        .ok_or(BAD)?;
    u64::try_from(bytes).map_err(|_| BAD)
}

/// The fingerprint of an authority: `sha256:` and 64 hexadecimal digits.
///
/// # Errors
/// [`BadValue`] for anything else.
pub fn pin(text: &str) -> Result<String, BadValue> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.strip_prefix("sha256:").unwrap_or_default();
    let good = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then_some(lower).ok_or(BadValue("bad-pin"))
}

/// "1.5" bytes is a mistake, "1.5K" is not.
fn fraction_of_byte(number: &str, unit: u128) -> bool {
    unit == 1 && number.contains('.')
}

fn unit_of(text: &str) -> Option<u128> {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "" | "b") {
        return Some(1);
    }
    let (letter, rest) = lower.split_at_checked(1)?;
    let base: u128 = match rest {
        "" | "ib" => 1024,
        "b" => 1000,
        _ => return None,
    };
    let power = "kmgtpe".find(letter)?;
    Some(base.pow(u32::try_from(power).expect("at most 5") + 1))
}

/// A zstd level within [`azud_image::LEVELS`].
///
/// # Errors
/// [`BadValue`] when it is outside.
pub fn level(text: &str) -> Result<i32, BadValue> {
    text.parse()
        .ok()
        .filter(|level| azud_image::LEVELS.contains(level))
        .ok_or(BadValue("bad-level"))
}

/// A whole number.
///
/// # Errors
/// [`BadValue`] when it is none.
pub fn whole(text: &str) -> Result<u32, BadValue> {
    text.parse().map_err(|_| BadValue("bad-number"))
}

/// How long something lasts: a number with `s`, `m`, `h`, `d` or `w` behind it; more than none, less than a century.
///
/// # Errors
/// [`BadValue`] when it is none.
pub fn duration(text: &str) -> Result<Duration, BadValue> {
    const BAD: BadValue = BadValue("bad-duration");
    const MOST: u64 = 100 * 365 * 24 * 60 * 60;
    let (number, unit) = text
        .char_indices()
        .next_back()
        .map(|(at, unit)| (&text[..at], unit))
        .ok_or(BAD)?;
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return Err(BAD),
    };
    let number: u64 = number.parse().map_err(|_| BAD)?;
    let seconds = number.checked_mul(unit);
    let seconds = seconds.filter(|seconds| (1..MOST).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(BAD)
}

#[cfg(test)]
mod tests {
    use super::{BadValue, duration, level, size, whole};

    #[test]
    fn sizes_in_every_spelling() {
        let cases = [
            ("0", 0),
            ("4096", 4096),
            ("512B", 512),
            ("10M", 10 << 20),
            ("10m", 10 << 20),
            ("10MiB", 10 << 20),
            ("10 MiB", 10 << 20),
            ("10MB", 10_000_000),
            ("1.5K", 1536),
            ("1.5kB", 1500),
            ("15E", 15 << 60),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let cases = [
            "",
            "M",
            "-1",
            "1.5",
            "1.",
            ".5K",
            "1.2.3K",
            "10Q",
            "10MM",
            "16E",
            "1e9",
            "10Mio",
            "ñ",
            "18446744073709551616",
            "1.0000000000K",
            "99999999999999999999999999999999999999999",
        ];
        for text in cases {
            assert_eq!(size(text), Err(BadValue("bad-size")), "{text}");
        }
    }

    #[test]
    fn levels_and_numbers() {
        assert_eq!((level("1"), level("19")), (Ok(1), Ok(19)));
        assert!(level("0").is_err() && level("20").is_err() && level("x").is_err());
        assert_eq!(whole("30"), Ok(30));
        assert!(whole("-1").is_err() && whole("").is_err());
    }
    #[test]
    fn durations() {
        let seconds = |text| duration(text).map(|it| it.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("5m"), Ok(300));
        assert_eq!(seconds("8h"), Ok(28_800));
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for bad in [
            "", "30", "d", "0d", "-1d", "1.5h", "1y", "30 d", "ñ", "36500d",
        ] {
            assert_eq!(duration(bad), Err(BadValue("bad-duration")), "{bad}");
        }
        assert!(duration("18446744073709551615w").is_err());
    }
}
