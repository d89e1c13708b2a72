//! What to do about a failure, kept so that it can be said in any language: whoever looks after the room may read
//! another one than the computer that failed speaks.

use azud_core::code::Code;
use fluent_bundle::FluentValue;

use crate::i18n::Catalog;

/// What to do, better than the code's hint knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A message of the catalogue and its variables.
    Message(&'static str, Vec<(&'static str, String)>),
    /// The hint of a code.
    Usual(Code),
    /// A text that is made already: commands, or words in the language of the command.
    Text(String),
}

impl Hint {
    /// A message without variables.
    pub(crate) const fn of(key: &'static str) -> Self {
        Self::Message(key, Vec::new())
    }

    /// A message with its variables.
    pub(crate) fn with<const N: usize>(
        key: &'static str,
        values: [(&'static str, String); N],
    ) -> Self {
        Self::Message(key, values.into())
    }

    /// The hint in a language.
    pub(crate) fn said(&self, catalog: &Catalog) -> String {
        match self {
            Self::Message(key, values) => {
                let values = values.iter();
                let values = values.map(|(name, value)| (*name, FluentValue::from(value.as_str())));
                catalog.fmt(key, &values.collect::<Vec<_>>())
            }
            Self::Usual(code) => catalog.hint(*code),
            Self::Text(text) => text.clone(),
        }
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
