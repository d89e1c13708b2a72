//! Room that is set aside for what is sent.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use azud_core::code::Code;
use azud_store::assembly::Inbox;
use azud_store::durable::{Op, Step, set_hook};

use super::{LIMIT, Place, RANGE, check, image, publish, send_all};
use crate::common::tree;

/// There was no room, or the process was killed before there was a log: what others sent stays, the room does not.
#[test]
fn what_was_set_aside_before_there_is_a_log_is_given_back() {
    let place = Place::new();
    let (bytes, layout) = image(&[1, 2, 3]);
    let open = |sender| Inbox::open(&place.image, LIMIT, (sender, "pc7"), SystemTime::now());
    let stopped_at = |sender, stop: fn(&Step<'_>) -> bool| {
        set_hook(Some(Box::new(move |step| {
            if stop(&step) {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            Ok(())
        })));
        let opened = open(sender);
        set_hook(None);
        assert_eq!(opened.map(drop).unwrap_err().code(), Code::NoSpace);
    };
    let recover = || azud_store::recover::recover(place.dir.path(), SystemTime::now()).unwrap();
    let stops: [fn(&Step<'_>) -> bool; 2] = [
        |step| step.op == Op::Reserve,
        |step| step.op == Op::Create && step.path.ends_with("arrived"),
    ];
    for stop in stops {
        stopped_at("one", stop);
        assert_eq!(recover().removed, 1);
        assert_eq!(tree(place.dir.path()).len(), 0, "of nothing, nothing stays");
    }
    let inbox = open("one").unwrap();
    send_all(&inbox, &bytes, &layout.pieces()[..2]);
    drop(inbox);
    stopped_at("two", stops[1]);
    let file = place.stage().join("x.img");
    let held = || fs::metadata(&file).unwrap().blocks() * 512;
    assert!(held() >= LIMIT, "nobody came by");
    assert_eq!((recover().removed, held()), (0, 0));
    assert_eq!(open("two").unwrap().left(), layout.pieces()[..2]);
}

#[test]
fn room_for_what_did_not_come_is_given_back() {
    let place = Place::new();
    place.open("one").leave().unwrap();
    assert_eq!(tree(place.dir.path()).len(), 0, "of nothing, nothing stays");

    let (bytes, layout) = image(&[1, 2, 3, 4, 5, 6]);
    let inbox = place.open("one");
    send_all(&inbox, &bytes, &layout.pieces()[..2]);
    let file = place.stage().join("x.img");
    let held = || fs::metadata(&file).unwrap().blocks() * 512;
    assert!(held() >= LIMIT, "set aside");
    inbox.leave().unwrap();
    assert_eq!(held(), 2 * RANGE as u64);
    let mut inbox = place.open("one");
    assert!(held() >= LIMIT, "set aside again");
    assert_eq!(inbox.lacking(&layout).unwrap(), [2..6]);
    inbox.leave().unwrap();
    // Another one begins in a file of its own.
    let mut inbox = place.open("two");
    send_all(&inbox, &bytes, &layout.pieces()[2..]);
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}

/// Who is killed cannot give anything back: the next one who comes by does.
#[test]
fn room_that_a_killed_process_set_aside_is_given_back() {
    let place = Place::new();
    let recover = || azud_store::recover::recover(place.dir.path(), SystemTime::now()).unwrap();
    let killed = |inbox: Inbox| drop(inbox);
    killed(place.open("one"));
    assert_eq!(recover().removed, 1);
    assert_eq!(tree(place.dir.path()).len(), 0, "of nothing, nothing stays");

    let (bytes, layout) = image(&[1, 2, 3, 4, 5, 6]);
    let mut inbox = place.open("one");
    send_all(&inbox, &bytes, &layout.pieces()[..2]);
    let file = place.stage().join("x.img");
    let held = || fs::metadata(&file).unwrap().blocks() * 512;
    recover();
    assert!(held() >= LIMIT, "somebody is at work");
    for said in [false, true] {
        if said {
            assert_eq!(inbox.lacking(&layout).unwrap(), [2..6]);
        }
        killed(inbox);
        assert!(held() >= LIMIT, "nobody came by");
        recover();
        assert_eq!(held(), 2 * RANGE as u64);
        inbox = place.open("one");
        assert!(held() >= LIMIT, "set aside again");
    }
    send_all(&inbox, &bytes, &layout.pieces()[2..]);
    assert_eq!(inbox.lacking(&layout).unwrap(), []);
    publish(inbox, &layout);
    check(&place.image.path(), &bytes);
}
