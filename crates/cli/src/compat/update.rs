//! `updateCache`, `UpdateCache`, `ogUpdateCacheIsNecesary`: two orders of arguments, neither of which is guessed.

use std::path::PathBuf;

use azud_core::code::Code;
use azud_core::reference::{SubPath, Where};
use azud_image::sniff::Format;
use azud_store::assembly::{Assembly, Moving, Way};

use super::args::{place as parse_place, refuse};
use super::container::reach_cache;
use super::{Call, Done, Refusal, Status, agreed, not_yet};
use crate::cached::is_known_damaged;
use crate::commands::cache::update;
use crate::failure::Failure;
use crate::origin::Origin;
use crate::place;

/// How OpenGnsys carries images into caches.
const PROTOCOLS: [&str; 4] = ["TORRENT", "MULTICAST", "UNICAST", "RSYNC"];

/// The protocol that a word is.
fn protocol(word: &str) -> Option<&'static str> {
    PROTOCOLS
        .into_iter()
        .find(|known| word.eq_ignore_ascii_case(known))
}

/// An image to be brought into the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Update {
    from: Where,
    image: SubPath,
    protocol: Option<&'static str>,
}

/// Whose the images are: not the cache's own.
fn source(text: &str) -> Result<Where, Failure> {
    match parse_place(text)? {
        Where::Cache => Err(refuse("the cache is what is updated")),
        place => Ok(place),
    }
}

/// `/path.ext`: its extension tells it from a subdirectory.
fn with_extension(path: &str) -> Result<SubPath, Failure> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if !name.contains('.') {
        return Err(refuse(format!("{path:?} has no extension")));
    }
    Ok(SubPath::parse(path.trim_start_matches('/'))?)
}

/// `REPO|IP /path.ext PROTOCOL [options]`.
pub(super) fn parse_script(args: &[String]) -> Result<Update, Failure> {
    let [from, path, how, options @ ..] = args else {
        return Err(refuse(format!("{} arguments", args.len())));
    };
    let Some(known) = protocol(how) else {
        return Err(refuse(format!(
            "{how:?} is no protocol; the order here is not UpdateCache's"
        )));
    };
    if options.len() > 1 {
        return Err(refuse(format!("{} arguments", args.len())));
    }
    Ok(Update {
        from: source(from)?,
        image: with_extension(path)?,
        protocol: Some(known),
    })
}

/// `SERVER SUBDIRECTORY IMAGE`.
pub(super) fn parse_design(args: &[String]) -> Result<Update, Failure> {
    let [from, folder, name] = args else {
        return Err(refuse(format!("{} arguments", args.len())));
    };
    if protocol(name).is_some() {
        return Err(refuse(format!(
            "{name:?} is a protocol; the order here is not updateCache's"
        )));
    }
    if name.contains('/') {
        return Err(refuse(format!(
            "{name:?}: the subdirectory stands before the image"
        )));
    }
    let from = source(from)?;
    let folder = folder.trim_matches('/');
    let path = if folder.is_empty() {
        name.clone()
    } else {
        format!("{folder}/{name}")
    };
    Ok(Update {
        from,
        image: SubPath::parse(&path)?,
        protocol: None,
    })
}

/// `REPO relpath [protocol|FULL]`.
pub(super) fn parse_question(args: &[String]) -> Result<SubPath, Failure> {
    let (container, path) = match args {
        [container, path] => (container, path),
        [container, path, how] if protocol(how).is_some() || how.eq_ignore_ascii_case("FULL") => {
            (container, path)
        }
        _ => return Err(refuse(args.join(" "))),
    };
    if !container.eq_ignore_ascii_case("REPO") {
        return Err(Failure::new(
            Code::NotFound,
            format!("{container:?} is not REPO"),
        ));
    }
    with_extension(path)
}

/// Brings an image into the cache, as OpenGnsys' script is called.
pub(super) fn update_cache(call: &Call) -> Done {
    run(call, &parse_script(&call.args)?)
}

/// The same, as the design calls it.
pub(super) fn update_cache_of_design(call: &Call) -> Done {
    run(call, &parse_design(&call.args)?)
}

fn run(call: &Call, wanted: &Update) -> Done {
    reach_cache(call)?;
    let name = named(&wanted.from, &wanted.image);
    let source = Origin::named(&call.context, &name)?;
    if source.found()?.format == Format::FileSystem {
        let failure = Failure::new(Code::UnknownFormat, source.name());
        let hint = call.context.catalog.text("compat-synchronised");
        return Err(Refusal::told(Status::DontSync, failure.with_hint(hint)));
    }
    let later = |status| Err(not_yet(call, status, wanted.protocol.unwrap_or_default()));
    match wanted.protocol {
        Some("RSYNC") => return later(Status::DontSync),
        Some("MULTICAST") => return later(Status::MulticastReceiver),
        Some("TORRENT") => return later(Status::UpdateCache),
        _ => {}
    }
    fetch(call, name)
}

/// Brings an image into the cache, which is mounted.
pub(super) fn fetch(call: &Call, name: PathBuf) -> Done {
    agreed::<update::Args, _>([name]).run(&call.context)?;
    Ok(Status::Ok)
}

fn named(place: &Where, image: &SubPath) -> PathBuf {
    PathBuf::from(format!("{place}:{image}"))
}

/// Ends with 0 if the cache lacks what the repository has, with 1 if it has it.
pub(super) fn is_necessary(call: &Call) -> Done {
    let image = parse_question(&call.args)?;
    reach_cache(call)?;
    let from = Origin::named(&call.context, &named(&Where::Manager, &image))?;
    let to = place::locate(&call.context, &named(&Where::Cache, &image))?.image;
    if !to.path().is_file() || to.beside(".torrent.bf").is_file() {
        return Ok(Status::Ok);
    }
    if is_known_damaged(&to.path()) {
        return Ok(Status::Ok);
    }
    match Assembly::plan(&to, from.source(), Moving::Never) {
        Ok(assembly) if assembly.prospect().way == Way::Nothing => Ok(Status::Format),
        Ok(_) => Ok(Status::Ok),
        // Whatever there is no room for is not there.
        Err(error) if matches!(error.code(), Code::TooLittleRoom | Code::FileTooLarge) => {
            Ok(Status::Ok)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;

    use super::{parse_design, parse_question, parse_script};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn each_order_is_refused_where_the_other_belongs() {
        for line in [
            "REPO /aula1/win10.img UNICAST",
            "10.0.0.1 /win10.img torrent",
            "repo win10.img MULTICAST 9000:full-duplex:239.194.17.2:70M:20:120",
        ] {
            assert!(parse_script(&words(line)).is_ok(), "{line}");
            assert_eq!(
                parse_design(&words(line)).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
        for line in [
            "10.0.0.1 aula1 win10",
            "REPO aula1/b win10.img",
            "REPO / win10",
        ] {
            assert!(parse_design(&words(line)).is_ok(), "{line}");
            assert_eq!(
                parse_script(&words(line)).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
        let design = parse_design(&words("10.0.0.1 /aula1/ win10")).unwrap();
        assert_eq!(
            format!("{}:{}", design.from, design.image),
            "10.0.0.1:aula1/win10.img"
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        for line in [
            "REPO /win10.img",
            "REPO /win10 UNICAST",
            "UNICAST REPO /win10.img",
            "/win10.img REPO UNICAST",
            "CACHE /win10.img UNICAST",
            "REPO /win10.img UNICAST a b",
        ] {
            assert_eq!(
                parse_script(&words(line)).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
        for line in [
            "REPO win10",
            "aula1 REPO",
            "CACHE aula1 win10",
            "REPO aula1 a/win10",
        ] {
            assert_eq!(
                parse_design(&words(line)).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
        assert_eq!(
            parse_design(&words("REPO .. win10")).unwrap_err().code,
            Code::BadName
        );
        for line in ["REPO", "REPO /w", "REPO /w.img SLOW"] {
            assert_eq!(
                parse_question(&words(line)).unwrap_err().code,
                Code::Usage,
                "{line}"
            );
        }
        assert_eq!(
            parse_question(&words("CACHE /w.img")).unwrap_err().code,
            Code::NotFound
        );
        assert!(parse_question(&words("REPO /w.img FULL")).is_ok());
    }
}
