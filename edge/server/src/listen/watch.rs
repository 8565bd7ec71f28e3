//! What a connection does, and when it has done nothing for too long.
//!
//! One rule for all protocols, and for none yet: a connection that asks for nothing, or does not take what
//! it asked for, is let go of. Neither hyper nor hyper-util has it: there the first bytes of a connection
//! may take forever, and so may an HTTP/2 connection without a request, whatever else it sends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection has done.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// How often a request began or ended.
    turns: AtomicU64,
    /// Requests without an answer yet: how long that takes is for the server to bound.
    unanswered: AtomicUsize,
    /// Bytes of the answers' bodies.
    owed: AtomicU64,
    /// Bytes the client has taken. Heads count too, so what is owed is never more than what is missing.
    taken: AtomicU64,
}

impl Activity {
    /// A request begins; it ends when the value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Turn {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }

    /// Returns when the connection has been silent for `time`, and at most twice that. Silent is a
    /// connection without a request in that time, unless it took `least` bytes of an earlier answer: what
    /// else it sent and took (pings, settings, half a head) is no life.
    pub(super) async fn silence(&self, time: Duration, least: u64) {
        let mut before = self.so_far();
        loop {
            tokio::time::sleep(time).await;
            let (turns, taken) = self.so_far();
            let asks = turns != before.0 || self.unanswered.load(Ordering::Relaxed) > 0;
            let takes = self.owed.load(Ordering::Relaxed) > taken && taken - before.1 >= least;
            if !asks && !takes {
                return;
            }
            before = (turns, taken);
        }
    }

    fn so_far(&self) -> (u64, u64) {
        (self.turns.load(Ordering::Relaxed), self.taken.load(Ordering::Relaxed))
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Turn(Arc<Activity>);

impl Turn {
    /// The request was answered, with a body of so many bytes.
    pub(super) fn answered(self, bytes: u64) {
        self.0.owed.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
        self.0.turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream that tells how much of what is written to it was taken.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn took(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.activity.taken.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.took(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.took(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
