use std::fs::{self, File};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use azud_core::code::Code;
use azud_core::name::ImageFile;

use super::holder::{Claim, Found, OWNERLESS, STALE};
use super::{Holder, LOCK, Lease, PREFIX, break_lock, holder, refuse_held, refuse_others, sweep};
use crate::durable::Op;
use crate::error::StoreError;
use crate::owner::Owner;

const SECOND: Duration = Duration::from_secs(1);

fn image(dir: &Path) -> ImageFile {
    ImageFile::in_dir(dir, "deb.img").unwrap()
}

fn take(image: &ImageFile) -> Result<Lease, StoreError> {
    Lease::take(image, SystemTime::now())
}

/// The lock of a process of another computer, last refreshed `age` ago by the server's clock.
fn foreign(image: &ImageFile, age: Duration) {
    let mut owner = serde_json::to_value(Owner::this()).unwrap();
    owner["host"] = "pc7".into();
    let claim = Claim {
        sender: None,
        owner: serde_json::from_value(owner).unwrap(),
        token: "f0".into(),
        since: 1_800_000_000,
    };
    write(image, &serde_json::to_string(&claim).unwrap(), age);
}

fn write(image: &ImageFile, content: &str, age: Duration) {
    let lock = image.beside(LOCK);
    fs::write(&lock, content).unwrap();
    let file = File::options().write(true).open(&lock).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    crate::durable::names(dir)
        .unwrap()
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect()
}

#[test]
fn who_only_puts_another_into_its_place_keeps_nobody_from_reading() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let lease = take(&image).unwrap();
    refuse_held(&image).unwrap_err();
    refuse_others(&image).unwrap();
    drop(lease);
    foreign(&image, Duration::ZERO);
    refuse_others(&image).unwrap();
    write(&image, "", Duration::ZERO);
    let error = refuse_others(&image).unwrap_err();
    assert_eq!(error.code(), Code::Locked, "{error}");
}

#[test]
fn one_wins_and_the_other_is_told_who_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let lease = take(&image).unwrap();
    assert_eq!(names(dir.path()), ["deb.img.lock"]);
    let error = take(&image).unwrap_err();
    assert_eq!(error.code(), Code::Locked);
    let pid = std::process::id().to_string();
    let text = error.to_string();
    assert!(text.contains(&format!("process {pid}, since 20")), "{text}");
    assert!(matches!(
        holder(&image),
        Some(Holder::Azud { here: true, .. })
    ));
    lease.confirm().unwrap();
    drop(lease);
    assert_eq!(names(dir.path()), [""; 0]);
    assert_eq!(holder(&image), None);
}

#[test]
fn a_dead_owner_of_this_computer_is_no_owner() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let mut owner = serde_json::to_value(Owner::this()).unwrap();
    owner["pid"] = child.id().into();
    child.wait().unwrap();
    owner["token"] = "d0".into();
    owner["since"] = 0.into();
    let dead = owner.to_string();
    write(&image, &dead, Duration::ZERO);
    assert_eq!(holder(&image), None);
    take(&image).unwrap().confirm().unwrap();
    write(&image, &dead, Duration::ZERO);
    fs::write(dir.path().join(format!("{PREFIX}d0")), &dead).unwrap();
    fs::write(dir.path().join("other.img.lock"), "").unwrap();
    assert_eq!(sweep(dir.path(), SystemTime::now()).unwrap(), 2);
    assert_eq!(names(dir.path()), ["other.img.lock"]);
}

#[test]
fn whoever_only_reads_takes_the_lock_of_the_dead_away() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    fs::write(image.path(), "an image").unwrap();
    let mut owner = serde_json::to_value(Owner::this()).unwrap();
    owner["pid"] = i32::MAX.into();
    let claim = Claim {
        sender: None,
        owner: serde_json::from_value(owner).unwrap(),
        token: "d0".into(),
        since: 1_800_000_000,
    };
    let dead = serde_json::to_string(&claim).unwrap();
    write(&image, &dead, Duration::ZERO);
    crate::list::list(dir.path(), SystemTime::now()).unwrap();
    assert_eq!(names(dir.path()), ["deb.img"]);
}

#[test]
fn a_draft_that_nobody_wrote_into_stays_for_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(format!("{PREFIX}d1")), "").unwrap();
    let now = SystemTime::now();
    assert_eq!(sweep(dir.path(), now).unwrap(), 0);
    assert_eq!(sweep(dir.path(), now + STALE + SECOND).unwrap(), 1);
}

#[test]
fn a_lease_of_this_process_that_nobody_holds_any_more_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let lease = take(&image).unwrap();
    let content = fs::read_to_string(image.beside(LOCK)).unwrap();
    drop(lease);
    write(&image, &content, Duration::ZERO);
    take(&image).unwrap();
}

#[test]
fn leases_of_other_computers_are_honoured_until_they_lapse() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    foreign(&image, STALE * 5 / 6);
    let error = take(&image).unwrap_err();
    assert!(error.to_string().contains("azud on pc7"), "{error}");
    foreign(&image, STALE + SECOND);
    take(&image).unwrap();
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn only_the_file_servers_clock_counts() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let lock = image.beside(LOCK);
    for skew in [-3600_i32, 3600] {
        // The server is an hour off; its own times are all that is compared.
        let server = if skew < 0 {
            SystemTime::now() - Duration::from_hours(1)
        } else {
            SystemTime::now() + Duration::from_hours(1)
        };
        foreign(&image, Duration::ZERO);
        let file = File::options().write(true).open(&lock).unwrap();
        for (age, stale) in [(30, false), (90, true)] {
            file.set_modified(server - age * SECOND).unwrap();
            let found = Found::read(&lock).unwrap().unwrap();
            assert_eq!(found.is_stale(server), stale, "{age} s at {skew}");
        }
    }
}

#[test]
fn locks_of_stock_tools_are_honoured() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let old = OWNERLESS + SECOND;
    for (content, word, lapses) in [
        ("", "ownerless", true),
        ("{\"pid\": 7}\n", "ownerless", true),
        ("mounted\n", "mounted", false),
        ("reduced", "reduced", false),
    ] {
        write(&image, content, OWNERLESS * 9 / 10);
        assert_eq!(holder(&image).unwrap().word(), word);
        let error = take(&image).unwrap_err();
        assert_eq!(error.code(), Code::Locked);
        write(&image, content, old);
        assert_eq!(take(&image).is_ok(), lapses, "{content:?}");
    }
    fs::remove_file(image.beside(LOCK)).unwrap();
    fs::create_dir(image.beside(LOCK)).unwrap();
    assert_eq!(take(&image).unwrap_err().code(), Code::Locked);
}

#[test]
fn regression_numbers_that_name_no_process_are_no_owner() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    for pid in [0, -1, i32::MIN] {
        let mut owner = serde_json::to_value(Owner::this()).unwrap();
        owner["pid"] = pid.into();
        owner["token"] = "d0".into();
        owner["since"] = u64::MAX.into();
        write(&image, &owner.to_string(), Duration::ZERO);
        assert_eq!(holder(&image), None, "{pid}");
        take(&image).unwrap().confirm().unwrap();
    }
}

#[test]
fn of_many_breakers_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..100 {
        let image = ImageFile::in_dir(dir.path(), &format!("{round}.img")).unwrap();
        foreign(&image, STALE + SECOND);
        let (start, end, won) = (Barrier::new(4), Barrier::new(4), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let lease = take(&image);
                    end.wait();
                    match lease {
                        Ok(lease) => {
                            // Whatever the losers renamed by mistake is back.
                            lease.confirm().unwrap();
                            won.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => assert_eq!(error.code(), Code::Locked),
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), 1, "round {round}");
    }
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn regression_a_lock_that_is_another_one_by_now_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    foreign(&image, STALE + SECOND);
    let stale = Found::read(&image.beside(LOCK)).unwrap().unwrap();
    let lease = take(&image).unwrap();
    let (now, aside) = (SystemTime::now(), dir.path().join(".aside"));
    break_lock(&image.beside(LOCK), (&stale, now), &aside).unwrap();
    lease.confirm().unwrap();
    assert_eq!(names(dir.path()), ["deb.img.lock"]);
    // Also where there are no hard links to mark it with.
    crate::durable::set_hook(Some(Box::new(|step| match step.op {
        Op::Link => Err(rustix::io::Errno::PERM.into()),
        _ => Ok(()),
    })));
    break_lock(&image.beside(LOCK), (&stale, now), &aside).unwrap();
    lease.confirm().unwrap();
    drop(lease);
    take(&image).unwrap().confirm().unwrap();
    crate::durable::set_hook(None);
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_mark_whose_maker_was_killed_does_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    foreign(&image, STALE + SECOND);
    let lock = image.beside(LOCK);
    let stale = Found::read(&lock).unwrap().unwrap();
    crate::durable::set_hook(Some(Box::new(|step| match step.op {
        Op::Link => Ok(()),
        _ => Err(std::io::ErrorKind::Other.into()),
    })));
    let aside = dir.path().join(".aside");
    break_lock(&lock, (&stale, SystemTime::now()), &aside).unwrap_err();
    crate::durable::set_hook(None);
    assert_eq!(names(dir.path()).len(), 2);
    assert_eq!(
        sweep(dir.path(), SystemTime::now()).unwrap(),
        0,
        "still young"
    );
    let later = SystemTime::now() + STALE + SECOND;
    break_lock(&lock, (&stale, later), &aside).unwrap();
    assert_eq!(names(dir.path()).len(), 1);
}

#[test]
fn a_holder_that_was_taken_for_dead_learns_it() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let lease = take(&image).unwrap();
    fs::remove_file(image.beside(LOCK)).unwrap();
    lease.confirm().unwrap();
    assert!(
        image.beside(LOCK).exists(),
        "removed by hand: it is put there again"
    );
    foreign(&image, Duration::ZERO);
    assert_eq!(lease.confirm().unwrap_err().code(), Code::Locked);
    drop(lease);
    assert!(image.beside(LOCK).exists(), "it is somebody else's");
}

#[test]
fn a_beat_gives_the_lock_a_new_time() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let lease = take(&image).unwrap();
    let lock = image.beside(LOCK);
    let old = SystemTime::now() - Duration::from_hours(1);
    let file = File::options().write(true).open(&lock).unwrap();
    file.set_modified(old).unwrap();
    super::refresh(&file, &lease.content().unwrap()).unwrap();
    assert!(fs::metadata(&lock).unwrap().modified().unwrap() > old);
    lease.confirm().unwrap();
}
