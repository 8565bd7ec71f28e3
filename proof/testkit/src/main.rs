//! `chancery-testkit start|stop`: the Postgres that the tests share.

use std::io::Write;

use chancery_testkit::TestPostgres;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match std::env::args().nth(1).as_deref() {
        Some("start") => {
            TestPostgres::start().await?;
            writeln!(out, "the test Postgres is running")?;
        }
        Some("stop") => {
            TestPostgres::stop().await?;
            writeln!(out, "the test Postgres is stopped")?;
        }
        _ => anyhow::bail!("usage: chancery-testkit start|stop"),
    }
    Ok(())
}
