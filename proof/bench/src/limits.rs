//! What the machine allows, measured now: the figures that ours are compared with.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use chancery_crypto::{Algorithm, SigningKey};

/// Limits of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bare RSA-2048 signatures a second on one core.
    pub(crate) rsa_per_second: f64,
    /// Bare ES256 signatures a second on one core.
    pub(crate) es256_per_second: f64,
    /// Median time of an 8 KiB append with `fdatasync`.
    pub(crate) fsync: Duration,
}

const TIME: Duration = Duration::from_secs(2);

/// Measures them.
pub(crate) fn measure() -> anyhow::Result<Limits> {
    Ok(Limits {
        rsa_per_second: signatures(Algorithm::Rs256)?,
        es256_per_second: signatures(Algorithm::Es256)?,
        fsync: fsync()?,
    })
}

fn signatures(algorithm: Algorithm) -> anyhow::Result<f64> {
    let key = SigningKey::generate(algorithm)?;
    let message = [7; 700];
    let (started, mut done) = (Instant::now(), 0_u32);
    while started.elapsed() < TIME {
        key.sign(&message)?;
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

fn fsync() -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("probe"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
