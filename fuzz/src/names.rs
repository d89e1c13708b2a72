//! Target of names: images, folders, places and devices as users and scripts type them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use azud_core::name::ImageFile;
use azud_core::reference::{DeviceRef, Folder, FolderRef, ImageRef, SubPath, Where};

/// The longest name that file systems take, in bytes.
const NAME_MAX: usize = 255;

/// What is understood is written as it would be understood again, and never leads upwards.
pub fn names(data: &[u8]) {
    let raw = OsStr::from_bytes(data);
    if let Ok(image) = ImageRef::parse(raw) {
        if let ImageRef::Placed { image, .. } = &image {
            sub_path(image);
        }
        if let ImageRef::Placed { .. } = &image {
            assert_eq!(ImageRef::parse(image.to_string()), Ok(image));
        }
    }
    if let Ok(FolderRef::Placed { place, folder }) = FolderRef::parse(raw) {
        inside(&folder);
        let text = FolderRef::Placed { place, folder }.to_string();
        assert_eq!(FolderRef::parse(&text).map(|it| it.to_string()), Ok(text));
    }
    if let Ok(device) = DeviceRef::parse(raw) {
        let text = device.to_string();
        // A path that is no Unicode is shown, not repeated.
        if std::str::from_utf8(data).is_ok() {
            assert_eq!(DeviceRef::parse(text), Ok(device));
        }
    }
    if let Ok(image) = ImageFile::parse(raw) {
        name(image.name());
        assert_eq!(image.path().file_name(), Some(OsStr::new(image.name())));
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(place) = Where::parse(text) {
        assert_eq!(Where::parse(&place.to_string()), Ok(place));
    }
    if let Ok(path) = SubPath::parse(text) {
        sub_path(&path);
        assert_eq!(SubPath::parse(&path.to_string()), Ok(path));
    }
    if let Ok(folder) = Folder::parse(text) {
        inside(&folder);
    }
}

fn sub_path(path: &SubPath) {
    name(path.name());
    inside(path.folder());
}

fn inside(folder: &Folder) {
    folder.components().iter().for_each(|part| name(part));
}

fn name(text: &str) {
    assert!(!text.is_empty() && text.len() <= NAME_MAX, "{text:?}");
    assert!(!text.starts_with('.') && !text.contains('/'), "{text:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
