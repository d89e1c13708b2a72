//! `azud repo list`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use azud_core::layout::Layout;
use azud_core::reference::Where;
use azud_disk::mounting::MountFacts;
use azud_disk::remote::{PATIENCE, Protocol, State, mounted_in, reach, states};
use serde::Serialize;
use serde_json::json;

use super::access::How;
use super::asked::{Asked, ask_all};
use super::known::Register;
use super::manager::known_twice;
use super::view;
use crate::commands::Context;
use crate::failure::Failure;
use crate::site::Site;
use crate::table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// One repository.
#[derive(Debug, Clone, Serialize)]
struct Row {
    address: String,
    /// `mounted`, `stale`, `unreachable`, `refused`, `unmounted`; of a manager that no view shows `answers` and `untrusted`.
    state: &'static str,
    protocol: &'static str,
    at: Option<PathBuf>,
    source: Option<PathBuf>,
    /// Of a manager without a view nothing: that is a matter of the token.
    read_only: Option<bool>,
    /// Whether `repo add` remembers it.
    known: bool,
}

impl Args {
    /// Lists the repositories that are mounted or known.
    ///
    /// # Errors
    /// When the root or the settings make no sense.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let layout = Site::load(&context.site)?.layout;
        let register = Register::read()?;
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for known in &register.known {
            let row = Row {
                address: known.address.clone(),
                state: "unmounted",
                protocol: known.protocol.as_str(),
                at: None,
                source: None,
                read_only: (known.protocol != How::Http).then_some(!known.write),
                known: true,
            };
            rows.insert(known.address.clone(), row);
        }
        let managers = rows
            .values()
            .filter(|row| row.protocol == How::Http.as_str());
        let managers: Vec<String> = managers.map(|row| row.address.clone()).collect();
        let (mounted, asked) = thread::scope(|scope| {
            let asked = scope.spawn(|| ask_all(&managers, PATIENCE));
            (mounted(context, &layout), asked.join().unwrap_or_default())
        });
        for (address, facts, state) in mounted {
            let state = seen_by_asking(&asked, &facts).unwrap_or(state);
            warn(context, &address, (&facts, state));
            let row = Row {
                known: rows.contains_key(&address),
                state: state.as_str(),
                protocol: protocol(&facts),
                at: Some(facts.at),
                source: Some(facts.source),
                read_only: Some(facts.read_only),
                address: address.clone(),
            };
            rows.insert(address, row);
        }
        for asked in &asked {
            let row = rows.get_mut(&asked.host).filter(|row| row.at.is_none());
            if let Some(row) = row {
                row.state = asked.answer.word();
            }
        }
        let rows: Vec<Row> = rows.into_values().collect();
        let same = known_twice(&managers);
        let value = json!({ "repositories": rows, "same_manager": same });
        context.output.answer(&value, || {
            let same = same.iter().map(|hosts| {
                let hosts = [("hosts", hosts.join(", ").into())];
                context.catalog.fmt("repo-same", &hosts)
            });
            let lines: Vec<String> = [human(context, &rows)].into_iter().chain(same).collect();
            lines.join("\n")
        });
        Ok(())
    }
}

/// That a view's manager does not answer: the view itself goes on for a moment with what it knew.
fn seen_by_asking(asked: &[Asked], facts: &MountFacts) -> Option<State> {
    let silent = asked
        .iter()
        .filter_map(|it| Some((&it.host, it.answer.silent_at()?)));
    let mut silent = silent.map(|(host, port)| format!("{host}:{port}"));
    let is_its_own = |source: String| facts.source.as_os_str() == source.as_str();
    (facts.is_view() && silent.any(is_its_own)).then_some(State::Unreachable)
}

/// Says what to do about a view whose manager does not give what it shows.
fn warn(context: &Context, address: &str, (facts, state): (&MountFacts, State)) {
    let key = match state {
        State::Refused => "warn-view-refused",
        State::Unreachable if facts.is_view() => "warn-view-silent",
        _ => return,
    };
    let text = context.catalog.fmt(key, &[("address", address.into())]);
    context.output.warn(&context.catalog, &text);
}

fn protocol(facts: &MountFacts) -> &'static str {
    if facts.is_view() {
        return How::Http.as_str();
    }
    Protocol::of_type(&facts.fs_type).as_str()
}

/// The repositories of other computers that are mounted, each asked how it is, all at once.
fn mounted(context: &Context, layout: &Layout) -> Vec<(String, MountFacts, State)> {
    let Some(base) = reach(layout.base()) else {
        let values = [("path", layout.base().display().to_string().into())];
        let text = context.catalog.fmt("warn-base-silent", &values);
        context.output.warn(&context.catalog, &text);
        return Vec::new();
    };
    let mut found = Vec::new();
    for facts in mounted_in(&base) {
        let name = facts.at.file_name().and_then(|name| name.to_str());
        match name.map(Where::parse) {
            // It says itself whose it is.
            _ if facts.is_view() => {
                let (address, source) = view::named(&facts.source);
                found.push((address, MountFacts { source, ..facts }));
            }
            Some(Ok(Where::Host(host))) => found.push((host.to_string(), facts)),
            _ => (),
        }
    }
    let places: Vec<PathBuf> = found.iter().map(|(_, facts)| facts.at.clone()).collect();
    let states = states(&places);
    let both = found.into_iter().zip(states);
    both.map(|((address, facts), state)| (address, facts, state))
        .collect()
}

fn human(context: &Context, rows: &[Row]) -> String {
    let catalog = &context.catalog;
    if rows.is_empty() {
        return catalog.text("repo-none");
    }
    let head = [
        "address",
        "state",
        "protocol",
        "access",
        "source",
        "mount-point",
    ];
    let head = head.map(|key| catalog.text(&format!("label-{key}")));
    let cell = |path: &Option<PathBuf>| {
        let shown = path.as_ref().map(|path| path.display().to_string());
        shown.unwrap_or_else(|| "-".to_owned())
    };
    let word = |word: &str| catalog.text(&format!("word-{word}"));
    let access = |read_only| match read_only {
        Some(true) => word("read-only"),
        Some(false) => word("write"),
        None => "-".to_owned(),
    };
    let body: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.address.clone(),
                match row.state {
                    "unreachable" if row.at.is_some() => word("mounted-silent"),
                    state => word(state),
                },
                word(row.protocol),
                access(row.read_only),
                cell(&row.source),
                cell(&row.at),
            ]
        })
        .collect();
    table::aligned(&head, &body, &[0, 1, 2, 3, 4, 5])
}
