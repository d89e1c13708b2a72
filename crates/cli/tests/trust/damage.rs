//! What is no image, or no whole one, and sums that lie.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::run;

use crate::kit::{Said, azud, command, done, refused, text};
use crate::{Site, word};

/// What a run says that ends in time.
fn in_time(args: &[&str]) -> Result<Said> {
    let mut child = command(args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let ended = wait(&mut child)?;
    if !ended {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    ensure!(ended, "{args:?} hangs");
    Said::of(&output)
}

fn wait(child: &mut Child) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
}

#[test]
fn regression_pipes_sockets_and_devices_are_no_images() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let (pipe, socket) = (site.path("images/pipe.img"), site.path("images/socket.img"));
    run("mkfifo", &[&pipe])?;
    let _listener = std::os::unix::net::UnixListener::bind(&socket)?;
    let new = site.path("new.img");
    let former = site.path("images/aula.img");
    site.create(&former, &[])?.done()?;
    for name in [&pipe, &socket, "/dev/null"] {
        for args in [
            &["image", "info", name][..],
            &["image", "verify", name],
            &["image", "restore", name, &new],
            &["image", "import", name, &new],
            &["image", "diff", &former, name],
            &["image", "export", "--to", "raw", name, &new],
        ] {
            let said = in_time(args)?;
            let code = said.refused().with_context(|| format!("{args:?}"))?;
            ensure!(code == "image/not-a-file", "{args:?}: {code}");
        }
    }
    for name in [&pipe, &socket] {
        for args in [
            &["image", "copy", name, &new][..],
            &["image", "create", text(&site.volume), name],
            &["image", "create", text(&site.volume), &new, "--base", name],
            &["image", "rm", name],
            &["image", "rollback", name],
            &["image", "history", name],
        ] {
            let said = in_time(args)?;
            let code = said.refused().with_context(|| format!("{args:?}"))?;
            ensure!(code == "image/not-a-file", "{args:?}: {code}");
        }
    }
    let list = in_time(&["image", "list", &site.path("images")])?;
    let images = list.done()?["images"].as_array().context("images")?.len();
    ensure!(images == 1, "{}", list.last());
    // One that was put beside an image does not hold it up either.
    for ending in [".info", ".full.sum", ".sum", ".lock"] {
        let beside = format!("{former}{ending}");
        let _ = std::fs::remove_file(&beside);
        run("mkfifo", &[&beside])?;
    }
    for args in [
        &["image", "info", &former][..],
        &["image", "verify", &former],
        &["image", "list", &site.path("images")],
        &["image", "copy", &former, &new],
    ] {
        let said = in_time(args)?;
        if said.status != Some(0) {
            bail!("{args:?}: {}", said.last());
        }
    }
    Ok(())
}

#[test]
fn images_that_were_cut_or_padded_are_known_as_damaged() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    site.create(&image, &[])?.done()?;
    let bytes = std::fs::read(&image)?;
    let new = site.path("new");
    let padded = |len: usize, with: u8| [&bytes[..], &vec![with; len]].concat();
    let cut = |len: usize| bytes[..len].to_vec();
    let cases = [
        ("cut.img", cut(bytes.len() / 2), "image/truncated", ""),
        ("end.img", cut(bytes.len() - 1), "image/truncated", ""),
        ("one.img", padded(1, 7), "image/corrupt", "1 bytes after"),
        (
            "pad.img",
            padded(70_000, 0),
            "image/corrupt",
            "70000 bytes after",
        ),
        (
            "far.img",
            padded(3 << 20, 0),
            "image/corrupt",
            "3145728 bytes after",
        ),
    ];
    for (name, bytes, code, said) in &cases {
        let image = site.path(&format!("images/{name}"));
        std::fs::write(&image, bytes)?;
        for args in [
            &["image", "info", &image][..],
            &["image", "verify", &image],
            &["image", "restore", &image, &new],
            &["image", "import", &image, &new],
        ] {
            let answer = azud(args)?;
            ensure!(answer.refused()? == *code, "{args:?}: {}", answer.last());
            let message = word(&answer.last()["error"], "message")?.to_owned();
            ensure!(message.contains(said), "{args:?}: {message}");
        }
    }
    ensure!(!Path::new(&new).exists());
    let list = done(&["image", "list", &site.path("images")])?;
    for row in list["images"].as_array().context("images")? {
        ensure!(row["native"] == true && row["format"] == "azud", "{row}");
        let whole = row["path"] == "aula.img";
        ensure!(row["problem"].is_null() == whole, "{row}");
        ensure!(row["identity"].is_string() == whole, "{row}");
        let padded = row["path"] == "one.img" || row["path"] == "pad.img";
        let problem = row["problem"].as_str().unwrap_or_default();
        ensure!(problem.contains(" bytes after ") == padded, "{row}");
    }
    Ok(())
}

#[test]
fn a_sum_that_is_not_the_images_is_told() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    let made = site.create(&image, &[])?;
    let identity = word(made.done()?, "identity")?.to_owned();
    let quick = done(&["image", "verify", &image])?;
    ensure!(quick["full_sum"] == false, "{quick}");
    let deep = done(&["image", "verify", &image, "--deep"])?;
    ensure!(deep["full_sum"] == true, "{deep}");
    let of = |ending: &str| format!("{image}{ending}");
    for (ending, content) in [
        (".full.sum", "0123456789abcdef0123456789abcdef\n"),
        (".full.sum", "none\n"),
        (".sum", "0123456789abcdef0123456789abcdef\n"),
    ] {
        let kept = std::fs::read(of(ending))?;
        std::fs::write(of(ending), content)?;
        let said = azud(&["image", "verify", &image])?;
        ensure!(
            said.refused()? == "image/false-sum",
            "{ending}: {}",
            said.last()
        );
        let message = word(&said.last()["error"], "message")?.to_owned();
        ensure!(message.contains(&of(ending)), "{message}");
        // What is known already costs nothing to tell.
        let info = done(&["image", "info", &image])?;
        let told = &info["false_sums"][0];
        ensure!(told["file"] == of(ending) && told["told"] == content.trim().replace("none", ""));
        ensure!(info["identity"] == identity.as_str(), "{info}");
        let list = done(&["image", "list", &site.path("images")])?;
        let row = &list["images"][0];
        ensure!(row["false_sum"].is_object() == (ending == ".sum"), "{row}");
        std::fs::write(of(ending), kept)?;
        done(&["image", "verify", &image])?;
    }
    // Of an image that nobody read yet as well.
    std::fs::remove_file(site.path("images/.azud-catalogue"))?;
    std::fs::write(of(".full.sum"), "0123456789abcdef0123456789abcdef")?;
    ensure!(refused(&["image", "verify", &image, "--deep"])? == "image/false-sum");
    std::fs::remove_file(of(".full.sum"))?;
    ensure!(done(&["image", "verify", &image])?["full_sum"] == false);
    Ok(())
}
