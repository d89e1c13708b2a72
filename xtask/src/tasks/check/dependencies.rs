//! Who may depend on whom: `core ← image, store, disk, transport, view ← server, azud`, and one owner for every big library.
//!
//! A crate that is in no table is a breach: whoever adds one writes down its place.

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::output_of;
use super::Findings;

/// Which crates of ours each crate may use outside its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("azud-core", &[]),
    ("azud-image", &["azud-core"]),
    ("azud-store", &["azud-core"]),
    ("azud-disk", &["azud-core"]),
    ("azud-transport", &["azud-core"]),
    ("azud-view", &["azud-core"]),
    ("azud-server", &["azud-core", "azud-store"]),
    (
        "azud",
        &[
            "azud-core",
            "azud-image",
            "azud-store",
            "azud-disk",
            "azud-transport",
            "azud-view",
            "azud-server",
        ],
    ),
    // For tests only; uses core alone, so that every crate can test with it.
    ("azud-testkit", &["azud-core"]),
    (
        "xtask",
        &[
            "azud-core",
            "azud-image",
            "azud-store",
            "azud-disk",
            "azud-testkit",
        ],
    ),
];

/// Which crate alone may use a library outside its tests.
const OWNERS: &[(&str, &str)] = &[
    ("clap", "azud"),
    ("clap_complete", "azud"),
    ("clap_mangen", "azud"),
    ("indicatif", "azud"),
    ("toml", "azud"),
    ("if-addrs", "azud-disk"),
    ("fluent-bundle", "azud"),
    ("fuser", "azud-view"),
    ("signal-hook", "azud"),
    ("minisign", "azud-image"),
    ("minisign-verify", "azud-image"),
    ("zstd-safe", "azud-image"),
    ("axum", "azud-server"),
    ("hyper", "azud-server"),
    ("hyper-util", "azud-server"),
    ("listenfd", "azud-server"),
    ("rcgen", "azud-server"),
    ("sd-notify", "azud-server"),
    ("tokio", "azud-server"),
    ("tokio-rustls", "azud-server"),
    ("ureq", "azud-transport"),
    ("utoipa-axum", "azud-server"),
];

/// The crate that is tests and nothing else.
const TESTS: &str = "azud-testkit";

pub(super) fn check(findings: &mut Findings) -> Result<()> {
    let args = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata: Value = serde_json::from_str(&output_of(&cargo, &args)?)?;
    judge(&metadata, findings).context("cargo metadata has an unexpected shape")
}

fn judge(metadata: &Value, findings: &mut Findings) -> Option<()> {
    let packages = metadata["packages"].as_array()?;
    let mut ours = Vec::new();
    for package in packages {
        ours.push(package["name"].as_str()?);
    }
    for package in packages {
        let name = package["name"].as_str()?;
        let Some((_, allowed)) = ALLOWED.iter().find(|(of, _)| *of == name) else {
            findings.fail(format!("{name} has no place in the table of dependencies"));
            continue;
        };
        for dependency in package["dependencies"].as_array()? {
            let on = dependency["name"].as_str()?;
            if dependency["kind"] == "dev" {
                continue;
            }
            if ours.contains(&on) && !allowed.contains(&on) {
                findings.fail(format!("{name} must not depend on {on}"));
            }
            let owner = OWNERS
                .iter()
                .find(|(library, owner)| *library == on && *owner != name && name != TESTS);
            if let Some((_, owner)) = owner {
                findings.fail(format!("{name} depends on {on}, which belongs to {owner}"));
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Findings, judge};

    #[test]
    fn wrong_directions_and_foreign_libraries_are_found() {
        let on = |name: &str, kind: Option<&str>| json!({ "name": name, "kind": kind });
        let metadata = json!({ "packages": [
            { "name": "azud-core", "dependencies": [on("serde", None)] },
            { "name": "azud-testkit", "dependencies": [on("fuser", None)] },
            { "name": "azud-store", "dependencies": [] },
            { "name": "azud-image", "dependencies": [
                on("azud-core", None), on("zstd-safe", None), on("azud-testkit", Some("dev")),
                on("azud-store", None), on("azud-testkit", None), on("clap", Some("build")),
            ] },
            { "name": "new", "dependencies": [] },
        ] });
        let mut findings = Findings::default();
        judge(&metadata, &mut findings).unwrap();
        let expected = [
            "azud-image must not depend on azud-store",
            "azud-image must not depend on azud-testkit",
            "azud-image depends on clap, which belongs to azud",
            "new has no place in the table of dependencies",
        ];
        assert_eq!(findings.failures, expected);
        assert!(judge(&json!({}), &mut findings).is_none());
    }
}
