//! `azud image list [DIR]`.

use std::path::PathBuf;

use azud_store::list::list;
use serde_json::json;

use crate::human;
use crate::opened::{Opened, now};
use crate::place;
use crate::table;

use crate::commands::Context;
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where they are.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

impl Args {
    /// Lists the images.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let dir = place::folder(context, &self.dir)?;
        let listing = list(&dir, now())?;
        let rows: Vec<Row> = listing
            .images
            .iter()
            .map(|entry| Row::of(&dir, entry))
            .filter(Row::is_image)
            .collect();
        for (path, why) in &listing.skipped {
            context
                .output
                .warn(&context.catalog, &format!("{}: {why}", path.display()));
        }
        let value = json!({ "images": rows.iter().map(Row::json).collect::<Vec<_>>() });
        context.output.answer(&value, || {
            if rows.is_empty() {
                return context.catalog.fmt("count-images", &[("count", 0.into())]);
            }
            let head = ["image", "file-system", "used", "file-size", "identity"];
            let head = head.map(|key| context.catalog.text(&format!("label-{key}")));
            table::table(&head, &rows.iter().map(Row::cells).collect::<Vec<_>>())
        });
        Ok(())
    }
}

/// What is told of an image: what it says itself if it is native, else what its `.info` claims.
struct Row {
    path: String,
    size: u64,
    fs: String,
    claimed: bool,
    used: Option<u64>,
    identity: Option<String>,
}

impl Row {
    fn of(root: &std::path::Path, entry: &azud_store::list::Entry) -> Self {
        let native = Opened::at(&root.join(&entry.path)).ok();
        let used = native.as_ref().map(|opened| {
            let header = &opened.native.geometry().header;
            header.used_blocks * u64::from(header.block_size)
        });
        let claimed = entry.info.as_ref().map(|info| info.fs.clone());
        let told = native
            .as_ref()
            .map(|opened| opened.native.facts().fs.clone());
        Self {
            claimed: entry.info.is_some(),
            path: entry.path.display().to_string(),
            size: entry.size,
            fs: told.or(claimed).unwrap_or_default(),
            used,
            identity: native.map(|opened| opened.identity().to_string()),
        }
    }

    /// Whatever lies in an images' directory is no image unless it is one, or says it is by name or `.info`.
    fn is_image(&self) -> bool {
        let named = std::path::Path::new(&self.path)
            .extension()
            .is_some_and(|e| e == "img" || e == "dsk");
        self.identity.is_some() || self.claimed || named
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "path": self.path,
            "file_size": self.size,
            "fs": self.fs,
            "used": self.used,
            "identity": self.identity,
            "native": self.identity.is_some(),
        })
    }

    fn cells(&self) -> Vec<String> {
        let short = self
            .identity
            .as_ref()
            .map(|identity| identity[..12].to_owned());
        vec![
            self.path.clone(),
            self.fs.clone(),
            self.used.map_or_else(|| "-".to_owned(), human::bytes),
            human::bytes(self.size),
            short.unwrap_or_else(|| "-".to_owned()),
        ]
    }
}
