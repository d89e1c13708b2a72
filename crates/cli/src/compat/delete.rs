//! `deleteimage`, of the server.

use azud_core::name::ImageFile;
use azud_core::reference::{Folder, SubPath, Where};
use azud_store::lease::refuse_held;
use azud_store::trash::{self, Which};
use azud_store::tree::Tree;
use azud_store::{StoreError, ant};

use super::args::{refuse, with_extension};
use super::{Call, Done, Refusal, Status};
use crate::commands::Context;
use crate::commands::image::rollback::check;
use crate::failure::Failure;
use crate::opened::{identify, now};
use crate::place;

/// What becomes of the former version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Former {
    Stays,
    Goes,
    Returns,
}

/// What an image's name may end with, in the order in which they are tried.
const EXTENSIONS: [&str; 2] = [".img", ".img.diff"];

pub(super) fn parse(args: &[String]) -> Result<(Former, &str), Failure> {
    match args {
        [name] if !name.starts_with('-') => Ok((Former::Stays, name)),
        [option, name] if option == "-b" => Ok((Former::Goes, name)),
        [option, name] if option == "-r" => Ok((Former::Returns, name)),
        _ => Err(refuse(args.join(" "))),
    }
}

/// Puts an image into the trash; with `-b` its `.ant` goes too, with `-r` it comes back.
pub(super) fn delete_image(call: &Call) -> Done {
    let (former, name) = parse(&call.args)?;
    let names = EXTENSIONS.map(|extension| with_extension(name, extension));
    let tree = place::open(&call.context, &Where::Manager)?;
    let mut asked = None;
    for name in names {
        let name: SubPath = name?;
        let image = tree.spot(&name)?.image;
        if image.path().is_file() || ant::exists(&image)? {
            return delete(&call.context, &image, former);
        }
        asked.get_or_insert(image);
    }
    refuse_directory(&tree, name)?;
    match asked {
        // It may be in the trash alone.
        Some(image) if former == Former::Returns => delete(&call.context, &image, former),
        _ => Err(StoreError::NotFound(name.into()).into()),
    }
}

fn delete(context: &Context, image: &ImageFile, former: Former) -> Done {
    refuse_held(image)?;
    let is_there = image.path().is_file();
    match former {
        Former::Returns if !ant::exists(image)? => {
            // Azud's own former version, if it is whole; the current one goes to the trash in the same step.
            let former = trash::find(image, &Which::Latest, now())?;
            trash::refuse_other(&former)?;
            check(context, &former.path)?;
            let which = former.slot.map_or(Which::Latest, Which::Named);
            trash::rollback(image, &which, now(), &identify)?;
            return Ok(Status::Ok);
        }
        _ if is_there => drop(trash::remove(image, now(), &identify)?),
        Former::Stays => return Err(StoreError::NotFound(image.path()).into()),
        Former::Goes | Former::Returns => {}
    }
    match former {
        Former::Stays => {}
        Former::Goes => drop(ant::remove(image)?),
        Former::Returns => ant::bring_back(image)?,
    }
    Ok(Status::Ok)
}

/// A directory of that name may be a synchronised image, or a unit with all its images: neither goes by mistake.
fn refuse_directory(tree: &Tree, name: &str) -> Result<(), Refusal> {
    match tree.folder(&Folder::parse(name.trim_matches('/')).map_err(Failure::from)?) {
        Ok(path) => {
            let what = "a directory";
            let failure = StoreError::NotAFile { path, what }.into();
            Err(Refusal::told(Status::Image, failure))
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Former, parse};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn one_option_and_one_name() {
        for (line, former) in [
            ("win10", Former::Stays),
            ("-b aula/win10", Former::Goes),
            ("-r win10", Former::Returns),
        ] {
            assert_eq!(parse(&words(line)).unwrap().0, former, "{line}");
        }
        for line in ["-b", "-x win10", "win10 -b", "-b -r win10", "win10 win11"] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
}
