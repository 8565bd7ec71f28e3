//! Fetches a URL as a stranger's would be fetched: `cargo run -p chancery-egress --example fetch -- URL`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use bytes::Bytes;
use chancery_egress::{Egress, Limits, Outgoing, Permit, Pin, Pins, PoolKey, Reach, Settings, Target};
use http::{HeaderMap, Method};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: fetch URL")?;
    let egress = Egress::new(Settings::default())?;
    let target = Target::parse(&url)?;
    let permit = Permit {
        pool: PoolKey { organization: 1, policy: 0 },
        reach: Reach::Public,
        pins: Pins::to([Pin::of(&target)]),
        limits: Limits::default(),
        redirects: 3,
    };
    let request = Outgoing {
        method: Method::GET,
        target,
        headers: HeaderMap::new(),
        credential_headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    match egress.send(request, &permit).await {
        Ok(answer) => println!("{} from {}: {} bytes", answer.status, answer.peer, answer.body.len()),
        Err(failure) => println!("{failure} ({}; sent: {:?})", failure.cause(), failure.sent()),
    }
    Ok(())
}
