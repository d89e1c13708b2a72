//! Which image is meant, and which part of it: conditions and ranges of requests (RFC 9110, 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use azud_core::code::Code;
use azud_store::Identity;

use crate::problem::Problem;

/// Which images somebody goes on with (`If-Match`); `None` where any will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meant(Option<Vec<Identity>>);

impl Meant {
    /// What is no identity, or a weak one, is nobody's.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut said = headers.get_all(header::IF_MATCH).iter().peekable();
        if said.peek().is_none() {
            return Self(None);
        }
        let said = said.filter_map(|value| value.to_str().ok());
        let tags: Vec<&str> = said
            .flat_map(|text| text.split(',').map(str::trim))
            .collect();
        if tags.contains(&"*") {
            return Self(None);
        }
        let identity = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Self(Some(tags.iter().filter_map(identity).collect()))
    }

    /// Those that are named.
    pub(crate) fn named(&self) -> &[Identity] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(crate) fn is(&self, identity: Option<Identity>) -> bool {
        match (&self.0, identity) {
            (None, _) => true,
            (Some(named), Some(identity)) => named.contains(&identity),
            (Some(_), None) => false,
        }
    }

    /// Refuses another one.
    pub(crate) fn check(&self, identity: Identity) -> Result<(), Problem> {
        if self.is(Some(identity)) {
            return Ok(());
        }
        Err(another())
    }
}

/// Another image is meant than the one that is there.
pub(crate) fn another() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        Code::SourceChanged,
        "it is another image by now",
    )
}

/// Which part of an image of so many bytes is asked for, if not all of it. Who has a part of another image is given
/// all of this one.
pub(crate) fn part(
    headers: &HeaderMap,
    tag: &HeaderValue,
    size: u64,
) -> Result<Option<Range<u64>>, Problem> {
    let value = headers.get(header::RANGE);
    let Some(text) = value.and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let of_this = |said: &HeaderValue| said == tag;
    if !headers.get(header::IF_RANGE).is_none_or(of_this) {
        return Ok(None);
    }
    match text.split_once('=') {
        Some((unit, spec)) if unit.eq_ignore_ascii_case("bytes") => {
            let range = range(spec, size).ok_or_else(|| unsatisfiable(size));
            range.map(Some)
        }
        // What parts of another kind would be, nobody knows here.
        _ => Ok(None),
    }
}

/// One range of bytes that the file has; several at once are refused, for they cost more than they are worth.
fn range(spec: &str, size: u64) -> Option<Range<u64>> {
    let (from, to) = spec.split_once('-')?;
    let (start, end) = match (from.trim(), to.trim()) {
        ("", last) => (size.saturating_sub(number(last)?), size),
        (from, "") => (number(from)?, size),
        (from, to) => (number(from)?, number(to)?.saturating_add(1).min(size)),
    };
    (start < end).then_some(start..end)
}

/// Behind the end of every file all numbers are alike.
fn number(digits: &str) -> Option<u64> {
    let is_one = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn unsatisfiable(size: u64) -> Problem {
    let detail = format!("one range within {size} bytes can be asked for");
    Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::BadRange, detail).of_size(size)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use azud_store::Identity;

    use super::{Meant, part};

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (key, value) in fields {
            map.append(*key, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn one_range_within_the_file_is_understood() {
        let of = |text: &str| {
            let tag = HeaderValue::from_static("\"a\"");
            part(&headers(&[("range", text)]), &tag, 100).map_err(drop)
        };
        let largest = "bytes=0-18446744073709551615";
        for (text, range) in [
            ("bytes=0-9", 0..10),
            ("Bytes=0-9", 0..10),
            ("bytes=90-200", 90..100),
            ("bytes=90-", 90..100),
            ("bytes=-10", 90..100),
            ("bytes=-200", 0..100),
            (largest, 0..100),
            ("bytes=99-99999999999999999999", 99..100),
            ("bytes=-99999999999999999999", 0..100),
        ] {
            assert_eq!(of(text), Ok(Some(range)), "{text}");
        }
        for bad in [
            "bytes=100-",
            "bytes=9-8",
            "bytes=-0",
            "bytes=-",
            "bytes=",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=18446744073709551615-",
            "bytes=18446744073709551616-",
        ] {
            assert_eq!(of(bad), Err(()), "{bad}");
        }
        for other in ["lines=0-1", "bytes 0-1", ""] {
            assert_eq!(of(other), Ok(None), "{other}");
        }
    }

    #[test]
    fn a_part_goes_on_with_the_same_image_alone() {
        let tag = HeaderValue::from_static("\"a\"");
        for (said, goes_on) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", false),
        ] {
            let asked = headers(&[("range", "bytes=5-"), ("if-range", said)]);
            let part = part(&asked, &tag, 9).map_err(drop);
            assert_eq!(part, Ok(goes_on.then_some(5..9)), "{said}");
        }
        // What cannot be satisfied is of no interest then.
        let asked = headers(&[("range", "bytes=9-"), ("if-range", "\"b\"")]);
        assert!(matches!(part(&asked, &tag, 9), Ok(None)));
    }

    #[test]
    fn several_images_may_be_meant() {
        let (one, two) = (Identity([1; 32]), Identity([2; 32]));
        let of = |fields: &[&str]| {
            let fields: Vec<_> = fields.iter().map(|value| ("if-match", *value)).collect();
            Meant::of(&headers(&fields))
        };
        let (quoted, other) = (format!("\"{one}\""), format!("\"{two}\""));
        let all = Meant(None);
        assert_eq!((of(&[]), of(&["*"])), (all.clone(), all));
        for said in [
            &[quoted.as_str()][..],
            &[&format!("\"x\", {quoted}")],
            &[&format!("{quoted},\"x\"")],
            &["\"x\"", &quoted],
        ] {
            let meant = of(said);
            assert_eq!(meant.named(), [one], "{said:?}");
            assert!(meant.check(one).is_ok() && meant.check(two).is_err());
            assert!(!meant.is(None));
        }
        assert_eq!(of(&[&format!("{quoted} , {other}")]).named(), [one, two]);
        for nobody in ["\"x\"", "", &format!("W/{quoted}"), &one.to_string()] {
            assert!(of(&[nobody]).check(one).is_err(), "{nobody}");
        }
    }
}
