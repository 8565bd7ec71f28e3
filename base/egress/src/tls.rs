//! TLS: whom we trust, and under which name.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use tokio_rustls::TlsConnector;

use crate::failure::SetupError;
use crate::host::Host;

/// The system's authorities and the operator's own.
pub(crate) fn connector(extra_roots_pem: &[u8]) -> Result<TlsConnector, SetupError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "certificates of the system can't be read");
    }
    // What does not parse there is the system's affair; what the operator names has to.
    roots.add_parsable_certificates(native.certs);
    for certificate in CertificateDer::pem_slice_iter(extra_roots_pem) {
        let certificate = certificate.map_err(|error| SetupError::Roots(error.to_string()))?;
        roots.add(certificate).map_err(|error| SetupError::Roots(error.to_string()))?;
    }
    if roots.is_empty() {
        tracing::warn!("no certificate authority is known: every HTTPS server will be refused");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that the certificate has to be for: the URL's host.
pub(crate) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
        Host::Address(address) => Some(ServerName::from(*address)),
    }
}
