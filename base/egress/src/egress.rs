//! The way out, hop by hop.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::body::{self, Encoding};
use crate::check::Report;
use crate::connection::{Body, Connection, Wire};
use crate::dial::Dialer;
use crate::failure::{Cause, Failure, Phase, Refusal, SetupError};
use crate::outgoing::{Answer, Outgoing, Permit};
use crate::pool::{Key, Pool, PoolLimits};
use crate::progress::Progress;
use crate::redirect;
use crate::resolve::Resolver;
use crate::rules::{Reach, Rules};
use crate::target::Target;
use crate::tls;

/// How the way out is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What may be reached.
    pub rules: Rules,
    /// The name servers to ask; the system's, and its hosts file, where there are none.
    pub name_servers: Vec<SocketAddr>,
    /// Certificate authorities to trust beside the system's, in PEM.
    pub extra_roots_pem: Vec<u8>,
    /// The connections that wait.
    pub pool: PoolLimits,
    /// The most bytes of an answer's head.
    pub head_bytes: usize,
    /// The most lines of an answer's head.
    pub head_lines: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            name_servers: Vec::new(),
            extra_roots_pem: Vec::new(),
            pool: PoolLimits::default(),
            head_bytes: 32 * 1024,
            head_lines: 100,
        }
    }
}

/// The way out. Clones share its connections; another one, with other rules, shares none.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    pool: Arc<Pool>,
    head_bytes: usize,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Egress(..)")
    }
}

impl Egress {
    /// Sets it up. No proxy that the environment names is used.
    ///
    /// # Errors
    /// When the operator's certificates do not read, or the resolver or TLS can't be set up.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let Settings { rules, name_servers, extra_roots_pem, pool, head_bytes, head_lines } = settings;
        let dialer = Dialer {
            rules: Arc::new(rules),
            resolver: Resolver::new(&name_servers)?,
            tls: tls::connector(&extra_roots_pem)?,
            wire: Wire { head_bytes, head_lines },
        };
        Ok(Self(Arc::new(Inner { dialer, pool: Pool::new(pool), head_bytes })))
    }

    /// Sends a request, follows where it is led as far as `permit` lets it, and reads the answer whole.
    /// Dropping the future closes what it used.
    ///
    /// # Errors
    /// See [`Failure`]. A status of 400 and more is an answer.
    pub async fn send(&self, request: Outgoing, permit: &Permit) -> Result<Answer, Failure> {
        let progress = Progress::default();
        let deadline = Instant::now() + permit.limits.total;
        match timeout_at(deadline, self.0.follow(request, permit, deadline, &progress)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(progress.fail(Cause::TimedOut(progress.phase()))),
        }
    }

    /// Says whether a URL may be asked for, and why not, without asking for it: its name is resolved,
    /// and nothing is connected to. `until` bounds the resolution.
    pub async fn check(&self, url: &str, reach: Reach, until: Instant) -> Report {
        let target = match Target::parse(url) {
            Ok(target) => target,
            Err(error) => return Report::refused(None, Refusal::Target(error)),
        };
        match timeout_at(until, self.0.dialer.admit(&target, reach)).await {
            Ok(Ok(places)) => Report::allowed(target, places),
            Ok(Err(Cause::Refused(refusal))) => Report::refused(Some(target), refusal),
            Ok(Err(cause)) => Report::unknown(target, &cause),
            Err(_) => Report::unknown(target, &Cause::TimedOut(Phase::Resolve)),
        }
    }
}

impl Inner {
    async fn follow(
        &self,
        mut request: Outgoing,
        permit: &Permit,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Answer, Failure> {
        let mut followed = 0;
        loop {
            let hop = Hop { request: &request, permit, deadline, progress };
            let (connection, key, answer) = self.exchange(hop).await?;
            if permit.redirects == 0 || !redirect::is_redirect(answer.status()) {
                return self.finish(hop, connection, key, answer, followed).await;
            }
            // Its body is not read: the connection goes with it.
            self.pool.forget(&key, &connection);
            let to = redirect::destination(&request.target, answer.headers())
                .map_err(|refusal| progress.fail(refusal))?;
            let status = answer.status();
            drop((connection, answer));
            if followed == permit.redirects {
                return Err(progress.fail(Refusal::Redirects(permit.redirects)));
            }
            followed += 1;
            request = redirect::follow(request, status, to);
        }
    }

    /// One hop: judged, sent, and answered with a head.
    async fn exchange(&self, hop: Hop<'_>) -> Result<(Connection, Key, Response<Incoming>), Failure> {
        let Hop { request, permit, deadline, progress } = hop;
        let target = &request.target;
        request.check().map_err(|refusal| progress.fail(refusal))?;
        if !permit.pins.take(target) {
            return Err(progress.fail(Refusal::NotPinned));
        }
        let key = Key::new(permit.pool, permit.reach, target);
        let mut message = request.message();
        loop {
            let waiting = self.pool.take(&key);
            let is_reused = waiting.is_some();
            let mut connection = match waiting {
                Some(connection) => connection,
                None => {
                    let until = deadline.min(Instant::now() + permit.limits.connect);
                    let dialed = self.dialer.dial(target, permit.reach, until, progress).await;
                    dialed.map_err(|cause| progress.fail(cause))?
                }
            };
            let before = progress.sent();
            progress.hand_over();
            let until = deadline.min(Instant::now() + permit.limits.head);
            match timeout_at(until, connection.send(message, target)).await {
                Err(_) => {
                    self.pool.forget(&key, &connection);
                    return Err(progress.fail(Cause::TimedOut(Phase::Head)));
                }
                Ok(Ok(answer)) => return Ok((connection, key, answer)),
                Ok(Err(mut error)) => {
                    self.pool.forget(&key, &connection);
                    // hyper gives back what it has not begun to write. It waited on a connection that
                    // the other side closed meanwhile: then, and only then, another may have it.
                    let untouched = error.take_message();
                    if untouched.is_some() {
                        progress.take_back(before);
                    }
                    match untouched {
                        Some(untouched) if is_reused => message = untouched,
                        _ => return Err(progress.fail(Cause::of_sending(error.into_error()))),
                    }
                }
            }
        }
    }

    async fn finish(
        &self,
        hop: Hop<'_>,
        connection: Connection,
        key: Key,
        answer: Response<Incoming>,
        redirects: u8,
    ) -> Result<Answer, Failure> {
        let Hop { permit, progress, .. } = hop;
        progress.enter(Phase::Body);
        let (head, incoming) = answer.into_parts();
        let mut headers = head.headers;
        let outcome = self.read(&headers, incoming, permit.limits.body_bytes).await;
        let (encoding, body) = match outcome {
            Ok(read) => read,
            Err(cause) => {
                self.pool.forget(&key, &connection);
                return Err(progress.fail(cause));
            }
        };
        if encoding != Encoding::Plain {
            headers.remove(header::CONTENT_ENCODING);
            headers.remove(header::CONTENT_LENGTH);
        }
        let (peer, method) = (connection.peer(), hop.request.method.clone());
        self.keep(key, connection);
        Ok(Answer { status: head.status, headers, body, peer, method, redirects })
    }

    async fn read(
        &self,
        headers: &http::HeaderMap,
        incoming: Incoming,
        limit: usize,
    ) -> Result<(Encoding, bytes::Bytes), Cause> {
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > self.head_bytes {
            return Err(Cause::HeadTooLarge);
        }
        let encoding = Encoding::of(headers)?;
        Ok((encoding, body::read(incoming, encoding, limit).await?))
    }

    /// Lets a connection wait for its next request. Where its task has not seen the end of the answer
    /// yet, that is awaited apart from the caller.
    fn keep(&self, key: Key, mut connection: Connection) {
        if connection.is_ready() {
            self.pool.give(key, connection);
            return;
        }
        let pool = Arc::clone(&self.pool);
        tokio::spawn(async move {
            let until = Instant::now() + pool.idle();
            if let Ok(Ok(())) = timeout_at(until, connection.ready()).await {
                pool.give(key, connection);
            }
        });
    }
}

/// One request of the chain of redirects.
#[derive(Clone, Copy)]
struct Hop<'a> {
    request: &'a Outgoing,
    permit: &'a Permit,
    deadline: Instant,
    progress: &'a Progress,
}

impl Outgoing {
    fn message(&self) -> Request<Body> {
        let mut message = Request::new(Full::new(self.body.clone()));
        *message.method_mut() = self.method.clone();
        let headers = message.headers_mut();
        headers.reserve(self.headers.len() + self.credential_headers.len() + 2);
        for (name, value) in self.headers.iter().chain(&self.credential_headers) {
            headers.append(name.clone(), value.clone());
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        message
    }
}
