//! Writes every page, in its states, as a file, with the assets beside them:
//! `cargo run -p chancery-pages --example gallery -- DIR`, then open `DIR/index.html`.

use std::path::Path;

mod samples;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| std::io::Error::other("usage: gallery DIR"))?;
    samples::write(Path::new(&folder))
}
