//! The only place that prints.
//!
//! | | human | `--json` | `--quiet` |
//! |---|---|---|---|
//! | plan | standard output | line `{"plan":…}` | – (a dry run's plan is shown) |
//! | progress | standard error | lines `{"progress":…}` | – |
//! | result of work | standard output | last line | – |
//! | answer that was asked for | standard output | last line | as without |
//! | warning | standard error | line `{"warning":…}` | standard error |
//! | a signal was heard | standard error | line `{"stopping":{"signal":"SIGTERM"}}` | – |
//! | error | standard error | last line `{"error":…}` | as without |
//!
//! With `--json` every line of standard output is one object and the last one is the result, the
//! answer or the error; `--json --quiet` leaves that one and warnings. Where a part of the work was done
//! and another failed, the error's line has the result, too: `{"error":…,"result":…}`.
//!
//! Invariant: writing never fails a command half-way. A reader that went away (broken pipe) is no
//! error; any other trouble is remembered and reported by [`Output::finish`].

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fluent_bundle::FluentValue;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{Coded, Failure, Words};
use crate::human::{printable, readable};
use crate::i18n::Catalog;

/// To the top left, and nothing below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Who reads, and how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mode {
    /// A program reads.
    pub json: bool,
    /// Only what was asked for.
    pub quiet: bool,
}

/// What programs are to be told before the last line, whoever comes to it first.
static NEWS: Mutex<Option<Value>> = Mutex::new(None);

fn news() -> MutexGuard<'static, Option<Value>> {
    NEWS.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    trouble: Option<io::Error>,
}

/// Standard output and error of a command.
pub struct Output {
    mode: Mode,
    terminal: bool,
    streams: Mutex<Streams>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Output").field(&self.mode).finish()
    }
}

impl Output {
    /// The process' own streams.
    pub fn standard(mode: Mode) -> Self {
        let terminal = io::stderr().is_terminal();
        let (out, err) = (Box::new(io::stdout()), Box::new(io::stderr()));
        Self {
            terminal,
            ..Self::new(mode, out, err)
        }
    }

    /// All on standard error: what a command says beside another's answer.
    pub fn aside() -> Self {
        let terminal = io::stderr().is_terminal();
        let (out, err) = (Box::new(io::stderr()), Box::new(io::stderr()));
        Self {
            terminal,
            ..Self::new(Mode::default(), out, err)
        }
    }

    /// Any streams; they count as no terminal.
    pub fn new(mode: Mode, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let streams = Streams {
            out,
            err,
            trouble: None,
        };
        Self {
            mode,
            terminal: false,
            streams: Mutex::new(streams),
        }
    }

    /// Who reads.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether standard error is a terminal, where bars can be drawn.
    pub fn terminal(&self) -> bool {
        self.terminal
    }

    /// The result of work that was done. `human` gives the same as text, without the last line break.
    pub fn result(&self, value: &impl Serialize, human: impl FnOnce() -> String) {
        if self.mode.json || !self.mode.quiet {
            self.answer(value, human);
        }
    }

    /// The result of work of which a part failed: people read it before the error, programs find it there.
    #[must_use]
    pub fn partly(
        &self,
        failure: Failure,
        value: Value,
        human: impl FnOnce() -> String,
    ) -> Failure {
        if self.mode.json || !self.mode.quiet {
            return self.answered(failure, value, human);
        }
        failure
    }

    /// The same of what the user asked to see, and that is a failure: `--quiet` does not silence it.
    #[must_use]
    pub fn answered(
        &self,
        failure: Failure,
        value: Value,
        human: impl FnOnce() -> String,
    ) -> Failure {
        if self.mode.json {
            let result = Some(Box::new(value));
            return Failure { result, ..failure };
        }
        self.answer(&value, human);
        failure
    }

    /// What the user asked to see; `--quiet` does not silence it.
    pub fn answer(&self, value: &impl Serialize, human: impl FnOnce() -> String) {
        if self.mode.json {
            self.tell_news();
            self.json(value);
        } else {
            self.bytes(format!("{}\n", printable(&human())).as_bytes());
        }
    }

    /// An answer for people in the place of the one before, on a terminal.
    pub fn redraw(&self, human: impl FnOnce() -> String) {
        self.bytes(format!("{CLEAR}{}\n", printable(&human())).as_bytes());
    }

    /// One JSON object on a line of its own, in JSON mode only.
    pub fn json(&self, value: &impl Serialize) {
        if self.mode.json {
            let mut line = serde_json::to_vec(value).expect("our own types serialise");
            line.push(b'\n');
            self.bytes(&line);
        }
    }

    /// Programs are to be told of something, before the last line, which is not written before that.
    pub fn has_news(&self, value: Value) {
        if self.mode.json && !self.mode.quiet {
            *news() = Some(value);
        }
    }

    /// Tells it now, unless that was done.
    pub fn tell_news(&self) {
        let mut news = news();
        if let Some(value) = news.take() {
            self.json(&value);
        }
    }

    /// Bytes for standard output as they are, in any mode.
    pub fn bytes(&self, bytes: &[u8]) {
        let mut streams = self.lock();
        let done = streams
            .out
            .write_all(bytes)
            .and_then(|()| streams.out.flush());
        streams.remember(done);
    }

    /// A line on standard error, in human modes only.
    pub fn note(&self, line: &str) {
        if !self.mode.json {
            let mut streams = self.lock();
            // At once: others may write there, too. Nothing can be said of a standard error that fails.
            let _ = streams.err.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Something that did not stop the work and that the user should know.
    pub fn warn(&self, catalog: &Catalog, text: &str) {
        self.json(&json!({ "warning": text }));
        self.note(&format!(
            "{} {}",
            catalog.text("error-label-warning"),
            readable(text)
        ));
    }

    /// An error: what, why, what to do, code.
    pub fn failure(&self, catalog: &Catalog, failure: &Failure) {
        let mut line = json!({ "error": failure_json(catalog, failure) });
        if let Some(result) = &failure.result {
            line["result"] = (**result).clone();
        }
        self.tell_news();
        self.json(&line);
        self.note(&failure_text(catalog, failure));
    }

    /// Writes out what is left.
    ///
    /// # Errors
    /// Whatever kept standard output from being written, save a reader that went away.
    pub fn finish(&self) -> io::Result<()> {
        let mut streams = self.lock();
        let done = streams.out.flush();
        streams.remember(done);
        streams.trouble.take().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn remember(&mut self, done: io::Result<()>) {
        if let Err(error) = done
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.trouble.get_or_insert(error);
        }
    }
}

fn failure_json(catalog: &Catalog, failure: &Failure) -> Value {
    json!({
        "code": failure.code.as_str(),
        "message": message(catalog, failure),
        "cause": causes(catalog, failure),
        "hint": hint(catalog, failure),
    })
}

fn failure_text(catalog: &Catalog, failure: &Failure) -> String {
    let line = |label: &str, text: &str| {
        let label = catalog.text(label);
        let indent = " ".repeat(label.chars().count() + 1);
        format!(
            "{label} {}\n",
            readable(text).replace('\n', &format!("\n{indent}"))
        )
    };
    let mut text = line("error-label-what", &message(catalog, failure));
    if !failure.causes.is_empty() {
        text += &line("error-label-why", &causes(catalog, failure).join(": "));
    }
    text += &line("error-label-hint", &hint(catalog, failure));
    text += &line("error-label-code", failure.code.as_str());
    text.truncate(text.trim_end().len());
    text
}

/// What failed, in general and in this case.
pub(crate) fn message(catalog: &Catalog, failure: &Failure) -> String {
    let parts = [catalog.summary(failure.code), detail(catalog, failure)];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(": ")
}

/// What an error says, in the user's language.
pub(crate) fn told<E: Coded>(catalog: &Catalog, error: &E) -> String {
    detail(catalog, &Failure::of(error))
}

/// What failed in this case, in the user's language.
pub(crate) fn detail(catalog: &Catalog, failure: &Failure) -> String {
    let words = failure.words.as_ref();
    let said = words.and_then(|words| about_it(catalog, words));
    said.unwrap_or_else(|| catalog.term(&failure.detail))
}

/// The same message, and what it is said of.
fn about_it(catalog: &Catalog, words: &Words) -> Option<String> {
    let said = in_words(catalog, words)?;
    let parts = [words.about.clone(), Some(said)];
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    Some(parts.collect::<Vec<_>>().join(": "))
}

/// The message of the catalogue, if the language has it.
fn in_words(catalog: &Catalog, words: &Words) -> Option<String> {
    catalog.find(&format!("detail-{}", words.key), &values(catalog, words))
}

/// The causes; what the system says has its own words.
pub(crate) fn causes(catalog: &Catalog, failure: &Failure) -> Vec<String> {
    let words = failure.words.iter().flat_map(|words| &words.causes);
    let words = words.map(Option::as_ref);
    let words = words.chain(std::iter::repeat(None));
    let both = failure.causes.iter().zip(words);
    both.map(|(text, words)| {
        let said = words.and_then(|words| about_it(catalog, words));
        said.unwrap_or_else(|| catalog.term(text))
    })
    .collect()
}

fn values(catalog: &Catalog, words: &Words) -> Vec<(&'static str, FluentValue<'static>)> {
    let values = words.values.iter();
    let values = values.map(|(name, value)| (*name, FluentValue::from(value.clone())));
    let terms = words.terms.iter();
    let terms = terms.map(|(name, text)| (*name, FluentValue::from(catalog.term(text))));
    values.chain(terms).collect()
}

/// The exact remedy where there is one, line by line in the user's language.
pub(crate) fn hint(catalog: &Catalog, failure: &Failure) -> String {
    let own = failure.words.as_ref().and_then(|words| {
        let key = format!("detail-{}.hint", words.key);
        catalog.find(&key, &values(catalog, words))
    });
    let hint = failure.hint.as_ref().map(|hint| hint.said(catalog)).or(own);
    let usual = || catalog.hint(failure.code);
    let hint = hint.or_else(|| failure.remedy.is_none().then(usual));
    let remedy = failure.remedy.iter().flat_map(|remedy| remedy.lines());
    let steps = remedy.map(|line| on_device(&catalog.term(line.trim()), failure));
    let beside = failure.beside.iter().map(|hint| hint.said(catalog));
    let lines: Vec<String> = hint.into_iter().chain(steps).chain(beside).collect();
    lines.join("\n")
}

/// A step with the device's own name, where that is known.
fn on_device(step: &str, failure: &Failure) -> String {
    let device = failure.words.as_ref().and_then(|words| words.device());
    let named = |word| device.filter(|_| word == "DEVICE").unwrap_or(word);
    step.split(' ').map(named).collect::<Vec<_>>().join(" ")
}

/// Streams that tests read back.
#[cfg(test)]
pub(crate) mod memory {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::{Mode, Output};

    #[derive(Debug, Clone, Default)]
    pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output and what it printed: standard output, standard error.
    pub(crate) fn output(json: bool, quiet: bool) -> (Output, Memory, Memory) {
        let (out, err) = (Memory::default(), Memory::default());
        let mode = Mode { json, quiet };
        let output = Output::new(mode, Box::new(out.clone()), Box::new(err.clone()));
        (output, out, err)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use azud_core::code::Code;
    use serde_json::{Value, json};

    use super::memory::output;
    use super::{Mode, Output};
    use crate::failure::Failure;
    use crate::i18n::{Catalog, Lang};

    fn failure() -> Failure {
        Failure {
            causes: vec!["first\u{1b}[2J".to_owned(), "second".to_owned()],
            ..Failure::new(Code::Corrupt, "frame 3")
        }
    }

    #[test]
    fn a_result_is_text_or_json_or_nothing_and_an_answer_always_comes() {
        let printed = |json, quiet| {
            let (output, out, _) = output(json, quiet);
            output.result(&json!({"a": 1}), || "one".to_owned());
            let result = out.text();
            output.answer(&json!({"b": 2}), || "two".to_owned());
            (result, out.text())
        };
        assert_eq!(printed(false, false), ("one\n".into(), "one\ntwo\n".into()));
        assert_eq!(printed(false, true), (String::new(), "two\n".into()));
        let objects = ("{\"a\":1}\n".into(), "{\"a\":1}\n{\"b\":2}\n".into());
        assert_eq!(printed(true, false), objects);
        assert_eq!(printed(true, true), objects);
    }

    #[test]
    fn an_error_says_what_why_what_to_do_and_its_code() {
        let (output, out, err) = output(false, true);
        output.failure(&Catalog::new(Lang::En), &failure());
        let text = err.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].ends_with(": frame 3"), "{text}");
        assert!(lines[1].ends_with("first\\u{1b}[2J: second"), "{text}");
        assert!(lines[3].ends_with("image/corrupt"), "{text}");
        assert_eq!(out.text(), "");
    }

    #[test]
    fn an_error_in_json_is_one_object_on_standard_output() {
        let (output, out, err) = output(true, false);
        let failure = Failure {
            remedy: Some("fsck".to_owned()),
            ..failure()
        };
        output.failure(&Catalog::new(Lang::Es), &failure);
        let value: Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(value["error"]["code"], "image/corrupt");
        assert_eq!(value["error"]["cause"][1], "second");
        assert!(
            value["error"]["message"]
                .as_str()
                .unwrap()
                .ends_with("frame 3")
        );
        assert_eq!(value["error"]["hint"], "fsck");
        assert_eq!(err.text(), "");
    }

    #[test]
    fn what_was_done_before_a_failure_is_told_with_it() {
        for (json, quiet, before) in [(true, true, 0), (false, false, 1), (false, true, 0)] {
            let (output, out, _) = output(json, quiet);
            let told = output.partly(failure(), json!({"a": 1}), || "one".to_owned());
            assert_eq!(out.text().lines().count(), before);
            output.failure(&Catalog::new(Lang::En), &told);
            let text = out.text();
            if json {
                let value: Value = serde_json::from_str(&text).expect("one object");
                assert_eq!(value["result"]["a"], 1, "{text}");
                assert_eq!(value["error"]["code"], "image/corrupt", "{text}");
            }
        }
    }

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_but_a_full_disk_is() {
        let finish = |kind| {
            let (out, err) = (Box::new(Failing(kind)), Box::new(io::sink()));
            let output = Output::new(Mode::default(), out, err);
            output.bytes(b"text");
            output.finish().map_err(|error| error.kind())
        };
        assert_eq!(finish(io::ErrorKind::BrokenPipe), Ok(()));
        assert_eq!(
            finish(io::ErrorKind::StorageFull),
            Err(io::ErrorKind::StorageFull)
        );
    }
}
