//! What names make of their arguments, and nothing else: for whoever searches for arguments that break them.

use std::fmt::Debug;

use super::{args, delete, deploy, image, mount, partition, update};
use crate::failure::Failure;

/// A function that understands arguments; what it understood, as debugging shows it.
pub type Understands = fn(&[String]) -> Result<String, Failure>;

/// Those whose arguments have a form, by their names.
pub const UNDERSTOOD: &[(&str, Understands)] = &[
    ("ogGetPath", |words| shown(args::file(words))),
    ("ogMount", |words| shown(args::mountable(words))),
    ("ogCreateCache", |words| {
        shown(partition::parse_create(words))
    }),
    ("initCache", |words| shown(partition::parse_init(words))),
    ("MountRepo", |words| shown(mount::parse_repo(words))),
    ("updateCache", |words| shown(update::parse_script(words))),
    ("UpdateCache", |words| shown(update::parse_design(words))),
    ("ogUpdateCacheIsNecesary", |words| {
        shown(update::parse_question(words))
    }),
    ("createImage", |words| shown(image::parse_create(words))),
    ("restoreImage", |words| shown(image::parse_restore(words))),
    ("deployImage", |words| shown(deploy::parse(words))),
    ("deleteimage", |words| shown(delete::parse(words))),
];

fn shown<T: Debug>(understood: Result<T, Failure>) -> Result<String, Failure> {
    understood.map(|it| format!("{it:?}"))
}
