//! The whole story that the program tells of itself, without root.

mod kit;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::have;
use kit::{Said, command};

#[test]
fn the_whole_story_ends_well_and_tells_what_came_over_the_wire() -> Result<()> {
    if !have(&["mke2fs", "debugfs", "e2fsck"]) {
        return Ok(());
    }
    let said = Said::of(&command(&["demo"]).output()?)?;
    let steps = said.done()?["steps"].as_array().context("steps")?.clone();
    let names: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["step"].as_str())
        .collect();
    let story = [
        "files",
        "capture",
        "image",
        "verify",
        "restore",
        "recapture",
        "new",
        "follow",
        "first",
        "update2",
        "delta",
        "delta2",
        "again",
    ];
    ensure!(names == story, "{names:?}");
    let bytes = |name: &str| -> Result<u64> {
        let step = steps.iter().find(|step| step["step"] == name);
        step.and_then(|step| step["bytes"].as_u64())
            .with_context(|| name.to_owned())
    };
    // Two empty caches get all of it, and then what changed; the second deployment has nothing to fetch.
    let (whole, change) = (bytes("first")?, bytes("delta")?);
    ensure!(whole > bytes("image")? / 2 && bytes("update2")? == whole);
    ensure!(0 < change && change < whole / 5, "{change} of {whole}");
    ensure!(bytes("delta2")? == change && bytes("again")? == 0);
    Ok(())
}

#[test]
fn a_directory_that_is_not_there_is_named_with_what_to_do() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let none = dir.path().join("none");
    let said = Said::of(&command(&["demo", "--dir", kit::text(&none)]).output()?)?;
    let error = &said.last()["error"];
    let (message, hint) = (error["message"].to_string(), error["hint"].to_string());
    ensure!(
        message.contains("none") && !message.contains("azud-demo-"),
        "{message}"
    );
    ensure!(hint.contains("--dir"), "{hint}");
    Ok(())
}
