//! One thing that was looked at, and how it is told.

use fluent_bundle::FluentValue;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::failure::Failure;
use crate::human::readable;
use crate::i18n::Catalog;
use crate::output::{causes, detail, hint, message};

/// How it stands, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// In order.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// Something will not work, or not well.
    Warning,
    /// Something is in the way of work.
    Problem,
}

impl State {
    /// For people and programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// A value in a finding's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// As it is.
    Text(String),
    /// Words of the catalogue, `doctor-for-<key>`.
    Purpose(&'static str),
    /// English words of the program or the system, with others' among their terms.
    Term(String),
    /// A part of what an error says.
    Failure(Part, Box<Failure>),
}

/// Of what an error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What failed in this case.
    Detail,
    /// The same, with what its code means before it.
    Message,
    /// Why.
    Causes,
    /// What to do.
    Hint,
}

/// What was found. The catalogue says it: `doctor-<key>`, and why it matters (`.why`) and what to do
/// (`.remedy`) unless it is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) state: State,
    pub(super) key: &'static str,
    pub(super) values: Vec<(&'static str, Said)>,
}

impl Finding {
    pub(super) fn new(state: State, key: &'static str) -> Self {
        let values = Vec::new();
        Self { state, key, values }
    }

    pub(super) fn ok(key: &'static str) -> Self {
        Self::new(State::Ok, key)
    }

    pub(super) fn unknown(key: &'static str) -> Self {
        Self::new(State::Unknown, key)
    }

    pub(super) fn warning(key: &'static str) -> Self {
        Self::new(State::Warning, key)
    }

    pub(super) fn problem(key: &'static str) -> Self {
        Self::new(State::Problem, key)
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is told is mostly made for this call"
    )]
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, Said::Text(value.to_string())));
        self
    }

    /// A value that is a term: a fixed piece of English text.
    pub(super) fn term(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.values.push((name, Said::Term(text.into())));
        self
    }

    /// Why it could not be looked at.
    pub(super) fn because(self, failure: Failure) -> Self {
        self.part("why", (Part::Detail, failure))
    }

    /// A part of what an error says.
    pub(super) fn part(mut self, name: &'static str, (part, failure): (Part, Failure)) -> Self {
        let said = Said::Failure(part, Box::new(failure));
        self.values.push((name, said));
        self
    }

    /// What it is needed for.
    pub(super) fn purpose(mut self, key: &'static str) -> Self {
        self.values.push(("purpose", Said::Purpose(key)));
        self
    }

    fn texts(&self, catalog: &Catalog) -> Vec<(&'static str, String)> {
        let values = self.values.iter();
        let text = |said: &Said| match said {
            Said::Text(text) => text.clone(),
            Said::Purpose(key) => catalog.text(&format!("doctor-for-{key}")),
            Said::Term(text) => catalog.term(text),
            Said::Failure(part, failure) => match part {
                Part::Detail => detail(catalog, failure),
                Part::Message => message(catalog, failure),
                Part::Causes => causes(catalog, failure).join(": "),
                Part::Hint => hint(catalog, failure),
            },
        };
        values.map(|(name, said)| (*name, text(said))).collect()
    }

    fn say(&self, catalog: &Catalog, attribute: &str) -> Option<String> {
        let texts = self.texts(catalog);
        let values: Vec<(&str, FluentValue<'_>)> = texts
            .iter()
            .map(|(name, text)| (*name, text.as_str().into()))
            .collect();
        catalog.find(&format!("doctor-{}{attribute}", self.key), &values)
    }

    /// What was found.
    pub(super) fn what(&self, catalog: &Catalog) -> String {
        let said = self.say(catalog, "");
        debug_assert!(said.is_some(), "no text for {}", self.key);
        said.unwrap_or_else(|| self.key.to_owned())
    }

    /// Why it matters.
    pub(super) fn why(&self, catalog: &Catalog) -> Option<String> {
        self.say(catalog, ".why")
    }

    /// What to do, a command where there is one.
    pub(super) fn remedy(&self, catalog: &Catalog) -> Option<String> {
        self.say(catalog, ".remedy")
    }

    pub(super) fn json(&self, catalog: &Catalog, area: &str) -> Json {
        let texts = self.texts(catalog).into_iter();
        let values: Map<String, Json> = texts
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect();
        json!({
            "area": area,
            "finding": self.key,
            "state": self.state,
            "what": self.what(catalog),
            "why": self.why(catalog),
            "remedy": self.remedy(catalog),
            "values": values,
        })
    }

    /// The same for people: what, and below it why and what to do.
    pub(super) fn text(&self, catalog: &Catalog, width: usize) -> String {
        let name = catalog.text(&format!("doctor-state-{}", self.state.name()));
        let blanks = width.saturating_sub(name.chars().count());
        let margin = " ".repeat(width + 4);
        let mut text = format!("  {name}{}  ", " ".repeat(blanks));
        text += &readable(&self.what(catalog)).replace('\n', &format!("\n{margin}"));
        let more = [
            ("doctor-label-why", self.why(catalog)),
            ("error-label-hint", self.remedy(catalog)),
        ];
        for (label, said) in more {
            let Some(said) = said.filter(|_| self.state != State::Ok) else {
                continue;
            };
            let label = catalog.text(label);
            let inner = format!("{margin}{}", " ".repeat(label.chars().count() + 1));
            let said = readable(&said).replace('\n', &format!("\n{inner}"));
            text += &["\n", &margin, &label, " ", &said].concat();
        }
        text
    }
}

/// Fails unless every finding has its words in every language.
#[cfg(test)]
pub(super) fn check_words(findings: &[Finding]) {
    use crate::i18n::Lang;
    for catalog in Lang::ALL.map(Catalog::new) {
        for finding in findings {
            // A variable without a value fails in the catalogue.
            assert!(!finding.what(&catalog).is_empty());
            let whole = finding.why(&catalog).is_some() && finding.remedy(&catalog).is_some();
            let needs = matches!(finding.state, State::Warning | State::Problem);
            assert!(whole || !needs, "{} lacks why or remedy", finding.key);
        }
    }
}

/// State and key of each, for tests.
#[cfg(test)]
pub(super) fn keys(findings: &[Finding]) -> Vec<(State, &'static str)> {
    check_words(findings);
    findings.iter().map(|it| (it.state, it.key)).collect()
}
