//! Words for people, in the languages of `locales/`.
//!
//! Invariant: every key exists in every language with the same variables (tested), so that nothing
//! falls back. A key of an error is `error-<area>-<word>`, its `.hint` says what to do.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use azud_core::code::Code;

/// A language that Azud speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Spanish.
    Es,
}

impl Lang {
    /// Every language, English first.
    pub const ALL: [Self; 2] = [Self::En, Self::Es];

    /// Its ISO 639 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::En => include_str!("../locales/en/azud.ftl"),
            Self::Es => include_str!("../locales/es/azud.ftl"),
        }
    }

    /// What errors say in detail, for languages other than that of their source.
    const fn details(self) -> Option<&'static str> {
        match self {
            Self::En => None,
            Self::Es => Some(include_str!("../locales/es/details.ftl")),
        }
    }

    /// The language of a code or locale name (`es`, `es_AR.UTF-8`, `C`), if Azud speaks it.
    pub fn of_locale(name: &str) -> Option<Self> {
        let language = name.split(['_', '-', '.', '@']).next().unwrap_or_default();
        match language.to_ascii_lowercase().as_str() {
            "en" | "c" | "posix" => Some(Self::En),
            "es" => Some(Self::Es),
            _ => None,
        }
    }

    /// The language of the environment: the first variable that says anything decides, as POSIX has
    /// it; English for languages that Azud does not speak.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        ["AZUD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()))
            .and_then(|value| Self::of_locale(&value))
            .unwrap_or(Self::En)
    }
}

/// All the words of one language.
pub struct Catalog {
    lang: Lang,
    bundle: FluentBundle<FluentResource>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Catalog").field(&self.lang).finish()
    }
}

impl Catalog {
    /// The catalogue of a language; it is part of the program.
    pub fn new(lang: Lang) -> Self {
        let tag = lang.code().parse().expect("a language code");
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        // Terminals would show the isolation marks.
        bundle.set_use_isolating(false);
        let resource =
            FluentResource::try_new(lang.source().to_owned()).expect("parsed by the tests");
        bundle
            .add_resource(resource)
            .expect("keys are unique, says a test");
        if let Some(details) = lang.details() {
            let details = FluentResource::try_new(details.to_owned());
            bundle
                .add_resource(details.expect("parsed by the tests"))
                .expect("keys are unique, says a test");
        }
        Self { lang, bundle }
    }

    /// Which language it is.
    pub fn lang(&self) -> Lang {
        self.lang
    }

    /// The text of `key` or `key.attribute`, if there is one.
    pub fn find(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> Option<String> {
        let (id, attribute) = match key.split_once('.') {
            Some((id, attribute)) => (id, Some(attribute)),
            None => (key, None),
        };
        let message = self.bundle.get_message(id)?;
        let pattern = match attribute {
            Some(name) => message.get_attribute(name)?.value(),
            None => message.value()?,
        };
        let args: FluentArgs<'_> = values
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        let mut errors = Vec::new();
        let text = self
            .bundle
            .format_pattern(pattern, Some(&args), &mut errors);
        debug_assert!(errors.is_empty(), "{key}: {errors:?}");
        Some(text.into_owned())
    }

    /// A fixed piece of text of the libraries, such as the reason of a refusal: other languages than English have it as
    /// `term-` and its words, with `n` for numbers, which are `n1`, `n2` … in its text. One that they lack stays as it is.
    pub fn term(&self, text: &str) -> String {
        if self.lang == Lang::En || text.is_empty() {
            return text.to_owned();
        }
        let exact = self.find(&term_key(text), &[]);
        let found = exact.or_else(|| {
            let (key, numbers) = numbered(text);
            let names = (1..).map(|at| format!("n{at}"));
            let values: Vec<(String, FluentValue<'_>)> = names
                .zip(numbers.into_iter().map(FluentValue::from))
                .collect();
            let values: Vec<_> = values
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            self.find(&key, &values)
        });
        found.unwrap_or_else(|| text.to_owned())
    }

    /// The text of a key that has variables.
    pub fn fmt(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> String {
        let text = self.find(key, values);
        debug_assert!(text.is_some(), "no text for {key}");
        text.unwrap_or_else(|| key.to_owned())
    }

    /// The text of a key without variables.
    pub fn text(&self, key: &str) -> String {
        self.fmt(key, &[])
    }

    /// What an error code means, in a few words.
    pub fn summary(&self, code: Code) -> String {
        self.text(&error_key(code))
    }

    /// What can usually be done about it.
    pub fn hint(&self, code: Code) -> String {
        self.text(&format!("{}.hint", error_key(code)))
    }
}

/// The key of a term: its letters and digits, in lower case, dashes between them.
pub(crate) fn term_key(text: &str) -> String {
    let mut key = "term".to_owned();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        if !word.is_empty() {
            key.push('-');
            key.push_str(&word.to_ascii_lowercase());
        }
    }
    key
}

/// The key of a term that has numbers in it, and them.
fn numbered(text: &str) -> (String, Vec<&str>) {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_number = |word: &&str| {
        let hex = word.strip_prefix("0x").unwrap_or_default();
        let decimal = word.bytes().all(|byte| byte.is_ascii_digit());
        decimal || (!hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let key = words
        .iter()
        .map(|word| if is_number(word) { "n" } else { word });
    let key = term_key(&key.collect::<Vec<_>>().join(" "));
    (key, words.into_iter().filter(is_number).collect())
}

fn error_key(code: Code) -> String {
    format!("error-{}", code.as_str().replace('/', "-"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};

    use super::{Catalog, Code, Lang};
    use azud_core::progress::Phase;

    type Variables = BTreeSet<String>;

    fn variables(pattern: &Pattern<&str>, into: &mut Variables) {
        for element in &pattern.elements {
            let PatternElement::Placeable { expression } = element else {
                continue;
            };
            let inline = match expression {
                Expression::Inline(inline) => inline,
                Expression::Select { selector, variants } => {
                    for variant in variants {
                        variables(&variant.value, into);
                    }
                    selector
                }
            };
            if let InlineExpression::VariableReference { id } = inline {
                into.insert(id.name.to_owned());
            }
        }
    }

    fn keys(lang: Lang) -> BTreeMap<String, Variables> {
        let tree = fluent_syntax::parser::parse(lang.source()).expect("the file parses");
        let mut keys = BTreeMap::new();
        for entry in &tree.body {
            let Entry::Message(message) = entry else {
                continue;
            };
            let attributes = message.attributes.iter();
            let patterns = attributes
                .map(|a| (format!("{}.{}", message.id.name, a.id.name), &a.value))
                .chain(
                    message
                        .value
                        .iter()
                        .map(|value| (message.id.name.to_owned(), value)),
                );
            for (key, pattern) in patterns {
                let mut found = Variables::new();
                variables(pattern, &mut found);
                assert!(
                    keys.insert(key.clone(), found).is_none(),
                    "{key} twice in {lang:?}"
                );
            }
        }
        keys
    }

    #[test]
    fn both_languages_have_the_same_keys_and_variables() {
        assert_eq!(keys(Lang::En), keys(Lang::Es));
    }

    #[test]
    fn every_code_and_phase_has_its_words() {
        for catalog in Lang::ALL.map(Catalog::new) {
            for code in Code::ALL {
                assert!(!catalog.summary(*code).is_empty() && !catalog.hint(*code).is_empty());
            }
            for phase in PHASES {
                catalog.text(&format!("phase-{}", phase.name()));
            }
        }
    }

    const PHASES: [Phase; 9] = [
        Phase::Map,
        Phase::Capture,
        Phase::Compare,
        Phase::Restore,
        Phase::ReadBack,
        Phase::Verify,
        Phase::Convert,
        Phase::Repair,
        Phase::Assemble,
    ];

    #[test]
    fn the_first_variable_that_speaks_decides() {
        let with = |pairs: &'static [(&str, &str)]| {
            Lang::of_environment(|name| {
                pairs
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(with(&[]), Lang::En);
        assert_eq!(with(&[("LANG", "es_ES.UTF-8")]), Lang::Es);
        assert_eq!(with(&[("LANG", "es_ES.UTF-8"), ("LC_ALL", "C")]), Lang::En);
        assert_eq!(with(&[("LANG", "es"), ("LC_ALL", "")]), Lang::Es);
        assert_eq!(with(&[("LC_ALL", "C"), ("AZUD_LANG", "es")]), Lang::Es);
        assert_eq!(with(&[("LC_MESSAGES", "fr_FR"), ("LANG", "es")]), Lang::En);
    }

    #[test]
    fn a_term_may_have_numbers_in_it() {
        let catalog = Catalog::new(Lang::Es);
        assert_eq!(catalog.term("there is no disk 9"), "no hay ningún disco 9");
        let text = "it has 12 blocks of 4096 bytes, but the device only 99 bytes";
        let said = "tiene 12 bloques de 4096 bytes, y el dispositivo solo 99 bytes";
        assert_eq!(catalog.term(text), said);
        assert_eq!(catalog.term("lzop flag 0x80"), "la marca 0x80 de lzop");
        let other = "there are 7 of something";
        assert_eq!(catalog.term(other), other);
    }

    #[test]
    fn no_isolation_marks_and_plurals_follow_the_language() {
        let catalog = Catalog::new(Lang::Es);
        let one = catalog.fmt("count-frames", &[("count", 1.into())]);
        let two = catalog.fmt("count-frames", &[("count", 2.into())]);
        assert_eq!((one.as_str(), two.as_str()), ("1 trama", "2 tramas"));
    }
}
