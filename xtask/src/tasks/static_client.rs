//! `cargo xtask static [DIR]`: the program in one file that needs nothing of the system it runs on, for older live
//! systems. `static-test` has it capture, restore, serve, update a cache, deploy, send and verify with the system calls
//! of the oldest kernel that it is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::{find, run};

use super::{output_of, root, say};

/// Builds it as it is released, and puts it into a folder.
pub(crate) fn run_task(args: &[String]) -> Result<()> {
    let out = match args {
        [] => root().join("target/static"),
        [out] => PathBuf::from(out),
        _ => bail!("[DIR]"),
    };
    let built = build("release")?;
    fs::create_dir_all(&out)?;
    let client = out.join("azud");
    fs::copy(&built, &client).with_context(|| client.display().to_string())?;
    run("strip", &["--strip-unneeded", text(&client)?])?;
    stands_alone(&client)?;
    say(&client.display().to_string());
    Ok(())
}

/// Builds it as tests are built, which takes less time, and tests it.
pub(crate) fn test(args: &[String]) -> Result<()> {
    let client = match args {
        [] => build("dev")?,
        [option, client] if option == "--binary" => fs::canonicalize(client)?,
        _ => bail!("[--binary FILE]"),
    };
    stands_alone(&client)?;
    let status = Command::new(cargo())
        .args(["test", "--workspace", "--quiet", "--test", "old_kernel"])
        .env("AZUD_TEST_PROGRAM", &client)
        .current_dir(root())
        .status()?;
    ensure!(status.success(), "the static client fails");
    say("static-test: a client that stands alone did its work with the system calls of Linux 4.19");
    Ok(())
}

/// Builds it with a profile.
fn build(profile: &str) -> Result<PathBuf> {
    let (target, flags) = target()?;
    let mut cargo = Command::new(cargo());
    cargo
        .args([
            "build",
            "--quiet",
            "--bin",
            "azud",
            "--profile",
            profile,
            "--target",
            &target,
        ])
        .current_dir(root());
    if profile == "dev" {
        // It works for seconds; minutes would go to making it fast.
        for setting in ["package.\"*\".opt-level=0", "opt-level=0", "debug=false"] {
            cargo.args(["--config", &format!("profile.dev.{setting}")]);
        }
    }
    if let Some(flags) = flags {
        cargo.env("RUSTFLAGS", flags);
    }
    ensure!(
        cargo.status()?.success(),
        "the static client cannot be built"
    );
    let folder = if profile == "dev" { "debug" } else { profile };
    let built = std::env::var_os("CARGO_TARGET_DIR");
    let built = built.map_or_else(|| root().join("target"), PathBuf::from);
    Ok(root().join(built).join(target).join(folder).join("azud"))
}

/// For what to build, and how: musl, or glibc in the program where musl is not to be had.
fn target() -> Result<(String, Option<&'static str>)> {
    let arch = std::env::consts::ARCH;
    let musl = format!("{arch}-unknown-linux-musl");
    let library = output_of("rustc", &["--print", "target-libdir", "--target", &musl])?;
    if Path::new(library.trim()).is_dir() && find("musl-gcc").is_some() {
        return Ok((musl, None));
    }
    say(&format!(
        "{musl} or musl-gcc is not installed (rustup target add {musl}; apt install musl-tools): \
        built with glibc inside, which finds names only where the same glibc is"
    ));
    Ok((
        format!("{arch}-unknown-linux-gnu"),
        Some("-C target-feature=+crt-static"),
    ))
}

/// Fails if a program asks for a loader or a library.
fn stands_alone(program: &Path) -> Result<()> {
    let said = run("readelf", &["-ldW", text(program)?])?;
    let said = String::from_utf8(said.stdout)?;
    ensure!(
        !said.contains("INTERP") && !said.contains("NEEDED"),
        "{said}"
    );
    Ok(())
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
