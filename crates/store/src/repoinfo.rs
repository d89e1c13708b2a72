//! `repoinfo.json`, the catalogue that a stock server keeps of its images. Its claims stand in for the
//! `.info` files, which the server deletes once it has read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::durable;
use crate::side::InfoLine;

const NAME: &str = "repoinfo.json";
const MAX_LEN: u64 = 16 << 20;

#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    ous: Vec<Unit>,
}

#[derive(Deserialize)]
struct Unit {
    subdir: String,
    #[serde(default)]
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    clientname: String,
    #[serde(default)]
    clonator: String,
    #[serde(default)]
    compressor: String,
    #[serde(default)]
    filesystem: String,
    #[serde(default)]
    datasize: u64,
}

impl Image {
    fn file(&self) -> PathBuf {
        match self.kind.as_str() {
            "dir" | "" => self.name.clone().into(),
            kind => format!("{}.{kind}", self.name).into(),
        }
    }

    fn claim(&self) -> InfoLine {
        InfoLine {
            program: self.clonator.to_uppercase(),
            compressor: self.compressor.to_uppercase(),
            fs: self.filesystem.to_uppercase(),
            size_kb: self.datasize / 1024,
            host: self.clientname.clone(),
        }
    }
}

/// What a server says of the images below `root`, by their path from there. Nothing when there is no catalogue.
pub(crate) fn read(root: &Path) -> BTreeMap<PathBuf, InfoLine> {
    let places = [root.join(NAME), root.join("../etc").join(NAME)];
    let mut contents = places
        .iter()
        .filter_map(|path| durable::read_small(path, MAX_LEN).ok());
    contents
        .next()
        .map_or_else(BTreeMap::new, |text| claims(&text))
}

/// What a catalogue says. Nothing when it cannot be understood: files decide what there is.
pub fn claims(text: &[u8]) -> BTreeMap<PathBuf, InfoLine> {
    let Ok(repository) = serde_json::from_slice::<Repository>(text) else {
        return BTreeMap::new();
    };
    let common = repository
        .images
        .iter()
        .map(|image| (image.file(), image.claim()));
    let units = repository.ous.iter().flat_map(|unit| {
        let below = |image: &Image| (Path::new(&unit.subdir).join(image.file()), image.claim());
        unit.images.iter().map(below)
    });
    common.chain(units).collect()
}
