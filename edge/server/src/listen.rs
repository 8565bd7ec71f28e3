//! The listener: accepts connections, bounds them, and lets go of them gracefully.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// The longest a client may take for its TLS handshake, and for the head of a request: also the
/// longest a connection may stay without a request.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The most headers of a request.
const MOST_HEADERS: usize = 64;
/// The largest head of a request, in bytes.
const HEAD_BYTES: u32 = 32 * 1024;
/// The most requests at once on an HTTP/2 connection.
const MOST_STREAMS: u32 = 100;
/// How often a silent HTTP/2 connection is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The pause after a failed accept: what failed (no file descriptor is free) needs time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket, with what it speaks.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    most_connections: usize,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Listener {
    /// Listens on an address, for at most `most_connections` at once; further ones wait in the
    /// system's queue.
    ///
    /// # Errors
    /// When the address is in use, or not ours.
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        most_connections: usize,
    ) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls, most_connections })
    }

    /// The address, with the port the system chose for port 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop`, then lets each connection finish the requests it is in, for at most
    /// `grace`.
    pub(crate) async fn serve(self, router: Router, stop: CancellationToken, grace: Duration) {
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        let places = Arc::new(Semaphore::new(self.most_connections));
        while let Some((stream, place)) = self.accept(&places, &stop).await {
            let connection = Connection {
                tls: self.tls.clone(),
                router: router.clone(),
                stop: stop.clone(),
                cut: cut.clone(),
            };
            connections.spawn(async move {
                connection.serve(stream).await;
                drop(place);
            });
        }
        // Nobody new: the socket is closed before the wait.
        drop(self.socket);
        connections.close();
        if tokio::time::timeout(grace, connections.wait()).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "requests did not finish in time and are cut off"
            );
            cut.cancel();
            connections.wait().await;
        }
    }

    /// The next connection with its place among the most; `None` at `stop`.
    async fn accept(
        &self,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                accepted = async {
                    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
                    Ok::<_, io::Error>((self.socket.accept().await?.0, place))
                } => accepted,
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                // The client went away between its handshake and ours.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

struct Connection {
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else { return self.speak(stream).await };
        let handshake = tokio::time::timeout(HEAD_TIME, tls.accept(stream));
        tokio::select! {
            () = self.stop.cancelled() => {}
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => self.speak(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let service = self
            .router
            .clone()
            .map_request(|request: http::Request<Incoming>| request.map(axum::body::Body::new));
        let protocols = protocols();
        let connection = protocols.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = connection => served,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = served {
            // Clients break off and speak nonsense: theirs to notice, not ours to warn of.
            tracing::debug!(error = %error, "a connection ended early");
        }
    }
}

fn protocols() -> auto::Builder<TokioExecutor> {
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(MOST_HEADERS)
        .max_buf_size(HEAD_BYTES as usize);
    protocols
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES)
        .max_concurrent_streams(MOST_STREAMS)
        .keep_alive_interval(KEEP_ALIVE);
    protocols
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const GRACE: Duration = Duration::from_secs(5);

    struct Serving {
        address: SocketAddr,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    async fn serving(most: usize, grace: Duration) -> Serving {
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(300)).await))
            .route("/stuck", get(async || tokio::time::sleep(Duration::from_secs(600)).await));
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), None, most).await.unwrap();
        let (address, stop) = (listener.address().unwrap(), CancellationToken::new());
        let task = tokio::spawn(listener.serve(router, stop.clone(), grace));
        Serving { address, stop, task }
    }

    async fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut text = vec![0; 256];
        let read = stream.read(&mut text).await.unwrap_or(0);
        String::from_utf8_lossy(&text[..read]).into_owned()
    }

    #[tokio::test]
    async fn a_request_in_progress_finishes_and_no_new_one_begins() {
        let serving = serving(8, GRACE).await;
        assert!(answer(ask(serving.address, "/").await).await.starts_with("HTTP/1.1 200"));
        let slow = ask(serving.address, "/slow").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        serving.stop.cancel();
        assert!(answer(slow).await.starts_with("HTTP/1.1 200"));
        serving.task.await.unwrap();
        assert!(TcpStream::connect(serving.address).await.is_err());
    }

    #[tokio::test]
    async fn what_does_not_finish_is_cut_off() {
        let serving = serving(8, Duration::from_millis(100)).await;
        let stuck = ask(serving.address, "/stuck").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        serving.stop.cancel();
        serving.task.await.unwrap();
        assert_eq!(answer(stuck).await, "");
    }

    #[tokio::test]
    async fn connections_beyond_the_most_wait_for_a_place() {
        let serving = serving(1, GRACE).await;
        let first = ask(serving.address, "/").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = answer(ask(serving.address, "/").await);
        tokio::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(200), second.as_mut()).await.is_err());
        drop(first);
        assert!(second.await.starts_with("HTTP/1.1 200"));
    }
}
