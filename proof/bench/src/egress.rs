//! What the guarded way out costs a request, and what it lets an upstream cost.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use chancery_egress::{
    Egress, FailureKind, Limits, Outgoing, Permit, Pins, PoolKey, Reach, Rules, Settings, Target,
};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Its name.
pub(crate) const NAME: &str = "egress guard";

const TURNS: usize = 10;
const OF_TURN: usize = 2_000;
const MIB: usize = 1 << 20;
const DEADLINE: Duration = Duration::from_millis(500);

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// The median time of a request through a plain client, in microseconds.
    pub(crate) plain_micros: f64,
    /// The same through the guard.
    pub(crate) guarded_micros: f64,
    /// What an answer of 400 MiB took of memory beyond the limit of 1 MiB, in bytes.
    pub(crate) beyond_limit_bytes: usize,
    /// After how long an answer that drips was ended, whose deadline is half a second.
    pub(crate) ended_after: Duration,
}

/// Measures on loopback, the plain client and the guard in turns, one request at a time.
pub(crate) async fn measure() -> anyhow::Result<Guard> {
    let loopback = || Ok::<_, anyhow::Error>(vec!["127.0.0.1".parse()?]);
    let rules = Rules { allow: loopback()?, allow_plain_http: loopback()?, ..Rules::default() };
    let egress = Egress::new(Settings { rules, ..Settings::default() })?;
    let plain: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("http://{}/", serve(answer_all)?);
    let (mut direct, mut guarded) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        for _ in 0..OF_TURN {
            let started = Instant::now();
            let answer = plain.get(url.parse()?).await?;
            ensure!(answer.into_body().collect().await?.to_bytes().len() == 2, "another answer");
            if turn > 0 {
                direct.push(started.elapsed());
            }
        }
        for _ in 0..OF_TURN {
            let started = Instant::now();
            let answer = egress.send(request(&url)?, &permit(Limits::default())).await?;
            ensure!(answer.body.len() == 2, "another answer");
            if turn > 0 {
                guarded.push(started.elapsed());
            }
        }
    }
    Ok(Guard {
        plain_micros: median(direct),
        guarded_micros: median(guarded),
        beyond_limit_bytes: flooded(&egress).await?,
        ended_after: dripped(&egress).await?,
    })
}

fn request(url: &str) -> anyhow::Result<Outgoing> {
    Ok(Outgoing {
        method: Method::GET,
        target: Target::parse(url)?,
        headers: HeaderMap::new(),
        credential_headers: HeaderMap::new(),
        body: Bytes::new(),
    })
}

fn permit(limits: Limits) -> Permit {
    let pool = PoolKey { organization: 1, policy: 1 };
    Permit { pool, reach: Reach::Allowed, pins: Pins::unbound(), limits, redirects: 0 }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1_000_000.0
}

async fn flooded(egress: &Egress) -> anyhow::Result<usize> {
    let url = format!("http://{}/", serve(flood)?);
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = peak()?;
    let limits = Limits { body_bytes: MIB, ..Limits::default() };
    let outcome = egress.send(request(&url)?, &permit(limits)).await;
    let failure = outcome.err().context("400 MiB were taken")?;
    ensure!(failure.kind() == FailureKind::TooLarge, "{}", failure.cause());
    Ok(peak()?.saturating_sub(before).saturating_sub(MIB))
}

async fn dripped(egress: &Egress) -> anyhow::Result<Duration> {
    let url = format!("http://{}/", serve(drip)?);
    let limits = Limits { total: DEADLINE, ..Limits::default() };
    let started = Instant::now();
    let outcome = egress.send(request(&url)?, &permit(limits)).await;
    let failure = outcome.err().context("a drip was an answer")?;
    ensure!(failure.kind() == FailureKind::TimedOut, "{}", failure.cause());
    Ok(started.elapsed())
}

/// The most memory that the process has held since it was told to forget.
fn peak() -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kilobytes: usize = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kilobytes * 1024)
}

/// Serves each connection on a thread until it ends.
fn serve(answer: fn(TcpStream) -> std::io::Result<()>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // However it ends, the measurement knows.
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // A request is small and comes in one piece.
    while stream.read(&mut [0; 4096])? > 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
    }
    Ok(())
}

fn flood(mut stream: TcpStream) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?;
    write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let piece = [b'x'; MIB / 16];
    (0..400 * 16).try_for_each(|_| {
        write!(stream, "{:x}\r\n", piece.len())?;
        stream.write_all(&piece)?;
        stream.write_all(b"\r\n")
    })
}

fn drip(mut stream: TcpStream) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
    loop {
        stream.write_all(b"x")?;
        std::thread::sleep(Duration::from_millis(10));
    }
}
