//! What must be on the medium before what: a power cut forgets everything that was not synced.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use azud_store::durable::{Op, set_hook};

use crate::common::{at, image, publish};

type Trace = Rc<RefCell<Vec<(Op, PathBuf)>>>;

/// Where a step is in the trace; the last one of its kind.
fn position(trace: &[(Op, PathBuf)], op: Op, end: &str) -> usize {
    let fits = |(o, path): &(Op, PathBuf)| *o == op && path.to_str().unwrap().ends_with(end);
    trace
        .iter()
        .rposition(fits)
        .unwrap_or_else(|| panic!("no {op:?} of {end} in {trace:#?}"))
}

#[test]
fn each_stage_is_synced_before_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    publish(&image, 1, 100, at(1)).unwrap();
    let trace = Trace::default();
    let seen = Rc::clone(&trace);
    set_hook(Some(Box::new(move |step| {
        seen.borrow_mut().push((step.op, step.path.to_owned()));
        Ok(())
    })));
    publish(&image, 2, 100, at(2)).unwrap();
    set_hook(None);
    let trace = trace.borrow();
    let slot = "Z-010101010101";
    let root = dir.path().to_str().unwrap();
    let stage = trace
        .iter()
        .find(|(op, _)| *op == Op::MakeDir)
        .unwrap()
        .1
        .to_str()
        .unwrap()
        .to_owned();
    let commit = position(&trace, Op::Rename, "/ready");
    let synced_between = |after: usize, before: usize, dir: &str| {
        let fits = |(op, path): &(Op, PathBuf)| {
            *op == Op::SyncDir && path.to_str().unwrap().ends_with(dir)
        };
        assert!(
            trace[after..before].iter().any(fits),
            "{dir} is not synced between {after} and {before} of {trace:#?}"
        );
    };
    // Everything of the new version, and its directory's name, before the commit.
    assert!(position(&trace, Op::SyncFile, "deb.img") < commit);
    let last = ["deb.img.info", "deb.img.sum", "deb.img.full.sum", "/draft"]
        .map(|name| position(&trace, Op::Write, name));
    assert!(last.iter().all(|at| *at < commit));
    synced_between(last[3], commit, &stage);
    synced_between(0, commit, root);
    // The commit before the first change; the former version before the word that it is whole.
    let linked = position(&trace, Op::Link, "deb.img");
    synced_between(commit, linked, &stage);
    let whole = position(&trace, Op::Rename, "/meta.json");
    synced_between(position(&trace, Op::Link, ".sum"), whole, slot);
    // That word before the first name that changes hands; side files before the image.
    let side = position(&trace, Op::Rename, &format!("{root}/deb.img.info"));
    let placed = position(&trace, Op::Rename, &format!("{root}/deb.img"));
    for dir in [slot, "/.azud-trash/deb.img", "/.azud-trash", root] {
        synced_between(whole, side, dir);
    }
    assert!(side < placed);
    // The new names before the mark goes, and the mark's going before the lock does.
    let forgotten = position(&trace, Op::RemoveFile, "/ready");
    synced_between(placed, forgotten, root);
    synced_between(position(&trace, Op::RemoveDir, &stage), trace.len(), root);
}
