//! Words that say "not finished": they belong in an issue, not in the tree.

use super::{Findings, Source};

/// Put together here, or this file would breach its own rule.
const FORBIDDEN: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[", "ignore"),
];

pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    for Source { path, text } in sources {
        for (number, line) in text.lines().enumerate() {
            for word in FORBIDDEN.iter().filter(|word| stands_alone(line, word)) {
                findings.fail(format!("{path}:{} says {word}", number + 1));
            }
        }
    }
}

/// Whether `word` is in `line` and not the middle of a longer one.
fn stands_alone(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open = |end: Option<char>| end.is_some_and(joins);
        let longer = open(before) || (word.ends_with(joins) && open(after));
        !longer
    })
}

#[cfg(test)]
mod tests {
    use super::{FORBIDDEN, Findings, Source, check};

    #[test]
    fn each_word_is_found_where_it_stands_alone() {
        let mut text = String::new();
        for word in FORBIDDEN {
            text += &["  ", word, " later\nmy_", word, "\n"].concat();
        }
        let sources = [Source {
            path: "a.rs".to_owned(),
            text,
        }];
        let mut findings = Findings::default();
        check(&sources, &mut findings);
        // The attribute begins with a sign, so nothing can join it from the left.
        assert_eq!(findings.failures.len(), FORBIDDEN.len(), "{findings:?}");
        assert!(findings.failures[0].starts_with("a.rs:1 says "));
    }

    #[test]
    fn longer_words_are_left_alone() {
        let sources = [Source {
            path: "a.md".to_owned(),
            text: format!("mktemp /tmp/a.{}", "X".repeat(6)),
        }];
        let mut findings = Findings::default();
        check(&sources, &mut findings);
        assert!(findings.failures.is_empty(), "{findings:?}");
    }
}
