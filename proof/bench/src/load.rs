//! The load: connections that each send the next request when the last is answered.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What to send where.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `host:port`.
    pub(crate) address: String,
    /// Whole requests, taken in turn by each connection from another start.
    pub(crate) requests: Rc<Vec<Vec<u8>>>,
    /// The next request, where each may be sent once only.
    pub(crate) once: Option<Rc<Cell<usize>>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Answers with a 2xx status.
    pub(crate) good: usize,
    /// All other answers.
    pub(crate) bad: usize,
    /// How long it ran.
    pub(crate) elapsed: Duration,
    /// The time of each answer, sorted.
    pub(crate) times: Vec<Duration>,
}

impl Outcome {
    /// Good answers a second.
    #[must_use]
    pub(crate) fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.good).unwrap_or(u32::MAX)) / self.elapsed.as_secs_f64()
    }

    /// The time within which this share of answers came.
    #[must_use]
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a few million times"
        )]
        let index = (last as f64 * share) as usize;
        self.times.get(index).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.bad += other.bad;
        self.elapsed += other.elapsed;
        self.times.extend(other.times);
        self.times.sort_unstable();
    }
}

/// A second that is not counted.
async fn warm_up(target: &Target, connections: usize) -> anyhow::Result<()> {
    if target.once.is_none() {
        paced(target, connections, Duration::ZERO, Duration::from_secs(1)).await?;
    }
    Ok(())
}

/// Runs a load: a second to warm up, then `time`.
pub(crate) async fn run(target: &Target, connections: usize, time: Duration) -> anyhow::Result<Outcome> {
    warm_up(target, connections).await?;
    paced(target, connections, Duration::ZERO, time).await
}

/// Runs two loads in turns, each for `time` in all: a machine whose neighbours come and go is the same
/// for both.
pub(crate) async fn in_turns(
    targets: [&Target; 2],
    connections: usize,
    time: Duration,
) -> anyhow::Result<[Outcome; 2]> {
    const TURNS: u32 = 5;
    let mut outcomes = [Outcome::default(), Outcome::default()];
    for target in targets {
        warm_up(target, connections).await?;
    }
    for _ in 0..TURNS {
        for (outcome, target) in outcomes.iter_mut().zip(targets) {
            outcome.add(paced(target, connections, Duration::ZERO, time / TURNS).await?);
        }
    }
    Ok(outcomes)
}

/// Runs a load in which each connection pauses between an answer and its next request.
pub(crate) async fn paced(
    target: &Target,
    connections: usize,
    pause: Duration,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    for number in 0..connections {
        let target = target.clone();
        tasks.push(local.spawn_local(one(target, (number, connections), pause, started + time)));
    }
    let mut outcome = Outcome::default();
    local
        .run_until(async {
            for task in tasks {
                let (good, bad, times) = task.await??;
                outcome.good += good;
                outcome.bad += bad;
                outcome.times.extend(times);
            }
            anyhow::Ok(())
        })
        .await?;
    outcome.elapsed = started.elapsed();
    outcome.times.sort_unstable();
    Ok(outcome)
}

type Tally = (usize, usize, Vec<Duration>);

/// One connection: request `number`, then every `step`th after it.
async fn one(
    target: Target,
    (number, step): (usize, usize),
    pause: Duration,
    until: Instant,
) -> anyhow::Result<Tally> {
    let mut stream = TcpStream::connect(&target.address).await?;
    stream.set_nodelay(true)?;
    let (mut good, mut bad, mut times) = (0, 0, Vec::new());
    let mut buffer = vec![0; 64 * 1024];
    let mut next = number;
    while Instant::now() < until {
        if let Some(untaken) = &target.once {
            next = untaken.replace(untaken.get() + 1);
            if next >= target.requests.len() {
                break;
            }
        }
        let request = target.requests.get(next % target.requests.len()).context("no requests")?;
        next += step;
        let started = Instant::now();
        stream.write_all(request).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        times.push(started.elapsed());
        if (200..300).contains(&status) {
            good += 1
        } else {
            bad += 1
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    Ok((good, bad, times))
}

/// Reads one answer whole and gives its status.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<u16> {
    let mut filled = 0;
    loop {
        let space = buffer.get_mut(filled..).context("an answer larger than the buffer")?;
        let read = stream.read(space).await?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        filled += read;
        let seen = buffer.get(..filled).unwrap_or_default();
        let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(seen.get(..end).unwrap_or_default())?;
        let status = head.get(9..12).and_then(|word| word.parse().ok()).context("no status")?;
        let length: usize = head
            .lines()
            .find_map(|line| {
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            })
            .and_then(|(_, value)| value.trim().parse().ok())
            .context("no content-length")?;
        if filled >= end + 4 + length {
            return Ok(status);
        }
    }
}
