//! Who is asked for the images of a place that is not mounted here.

use azud_core::reference::Where;
use azud_transport::NetError;
use azud_transport::http::{Client, Listed};

use super::manager;
use crate::commands::Context;
use crate::failure::Failure;

/// A manager that has the images of a place: its own, or those of a repository that is mounted there.
#[derive(Debug)]
pub(crate) struct Giver {
    pub(crate) client: Client,
    /// Whose repository it is, if it is not the manager's own.
    pub(crate) of: Option<String>,
}

impl Giver {
    /// What the manager calls an image of the place.
    pub(crate) fn name(&self, image: &str) -> String {
        match &self.of {
            Some(address) => format!("{address}:{image}"),
            None => image.to_owned(),
        }
    }

    /// All images of the place, by their names there.
    pub(crate) fn images(&self) -> Result<Vec<Listed>, NetError> {
        match &self.of {
            Some(address) => self.client.images_of(address),
            None => self.client.images(),
        }
    }
}

/// Who gives the images of a place: itself, if it is a manager that is known; of another computer, the manager of
/// this one, which may have its repository mounted. `None` where neither is known.
pub(crate) fn giver(context: &Context, place: &Where) -> Result<Option<Giver>, Failure> {
    if let Some(client) = manager(context, place)? {
        return Ok(Some(Giver { client, of: None }));
    }
    let Where::Host(host) = place else {
        return Ok(None);
    };
    // Without a manager nobody is asked; that it is missing is not what the user has to hear.
    let Ok(Some(client)) = manager(context, &Where::Manager) else {
        return Ok(None);
    };
    let of = Some(host.to_string());
    Ok(Some(Giver { client, of }))
}
