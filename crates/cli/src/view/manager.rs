//! The images of a manager as the source of a view.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azud_core::assembly::Layout;
use azud_core::io::ReadAt;
use azud_core::reference::SubPath;
use azud_transport::NetError;
use azud_transport::http::{Client, Listed, Manager, Patience, RemoteImage};
use azud_view::{Entry, Image, Opened, Source};

use crate::commands::repo::kept;

/// How long a manager that went away is waited for in the midst of a file.
const PATIENCE: Duration = Duration::from_secs(10);

/// The images of a manager.
#[derive(Debug)]
pub(super) struct Images {
    host: String,
    authority: String,
    client: Mutex<Client>,
    patience: Patience,
}

impl Images {
    pub(super) fn new(manager: Manager) -> Result<Self, NetError> {
        let client = Client::hasty(&manager)?;
        Ok(Self {
            host: manager.host,
            authority: manager.authority,
            client: Mutex::new(client),
            patience: Patience::new(PATIENCE, |_, _| true),
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
        NetError::Unreachable { .. } | NetError::Later { .. } => ErrorKind::TimedOut,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Source for Images {
    fn list(&self) -> io::Result<Vec<Entry>> {
        let listed = self.ask(Client::images)?;
        Ok(listed.into_iter().flat_map(entries).collect())
    }

    fn open(&self, entry: &Entry) -> io::Result<Opened> {
        if let Some((image, ending)) = side(&entry.path) {
            let bytes = self.ask(|client| client.beside(image, ending))?;
            return Ok(Opened::Small(bytes.into()));
        }
        let open = |client: &Client| {
            let patience = self.patience.clone();
            RemoteImage::open(client.clone(), &entry.path, patience)
        };
        Ok(Opened::Image(Arc::new(Remote(self.ask(open)?))))
    }

    fn answers(&self) -> io::Result<()> {
        self.ask(Client::answers)
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
    let beside: Vec<_> = beside.filter(|it| side(&it.path).is_some()).collect();
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
