use super::{Computer, FAILURES, FORGETTABLE, HOSTS, MOVED, OLD, Room, SILENT};
use crate::report::Report;

fn report(host: &str, job: &str) -> Report {
    Report::begun(host, job, "REPO:aula1/win")
}

#[test]
fn a_disk_that_is_half_written_carries_nothing() {
    let mut room = Room::default();
    let at = |phase: &str| Report {
        phase: Some(phase.to_owned()),
        ..report("pc1", "deploy")
    };
    let mut carries = |report: Report| room.note(report, "10.0.0.1", 1).unwrap().carries.is_some();
    assert!(carries(at("restore").finished()));
    assert!(carries(at("assemble")), "only the cache is written");
    assert!(carries(at("assemble").failed("repo/unreachable", "")));
    assert!(!carries(at("restore")));
    assert!(!carries(at("read-back")), "it is not done yet");
    assert!(!carries(at("restore").failed("disk/io", "")));
    assert!(carries(at("compare").finished()));
    assert!(!carries(at("compare").failed("disk/io", "")));
}

#[test]
fn the_newest_counts_and_failures_are_remembered() {
    let mut room = Room::default();
    for time in 0..5 {
        let job = ["image-restore", "a", "b", "c", "a"][time];
        let failed = report("pc1", job).failed("disk/no-space", "full");
        room.note(failed, "10.0.0.1", time as u64).unwrap();
    }
    let done = Report {
        identity: Some("ab".repeat(32)),
        ..report("pc1", "deploy").finished()
    };
    let one = room.note(done, "10.0.0.1", 7).unwrap();
    assert_eq!((one.address.as_str(), one.seen), ("10.0.0.1", 7));
    let times: Vec<u64> = one.failures.iter().map(|it| it.when).collect();
    assert_eq!(times, [4, 3, 2], "each job once, the newest first");
    assert_eq!(times.len(), FAILURES);
    let carries = one.carries.clone().unwrap();
    assert_eq!(
        (carries.image.as_str(), carries.since),
        ("REPO:aula1/win", 7)
    );
    // A capture changes nothing about what it carries.
    let captured = report("pc1", "image-create").finished();
    let one = room.note(captured, "10.0.0.1", 8).unwrap();
    assert_eq!(one.carries, Some(carries));
    assert_eq!(room.computers().count(), 1);
}

#[test]
fn a_failure_is_remembered_until_the_same_succeeds() {
    let mut room = Room::default();
    let of = |job, image| Report::begun("pc1", job, image);
    let mut left = |report: Report| {
        let computer = room.note(report, "10.0.0.1", 1).unwrap();
        let failures = computer.failures.iter();
        failures.map(|it| it.image.clone()).collect::<Vec<_>>()
    };
    let failed = |image| of("deploy", image).failed("disk/io", "");
    left(failed("REPO:win"));
    let both = left(failed("REPO:data"));
    assert_eq!(both, ["REPO:data", "REPO:win"]);
    assert_eq!(left(of("deploy", "REPO:win")), both, "it is tried again");
    assert_eq!(left(of("image-copy", "REPO:win").finished()), both);
    let restored = of("image-restore", "REPO:win").finished();
    assert_eq!(left(restored), ["REPO:data"]);
    assert_eq!(left(of("deploy", "REPO:new")), ["REPO:data"]);
    let copy = |to| of("image-copy", "REPO:win").going_to(to);
    left(copy("USB-a:win").failed("disk/no-space", ""));
    let elsewhere = left(copy("USB-b:win").finished());
    assert_eq!(elsewhere, ["REPO:win", "REPO:data"]);
    assert_eq!(left(copy("USB-a:win").finished()), ["REPO:data"]);
    let empty: [&str; 0] = [];
    assert_eq!(left(of("deploy", "REPO:data").finished()), empty);
}

#[test]
fn a_name_that_means_nothing_is_forgotten_when_the_work_is_done() {
    let mut room = Room::default();
    let of = |job, image| Report::begun("pc1", job, image);
    let mut left = |report: Report| {
        let computer = room.note(report, "10.0.0.1", 1).unwrap();
        let failures = computer.failures.iter();
        failures.map(|it| it.image.clone()).collect::<Vec<_>>()
    };
    left(of("image-restore", "REPO:wim").failed("image/not-found", ""));
    left(of("deploy", "REPO:Win").failed("image/case-twin", ""));
    left(of("deploy", "REPO:data").failed("disk/io", ""));
    let both = left(of("cache-update", "REPO:win").finished());
    assert_eq!(both, ["REPO:data", "REPO:Win", "REPO:wim"], "another work");
    assert_eq!(left(of("deploy", "REPO:win")), both, "it is not done yet");
    let failed = left(of("deploy", "REPO:win").failed("disk/io", ""));
    assert_eq!(failed, ["REPO:win", "REPO:data", "REPO:Win"]);
    assert_eq!(left(of("deploy", "REPO:win").finished()), ["REPO:data"]);
}

#[test]
fn a_failure_of_long_ago_is_forgotten_unless_nothing_came_after_it() {
    let mut room = Room::default();
    let failed = report("pc1", "deploy").failed("disk/io", "");
    let one = room.note(failed, "10.0.0.1", 1).unwrap();
    let shown = |one: &Computer, now| one.shown(now).computer.failures.len();
    assert_eq!(shown(one, OLD + 2), 1, "it is how the computer is");
    let other = report("pc1", "image-create").finished();
    let one = room.note(other, "10.0.0.1", 2).unwrap();
    assert_eq!((shown(one, OLD + 1), shown(one, OLD + 2)), (1, 0));
    assert_eq!(one.failures.len(), 1);
    let other = report("pc1", "image-create").finished();
    let one = room.note(other, "10.0.0.1", OLD + 2).unwrap();
    assert!(one.failures.is_empty(), "nor is it kept");
}

#[test]
fn two_of_one_name_are_two_until_one_has_moved() {
    let mut room = Room::default();
    let failed = report("live", "deploy").failed("disk/io", "");
    room.note(failed, "10.0.0.1", 1).unwrap();
    let other = report("live", "deploy").finished();
    room.note(other, "10.0.0.2", 2).unwrap();
    let carries = room.computers().map(|it| it.carries.is_some());
    assert_eq!(carries.collect::<Vec<_>>(), [false, true]);
    // The first comes by another address a day later; the second is heard of all the time.
    room.note(report("live", "deploy").finished(), "10.0.0.2", MOVED)
        .unwrap();
    let moved = room.note(report("live", "deploy"), "10.0.0.3", MOVED + 2);
    assert_eq!(moved.unwrap().failures.len(), 1);
    let addresses: Vec<_> = room.computers().map(|it| it.address.as_str()).collect();
    assert_eq!(addresses, ["10.0.0.2", "10.0.0.3"]);
}

#[test]
fn who_says_nothing_more_is_silent() {
    let mut room = Room::default();
    room.note(report("pc1", "deploy"), "a", 100).unwrap();
    room.note(report("pc2", "deploy").finished(), "b", 100)
        .unwrap();
    assert_eq!(room.at_work(100 + SILENT), 1);
    assert_eq!(room.at_work(101 + SILENT), 0);
    let silent = room.computers().map(|it| it.is_silent(101 + SILENT));
    assert_eq!(silent.collect::<Vec<_>>(), [true, false]);
    // The clock went back a little; and so far that whoever is at work has to tell again.
    assert_eq!((room.at_work(100 - SILENT), room.at_work(0)), (1, 0));
}

#[test]
fn a_flood_of_names_does_not_drive_out_who_is_there() {
    let mut room = Room::default();
    let nat = |number: usize| (format!("live{number}"), "10.9.0.1");
    for (host, address) in (0..60).map(nat) {
        room.note(report(&host, "deploy"), address, 1).unwrap();
    }
    for number in 0..40 {
        let address = format!("10.0.0.{number}");
        room.note(report("pc", "deploy"), &address, 1).unwrap();
    }
    // Later than that, and from as many addresses as one computer of IPv6 has.
    for number in 0..HOSTS + 200 {
        let (host, address) = (format!("invented{number}"), format!("fd00::{number:x}"));
        let time = 2 * FORGETTABLE + number as u64;
        room.note(report(&host, "deploy"), &address, time).unwrap();
    }
    let there = |address: &str| {
        let all = room.computers();
        all.filter(|it| it.address.starts_with(address)).count()
    };
    assert_eq!((there("10.9."), there("10.0.")), (60, 40));
    assert_eq!(room.computers().count(), HOSTS);
    let latest = format!("invented{}", HOSTS + 199);
    assert!(room.computers().any(|it| it.report.host == latest));
    let new = room.note(report("new", "deploy"), "10.0.1.1", 3 * FORGETTABLE);
    assert!(new.is_ok(), "who comes then has its place");
    assert_eq!(room.computers().count(), HOSTS);
}

#[test]
fn regression_what_a_clock_that_was_ahead_noted_does_not_last() {
    let mut room = Room::default();
    let (ahead, now) = (4 * OLD, OLD);
    let failed = report("pc1", "deploy").failed("disk/io", "");
    room.note(failed, "10.0.0.1", ahead).unwrap();
    room.note(report("pc1", "deploy"), "10.0.0.1", ahead)
        .unwrap();
    assert_eq!((room.at_work(ahead), room.at_work(now)), (1, 0));
    let shown = room.computers().next().unwrap().shown(now);
    assert!(shown.silent);
    assert_eq!((shown.age, shown.computer.seen), (0, now));
    assert_eq!(shown.computer.failures[0].when, now, "it is not lost");
    // It goes for others first, and where it is now it is the same one.
    room.note(report("pc2", "deploy"), "10.0.0.1", now).unwrap();
    room.note(report("pc1", "deploy"), "10.0.0.2", now).unwrap();
    let all = room
        .computers()
        .map(|it| (it.report.host.as_str(), it.address.as_str()));
    assert_eq!(
        all.collect::<Vec<_>>(),
        [("pc1", "10.0.0.2"), ("pc2", "10.0.0.1")]
    );
    for number in room.computers().count()..HOSTS {
        let host = format!("pc{}", number + 1);
        room.note(report(&host, "deploy"), "10.0.0.1", now).unwrap();
    }
    room.note(report("pc9", "deploy"), "10.0.0.1", ahead)
        .unwrap();
    room.note(report("new", "deploy"), "10.0.0.1", now).unwrap();
    assert!(room.computers().all(|it| it.report.host != "pc9"));
}

#[test]
fn where_all_are_single_who_was_heard_of_lately_stays() {
    let mut room = Room::default();
    for number in 0..u32::try_from(HOSTS).unwrap() {
        let time = if number == 7 { 1 } else { 2 };
        let address = std::net::Ipv4Addr::from_bits(number).to_string();
        room.note(report("pc", "deploy"), &address, time).unwrap();
    }
    let mut new = |time| room.note(report("pc", "deploy"), "10.0.0.1", time).is_ok();
    assert!(!new(FORGETTABLE + 1));
    assert!(new(FORGETTABLE + 2));
    let gone = std::net::Ipv4Addr::from_bits(7).to_string();
    assert_eq!(room.computers().count(), HOSTS);
    assert!(room.computers().all(|it| it.address != gone));
}

#[test]
fn what_was_written_down_comes_back() {
    let mut room = Room::default();
    let failed = report("pc1", "deploy").failed("disk/io", "no");
    room.note(failed, "10.0.0.1", 5).unwrap();
    let text = serde_json::to_string(&room.computers().collect::<Vec<_>>()).unwrap();
    let mut kept = serde_json::from_str::<Vec<super::Computer>>(&text).unwrap();
    assert_eq!(Room::of(kept.clone()), room);
    // Written down by programs that remembered every failure.
    let again = kept[0].failures[0].clone();
    kept[0].failures.push_back(again.clone());
    assert_eq!(Room::of(kept.clone()), room);
    kept[0].report = report("pc1", "deploy").finished();
    assert!(
        Room::of(kept.clone())
            .computers()
            .all(|it| it.failures.is_empty())
    );
    kept[0].report.host = "\u{1b}".to_owned();
    assert_eq!(Room::of(kept), Room::default());
}
