//! The authority of a manager that is not known yet.

use std::io::Read;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use ureq::http::StatusCode;
use ureq::tls::{Certificate, TlsConfig};

use super::client::{SMALL, agent, failed};
use super::times::USUAL;
use crate::error::{NetError, Result};

/// Asks a manager for the certificate of its authority: whoever answers is not checked, the certificate has
/// to be, by its [`pin_of`].
///
/// # Errors
/// When nobody answers as a manager does.
pub fn authority(host: &str, port: u16) -> Result<String> {
    let agent = agent(
        TlsConfig::builder().disable_verification(true),
        (USUAL, &Arc::default()),
    );
    let asked = agent.get(format!("https://{host}:{port}/v1/ca")).call();
    let response = asked.map_err(|error| failed(host, error))?;
    let what = "no certificate of an authority";
    let none = || NetError::Protocol {
        host: host.to_owned(),
        what,
    };
    if response.status() != StatusCode::OK {
        return Err(none());
    }
    let mut pem = String::new();
    let read = response
        .into_body()
        .into_reader()
        .take(SMALL)
        .read_to_string(&mut pem);
    read.map_err(|error| failed(host, ureq::Error::Io(error)))?;
    pin_of(&pem).map(|_| pem).map_err(|_| none())
}

/// The fingerprint of a certificate: `sha256:` and hexadecimal.
///
/// # Errors
/// [`NetError::BadCertificate`].
pub fn pin_of(pem: &str) -> Result<String> {
    let certificate =
        Certificate::from_pem(pem.as_bytes()).map_err(|_| NetError::BadCertificate)?;
    let digest = Sha256::digest(certificate.der());
    Ok(digest.iter().fold("sha256:".to_owned(), |text, byte| {
        format!("{text}{byte:02x}")
    }))
}
