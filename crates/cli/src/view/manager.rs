//! The images of a manager as the source of a view.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use azud_core::assembly::Layout;
use azud_core::io::ReadAt;
use azud_core::reference::SubPath;
use azud_transport::NetError;
use azud_transport::http::{Client, Listed, Manager, Patience, RemoteImage};
use azud_view::{Entry, Image, Opened, Source};

use crate::commands::repo::kept;

/// How long a manager that went away is waited for in the midst of a file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever asks how a view is cannot end before it is answered, whatever its own patience.
const ANSWER: Duration = Duration::from_millis(1500);
/// What the last try has where no time is left.
const LEAST: Duration = Duration::from_millis(1);

/// Side files of an image.
const MOST_BESIDE: usize = 16;
/// Indexes of all images that are open are no longer than this together, and so are small files.
const MOST: usize = 128 << 20;

/// What is kept of what is open. It is kept once, however often it is open.
#[derive(Debug, Default)]
struct Held {
    layouts: Mutex<Vec<Weak<Layout>>>,
    small: Mutex<Vec<Weak<[u8]>>>,
}

impl Held {
    /// An index that is equal and there already, else this one.
    fn layout(&self, layout: Arc<Layout>) -> io::Result<Arc<Layout>> {
        let mut held = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut there = held.iter().filter_map(Weak::upgrade);
        if let Some(same) = there.find(|one| one.identity() == layout.identity()) {
            return Ok(same);
        }
        hold(&mut held, layout, |one| one.description().len())
    }

    fn small(&self, file: Arc<[u8]>) -> io::Result<Arc<[u8]>> {
        let mut held = self.small.lock().unwrap_or_else(PoisonError::into_inner);
        hold(&mut held, file, <[u8]>::len)
    }
}

/// One more, if there is memory for it beside those that are still open.
fn hold<T: ?Sized>(
    held: &mut Vec<Weak<T>>,
    one: Arc<T>,
    bytes: impl Fn(&T) -> usize,
) -> io::Result<Arc<T>> {
    held.retain(|other| other.strong_count() > 0);
    let there = held.iter().filter_map(Weak::upgrade);
    let there: usize = there.map(|other| bytes(&other)).sum();
    if there + bytes(&one) > MOST {
        return Err(ErrorKind::QuotaExceeded.into());
    }
    held.push(Arc::downgrade(&one));
    Ok(one)
}

/// The images of a manager.
#[derive(Debug)]
pub(super) struct Images {
    host: String,
    authority: String,
    client: Mutex<Client>,
    patience: Patience,
    open: Held,
}

impl Images {
    pub(super) fn new(manager: Manager) -> Result<Self, NetError> {
        let client = Client::hasty(&manager)?;
        Ok(Self {
            host: manager.host,
            authority: manager.authority,
            client: Mutex::new(client),
            patience: Patience::new(PATIENCE, |_, _| true),
            open: Held::default(),
        })
    }

    fn client(&self) -> Client {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.clone()
    }

    /// Takes the token that is kept now, if that is another one: of the same manager.
    fn renew(&self) -> Option<Client> {
        let manager = kept(&self.host).ok().flatten()?;
        let same = manager.authority == self.authority;
        let client = Client::hasty(&manager).ok().filter(|_| same)?;
        let mut place = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        *place = client.clone();
        Some(client)
    }

    /// Asks; once more where a connection has become old, or the token.
    fn ask<T>(&self, ask: impl Fn(&Client) -> Result<T, NetError>) -> io::Result<T> {
        let client = self.client();
        let again = match ask(&client) {
            Err(NetError::Unreachable { .. }) => client,
            Err(NetError::Unauthorised { .. } | NetError::TokenExpired { .. }) => {
                self.renew().unwrap_or(client)
            }
            other => return other.map_err(told),
        };
        ask(&again).map_err(told)
    }
}

/// What the kernel is to hear of it.
fn told(error: NetError) -> io::Error {
    let kind = match &error {
        NetError::NotFound { .. } | NetError::Changed { .. } => ErrorKind::StaleNetworkFileHandle,
        NetError::Unauthorised { .. }
        | NetError::TokenExpired { .. }
        | NetError::TokenElsewhere { .. }
        | NetError::MayOnlyRead { .. }
        | NetError::Untrusted { .. } => ErrorKind::PermissionDenied,
        NetError::Unreachable { .. } | NetError::Nameless { .. } | NetError::Later { .. } => {
            ErrorKind::TimedOut
        }
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Source for Images {
    fn list(&self) -> io::Result<impl Iterator<Item = Entry>> {
        let listed = self.ask(Client::images)?;
        // One after the other: their paths together are longer than the list.
        Ok(listed.into_iter().flat_map(entries))
    }

    fn open(&self, entry: &Entry) -> io::Result<Opened> {
        if let Some((image, ending)) = side(&entry.path) {
            let bytes = self.ask(|client| client.beside(image, ending))?;
            return Ok(Opened::Small(self.open.small(bytes.into())?));
        }
        let open = |client: &Client| {
            let patience = self.patience.clone();
            RemoteImage::open(client.clone(), &entry.path, patience)
        };
        let image = self.ask(open)?;
        let image = image.sharing(|layout| self.open.layout(layout))?;
        Ok(Opened::Image(Arc::new(Remote(image))))
    }

    fn answers(&self) -> io::Result<()> {
        let begun = Instant::now();
        let left = || ANSWER.saturating_sub(begun.elapsed()).max(LEAST);
        self.ask(|client| client.answers(left()))
    }
}

/// An image and what stands beside it. Names that no image of a repository can have are left out.
fn entries(listed: Listed) -> Vec<Entry> {
    let name = listed.name;
    let is_name = SubPath::parse(&name).is_ok_and(|parsed| parsed.to_string() == name);
    if !is_name {
        return Vec::new();
    }
    let beside = listed.beside.into_iter().map(|it| Entry {
        path: format!("{name}{}", it.ending),
        size: it.size,
        modified: it.modified.unwrap_or(0),
        identity: None,
    });
    let beside = beside.filter(|it| side(&it.path).is_some());
    let beside: Vec<_> = beside.take(MOST_BESIDE).collect();
    let image = Entry {
        size: listed.size,
        modified: listed.modified.unwrap_or(0),
        identity: listed.identity,
        path: name,
    };
    std::iter::once(image).chain(beside).collect()
}

/// The image and the ending of a side file; none for an image.
fn side(path: &str) -> Option<(&str, &str)> {
    azud_store::side::KEPT
        .iter()
        .filter_map(|ending| Some((path.strip_suffix(ending)?, *ending)))
        .max_by_key(|(_, ending)| ending.len())
        .filter(|(image, _)| SubPath::parse(image).is_ok_and(|it| it.to_string() == *image))
}

/// An image of a manager.
#[derive(Debug)]
struct Remote(RemoteImage);

impl ReadAt for Remote {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0
            .read_exact_at(buf, offset)
            .map_err(|error| match error.downcast::<NetError>() {
                Ok(error) => told(error),
                Err(error) => error,
            })
    }
}

impl Image for Remote {
    fn layout(&self) -> &Layout {
        self.0.layout()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Arc;

    use azud_core::assembly::Layout;
    use azud_core::format::ranges::RangeIndex;
    use azud_transport::http::Listed;

    use super::{Held, MOST, MOST_BESIDE, entries};

    fn layout(mark: u8, ranges: usize) -> Arc<Layout> {
        let hashes = vec![[mark; 32]; ranges];
        let size = (ranges as u64) << 20;
        Arc::new(Layout::parse(RangeIndex { size, hashes }.encode()).unwrap())
    }

    #[test]
    fn an_image_that_is_open_often_is_described_once() {
        let held = Held::default();
        let first = held.layout(layout(1, 3)).unwrap();
        let again = held.layout(layout(1, 3)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &held.layout(layout(2, 3)).unwrap()));
    }

    #[test]
    fn what_is_open_takes_no_more_memory_than_it_may() {
        let held = Held::default();
        let half = MOST / 2 / 32 - 100;
        let open: Vec<_> = [1, 2].map(|mark| held.layout(layout(mark, half))).into();
        let third = held.layout(layout(3, half)).unwrap_err();
        assert_eq!(third.kind(), ErrorKind::QuotaExceeded);
        drop(open);
        held.layout(layout(3, half)).unwrap();
        let small: Vec<_> = (0..4)
            .map(|_| held.small(vec![0; MOST / 4].into()))
            .collect();
        let more = held.small([0].into()).unwrap_err();
        assert_eq!(more.kind(), ErrorKind::QuotaExceeded);
        drop(small);
        held.small([0].into()).unwrap();
    }

    #[test]
    fn an_image_has_no_more_side_files_than_there_are_sorts() {
        let beside = r#"{"ending":".sum","size":1}"#;
        let all = [beside; 100].join(",");
        let listed = format!(r#"{{"name":"a.img","size":1,"beside":[{all}]}}"#);
        let listed: Listed = serde_json::from_str(&listed).unwrap();
        assert_eq!(entries(listed).len(), 1 + MOST_BESIDE);
    }
}
