//! `azud repo import FROM TO`: the images of another repository, each at the same place below a folder.

mod outlook;
mod own;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use azud_core::code::Code;
use azud_core::reference::{FolderRef, SubPath};
use azud_store::assembly::{Assembly, Facts, Moving, Report, Way};
use azud_store::list::list;
use azud_store::side::InfoLine;
use azud_store::tree::Tree;
use serde_json::{Value as Json, json};

use self::outlook::{Outlook, is_newer};
use super::giver;
use crate::args::Writing;
use crate::commands::Context;
use crate::commands::image::list::{has_ending, is_image};
use crate::confirm::{Step, settle};
use crate::facts::know_all;
use crate::failure::Failure;
use crate::human;
use crate::opened::now;
use crate::origin::Origin;
use crate::output::detail;
use crate::place;
use crate::plan::{Plan, Value};
use crate::receive::with_begun;
use crate::table;
use crate::trust;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The repository, or a folder of it.
    pub src: PathBuf,
    /// The folder that gets its images.
    pub dst: PathBuf,
    /// Leave alone what was captured later than what would come.
    #[arg(long)]
    pub update: bool,
    /// Plan and consent.
    #[command(flatten)]
    pub writing: Writing,
}

/// An image to be brought.
struct Item {
    /// Its name below the folder.
    name: String,
    size: u64,
    /// What it is called where it is.
    from: PathBuf,
    /// What is said of it there.
    info: Option<InfoLine>,
    /// Who it is, if a manager says so.
    identity: Option<String>,
    /// Whether the manager would have to read it before it can say of what it is made.
    is_unread: bool,
}

/// Where they go.
struct Target {
    tree: Tree,
    /// The beginning of names of images there.
    below: String,
    /// Their folder, if it is there.
    folder: Option<PathBuf>,
    /// Whether what is newer there stays.
    update: bool,
}

impl Target {
    fn name(&self, item: &Item) -> Result<SubPath, Failure> {
        Ok(SubPath::parse(&format!("{}{}", self.below, item.name))?)
    }
}

/// What was done.
#[derive(Default)]
struct Tally {
    brought: Vec<Json>,
    unchanged: usize,
    /// Left alone, for they are newer than what would come.
    newer: Vec<String>,
    bytes: u64,
    failed: Vec<(String, Failure)>,
}

impl Args {
    /// Brings all images that are not there yet, or are others there.
    ///
    /// # Errors
    /// When the repository cannot be listed, or an image cannot be brought; the others are brought all the same.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        let (mut items, from) = self.items(context)?;
        // A manager goes on making indexes meanwhile.
        items.sort_by_key(|item| item.is_unread);
        let target = self.target(context)?;
        let both = from.as_deref().zip(target.folder.as_deref());
        let own = both.map_or(0, |(from, to)| own::leave_out(&mut items, from, to));
        let mut plan = Plan::new("repo-import")
            .text("source", self.src.display().to_string())
            .text("images-at", self.dst.display().to_string())
            .row("images", Value::Count(items.len() as u64))
            .bytes("file-size", items.iter().map(|item| item.size).sum());
        if own > 0 {
            plan = plan.row("images-own", Value::Count(own));
        }
        let plan = Outlook::of(context, &items, &target)?.rows(context, plan);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let mut tally = Tally::default();
        for item in &items {
            match self.bring(context, item, &target) {
                Ok(Some(report)) => tally.count(item, &report),
                Ok(None) => tally.newer.push(item.name.clone()),
                // What came stays, and is told.
                Err(failure) if failure.code == Code::Interrupted => {
                    return self.show(context, (&tally, Some(&failure)), begun);
                }
                Err(failure) => {
                    let said = detail(&context.catalog, &failure);
                    let text = format!("{}: {said}", item.name);
                    context.output.warn(&context.catalog, &text);
                    tally.failed.push((item.name.clone(), failure));
                }
            }
        }
        self.show(context, (&tally, None), begun)
    }

    /// Brings an image, unless what is newer stays; what an earlier run or another image here has is not read again.
    fn bring(
        &self,
        context: &Context,
        item: &Item,
        target: &Target,
    ) -> Result<Option<Report>, Failure> {
        let name = target.name(item)?;
        let origin = Origin::named(context, &item.from)?;
        origin.refuse_unfit(context)?;
        let (from, to) = (named(&self.src, item)?, named(&self.dst, item)?);
        let trusted = trust::copied(context, (&from, &to), &origin)?;
        let spot = target.tree.spot(&name)?;
        let assembly = Assembly::plan(&spot.image, origin.source(), Moving::Never)?;
        trust::same(trusted.as_ref(), assembly.wanted())?;
        if target.update && is_newer(&spot.image, assembly.wanted()) {
            return Ok(None);
        }
        trust::remember(trusted.as_ref())?;
        let info = origin.info(assembly.wanted().is_native())?;
        let facts = Facts {
            info: info.or_else(|| item.info.clone()),
            carried: origin.carried()?,
            now: now(),
        };
        // An image that is refused leaves no empty folder.
        if spot.missing {
            target.tree.make_folder(name.folder())?;
        }
        let progress = context.progress();
        let report = assembly.run(&facts, &progress);
        drop(progress);
        let report = report.map_err(|error| with_begun(&spot.image, error.into()))?;
        Ok(Some(report))
    }

    /// The images, and the folder that they lie in, if it is one of this computer.
    fn items(&self, context: &Context) -> Result<(Vec<Item>, Option<PathBuf>), Failure> {
        match place::folder(context, &self.src) {
            Ok(dir) => Ok((of_tree(context, &dir)?, Some(dir))),
            Err(failure) if failure.code == Code::PlaceNotMounted => {
                Ok((self.of_manager(context)?.ok_or(failure)?, None))
            }
            Err(failure) => Err(failure),
        }
    }

    fn of_manager(&self, context: &Context) -> Result<Option<Vec<Item>>, Failure> {
        let FolderRef::Placed { place, folder } = FolderRef::parse(&self.src)? else {
            return Ok(None);
        };
        let Some(giver) = giver(context, &place)? else {
            return Ok(None);
        };
        let path = folder.path();
        let items = giver.images()?.into_iter().filter_map(|listed| {
            let below = Path::new(&listed.name).strip_prefix(&path).ok()?;
            let name = below.to_str().filter(|name| !name.is_empty())?.to_owned();
            let info = listed.info.as_deref().and_then(InfoLine::parse);
            let known = info.is_some() || listed.identity.is_some();
            (known || has_ending(below)).then(|| Item {
                from: format!("{place}:{}", listed.name).into(),
                size: listed.size,
                name,
                info,
                is_unread: listed.identity.is_none() && listed.native != Some(true),
                identity: listed.identity,
            })
        });
        let items: Vec<Item> = items.collect();
        if items.is_empty() && !path.as_os_str().is_empty() {
            return Err(Failure::new(Code::NotFound, self.src.display().to_string()));
        }
        Ok(Some(items))
    }

    /// The tree that gets them, and the folder in it.
    fn target(&self, context: &Context) -> Result<Target, Failure> {
        let update = self.update;
        match FolderRef::parse(&self.dst)? {
            FolderRef::Path(path) => {
                // A folder that is missing is made with the first image.
                let missing = missing(&path);
                let is_there = missing.is_none();
                let (top, below) = missing.unwrap_or((&path, String::new()));
                place::answers(top)?;
                let tree = Tree::open(top, Path::new(""));
                Ok(Target {
                    tree: tree.map_err(|error| place::refusal(top, error))?,
                    below,
                    folder: is_there.then(|| path.clone()),
                    update,
                })
            }
            FolderRef::Placed { place, folder } => {
                let mut below = folder.components().join("/");
                if !below.is_empty() {
                    below.push('/');
                }
                let tree = place::open(context, &place)?;
                Ok(Target {
                    folder: tree.folder(&folder).ok(),
                    tree,
                    below,
                    update,
                })
            }
        }
    }

    /// Says what was done; what ended the work is its failure, else the first one of an image.
    fn show(
        &self,
        context: &Context,
        (tally, ended): (&Tally, Option<&Failure>),
        begun: Instant,
    ) -> Result<(), Failure> {
        let time = begun.elapsed();
        let failed: Vec<Json> = tally
            .failed
            .iter()
            .map(|(name, failure)| json!({ "image": name, "code": failure.code.as_str() }))
            .collect();
        let value = json!({
            "action": "repo-import",
            "source": self.src,
            "to": self.dst,
            "brought": tally.brought,
            "unchanged": tally.unchanged,
            "newer": tally.newer,
            "from_source": tally.bytes,
            "failed": failed,
            "seconds": time.as_secs_f64(),
        });
        let human = || {
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let mut rows = vec![
                (label("brought"), tally.brought.len().to_string()),
                (label("unchanged"), tally.unchanged.to_string()),
            ];
            if !tally.newer.is_empty() {
                rows.push((label("newer-here"), tally.newer.len().to_string()));
            }
            if !failed.is_empty() {
                rows.push((label("not-brought"), failed.len().to_string()));
            }
            rows.extend([
                (label("from-source"), human::bytes(tally.bytes)),
                (label("time"), human::duration(time)),
            ]);
            let done = context.catalog.text(match ended {
                Some(_) => "result-repo-import-stopped",
                None => "result-repo-import",
            });
            format!("{done}\n{}", table::rows(&rows))
        };
        let first = tally.failed.first().map(|(_, failure)| failure);
        if let Some(failure) = ended.or(first) {
            return Err(context.output.partly(failure.clone(), value, human));
        }
        context.output.result(&value, human);
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, item: &Item, report: &Report) {
        if report.way == Way::Nothing {
            self.unchanged += 1;
            return;
        }
        self.bytes += report.source;
        self.brought.push(json!({
            "image": item.name,
            "identity": report.identity.to_string(),
            "file_size": report.size,
            "from_source": report.source,
        }));
    }
}

/// The folder above one that is not there, and the beginning of names below that one.
fn missing(path: &Path) -> Option<(&Path, String)> {
    let name = path.file_name()?.to_str()?;
    let above = path.parent()?;
    let is_here = above.as_os_str().is_empty();
    let above = if is_here { Path::new(".") } else { above };
    let missing = above.is_dir() && fs::symlink_metadata(path).is_err();
    missing.then(|| (above, format!("{name}/")))
}

fn of_tree(context: &Context, dir: &Path) -> Result<Vec<Item>, Failure> {
    let listing = list(dir, now())?;
    for (path, why) in &listing.skipped {
        let text = format!("{}: {why}", path.display());
        context.output.warn(&context.catalog, &text);
    }
    let known = know_all(dir, listing.images);
    let images = known
        .iter()
        .filter(|one| !one.entry.is_dir && is_image(one));
    Ok(images
        .map(|one| Item {
            name: one.entry.path.to_string_lossy().into_owned(),
            size: one.entry.size,
            from: dir.join(&one.entry.path),
            info: None,
            identity: None,
            is_unread: false,
        })
        .collect())
}

/// What an image of a folder is called.
fn named(folder: &Path, item: &Item) -> Result<PathBuf, Failure> {
    Ok(match FolderRef::parse(folder)? {
        FolderRef::Path(path) => path.join(&item.name),
        FolderRef::Placed { place, folder } => {
            let below = folder.components().iter().map(String::as_str);
            let parts: Vec<&str> = below.chain([item.name.as_str()]).collect();
            format!("{place}:{}", parts.join("/")).into()
        }
    })
}
