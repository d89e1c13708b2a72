//! A scene that is played in a process of its own, which is killed after so many durable steps.

use std::fmt::Debug;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gate::output;

const DIR: &str = "AZUD_STORE_TEST_DIR";
const SCENE: &str = "AZUD_STORE_TEST_SCENE";
const STEP: &str = "AZUD_STORE_TEST_STEP";

/// What the process of a scene is told: the scene, where it plays, and the steps that it may make. In the test's own process,
/// nothing.
pub(crate) fn told<S: Copy + Debug>(scenes: &[S]) -> Option<(S, PathBuf, usize)> {
    let name = std::env::var(SCENE).ok()?;
    let scene = scenes.iter().find(|scene| format!("{scene:?}") == name);
    let dir = std::env::var_os(DIR).expect("a directory");
    let nth = std::env::var(STEP).expect("a step");
    Some((
        *scene.expect("a scene"),
        dir.into(),
        nth.parse().expect("a number"),
    ))
}

/// Has the test `child` play a scene; whether it was killed before the end.
pub(crate) fn killed_at(child: &str, scene: impl Debug, dir: &Path, nth: usize) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", child, "--test-threads=1", "--nocapture"])
        .env(DIR, dir)
        .env(SCENE, format!("{scene:?}"))
        .env(STEP, nth.to_string());
    let output = output(&mut command);
    match output.status.signal() {
        Some(9) => true,
        _ if output.status.success() => false,
        _ => panic!(
            "{scene:?} at {nth}: {}",
            String::from_utf8_lossy(&output.stdout)
        ),
    }
}

/// The end of the process, as by `kill -9`.
pub(crate) fn kill() -> ! {
    let this = rustix::process::getpid();
    let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
    unreachable!("killed")
}
