//! Computers as people and programs see them.

use std::time::Duration;

use azud_core::code::Code;
use azud_core::report::{Account, Report, State};
use azud_core::room::{Carried, Failed, Shown};
use azud_store::Identity;
use serde_json::{Value, json};

use crate::commands::Context;
use crate::human::{bytes, guess, percent, readable};
use crate::table;

/// For programs: what the manager tells, and what each failure means.
pub(super) fn json(context: &Context, computers: &[Shown]) -> Value {
    let mut value = json!({ "computers": computers });
    let values = value["computers"].as_array_mut().into_iter().flatten();
    for (shown, value) in computers.iter().zip(values) {
        let values = value["failures"].as_array_mut().into_iter().flatten();
        for (failed, value) in shown.computer.failures.iter().zip(values) {
            let code = code(&failed.code);
            value["summary"] = json!(code.map(|code| context.catalog.summary(code)));
            value["hint"] = json!(hint(context, failed, String::clone));
        }
    }
    value
}

/// For people: a table, and below it what failed and what to do.
pub(super) fn human(context: &Context, computers: &[Shown]) -> String {
    let catalog = &context.catalog;
    if computers.is_empty() {
        return catalog.text("room-empty");
    }
    let head = ["host", "holds", "work", "done", "rate", "left", "seen"];
    let head = head.map(|key| catalog.text(&format!("label-{key}")));
    let body: Vec<_> = computers
        .iter()
        .map(|it| row(context, it, computers))
        .collect();
    let mut text = table::aligned(&head, &body, &[0, 1, 2]);
    for shown in computers {
        let now = shown.computer.seen.saturating_add(shown.age);
        for failed in worth_telling(shown) {
            text += "\n\n";
            text += &account(context, &name(shown, computers), (failed, now));
        }
    }
    text
}

/// What failed and is not mended, but for what is being tried again.
fn worth_telling(shown: &Shown) -> impl Iterator<Item = &Failed> {
    let report = &shown.computer.report;
    let at_work = report.state == State::Running && !shown.silent;
    let failures = shown.computer.failures.iter();
    failures.filter(move |failed| !(at_work && failed.is_of(report)))
}

/// With its address where another one has the same name.
fn name(shown: &Shown, all: &[Shown]) -> String {
    let host = &shown.computer.report.host;
    let namesakes = all.iter().filter(|it| it.computer.report.host == *host);
    if namesakes.count() > 1 {
        format!("{host} ({})", shown.computer.address)
    } else {
        host.clone()
    }
}

fn row(context: &Context, shown: &Shown, all: &[Shown]) -> Vec<String> {
    let none = || "-".to_owned();
    let report = &shown.computer.report;
    let carries = shown.computer.carries.as_ref();
    let moving = report.state == State::Running && !shown.silent;
    let share = (report.total > 0).then(|| percent(report.done, report.total));
    let left = report.left.map(Duration::from_secs).map(guess);
    let when_moving = |text: String| if moving { text } else { none() };
    vec![
        name(shown, all),
        carries.map_or_else(none, version),
        work(context, shown),
        when_moving(share.unwrap_or_else(|| bytes(report.done))),
        when_moving(bytes(report.rate) + "/s"),
        when_moving(left.unwrap_or_else(none)),
        guess(Duration::from_secs(shown.age)),
    ]
}

/// The image and, where it is known, which one of that name: `REPO:aula1/win 1f0c2d3e4a5b`.
fn version(carried: &Carried) -> String {
    let Some(identity) = &carried.identity else {
        return carried.image.clone();
    };
    format!("{} {}", carried.image, Identity::shortened(identity))
}

/// Whether the work that is done put there what the computer carries, which stands beside it already.
fn is_carried(shown: &Shown) -> bool {
    let report = &shown.computer.report;
    let carries = shown.computer.carries.as_ref();
    let is_it = |it: &Carried| it.image == report.image && it.identity == report.identity;
    report.state == State::Done && report.to.is_none() && carries.is_some_and(is_it)
}

/// `Restoring REPO:aula1/win`, `failed: image restore REPO:aula1/win`, `done: deploy`.
fn work(context: &Context, shown: &Shown) -> String {
    let report = &shown.computer.report;
    let job = || report.job.replace('-', " ");
    let state = match report.state {
        State::Running if !shown.silent => {
            let phase = phase(context, report).unwrap_or_else(job);
            return format!(
                "{phase} {}",
                image(context, &report.image, report.to.as_ref())
            );
        }
        State::Running => "silent",
        other => other.as_str(),
    };
    let state = context.catalog.text(&format!("word-{state}"));
    if is_carried(shown) {
        // Lines are long enough without it.
        return format!("{state}: {}", job());
    }
    let image = image(context, &report.image, report.to.as_ref());
    format!("{state}: {} {image}", job())
}

/// The image, and where a copy of it goes.
fn image(context: &Context, image: &str, to: Option<&String>) -> String {
    let Some(to) = to else {
        return image.to_owned();
    };
    let values = [("image", image.into()), ("to", to.as_str().into())];
    context.catalog.fmt("room-copy", &values)
}

/// The phase in words; none that a newer program has.
fn phase(context: &Context, report: &Report) -> Option<String> {
    let key = format!("phase-{}", report.phase.as_ref()?);
    context.catalog.find(&key, &[])
}

/// What failed, what it means, what to do.
fn account(context: &Context, host: &str, (failed, now): (&Failed, u64)) -> String {
    let job = failed.job.replace('-', " ");
    let code = code(&failed.code);
    let what = code.map_or_else(String::new, |code| context.catalog.summary(code) + ": ");
    let there = in_our_language(context, failed).and_then(|it| it.detail.as_deref());
    let detail = there.or(failed.detail.as_deref()).unwrap_or_default();
    let age = guess(Duration::from_secs(now.saturating_sub(failed.when)));
    let ago = context.catalog.fmt("room-ago", &[("time", age.into())]);
    let image = image(context, &failed.image, failed.to.as_ref());
    let mut text = format!("  {host} ({ago}): {job} {image}: {what}{detail}");
    text = readable(text.trim_end_matches([':', ' ']));
    text += &[" [", &failed.code, "]"].concat();
    // Whoever has a token may report: what a computer advises is not for ours to vouch for.
    let as_theirs = |hint: &String| {
        let hint = [("hint", hint.as_str().into())];
        context.catalog.fmt("room-told-there", &hint)
    };
    if let Some(hint) = hint(context, failed, as_theirs) {
        text += "\n    ";
        text += &readable(&hint).replace('\n', "\n    ");
    }
    text
}

/// What that computer says of a failure in the language of whoever looks.
fn in_our_language<'a>(context: &Context, failed: &'a Failed) -> Option<&'a Account> {
    failed.accounts.get(context.catalog.lang().code())
}

/// What to do: what was told at that computer, shown in a given way, else what is usual with the code. Where another
/// manager is meant, that it is that one.
fn hint(context: &Context, failed: &Failed, told: impl Fn(&String) -> String) -> Option<String> {
    let there = in_our_language(context, failed).and_then(|it| it.hint.as_ref());
    let usual = || code(&failed.code).map(|code| context.catalog.hint(code));
    let hint = there.map(told).or_else(usual)?;
    let Some(manager) = &failed.manager else {
        return Some(hint);
    };
    let manager = [("manager", manager.as_str().into())];
    let about = context.catalog.fmt("room-other-manager", &manager);
    Some(format!("{about} {hint}"))
}

/// A code of this program; a newer client may have others.
fn code(text: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.as_str() == text)
}

#[cfg(test)]
mod tests {
    use azud_core::report::Report;
    use azud_core::room::{Room, SILENT};

    use super::{human, json};
    use crate::commands::Context;
    use crate::i18n::{Catalog, Lang};
    use crate::output::memory::output;
    use crate::site::SiteArgs;
    use crate::telling::Teller;

    fn context(lang: Lang) -> Context {
        Context {
            catalog: Catalog::new(lang).into(),
            output: output(false, false).0.into(),
            site: SiteArgs::default(),
            teller: Teller::default(),
        }
    }

    fn room() -> Room {
        let mut room = Room::default();
        let begun = |host| Report::begun(host, "image-restore", "REPO:aula1/win");
        let half = Report {
            phase: Some("restore".to_owned()),
            done: 1 << 30,
            total: 2 << 30,
            rate: 128 << 20,
            left: Some(8),
            ..begun("pc1")
        };
        room.note(half, "10.0.0.1", 100 + SILENT).unwrap();
        let full = begun("pc2").failed("disk/no-space", "/dev/sda2");
        room.note(full, "10.0.0.2", 100).unwrap();
        room.note(begun("pc3").finished(), "10.0.0.3", 100).unwrap();
        room.note(begun("pc4"), "10.0.0.4", 100).unwrap();
        room.note(begun("pc5").failed("new/code", ""), "b", 100)
            .unwrap();
        room
    }

    #[test]
    fn people_see_how_far_each_computer_is_and_what_to_do() {
        let now = 102 + SILENT;
        let shown: Vec<_> = room().computers().map(|it| it.shown(now)).collect();
        let text = human(&context(Lang::En), &shown);
        let line = |host: &str| {
            let found = text
                .lines()
                .find(|line| line.trim_start().starts_with(host));
            found
                .unwrap_or_else(|| panic!("{host} in {text}"))
                .to_owned()
        };
        for word in ["Restoring REPO:aula1/win", "50.0 %", "128 MiB/s", "  8 s  "] {
            assert!(line("pc1").contains(word), "{word}: {text}");
        }
        assert!(line("pc1").ends_with("  2 s"), "{text}");
        assert!(line("pc2").contains("failed: image restore"), "{text}");
        assert!(line("pc3").contains("REPO:aula1/win  done"), "{text}");
        assert!(
            line("pc4").contains("no longer answers: image restore"),
            "{text}"
        );
        assert!(
            line("pc2 (17 s ago):").ends_with("/dev/sda2 [disk/no-space]"),
            "{text}"
        );
        assert!(
            line("pc5 (").ends_with("REPO:aula1/win [new/code]"),
            "{text}"
        );
        let spanish = human(&context(Lang::Es), &shown);
        assert!(
            spanish.contains("ya no responde: image restore"),
            "{spanish}"
        );
        assert!(spanish.contains("pc2 (hace 17 s):"), "{spanish}");
        assert!(human(&context(Lang::En), &[]).contains("No computer"));
    }

    #[test]
    fn who_has_the_old_version_of_an_image_is_told_from_who_has_the_new_one() {
        let mut room = Room::default();
        let done = |host, identity: Option<&str>| {
            let identity = identity.map(|it| it.repeat(32));
            let report = Report::begun(host, "deploy", "REPO:aula1/win");
            Report { identity, ..report }.finished()
        };
        let all = [("pc1", Some("1f")), ("pc2", Some("c4")), ("pc3", None)];
        for (host, identity) in all {
            room.note(done(host, identity), "10.0.0.1", 100).unwrap();
        }
        let other = Report::begun("pc1", "cache-update", "REPO:aula2/win").finished();
        room.note(other, "10.0.0.1", 100).unwrap();
        let shown: Vec<_> = room.computers().map(|it| it.shown(100)).collect();
        let text = human(&context(Lang::En), &shown);
        for line in [
            "REPO:aula1/win 1f1f1f1f1f1f  done: cache update REPO:aula2/win ",
            "REPO:aula1/win c4c4c4c4c4c4  done: deploy ",
            "REPO:aula1/win               done: deploy ",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn a_failure_of_another_manager_is_not_taken_for_this_ones() {
        let report = Report::begun("pc1", "image-copy", "10.0.0.9:win");
        let report = report.failed("repo/unauthorised", "10.0.0.9 does not accept the token");
        let mut room = Room::default();
        room.note(report.concerning(Some("10.0.0.9")), "10.0.0.1", 100)
            .unwrap();
        let shown: Vec<_> = room.computers().map(|it| it.shown(280)).collect();
        let text = human(&context(Lang::En), &shown);
        assert!(text.contains("pc1 (3 min 00 s ago): image copy"), "{text}");
        let about = "This is about the manager 10.0.0.9, not this one. ";
        assert!(text.contains(about), "{text}");
        let value = json(&context(Lang::En), &shown);
        let failure = &value["computers"][0]["failures"][0];
        assert_eq!(failure["manager"], "10.0.0.9");
        assert_eq!(failure["when"], 100);
        let hint = failure["hint"].as_str().unwrap();
        assert!(hint.starts_with(about), "{hint}");
    }

    #[test]
    fn where_a_copy_goes_is_seen() {
        let copy = Report::begun("pc1", "image-copy", "REPO:win").going_to("USB-x:win");
        let mut room = Room::default();
        let mut text = |report: Report, lang| {
            room.note(report, "10.0.0.1", 100).unwrap();
            let shown: Vec<_> = room.computers().map(|it| it.shown(100)).collect();
            human(&context(lang), &shown)
        };
        let english = text(copy.clone(), Lang::En);
        assert!(
            english.contains("image copy REPO:win to USB-x:win"),
            "{english}"
        );
        let spanish = text(copy.failed("disk/no-space", ""), Lang::Es);
        let twice = spanish.matches("image copy REPO:win a USB-x:win").count();
        assert_eq!(twice, 2, "{spanish}");
    }

    #[test]
    fn the_remedy_is_that_of_the_computer_in_the_language_of_who_looks() {
        let failed = Report::begun("pc1", "deploy", "REPO:win").failed("store/no-room", "no room");
        let failed = failed
            .said_in("en", None, Some("make room\n--no-cache\u{202e}"))
            .said_in("es", Some("no hay sitio"), Some("haga sitio"));
        let mut room = Room::default();
        room.note(failed, "10.0.0.1", 100).unwrap();
        let shown: Vec<_> = room.computers().map(|it| it.shown(100)).collect();
        let english = human(&context(Lang::En), &shown);
        let account =
            ": no room [store/no-room]\n    Told there: make room\n    --no-cache\\u{202e}";
        assert!(english.ends_with(account), "{english}");
        let spanish = human(&context(Lang::Es), &shown);
        let account = ": no hay sitio [store/no-room]\n    Allí se indicó: haga sitio";
        assert!(spanish.ends_with(account), "{spanish}");
        let value = json(&context(Lang::Es), &shown);
        let failure = &value["computers"][0]["failures"][0];
        assert_eq!(failure["hint"], "haga sitio");
    }

    #[test]
    fn what_failed_is_told_until_it_is_mended_or_tried_again() {
        let mut room = Room::default();
        let of = |job: &str, image: &str| Report::begun("pc1", job, image);
        let (deploy, win) = ("deploy", "REPO:aula1/win");
        let mut is_told = |report: Report, at: u64, now: u64| {
            room.note(report, "10.0.0.1", at).unwrap();
            let shown: Vec<_> = room.computers().map(|it| it.shown(now)).collect();
            human(&context(Lang::En), &shown).contains("[disk/no-space]")
        };
        let failed = of(deploy, win).failed("disk/no-space", "");
        assert!(is_told(failed, 1, 1));
        assert!(is_told(of("cache-update", win), 2, 2), "another job");
        assert!(is_told(of(deploy, "REPO:aula1/old"), 3, 3), "another image");
        assert!(!is_told(of(deploy, win), 4, 4), "the same again");
        assert!(is_told(of(deploy, win), 5, 6 + SILENT), "it went silent");
        let done = || of(deploy, "REPO:aula1/old").finished();
        assert!(is_told(done(), 6, 6), "another one that succeeded");
        assert!(!is_told(of(deploy, win).finished(), 7, 7));
        assert!(!is_told(of(deploy, "REPO:aula1/new"), 8, 8), "it is mended");
    }

    #[test]
    fn each_failure_that_is_not_mended_is_told() {
        let mut room = Room::default();
        for (image, code) in [("REPO:win", "disk/io"), ("REPO:data", "disk/no-space")] {
            let failed = Report::begun("pc1", "deploy", image).failed(code, "");
            room.note(failed, "10.0.0.1", 100).unwrap();
        }
        let shown: Vec<_> = room.computers().map(|it| it.shown(100)).collect();
        let text = human(&context(Lang::En), &shown);
        let (data, win) = ("deploy REPO:data", "deploy REPO:win");
        assert_eq!(text.matches("pc1 (1 s ago)").count(), 2, "{text}");
        assert!(text.rfind(data) < text.rfind(win), "{text}");
    }

    #[test]
    fn programs_get_the_remedy_as_well() {
        let shown: Vec<_> = room().computers().map(|it| it.shown(102)).collect();
        let value = json(&context(Lang::Es), &shown);
        let failure = &value["computers"][1]["failures"][0];
        assert_eq!(failure["code"], "disk/no-space");
        assert!(
            failure["hint"]
                .as_str()
                .is_some_and(|hint| !hint.is_empty())
        );
        assert_eq!(
            value["computers"][4]["failures"][0]["hint"],
            serde_json::Value::Null
        );
        assert_eq!(value["computers"][0]["report"]["total"], 2u64 << 30);
    }
}
