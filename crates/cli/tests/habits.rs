//! The habits of the whole program, seen from outside: help, errors, exit statuses, streams.

use std::process::{Command, Output, Stdio};

use azud_testkit::tools;
use serde_json::Value;

/// Runs the program in a clean environment; nobody is there to answer.
fn azud(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_azud"))
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Every command path, found by walking the help itself.
fn commands(path: &[String], heading: &str, lang: &str, found: &mut Vec<Vec<String>>) {
    found.push(path.to_vec());
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.extend(["--lang", lang, "--help"]);
    let help = stdout(&azud(&args));
    let subs = help.lines().skip_while(|line| *line != heading).skip(1);
    for line in subs.take_while(|line| line.starts_with("  ")) {
        let indent = line.len() - line.trim_start().len();
        if indent == 2 {
            let name = line.split_whitespace().next().expect("a name");
            let path: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
            commands(&path, heading, lang, found);
        }
    }
}

#[test]
fn help_of_every_command_fits_in_80_columns_in_both_languages() {
    for (lang, heading, usage) in [("en", "Commands:", "Usage: "), ("es", "Órdenes:", "Uso: ")] {
        let mut found = Vec::new();
        commands(&[], heading, lang, &mut found);
        assert!(found.len() >= 17, "{found:?}");
        assert!(found.contains(&vec!["image".to_owned(), "restore".to_owned()]));
        for path in found {
            let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
            args.extend(["--lang", lang, "--help"]);
            let output = azud(&args);
            assert_eq!(output.status.code(), Some(0), "{path:?}");
            let help = stdout(&output);
            let start = format!("{usage}azud {}", path.join(" "));
            assert!(help.contains(start.trim_end()), "{path:?}: {help}");
            assert!(!help.contains('\u{1b}'), "colours in a pipe: {path:?}");
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{path:?}: {line}");
            }
            args.clear();
            args.extend(["--lang", lang, "help"]);
            args.extend(path.iter().map(String::as_str));
            assert_eq!(stdout(&azud(&args)), help, "{path:?}");
        }
    }
}

#[test]
fn the_environment_chooses_the_language_and_the_option_overrules_it() {
    let help = |variable: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azud"));
        command
            .args(args)
            .arg("--help")
            .env_clear()
            .env(variable, "es_ES.UTF-8");
        stdout(&command.output().expect("the program starts"))
    };
    for variable in ["AZUD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"] {
        assert!(help(variable, &[]).contains("Uso: azud"), "{variable}");
    }
    assert!(help("LANG", &["--lang", "en"]).contains("Usage: azud"));
}

#[test]
fn what_is_not_understood_ends_with_2_and_says_where_help_is() {
    let cases: [&[&str]; 8] = [
        &["imagen"],
        &["image", "crate"],
        &["image", "create", "only-one"],
        &["image", "create", "a", "b", "--level", "20"],
        &["image", "create", "a", "b", "--keep-bytes", "10Q"],
        &["image", "restore", "a", "b", "--unused", "all"],
        &["--lang", "fr", "demo"],
        &["help", "nothing"],
    ];
    for args in cases {
        let output = azud(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(stdout(&output), "", "{args:?}");
        let text = stderr(&output);
        assert!(
            text.starts_with("error: ") && text.contains("--help"),
            "{args:?}: {text}"
        );
        assert!(text.ends_with("\ncode: cli/usage\n"), "{args:?}: {text}");
    }
    let alone = azud(&[]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(stderr(&alone).contains("Usage: azud"));
}

#[test]
fn errors_in_json_have_one_shape_whatever_went_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let cases: [(&[&str], i32, &str); 3] = [
        (&["--json", "image", "crate"], 2, "cli/usage"),
        (&["image", "--json"], 2, "cli/usage"),
        (&["man", file, "--json", "--lang", "es"], 1, "disk/io"),
    ];
    for (args, status, code) in cases {
        let output = azud(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}");
        let text = stdout(&output);
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let error = value["error"].as_object().expect("an error");
        let mut keys: Vec<&str> = error.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["cause", "code", "hint", "message"], "{args:?}");
        assert_eq!(error["code"], code, "{args:?}");
        assert!(error["cause"].is_array());
    }
}

#[test]
fn completions_are_valid_for_their_shells() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        for lang in ["en", "es"] {
            let output = azud(&["completions", shell, "--lang", lang]);
            assert_eq!(output.status.code(), Some(0), "{shell}");
            let script = stdout(&output);
            for word in ["restore", "changed-only"] {
                assert!(script.contains(word), "{shell} does not know {word}");
            }
            if ["bash", "zsh", "fish"].contains(&shell) && tools::have(&[shell]) {
                let dir = tempfile::tempdir().expect("a directory");
                let file = dir.path().join("script");
                std::fs::write(&file, &script).expect("a file");
                tools::run(shell, &["-n", file.to_str().expect("UTF-8")]).expect(shell);
            }
        }
    }
}

#[test]
fn bash_completes_what_a_user_types() {
    let script = stdout(&azud(&["completions", "bash"]));
    let ask = r#"eval "$1"; COMP_WORDS=(azud image res); COMP_CWORD=2
        COMP_LINE="azud image res"; COMP_POINT=14
        _azud azud res image; echo "${COMPREPLY[@]}""#;
    let reply = tools::sh(
        &ask.replace("eval \"$1\"", "set +u; eval \"$1\""),
        &[&script],
    );
    assert_eq!(stdout(&reply.expect("bash completes")), "restore\n");
}

#[test]
fn manual_pages_render_without_a_complaint_in_both_languages() {
    for (lang, heading) in [("en", "OPTIONS"), ("es", "SINOPSIS")] {
        let dir = tempfile::tempdir().expect("a directory");
        let pages = dir.path().join("man");
        let output = azud(&[
            "man",
            pages.to_str().expect("UTF-8"),
            "--lang",
            lang,
            "--json",
        ]);
        let value: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        let names = value["pages"].as_array().expect("a list");
        assert!(names.len() >= 17 && names.contains(&"azud-image-create.1".into()));
        if !tools::have(&["groff"]) {
            return;
        }
        for name in names {
            let page = pages.join(name.as_str().expect("a name"));
            let page = page.to_str().expect("UTF-8");
            let args = ["-man", "-Kutf8", "-Tutf8", "-ww", "-z", page];
            let rendered = tools::run("groff", &args).expect("groff renders it");
            assert_eq!(stderr(&rendered), "", "{page}");
            let text =
                tools::run("groff", &["-man", "-Kutf8", "-Tutf8", "-P-cbu", page]).expect("groff");
            assert!(stdout(&text).contains(heading), "{page}");
        }
    }
}

#[test]
fn quiet_work_is_silent_and_a_reader_that_leaves_is_no_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = azud(&["man", "-q", dir.path().to_str().expect("UTF-8")]);
    assert_eq!(
        (stdout(&output), stderr(&output)),
        (String::new(), String::new())
    );
    assert_eq!(output.status.code(), Some(0));

    let program = env!("CARGO_BIN_EXE_azud");
    let script = r#""$1" completions bash | true; echo "${PIPESTATUS[0]}""#;
    let status = tools::sh(&format!("set +e; {script}"), &[program]).expect("bash");
    assert_eq!(stdout(&status), "0\n");
    let full = tools::sh(
        "set +e; \"$1\" completions bash >/dev/full; echo $?",
        &[program],
    );
    let full = full.expect("bash");
    assert_eq!(stdout(&full), "1\n");
    assert!(stderr(&full).contains("disk/no-space"), "{}", stderr(&full));
}

#[test]
fn the_version_is_the_packages() {
    let output = azud(&["--version"]);
    assert_eq!(
        stdout(&output),
        concat!("azud ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
