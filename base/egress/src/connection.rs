//! One connection, of either version of HTTP.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::{Executor, Read, Write};
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::target::Target;

pub(crate) type Body = Full<Bytes>;

/// How connections are spoken over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) head_bytes: usize,
    pub(crate) head_lines: usize,
}

/// Of what the other side sends, no more than this is held for one answer before it is read.
const WINDOW: u32 = 64 * 1024;
/// The same for all answers on one connection.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// hyper takes no smaller buffer.
const LEAST_BUFFER: usize = 8 * 1024;
const PING_EVERY: Duration = Duration::from_secs(20);

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// A connection to an address that was judged. When its last handle is dropped, its socket closes.
pub(crate) struct Connection {
    sender: Sender,
    peer: SocketAddr,
    made: Instant,
    alive: Arc<DropGuard>,
}

/// Runs what hyper spawns until the connection is dropped: nothing of a connection outlives it.
#[derive(Clone)]
struct WhileAlive(CancellationToken);

impl<F> Executor<F> for WhileAlive
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        tokio::spawn(self.0.clone().run_until_cancelled_owned(future));
    }
}

impl Wire {
    pub(crate) async fn http1<I>(self, io: I, peer: SocketAddr) -> hyper::Result<Connection>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(self.head_lines)
            .max_header_size(self.head_bytes)
            .max_buf_size(self.head_bytes.max(LEAST_BUFFER))
            .handshake(io)
            .await?;
        let alive = CancellationToken::new();
        WhileAlive(alive.clone()).execute(async move {
            // Whoever waits for an answer is told; nobody else needs to know.
            let _ = connection.await;
        });
        sender.ready().await?;
        Ok(Connection {
            sender: Sender::Http1(sender),
            peer,
            made: Instant::now(),
            alive: Arc::new(alive.drop_guard()),
        })
    }

    pub(crate) async fn http2<I>(self, io: I, peer: SocketAddr) -> hyper::Result<Connection>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let alive = CancellationToken::new();
        let executor = WhileAlive(alive.clone());
        let (mut sender, connection) = http2::Builder::new(executor.clone())
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(self.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_EVERY)
            .handshake(io)
            .await?;
        executor.execute(async move {
            let _ = connection.await;
        });
        sender.ready().await?;
        Ok(Connection {
            sender: Sender::Http2(sender),
            peer,
            made: Instant::now(),
            alive: Arc::new(alive.drop_guard()),
        })
    }
}

type Answering<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + Send + 'a>>;

impl Connection {
    pub(crate) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) const fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    pub(crate) const fn made(&self) -> Instant {
        self.made
    }

    /// Whether the next request can be handed over at once.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    pub(crate) async fn ready(&mut self) -> hyper::Result<()> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await,
            Sender::Http2(sender) => sender.ready().await,
        }
    }

    /// Hands a request over. An error that gives it back is certain: no byte of it left.
    pub(crate) fn send(&mut self, mut request: Request<Body>, target: &Target) -> Answering<'_> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                *request.uri_mut() = target.path();
                request.headers_mut().insert(HOST, target.host_header());
                Box::pin(sender.try_send_request(request))
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = target.uri().clone();
                request.headers_mut().remove(HOST);
                Box::pin(sender.try_send_request(request))
            }
        }
    }

    /// Another handle to the same connection, where many requests share it.
    pub(crate) fn share(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else { return None };
        Some(Self {
            sender: Sender::Http2(sender.clone()),
            peer: self.peer,
            made: self.made,
            alive: Arc::clone(&self.alive),
        })
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.alive, &other.alive)
    }
}
