//! TLS to a manager.
//!
//! The pinned authority belongs to one manager alone, so whoever has a certificate of it is that manager, by whatever
//! name or address it was reached: one of `/etc/hosts`, one behind NAT, one that it got later. So TLS asks for the name
//! that every manager has. All else goes by the name that the user wrote: the address, proxies, the field `Host`.

use azud_core::access::MANAGER_NAME;
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{ConnectionDetails, Connector, RustlsConnector, Transport};

use super::reach::again;

/// Puts TLS over a connection, as ureq does, but for the name.
#[derive(Debug)]
pub(super) struct ManagerTls {
    tls: RustlsConnector,
    manager: Uri,
}

impl Default for ManagerTls {
    fn default() -> Self {
        let manager = format!("https://{MANAGER_NAME}/");
        Self {
            tls: RustlsConnector::default(),
            manager: manager.parse().expect("our own name is one"),
        }
    }
}

impl<In: Transport> Connector<In> for ManagerTls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if !details.needs_tls() {
            // The way to a proxy, in whose tunnel TLS comes later.
            return self.tls.connect(details, chained);
        }
        let named = ConnectionDetails {
            uri: &self.manager,
            ..again(details)
        };
        self.tls.connect(&named, chained)
    }
}
