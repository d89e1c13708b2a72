//! What a command is going to do, said before anything is written.
//!
//! On a terminal it is a title with labelled rows; with `--json` it is a line
//! `{"plan":{"action":…,"rows":{…},"warnings":[{"word":…,"text":…}]}}`, where sizes are bytes.

use fluent_bundle::FluentValue;
use serde_json::{Map, Value as Json, json};

use crate::human::{bytes_exactly, printable};
use crate::i18n::Catalog;
use crate::output::Output;
use crate::table;

/// A value of a plan or a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A name or path.
    Text(String),
    /// A size.
    Bytes(u64),
    /// A number.
    Count(u64),
    /// One of a few words, translated by `word-<it>`.
    Word(&'static str),
    /// Something that people and programs read differently.
    Made {
        /// For people, in their language.
        text: String,
        /// For programs.
        json: Json,
    },
}

impl Value {
    /// As a person reads it.
    pub fn human(&self, catalog: &Catalog) -> String {
        match self {
            Self::Text(text) | Self::Made { text, .. } => text.clone(),
            Self::Bytes(count) => bytes_exactly(*count),
            Self::Count(count) => count.to_string(),
            Self::Word(word) => catalog.text(&format!("word-{word}")),
        }
    }

    /// As a program reads it.
    pub fn json(&self) -> Json {
        match self {
            Self::Text(text) => json!(text),
            Self::Bytes(count) | Self::Count(count) => json!(count),
            Self::Word(word) => json!(word),
            Self::Made { json, .. } => json.clone(),
        }
    }
}

/// What a command is going to do.
#[derive(Debug, Clone)]
pub struct Plan {
    action: &'static str,
    rows: Vec<(&'static str, Value)>,
    warnings: Vec<(&'static str, String)>,
}

impl Plan {
    /// A plan without rows; `plan-<action>` is its title.
    pub fn new(action: &'static str) -> Self {
        Self {
            action,
            rows: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// One more row; `label-<key>` is its label.
    #[must_use]
    pub fn row(mut self, key: &'static str, value: Value) -> Self {
        self.rows.push((key, value));
        self
    }

    /// One more row with a name or path.
    #[must_use]
    pub fn text(self, key: &'static str, value: impl Into<String>) -> Self {
        self.row(key, Value::Text(value.into()))
    }

    /// One more row with a size.
    #[must_use]
    pub fn bytes(self, key: &'static str, value: u64) -> Self {
        self.row(key, Value::Bytes(value))
    }

    /// Something to think about before saying yes: the text of `warn-<word>`.
    #[must_use]
    pub fn warning(
        mut self,
        catalog: &Catalog,
        word: &'static str,
        values: &[(&str, FluentValue<'_>)],
    ) -> Self {
        let text = catalog.fmt(&format!("warn-{word}"), values);
        self.warnings.push((word, text));
        self
    }

    /// Shows the plan. `asked` says that nothing else will come (a dry run), so `--quiet` does not
    /// silence it.
    pub fn show(&self, catalog: &Catalog, output: &Output, asked: bool) {
        let mode = output.mode();
        if mode.quiet && !asked {
            return;
        }
        output.answer(&json!({ "plan": self.json() }), || self.human(catalog));
    }

    fn human(&self, catalog: &Catalog) -> String {
        let mut text = catalog.text(&format!("plan-{}", self.action));
        let rows: Vec<(String, String)> = self
            .rows
            .iter()
            .map(|(key, value)| (catalog.text(&format!("label-{key}")), value.human(catalog)))
            .collect();
        if !rows.is_empty() {
            text += "\n";
            text += &table::rows(&rows);
        }
        for (_, warning) in &self.warnings {
            text += "\n  ! ";
            text += &printable(warning);
        }
        text
    }

    fn json(&self) -> Json {
        let name = |key: &str| key.replace('-', "_");
        let rows: Map<String, Json> = self
            .rows
            .iter()
            .map(|(key, value)| (name(key), value.json()))
            .collect();
        let warnings: Vec<Json> = self
            .warnings
            .iter()
            .map(|(word, text)| json!({ "word": word, "text": text }))
            .collect();
        json!({ "action": self.action, "rows": rows, "warnings": warnings })
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, Value};
    use crate::i18n::{Catalog, Lang};
    use crate::output::memory::output;

    fn plan(catalog: &Catalog) -> Plan {
        Plan::new("image-restore")
            .text("device", "/dev/sdz9")
            .bytes("device-size", 1 << 30)
            .row("unused", Value::Word("leave"))
            .warning(catalog, "destroys", &[("device", "/dev/sdz9".into())])
    }

    #[test]
    fn people_read_labels_and_programs_read_keys() {
        let catalog = Catalog::new(Lang::Es);
        let (human, out, _) = output(false, false);
        plan(&catalog).show(&catalog, &human, false);
        let text = out.text();
        assert!(
            text.contains("Dispositivo") && text.contains("1.0 GiB (1073741824 B)"),
            "{text}"
        );
        assert!(
            text.contains("\n  ! ") && text.contains("/dev/sdz9"),
            "{text}"
        );

        let (program, out, _) = output(true, false);
        plan(&catalog).show(&catalog, &program, false);
        let value: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(value["plan"]["action"], "image-restore");
        assert_eq!(value["plan"]["rows"]["device_size"], 1u64 << 30);
        assert_eq!(value["plan"]["rows"]["unused"], "leave");
        assert_eq!(value["plan"]["warnings"][0]["word"], "destroys");
    }

    #[test]
    fn quiet_hides_a_plan_unless_it_was_asked_for() {
        let catalog = Catalog::new(Lang::En);
        let (quiet, out, _) = output(false, true);
        plan(&catalog).show(&catalog, &quiet, false);
        assert_eq!(out.text(), "");
        plan(&catalog).show(&catalog, &quiet, true);
        assert!(out.text().contains("/dev/sdz9"));
    }
}
