//! TLS of the listener, whose certificate is read again when its files change.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at. Certificates are renewed days before they end.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A certificate chain and its private key, in PEM files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
}

/// The certificate that handshakes are answered with.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    served: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// When a file does not read, or the key is not the certificate's.
    pub(crate) fn read(files: Files) -> anyhow::Result<Arc<Self>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let served = RwLock::new(Arc::new(load(&files, &provider)?));
        Ok(Arc::new(Self { files, provider, served }))
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, with whatever certificate is current at each handshake.
    ///
    /// # Errors
    /// When no protocol version is left.
    pub(crate) fn acceptor(self: &Arc<Self>) -> anyhow::Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again; gives whether there is another certificate. What does not read, or does not fit
    /// together because only one of the two was written yet, changes nothing.
    ///
    /// # Errors
    /// As [`Certificate::read`].
    pub(crate) fn renew(&self) -> anyhow::Result<bool> {
        let found = load(&self.files, &self.provider)?;
        if found.cert == self.current().cert {
            return Ok(false);
        }
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        Ok(true)
    }

    /// Looks at the files until told to stop.
    pub(crate) async fn renew_forever(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match self.renew() {
                Ok(true) => tracing::info!("handshakes are answered with another certificate from now on"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "the certificate before is served on");
                }
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn load(files: &Files, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
    let Files { certificates, key } = files;
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect)
        .with_context(|| format!("the certificates in `{}` do not read", certificates.display()))?;
    anyhow::ensure!(!chain.is_empty(), "`{}` holds no certificate", certificates.display());
    let key_file = || format!("the private key in `{}` does not read", key.display());
    let key = PrivateKeyDer::from_pem_file(key).with_context(key_file)?;
    CertifiedKey::from_der(chain, key, provider)
        .with_context(|| format!("the certificates in `{}` can't be used", certificates.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;

    use crate::listen::{Listener, Most};

    struct Made {
        folder: tempfile::TempDir,
        certificate: CertificateDer<'static>,
    }

    impl Made {
        fn files(&self) -> Files {
            let at = |name: &str| self.folder.path().join(name);
            Files { certificates: at("cert.pem"), key: at("key.pem") }
        }

        /// Puts its files where another's are.
        fn replace(&self, other: &Self, names: &[&str]) {
            for name in names {
                fs::copy(self.folder.path().join(name), other.folder.path().join(name)).unwrap();
            }
        }
    }

    fn made() -> Made {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Made { folder, certificate: made.cert.der().clone() }
    }

    fn client(made: &Made, protocol: &[u8]) -> tokio_rustls::TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.certificate.clone()).unwrap();
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config).into()
    }

    #[tokio::test]
    async fn requests_come_through_tls_and_only_through_it() {
        let files = made();
        let tls = Certificate::read(files.files()).unwrap().acceptor().unwrap();
        let most = Most { connections: 8, of_address: None };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(tls), most).await.unwrap();
        let (address, stop) = (listener.address().unwrap(), CancellationToken::new());
        let router = axum::Router::new().route("/", axum::routing::get(async || "here"));
        let serving = tokio::spawn(listener.serve(router, stop.clone(), std::time::Duration::from_secs(5)));

        for protocol in [b"h2".as_slice(), b"http/1.1"] {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = "localhost".try_into().unwrap();
            let mut stream = client(&files, protocol).connect(name, stream).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
            if protocol == b"http/1.1" {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
            }
        }
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"));
        stop.cancel();
        serving.await.unwrap();
    }

    /// Whether a handshake with a server ends well for who trusts that certificate alone.
    async fn shakes(acceptor: &TlsAcceptor, trusted: &Made) -> bool {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = "localhost".try_into().unwrap();
        let (client, server) = tokio::join!(client(trusted, b"h2").connect(name, near), acceptor.accept(far));
        client.is_ok() && server.is_ok()
    }

    #[tokio::test]
    async fn a_certificate_that_is_replaced_is_served_and_one_that_does_not_fit_is_not() {
        let (old, new) = (made(), made());
        let certificate = Certificate::read(old.files()).unwrap();
        let acceptor = certificate.acceptor().unwrap();
        assert!(!certificate.renew().unwrap(), "nothing changed");
        new.replace(&old, &["cert.pem"]);
        assert!(certificate.renew().is_err(), "its key is not there yet");
        assert_eq!([shakes(&acceptor, &old).await, shakes(&acceptor, &new).await], [true, false]);
        new.replace(&old, &["key.pem"]);
        assert!(certificate.renew().unwrap());
        assert_eq!([shakes(&acceptor, &old).await, shakes(&acceptor, &new).await], [false, true]);
        fs::write(old.files().certificates, "").unwrap();
        assert!(certificate.renew().is_err());
        assert!(shakes(&acceptor, &new).await);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_the_file_named() {
        let (one, two) = (made(), made());
        let mixed = Files { key: two.files().key, ..one.files() };
        assert!(Certificate::read(mixed).is_err());
        let missing = Files { certificates: one.folder.path().join("none.pem"), ..one.files() };
        let told = Certificate::read(missing).err().unwrap().to_string();
        assert!(told.contains("none.pem"), "{told}");
    }
}
