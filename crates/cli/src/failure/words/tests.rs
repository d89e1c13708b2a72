use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use azud_core::assembly::SourceError;
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::progress::Interrupted;
use azud_core::reference::{DeviceRef, Where};
use azud_disk::DiskError;
use azud_image::ImageError;
use azud_store::StoreError;
use azud_store::lease::Holder;
use azud_transport::NetError;

use crate::failure::Failure;
use crate::i18n::{Catalog, Lang, term_key};
use crate::output::memory::output;

/// What stands between this and the next quote, wherever it is found.
fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let rest = text.split(before).skip(1);
    rest.filter_map(|rest| rest.split_once('"').map(|(quoted, _)| quoted))
}

#[test]
fn every_kind_of_error_has_its_message_in_spanish() {
    let spanish = Catalog::new(Lang::Es);
    let source = [include_str!("../words.rs"), include_str!("net.rs")].concat();
    let mut seen = BTreeSet::new();
    for begin in [
        "::new(\"",
        "::new(\n            \"",
        "plain(\"",
        "of(\"",
        "at(\"",
        "sizes(\"",
        "said(\"",
        "host(\"",
        "asked(\"",
    ] {
        seen.extend(quoted(&source, begin));
    }
    assert!(seen.len() > 70, "{seen:?}");
    // Variables that are absent here are not the matter: they print their names.
    let known = include_str!("../../../locales/es/details.ftl");
    let known = [known, include_str!("../../../locales/es/azud.ftl")].concat();
    for key in seen {
        let line = format!("\ndetail-{key} = ");
        assert!(known.contains(&line), "{key} is not in Spanish");
    }
    assert_eq!(spanish.term("it is not UTF-8"), "no es UTF-8");
}

const NAMES: &[&str] = &[
    "name.rs",
    "reference.rs",
    "layout.rs",
    "reference/device.rs",
    "reference/place.rs",
];
const FORMAT: &[&str] = &[
    "core/src/format/index.rs",
    "core/src/format/container.rs",
    "core/src/format/frame.rs",
    "core/src/format/ranges.rs",
    "core/src/assembly/layout.rs",
    "image/src/indexed.rs",
    "image/src/head.rs",
];
/// What says in a few words what is wrong with a volume or a foreign image.
const VOLUMES: [&str; 2] = ["image/src/fs", "image/src/foreign"];
const STORE: &[&str] = &[
    "durable.rs",
    "publish.rs",
    "trash.rs",
    "beneath.rs",
    "links.rs",
    "assembly/work.rs",
    "lease/mod.rs",
];

/// All Rust files below a folder, but tests, from the crates' folder.
fn sources(crates: &Path, dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(crates.join(dir)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found = Vec::new();
    for name in names {
        let path = format!("{dir}/{name}");
        if crates.join(&path).is_dir() {
            found.extend(sources(crates, &path));
        } else if !name.contains("tests") {
            found.push(path);
        }
    }
    found
}

#[test]
fn fixed_reasons_and_operations_are_terms() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |path: &str| {
        let text = std::fs::read_to_string(crates.join(path)).unwrap();
        text.split("#[cfg(test)]").next().unwrap().to_owned()
    };
    let spanish = Catalog::new(Lang::Es);
    let mut checked = 0;
    let mut lacking = Vec::new();
    let mut look = |path: &str, before: &str| {
        // Some name the file system first.
        let text = read(path);
        for text in quoted(&text, before).filter(|text| *text != "ext4") {
            checked += 1;
            if spanish.find(&term_key(text), &[]).is_none() {
                lacking.push(format!("{path}: {text}"));
            }
        }
    };
    for path in NAMES {
        let path = format!("core/src/{path}");
        look(&path, "refuse(\"");
        look(&path, "Err(\"");
    }
    for path in FORMAT {
        for before in [
            "Cursor::new(bytes, \"",
            "Truncated(\"",
            "NotNative(\"",
            "Corrupt(\"",
            "Corrupt(\n            \"",
        ] {
            look(path, before);
        }
    }
    for path in VOLUMES.iter().flat_map(|dir| sources(crates, dir)) {
        for before in ["corrupt(\"", "unsupported(\"", "corrupt(\n            \""] {
            look(&path, before);
        }
    }
    for path in STORE {
        let path = format!("store/src/{path}");
        look(&path, ".at(\"");
        look(&path, "none(\"");
    }
    assert!(
        lacking.is_empty() && checked > 80,
        "not in Spanish: {lacking:#?}"
    );
}

/// What the user reads.
fn said(failure: &Failure, lang: Lang) -> String {
    let (output, _, err) = output(false, false);
    output.failure(&Catalog::new(lang), failure);
    err.text()
}

#[test]
fn regression_no_english_behind_the_colon() {
    let denied = || io::Error::from_raw_os_error(5);
    let failures = [
        Failure::from(ImageFile::in_dir(".", ".x").unwrap_err()),
        Failure::from(Where::parse("300.1.1.1").unwrap_err()),
        Failure::from(DeviceRef::parse("serial=").unwrap_err()),
        Failure::from(ImageError::Frames {
            bad: vec![3],
            total: 9,
        }),
        Failure::from(ImageError::Write { source: denied() }),
        Failure::from(StoreError::Io {
            op: "read",
            path: "/x".into(),
            source: denied(),
        }),
        Failure::from(StoreError::NoSuchVersion {
            image: "/x".into(),
            which: "7".into(),
            reason: "none fits; see the history",
        }),
        Failure::from(DiskError::NotADevice { path: "/x".into() }),
    ];
    for failure in failures {
        let (english, spanish) = (said(&failure, Lang::En), said(&failure, Lang::Es));
        assert!(english.contains(&failure.detail), "{english}");
        assert!(!spanish.contains(&failure.detail), "{spanish}");
        for cause in &failure.causes {
            assert!(!spanish.contains(cause), "{spanish}");
        }
        for word in [" the ", " is ", " cannot ", " it "] {
            assert!(!spanish.contains(word), "{word}: {spanish}");
        }
    }
}

fn held(sender: Option<&str>) -> StoreError {
    let by = Holder::Azud {
        host: "vm".to_owned(),
        pid: 77,
        since: 1_600_000_000,
        sender: sender.map(str::to_owned),
        here: true,
    };
    StoreError::Held {
        image: "aula1/win.img".into(),
        by: Box::new(by),
    }
}

/// What a manager says of its store.
fn of_a_store() -> [StoreError; 15] {
    let path = || std::path::PathBuf::from("aula1/win.img");
    let source = || io::Error::from_raw_os_error(28);
    [
        StoreError::TooLittleRoom {
            path: path(),
            needs: 3 << 30,
            has: 5 << 20,
        },
        StoreError::FileTooLarge {
            path: path(),
            size: 5 << 30,
            limit: (4 << 30) - 1,
        },
        StoreError::NoSpace {
            path: path(),
            source: source(),
        },
        StoreError::ReadOnly {
            path: path(),
            source: source(),
        },
        StoreError::NotFound(path()),
        StoreError::Locked(path()),
        StoreError::HalfMoved(path()),
        StoreError::NoFormerVersion(path()),
        StoreError::BadUpload {
            path: path(),
            reason: "two pieces are to be at the same place",
        },
        StoreError::CaseTwin {
            wanted: path(),
            there: "WIN.img".to_owned(),
        },
        StoreError::NotAFile {
            path: path(),
            what: "a directory",
        },
        StoreError::NotAFile {
            path: path(),
            what: "not a directory all the way",
        },
        StoreError::BadPiece {
            name: "aula1/win.img".to_owned(),
            offset: 4096,
        },
        held(None),
        held(Some("pc9 (10.0.0.9)")),
    ]
}

#[test]
fn what_a_manager_has_not_mounted_is_said_in_spanish() {
    let told = NetError::Said {
        host: "10.0.0.1".to_owned(),
        code: Code::PlaceNotMounted,
        detail: "nas is not mounted".to_owned(),
        sender: None,
    };
    let failure = Failure::of(&told);
    let [english, spanish] = [Lang::En, Lang::Es].map(|lang| said(&failure, lang));
    assert!(
        english.contains("10.0.0.1: nas is not mounted"),
        "{english}"
    );
    assert!(
        spanish.contains("10.0.0.1: nas no está montado"),
        "{spanish}"
    );
    for (text, step) in [(english, "make it known here"), (spanish, "delo a conocer")] {
        assert!(text.contains(step), "{text}");
    }
}

/// Nobody is sent to the manager's own process, which holds the lock.
#[test]
fn who_sends_an_image_is_told_to_others() {
    let said_by = |detail: &str| {
        let told = NetError::Said {
            host: "10.0.0.1".to_owned(),
            code: Code::Locked,
            detail: detail.to_owned(),
            sender: None,
        };
        [Lang::En, Lang::Es].map(|lang| said(&Failure::of(&told), lang))
    };
    let coming = "a/x.img is being received from pc7 (10.0.0.7), which lapses after 90 seconds without a sign of life";
    let [english, spanish] = said_by(coming);
    assert!(english.contains(coming), "{english}");
    assert!(english.contains("try again in 90 seconds"), "{english}");
    assert!(
        spanish.contains("se está recibiendo a/x.img de pc7 (10.0.0.7)"),
        "{spanish}"
    );
    assert!(
        spanish.contains("repita dentro de 90 segundos"),
        "{spanish}"
    );
    let there = "a/x.img came from pc7 and is being put together";
    let [english, spanish] = said_by(there);
    assert!(
        english.contains(there) && english.contains("in a moment"),
        "{english}"
    );
    assert!(spanish.contains("a/x.img llegó de pc7"), "{spanish}");
}

/// In English it comes, and is said here as if it had happened here.
#[test]
fn what_a_manager_says_of_its_images_is_in_spanish() {
    for error in of_a_store() {
        let told = NetError::Said {
            host: "10.0.0.1".to_owned(),
            code: error.code(),
            detail: error.to_string(),
            sender: None,
        };
        let (english, spanish) = [Lang::En, Lang::Es]
            .map(|lang| {
                said(&Failure::of(&told), lang)
                    .lines()
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .into();
        let here = said(&Failure::of(&error), Lang::Es);
        let (_, here) = here.lines().next().unwrap().split_once("aula1").unwrap();
        assert!(
            spanish.contains("10.0.0.1: ") && spanish.ends_with(here),
            "{spanish}"
        );
        assert!(
            english.contains("10.0.0.1: ") && english.contains("aula1/win.img"),
            "{english}"
        );
        for text in [&english, &spanish] {
            assert!(
                !text.contains("1073741824") && !text.contains("3221225472"),
                "{text}"
            );
        }
    }
}

/// What went wrong on the way is wrapped in errors of reading, more than once.
#[test]
fn causes_from_the_way_to_a_manager_are_in_spanish() {
    let host = || "10.77.1.1".to_owned();
    let later = |detail: &str| NetError::Later {
        host: host(),
        detail: detail.to_owned(),
        after: Duration::from_secs(1),
        code: None,
    };
    let refused = |detail: &str| NetError::Refused {
        host: host(),
        status: 500,
        detail: detail.to_owned(),
    };
    let protocol = |what| NetError::Protocol { host: host(), what };
    for (error, [english, wanted]) in [
        (
            NetError::Unauthorised { host: host() },
            ["10.77.1.1 does not accept the token", "no acepta el token"],
        ),
        (
            protocol("another range than was asked for"),
            ["another range than", "otro intervalo que el pedido"],
        ),
        (
            protocol("less than was asked for"),
            ["less than", "menos de lo pedido"],
        ),
        (refused(""), ["answers 500", "10.77.1.1 responde 500"]),
        (later(""), ["asks to try again later", "más tarde"]),
        (
            later("this address has too many connections"),
            ["too many connections", "demasiadas conexiones"],
        ),
        (
            Interrupted.into(),
            ["stopped half-way", "detenido a medias"],
        ),
        (
            NetError::Unreachable {
                host: host(),
                source: io::Error::new(io::ErrorKind::UnexpectedEof, "Peer disconnected"),
            },
            ["does not answer", "cortó la conexión"],
        ),
    ] {
        let failure = Failure::from(StoreError::Source {
            name: "10.77.1.1:aula1/win".to_owned(),
            source: SourceError::Permanent(io::Error::other(io::Error::other(error))),
        });
        let [said_en, said_es] = [Lang::En, Lang::Es].map(|lang| said(&failure, lang));
        assert!(said_en.contains(english), "{said_en}");
        assert!(said_es.contains(wanted), "{said_es}");
        assert!(!said_es.contains(english), "{said_es}");
        for text in [said_en, said_es] {
            let mut lines = text.lines();
            let is_cut = lines.any(|line| line.trim_end().ends_with(':'));
            assert!(!is_cut && !text.contains(": :"), "{text}");
        }
    }
}

#[test]
fn fixed_words_of_others_are_terms() {
    let spanish = Catalog::new(Lang::Es);
    for text in [
        "Peer disconnected",
        "timeout: connect",
        "timeout: receive response",
        "there is no key",
        "a key is no public key of minisign",
        "not a directory all the way",
        "what was sent",
        "it is no JSON, at line 1, column 3",
    ] {
        assert_ne!(spanish.term(text), text);
    }
    let busy = DiskError::Busy {
        path: "/dev/loop0p1".into(),
        by: "another program, which has /dev/loop0 to itself".to_owned(),
    };
    let failure = Failure::from(busy);
    let [english, spanish] = [Lang::En, Lang::Es].map(|lang| said(&failure, lang));
    assert!(english.contains(&failure.detail), "{english}");
    assert!(
        spanish.contains("otro programa, que tiene /dev/loop0"),
        "{spanish}"
    );
}
