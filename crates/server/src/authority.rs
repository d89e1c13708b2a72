//! The manager's own certificate authority: made at the first start, pinned by its clients.
//!
//! Certificates are valid from 1970 to 4096: a client that was just switched on may have any clock, where nothing
//! keeps the time that of 1970, and what a client trusts is the pin.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use azud_core::access::MANAGER_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use crate::error::{At, Result, ServerError};
use crate::state;

/// The authority of a manager.
#[derive(Debug)]
pub(crate) struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads it from the state, or makes it there.
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let (key_file, file) = (dir.join("ca.key"), dir.join("ca.pem"));
        let key = match std::fs::read_to_string(&key_file) {
            Ok(text) => KeyPair::from_pem(&text)?,
            // Clients know the certificate: with a new key beside it nobody would be believed.
            Err(error) if error.kind() == ErrorKind::NotFound && is_there(&file)? => {
                return Err(ServerError::OtherKey(key_file));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = KeyPair::generate()?;
                state::write(&key_file, key.serialize_pem().as_bytes()).at("write", &key_file)?;
                key
            }
            Err(error) => return Err(ServerError::io("read", &key_file, error)),
        };
        let pem = match std::fs::read_to_string(&file) {
            Ok(pem) => pem,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pem = params()?.self_signed(&key)?.pem();
                state::write(&file, pem.as_bytes()).at("write", &file)?;
                pem
            }
            Err(error) => return Err(ServerError::io("read", &file, error)),
        };
        let der = der(&pem).ok_or_else(|| ServerError::BadCertificate(file))?;
        if !has_key(&der, &key) {
            return Err(ServerError::OtherKey(key_file));
        }
        let issuer = Issuer::new(params()?, key);
        Ok(Self { pem, der, issuer })
    }

    /// The certificate that clients pin, as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Its fingerprint: `sha256:` and hexadecimal.
    pub(crate) fn pin(&self) -> String {
        let digest = Sha256::digest(&self.der);
        digest.iter().fold("sha256:".to_owned(), |text, byte| {
            format!("{text}{byte:02x}")
        })
    }

    /// TLS for a server. Its certificate has the name that clients ask for; these addresses and names are for browsers
    /// and curl. Its key lives in memory only.
    pub(crate) fn server(&self, addresses: &[IpAddr], names: &[String]) -> Result<ServerConfig> {
        let known: Vec<String> = names
            .iter()
            .cloned()
            .chain(addresses.iter().map(IpAddr::to_string))
            .chain([MANAGER_NAME.to_owned()])
            .collect();
        let (certificate, key) = self.certificate(known)?;
        let chain = vec![certificate, self.der.clone()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A certificate for these names and addresses, and its key.
    fn certificate(
        &self,
        known: Vec<String>,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        let mut params = lasting(CertificateParams::new(known)?);
        params
            .distinguished_name
            .push(DnType::CommonName, "Azud manager");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((certificate.der().clone(), key))
    }
}

/// Good at whatever time a clock can show.
fn lasting(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(4096, 1, 1);
    params
}

fn params() -> Result<CertificateParams> {
    let mut params = lasting(CertificateParams::new(Vec::new())?);
    params
        .distinguished_name
        .push(DnType::CommonName, "Azud authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn der(pem: &str) -> Option<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// Whether a directory has an authority, or a half of one.
pub(crate) fn is_in(dir: &Path) -> Result<bool> {
    Ok(is_there(&dir.join("ca.pem"))? || is_there(&dir.join("ca.key"))?)
}

fn is_there(file: &Path) -> Result<bool> {
    file.try_exists().at("read", file)
}

/// Whether a certificate is of a key: it has the public half in it as it is.
fn has_key(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    let public = key.public_key_raw();
    certificate.windows(public.len()).any(|part| part == public)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    use azud_core::access::MANAGER_NAME;
    use azud_core::code::Code;
    use rcgen::{KeyPair, date_time_ymd};
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::{Authority, params};

    const YEAR: u64 = 31_556_952;

    /// Fails unless a client that trusts the authority accepts its manager, whatever year its clock shows.
    fn is_good_at_any_time(authority: &Authority) {
        let known = vec![MANAGER_NAME.to_owned()];
        let (certificate, _) = authority.certificate(known).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap();
        let name = ServerName::try_from(MANAGER_NAME).unwrap();
        for year in [1970, 1975, 2038, 3000] {
            let time = Duration::from_secs((year - 1970) * YEAR);
            let time = UnixTime::since_unix_epoch(time);
            let chain = [authority.der.clone()];
            let good = client.verify_server_cert(&certificate, &chain, &name, &[], time);
            assert!(good.is_ok(), "{year}: {good:?}");
        }
    }

    #[test]
    fn a_client_with_any_clock_accepts_the_manager() {
        let dir = tempfile::tempdir().unwrap();
        is_good_at_any_time(&Authority::of(dir.path()).unwrap());
    }

    /// Clients know an authority by its certificate, which stays as it is.
    #[test]
    fn an_authority_of_a_former_version_is_the_same_and_its_manager_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let (key, mut former) = (KeyPair::generate().unwrap(), params().unwrap());
        former.not_before = date_time_ymd(1975, 1, 1);
        let pem = former.self_signed(&key).unwrap().pem();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("ca.key", &key.serialize_pem());
        write("ca.pem", &pem);
        let authority = Authority::of(dir.path()).unwrap();
        assert_eq!(authority.pem(), pem);
        is_good_at_any_time(&authority);
        let kept = fs::read_to_string(dir.path().join("ca.pem")).unwrap();
        assert_eq!(kept, pem);
    }

    #[test]
    fn an_authority_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::of(dir.path()).unwrap();
        let again = Authority::of(dir.path()).unwrap();
        assert_eq!(first.pin(), again.pin());
        assert_eq!(first.pin().len(), 71);
        let names = ["localhost".to_owned()];
        again
            .server(&["127.0.0.1".parse().unwrap()], &names)
            .unwrap();
        std::fs::write(dir.path().join("ca.pem"), "none").unwrap();
        assert!(Authority::of(dir.path()).is_err());
    }

    #[test]
    fn a_certificate_without_its_key_is_refused_and_nothing_is_made() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pin = Authority::of(dir.path()).unwrap().pin();
        Authority::of(other.path()).unwrap();
        let (key, kept) = (dir.path().join("ca.key"), dir.path().join("kept"));
        fs::rename(&key, &kept).unwrap();
        let refused = || Authority::of(dir.path()).unwrap_err().code();
        assert_eq!(refused(), Code::BadCertificate);
        assert!(!key.exists());
        fs::copy(other.path().join("ca.key"), &key).unwrap();
        assert_eq!(refused(), Code::BadCertificate, "another's");
        fs::rename(&kept, &key).unwrap();
        assert_eq!(Authority::of(dir.path()).unwrap().pin(), pin);
    }
}
