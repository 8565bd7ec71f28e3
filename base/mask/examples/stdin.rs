//! Masks standard input: `journalctl | cargo run -p chancery-mask --example stdin`.

use std::io;

use chancery_mask::MaskWriter;

fn main() -> io::Result<()> {
    let mut masked = MaskWriter::new(io::stdout().lock());
    io::copy(&mut io::stdin().lock(), &mut masked)?;
    masked.into_inner().map(drop)
}
