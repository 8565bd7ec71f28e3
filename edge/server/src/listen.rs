//! The listener: accepts connections, bounds them, and lets go of them: of those that ask for nothing,
//! and gracefully of all at the end.

mod places;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chancery_http::Peer;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

pub(crate) use places::Most;
use places::{Place, Places};
use watch::{Activity, Watched};

/// The most headers of a request.
const MOST_HEADERS: usize = 64;
/// The largest head of a request, in bytes.
const HEAD_BYTES: u32 = 32 * 1024;
/// The most requests at once on an HTTP/2 connection.
const MOST_STREAMS: u32 = 100;
/// How often an HTTP/2 connection with requests in progress is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The pause after a failed accept: what failed (no file descriptor is free) needs time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long clients are waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// The longest a client may take for its TLS handshake, and a connection may stay without the whole
    /// head of a first request; after a request, a connection without another one ends after this time
    /// and before twice of it. That holds for HTTP/1 and HTTP/2, and before it is known which.
    silence: Duration,
    /// As long as it takes so many bytes of an answer in that time, a connection is not silent.
    least_bytes: u64,
    /// How long a connection that was silent may take to end as its protocol has it.
    farewell: Duration,
}

impl Patience {
    const USUAL: Self =
        Self { silence: Duration::from_secs(30), least_bytes: 16 * 1024, farewell: Duration::from_secs(5) };
}

/// A listening socket, with what it speaks.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Places,
    patience: Patience,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Listener {
    /// Listens on an address, for at most so many connections at once.
    ///
    /// # Errors
    /// When the address is in use, or not ours.
    pub(crate) async fn bind(address: SocketAddr, tls: Option<TlsAcceptor>, most: Most) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self { socket, tls, places: Places::new(most), patience: Patience::USUAL })
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
        while let Some((stream, peer, place)) = self.accept(&stop).await {
            let connection = Connection {
                peer,
                tls: self.tls.clone(),
                router: router.clone(),
                patience: self.patience,
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
    async fn accept(&self, stop: &CancellationToken) -> Option<(TcpStream, Peer, Place)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                accepted = self.next() => accepted,
            };
            match accepted {
                Ok((stream, peer, Some(place))) => return Some((stream, peer, place)),
                Ok((stream, _, None)) => {
                    tracing::debug!("a connection was closed: its client has too many");
                    drop(stream);
                }
                // The client went away between its handshake and ours.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The next connection, with a place unless its client has its most.
    async fn next(&self) -> io::Result<(TcpStream, Peer, Option<Place>)> {
        let free = self.places.free().await.ok_or_else(|| io::Error::other("there are no places"))?;
        let (stream, client) = self.socket.accept().await?;
        Ok((stream, Peer(client.ip()), self.places.take(free, client.ip())))
    }
}

struct Connection {
    peer: Peer,
    tls: Option<TlsAcceptor>,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else { return self.speak(stream).await };
        let handshake = tokio::time::timeout(self.patience.silence, tls.accept(stream));
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
        let Patience { silence, least_bytes, farewell } = self.patience;
        let activity = Arc::new(Activity::default());
        let service = service_fn(|mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(self.peer);
            let turn = activity.begin();
            let answer = self.router.clone().oneshot(request.map(axum::body::Body::new));
            async move {
                let answer = answer.await?;
                turn.answered(answer.body().size_hint().lower());
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let protocols = protocols();
        let stream = Watched::new(stream, Arc::clone(&activity));
        let connection = protocols.serve_connection(TokioIo::new(stream), service);
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
            () = activity.silence(silence, least_bytes) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = connection => served,
                    // A request that was on its way is still answered.
                    () = activity.silence(farewell, least_bytes) => return,
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

/// Without a timer for heads: a connection without a request is let go of whatever it speaks.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols.http1().header_read_timeout(None).max_headers(MOST_HEADERS).max_buf_size(HEAD_BYTES as usize);
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

    const SHORT: Patience = Patience {
        silence: Duration::from_millis(200),
        least_bytes: 16 * 1024,
        farewell: Duration::from_millis(100),
    };
    /// Longer than any connection may be silent: twice the silence, and the farewell.
    const LONG: Duration = Duration::from_secs(2);
    /// More than the buffers of a socket hold.
    const MANY_BYTES: usize = 32 * 1024 * 1024;

    async fn serving(connections: usize, grace: Duration) -> Serving {
        serve(Most { connections, of_address: None }, Patience::USUAL, grace).await
    }

    async fn impatient() -> Serving {
        serve(Most { connections: 8, of_address: None }, SHORT, GRACE).await
    }

    async fn serve(most: Most, patience: Patience, grace: Duration) -> Serving {
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/long", get(async || vec![b'x'; MANY_BYTES]))
            .route("/slower", get(async || tokio::time::sleep(Duration::from_secs(1)).await))
            .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(300)).await))
            .route("/stuck", get(async || tokio::time::sleep(Duration::from_secs(600)).await));
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), None, most).await.unwrap();
        listener.patience = patience;
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

    #[tokio::test]
    async fn a_client_that_has_its_most_connections_gets_no_further_one() {
        let most = Most { connections: 8, of_address: Some(2) };
        let serving = serve(most, Patience::USUAL, GRACE).await;
        let mut held: Vec<_> = Vec::new();
        for _ in 0..2 {
            held.push(TcpStream::connect(serving.address).await.unwrap());
        }
        assert_eq!(answer(ask(serving.address, "/").await).await, "");
        drop(held.pop());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(answer(ask(serving.address, "/").await).await.starts_with("HTTP/1.1 200"));
    }

    /// Whether the server ends a connection in time; what it sends before is read.
    async fn is_ended(mut stream: TcpStream) -> bool {
        let mut nowhere = tokio::io::sink();
        tokio::time::timeout(LONG, tokio::io::copy(&mut stream, &mut nowhere)).await.is_ok()
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_ended_whatever_it_sends() {
        let serving = impatient().await;
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let whole = [&preface[..], &settings].concat();
        let head = b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ";
        for sent in [&[][..], b"P", &preface[..14], preface, &whole, head] {
            let mut stream = TcpStream::connect(serving.address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            assert!(is_ended(stream).await, "{:?}", String::from_utf8_lossy(sent));
        }
        assert!(is_ended(ask(serving.address, "/").await).await, "an idle connection");
    }

    #[tokio::test]
    async fn a_head_that_drips_is_not_waited_for() {
        let serving = impatient().await;
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        let dripping = async {
            while stream.write_all(b"x-a: 1\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(LONG, dripping).await.is_ok());
    }

    #[tokio::test]
    async fn a_request_that_takes_long_is_no_silence() {
        let serving = impatient().await;
        let stream = ask(serving.address, "/slower").await;
        assert!(answer(stream).await.starts_with("HTTP/1.1 200"));
        let (mut client, connection) = http2(serving.address).await;
        let slower = client.send_request(request("/slower")).await.unwrap();
        assert_eq!(slower.status(), 200);
        // And once it is over, the connection is idle: nothing but its pings goes over it.
        assert!(tokio::time::timeout(LONG, connection).await.is_ok(), "an idle HTTP/2 connection stays");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_of_its_answer_is_let_go_of() {
        let serving = serve(Most { connections: 1, of_address: None }, SHORT, GRACE).await;
        let unread = ask(serving.address, "/long").await;
        let next = async { answer(ask(serving.address, "/").await).await };
        let next = tokio::time::timeout(LONG, next).await.unwrap();
        assert!(next.starts_with("HTTP/1.1 200"));
        drop(unread);

        // Over HTTP/2 it may even ask whether the server is there, again and again.
        let (mut client, connection) = http2(serving.address).await;
        let unread = client.send_request(request("/long")).await.unwrap();
        assert!(tokio::time::timeout(LONG, connection).await.is_ok(), "an unread HTTP/2 stream stays");
        drop(unread);
    }

    #[tokio::test]
    async fn a_client_that_takes_its_answer_slowly_gets_it() {
        let serving = impatient().await;
        let mut stream = ask(serving.address, "/long").await;
        let (mut taken, mut part) = (0, vec![0; MANY_BYTES / 16]);
        while taken < MANY_BYTES {
            tokio::time::sleep(Duration::from_millis(75)).await;
            match stream.read_exact(&mut part).await {
                Ok(bytes) => taken += bytes,
                Err(error) => panic!("{error} after {taken} bytes"),
            }
        }
    }

    type Sender = hyper::client::conn::http2::SendRequest<axum::body::Body>;

    fn request(path: &str) -> http::Request<axum::body::Body> {
        http::Request::get(format!("http://x{path}")).body(axum::body::Body::empty()).unwrap()
    }

    /// An HTTP/2 client that pings, and its connection, which ends when the server ends it.
    async fn http2(address: SocketAddr) -> (Sender, tokio::task::JoinHandle<()>) {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_millis(20))
            .keep_alive_while_idle(true)
            .handshake(stream)
            .await
            .unwrap();
        (client, tokio::spawn(async { drop(connection.await) }))
    }
}
