//! What the manager's computer has mounted of others, for those who ask the manager for it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use azud_core::namespace::{Namespace, PlaceError, Tree};
use azud_core::reference::{Host, Where};
use azud_server::Mounts;

use super::of_site;
use crate::site::Site;

/// For so long what is mounted is believed to be mounted: a room of clients asks many times a second.
const FRESH: Duration = Duration::from_secs(1);

/// What is mounted here, looked at when somebody asks.
#[derive(Debug)]
pub(crate) struct MountedHere {
    site: Site,
    last: Mutex<Option<(Instant, Namespace)>>,
}

impl MountedHere {
    /// On a computer that is the manager, whatever its configuration says.
    pub(crate) fn on(site: Site) -> Self {
        let site = Site {
            serving: true,
            ..site
        };
        Self {
            site,
            last: Mutex::default(),
        }
    }

    fn namespace(&self) -> Option<Namespace> {
        let mut last = self.last.lock().expect("no holder panics");
        if let Some((since, namespace)) = &*last
            && since.elapsed() < FRESH
        {
            return Some(namespace.clone());
        }
        let namespace = of_site(&self.site).ok()?;
        *last = Some((Instant::now(), namespace.clone()));
        Some(namespace)
    }
}

impl Mounts for MountedHere {
    fn find(&self, host: &Host) -> Result<Tree, PlaceError> {
        let place = Where::Host(host.clone());
        let not_there = |place: &Where| PlaceError::NotMounted {
            place: place.clone(),
            at: None,
        };
        let namespace = self.namespace().ok_or_else(|| not_there(&place))?;
        // This computer's own addresses mean what it serves, which is named without them.
        if namespace.meaning(&place) != place {
            return Err(not_there(&place));
        }
        namespace.resolve(&place)
    }
}
