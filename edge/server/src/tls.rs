//! TLS of the listener.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Reads a certificate chain and its private key (PEM files): TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When a file does not read, or the key is not the certificate's.
pub(crate) fn acceptor(certificates: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect)
        .with_context(|| format!("the certificates in `{}` do not read", certificates.display()))?;
    let key_file = || format!("the private key in `{}` does not read", key.display());
    let key = PrivateKeyDer::from_pem_file(key).with_context(key_file)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("the certificates in `{}` can't be used", certificates.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;

    use crate::listen::{Listener, Most};

    struct Files {
        folder: tempfile::TempDir,
        certificate: CertificateDer<'static>,
    }

    fn made() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Files { folder, certificate: made.cert.der().clone() }
    }

    fn client(files: &Files, protocol: &[u8]) -> tokio_rustls::TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(files.certificate.clone()).unwrap();
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
        let at = |name: &str| files.folder.path().join(name);
        let tls = acceptor(&at("cert.pem"), &at("key.pem")).unwrap();
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

    #[test]
    fn a_key_of_another_certificate_is_refused_and_the_file_named() {
        let (one, two) = (made(), made());
        let (cert, key) = (one.folder.path().join("cert.pem"), two.folder.path().join("key.pem"));
        assert!(acceptor(&cert, &key).is_err());
        let missing = one.folder.path().join("none.pem");
        let told = acceptor(&missing, &key).err().unwrap().to_string();
        assert!(told.contains("none.pem"), "{told}");
    }
}
