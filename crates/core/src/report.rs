//! What a computer tells the manager of its work.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest name of a computer, in bytes: what the kernel allows.
const HOST: usize = 64;
/// Longest name of a job, a phase or a code, in bytes.
const WORD: usize = 64;
/// Longest name of an image, in bytes.
const IMAGE: usize = 1024;
/// Longest name of a manager, in bytes: what DNS allows.
const MANAGER: usize = 255;
/// Longest account of a failure, in bytes.
const DETAIL: usize = 512;
/// Longest text of what to do, in bytes.
const HINT: usize = 512;
/// Longest name of a language, in bytes.
const LANGUAGE: usize = 8;
/// Most bytes of one failure in all languages.
const ACCOUNTS: usize = 3 * HINT;

/// How a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum State {
    /// At work.
    Running,
    /// It came to its end.
    Done,
    /// It failed; the report has a code.
    Failed,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A failure in one of the languages that the program speaks: who looks after the room may read another one than the
/// computer's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Account {
    /// What failed, where that is not the English of the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do in this case, one step per line, where that is not what is usual with the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Account {
    fn len(&self) -> usize {
        let texts = [&self.detail, &self.hint];
        texts.into_iter().flatten().map(String::len).sum()
    }
}

/// What a computer tells of its job. What a newer program adds is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Report {
    /// The computer's name, as it calls itself.
    pub host: String,
    /// The command, such as `image-restore`.
    pub job: String,
    /// How it is.
    pub state: State,
    /// The image: its place and name, or the whole path of its file.
    pub image: String,
    /// Where a copy of it goes: its place and name, or the whole path of its file or folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The image's identity in hexadecimal, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What is being done, such as `restore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Bytes done of the phase.
    #[serde(default)]
    pub done: u64,
    /// Bytes to do, 0 when unknown.
    #[serde(default)]
    pub total: u64,
    /// Bytes per second, lately.
    #[serde(default)]
    pub rate: u64,
    /// Seconds left, if that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// The stable code of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What failed, in English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The manager that failed or refused, if it is another one than that which is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// The failure in languages, by their codes (`en`, `es`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, Account>,
}

/// A report that is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} of a report is not acceptable")]
pub struct BadReport {
    /// What of it.
    pub field: &'static str,
}

impl Report {
    /// A job that has just begun. Names that are too long are cut, what cannot be printed is left out.
    pub fn begun(host: &str, job: &str, image: &str) -> Self {
        Self {
            host: fitting(host, HOST),
            job: fitting(job, WORD),
            state: State::Running,
            image: fitting(image, IMAGE),
            to: None,
            identity: None,
            phase: None,
            done: 0,
            total: 0,
            rate: 0,
            left: None,
            code: None,
            detail: None,
            manager: None,
            accounts: BTreeMap::new(),
        }
    }

    /// The same: the image is copied there.
    #[must_use]
    pub fn going_to(self, to: &str) -> Self {
        Self {
            to: Some(fitting(to, IMAGE)).filter(|text| !text.is_empty()),
            ..self
        }
    }

    /// The job came to its end, and so did its last phase.
    #[must_use]
    pub fn finished(self) -> Self {
        Self {
            state: State::Done,
            done: if self.total > 0 {
                self.total
            } else {
                self.done
            },
            left: None,
            ..self
        }
    }

    /// The job failed.
    #[must_use]
    pub fn failed(self, code: &str, detail: &str) -> Self {
        Self {
            state: State::Failed,
            left: None,
            code: Some(fitting(code, WORD)),
            detail: Some(fitting(detail, DETAIL)).filter(|text| !text.is_empty()),
            ..self
        }
    }

    /// The same: another manager was asked, and this is about it.
    #[must_use]
    pub fn concerning(self, manager: Option<&str>) -> Self {
        Self {
            manager: manager.map(|name| fitting(name, MANAGER)),
            ..self
        }
    }

    /// The same: what failed and what to do in a language, as far as there is room for it. Half a command is no remedy,
    /// so a step that is too long is left out.
    #[must_use]
    pub fn said_in(mut self, language: &str, detail: Option<&str>, hint: Option<&str>) -> Self {
        let detail = detail.map(|text| fitting(text, DETAIL));
        let hint = hint.map(|text| whole_lines(text, HINT));
        let account = Account {
            detail: detail.filter(|text| !text.is_empty()),
            hint: hint.filter(|text| !text.is_empty()),
        };
        let there: usize = self.accounts.values().map(Account::len).sum();
        if (1..=ACCOUNTS.saturating_sub(there)).contains(&account.len()) {
            self.accounts.insert(language.to_owned(), account);
        }
        self
    }

    /// Whether all of it may be kept and shown: whoever sent it may be anybody.
    ///
    /// # Errors
    /// What is not acceptable.
    pub fn check(&self) -> Result<(), BadReport> {
        let bad = |field| Err(BadReport { field });
        let word = |text: &str| {
            let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-' || byte == b'/';
            printable(text, WORD) && text.bytes().all(known)
        };
        let is_identity = |text: &str| {
            let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == 64 && text.bytes().all(digit)
        };
        if !printable(&self.host, HOST) {
            return bad("host");
        }
        if !word(&self.job) {
            return bad("job");
        }
        if !printable(&self.image, IMAGE) {
            return bad("image");
        }
        if self.to.as_deref().is_some_and(|it| !printable(it, IMAGE)) {
            return bad("to");
        }
        if self.identity.as_deref().is_some_and(|it| !is_identity(it)) {
            return bad("identity");
        }
        if self.phase.as_deref().is_some_and(|it| !word(it)) {
            return bad("phase");
        }
        if self.code.as_deref().is_some_and(|it| !word(it)) {
            return bad("code");
        }
        let detail = self.detail.as_deref();
        if detail.is_some_and(|it| !printable(it, DETAIL)) {
            return bad("detail");
        }
        let manager = self.manager.as_deref();
        if manager.is_some_and(|it| !printable(it, MANAGER)) {
            return bad("manager");
        }
        if !are_acceptable(&self.accounts) {
            return bad("accounts");
        }
        Ok(())
    }
}

fn are_acceptable(accounts: &BTreeMap<String, Account>) -> bool {
    let is_language = |text: &str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        (1..=LANGUAGE).contains(&text.len()) && text.bytes().all(known)
    };
    let lines = |text: &str| text.split('\n').all(|line| printable(line, HINT));
    let fits = |(language, account): (&String, &Account)| {
        let Account { detail, hint } = account;
        let (detail, hint) = (detail.as_deref(), hint.as_deref());
        is_language(language)
            && detail.is_none_or(|text| printable(text, DETAIL))
            && hint.is_none_or(|text| text.len() <= HINT && lines(text))
            && account.len() > 0
    };
    accounts.iter().all(fits) && accounts.values().map(Account::len).sum::<usize>() <= ACCOUNTS
}

/// Whether a text may be shown, and is one.
fn printable(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The lines of a text that find room, without what cannot be printed.
fn whole_lines(text: &str, limit: usize) -> String {
    let mut whole = String::new();
    for line in text.lines() {
        let fit = fitting(line, usize::MAX);
        let between = usize::from(!whole.is_empty());
        if fit.is_empty() || whole.len() + between + fit.len() > limit {
            continue;
        }
        whole += &"\n"[..between];
        whole += &fit;
    }
    whole
}

/// The beginning of a text, without what cannot be printed.
fn fitting(text: &str, limit: usize) -> String {
    let mut fit = String::new();
    for c in text.chars().map(|c| if c == '\n' { ' ' } else { c }) {
        if fit.len() + c.len_utf8() > limit {
            break;
        }
        if !c.is_control() {
            fit.push(c);
        }
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::{Account, DETAIL, HINT, Report, State, fitting};

    fn report() -> Report {
        Report::begun("pc07", "image-restore", "REPO:aula1/win")
    }

    #[test]
    fn what_is_made_here_is_acceptable() {
        let long = "á\u{1b}".repeat(2000);
        let made = Report::begun(&long, "image-restore", &long).going_to(&long);
        assert_eq!(made.check(), Ok(()));
        let failed = made.failed("disk/no-space", &long);
        assert_eq!(failed.check(), Ok(()));
        assert_eq!(failed.state, State::Failed);
        let nothing = report().failed("disk/io", "").finished();
        assert_eq!((nothing.check(), nothing.detail), (Ok(()), None));
    }

    #[test]
    fn what_is_finished_is_done_as_a_whole() {
        let at = |done, total| Report {
            done,
            total,
            ..report()
        };
        assert_eq!(at(97, 100).finished().done, 100);
        assert_eq!(at(97, 0).finished().done, 97, "nobody knew how much");
        assert_eq!(at(97, 100).failed("disk/io", "").done, 97);
    }

    type Change = fn(&mut Report, String);

    #[test]
    fn what_could_play_tricks_is_refused() {
        let whole = Report {
            identity: Some("0f".repeat(32)),
            phase: Some("read-back".to_owned()),
            ..report().failed("disk/no-space", "/dev/sda1: full")
        };
        assert_eq!(whole.check(), Ok(()));
        let long = "x".repeat(DETAIL + 1);
        let fields: [(&str, Change); 11] = [
            ("host", |report, text| report.host = text),
            ("job", |report, text| report.job = text),
            ("image", |report, text| report.image = text),
            ("to", |report, text| report.to = Some(text)),
            ("identity", |report, text| report.identity = Some(text)),
            ("phase", |report, text| report.phase = Some(text)),
            ("code", |report, text| report.code = Some(text)),
            ("detail", |report, text| report.detail = Some(text)),
            ("accounts", |report, text| {
                report.accounts.insert(text, account(None, Some("do")));
            }),
            ("accounts", |report, text| {
                let account = account(Some(&text), None);
                report.accounts.insert("es".to_owned(), account);
            }),
            ("accounts", |report, text| {
                let account = account(None, Some(&text));
                report.accounts.insert("es".to_owned(), account);
            }),
        ];
        for (field, change) in fields {
            for text in [String::new(), "a\u{1b}[2J".to_owned(), long.repeat(3)] {
                let mut report = whole.clone();
                change(&mut report, text);
                assert_eq!(report.check().unwrap_err().field, field);
            }
        }
    }

    fn account(detail: Option<&str>, hint: Option<&str>) -> Account {
        Account {
            detail: detail.map(str::to_owned),
            hint: hint.map(str::to_owned),
        }
    }

    #[test]
    fn a_failure_is_told_in_languages_as_far_as_there_is_room() {
        let failed = report().failed("store/no-room", "no room");
        let long = "x".repeat(HINT);
        let steps = format!("first\u{1b}\n\n{long}\nlast");
        let told = failed.said_in("es", Some("no hay sitio"), Some(&steps));
        assert_eq!(told.check(), Ok(()));
        let spanish = account(Some("no hay sitio"), Some("first\nlast"));
        assert_eq!(told.accounts["es"], spanish);
        assert_eq!(told.clone().said_in("en", None, Some("")), told, "nothing");
        let full = told.said_in("en", Some(&long), Some(&long));
        assert_eq!((full.check(), full.accounts.len()), (Ok(()), 2));
        let more = full.clone().said_in("fr", Some(&long), Some(&long));
        assert_eq!(more, full, "there is no room");
        let mut many = full;
        for language in 'a'..='z' {
            let account = account(Some(&long[..DETAIL]), None);
            many.accounts.insert(language.to_string(), account);
        }
        assert_eq!(many.check().unwrap_err().field, "accounts");
    }

    #[test]
    fn what_a_newer_program_adds_is_passed_over() {
        let text = r#"{"host":"a","job":"deploy","state":"running","image":"REPO:x","new":[1]}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!((report.total, report.phase), (0, None));
        assert!(report.accounts.is_empty(), "an older one");
        assert!(serde_json::from_str::<Report>(&text.replace("running", "resting")).is_err());
    }

    #[test]
    fn texts_are_cut_between_letters() {
        assert_eq!(fitting("añb", 2), "a");
        assert_eq!(fitting("a\nb\u{7f}", 9), "a b");
    }
}
