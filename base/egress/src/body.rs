//! Reading a body under its limits.

use std::io::{self, Write};

use bytes::{Buf as _, Bytes};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::failure::Cause;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Gzip,
    Deflate,
}

impl Encoding {
    /// What a head says. Packed twice is packed to deceive.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Cause> {
        let mut said = headers.get_all(header::CONTENT_ENCODING).iter();
        let (first, second) = (said.next(), said.next());
        let Some(first) = first else { return Ok(Self::Plain) };
        let text = first.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        match (text.as_str(), second) {
            ("" | "identity", None) => Ok(Self::Plain),
            ("gzip" | "x-gzip", None) => Ok(Self::Gzip),
            ("deflate", None) => Ok(Self::Deflate),
            _ => Err(Cause::Encoding("its encoding is not one that was asked for")),
        }
    }
}

/// Reads a body to its end. At the limit it stops, having held no more than the limit and a buffer,
/// whatever is still to come.
pub(crate) async fn read(mut body: Incoming, encoding: Encoding, limit: usize) -> Result<Bytes, Cause> {
    let too_large = || Cause::BodyTooLarge { limit };
    // What is announced need not be waited for.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut unpacking = Unpacking::new(encoding, Kept { bytes: Vec::new(), limit });
    let mut on_the_wire = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Cause::of_reading)?;
        let Ok(mut data) = frame.into_data() else { continue };
        on_the_wire = on_the_wire.saturating_add(data.len());
        if on_the_wire > limit {
            return Err(too_large());
        }
        while data.has_remaining() {
            unpacking.write(data.chunk()).map_err(|error| unpacking_failed(&error, limit))?;
            data.advance(data.chunk().len());
        }
    }
    // A body that is not there is not packed either: the answer to HEAD, or 304.
    if on_the_wire == 0 {
        return Ok(Bytes::new());
    }
    let kept = unpacking.finish().map_err(|error| unpacking_failed(&error, limit))?;
    Ok(kept.bytes.into())
}

fn unpacking_failed(error: &io::Error, limit: usize) -> Cause {
    if error.kind() == io::ErrorKind::FileTooLarge {
        Cause::BodyTooLarge { limit }
    } else {
        Cause::Encoding("it is broken or cut short")
    }
}

enum Unpacking {
    Plain(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
    Deflate(Box<ZlibDecoder<Kept>>),
}

impl Unpacking {
    fn new(encoding: Encoding, kept: Kept) -> Self {
        match encoding {
            Encoding::Plain => Self::Plain(kept),
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(kept))),
            Encoding::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(kept))),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(kept) => kept.write_all(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes),
            Self::Deflate(decoder) => decoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Kept> {
        match self {
            Self::Plain(kept) => Ok(kept),
            Self::Gzip(decoder) => decoder.finish(),
            Self::Deflate(decoder) => decoder.finish(),
        }
    }
}

/// What was unpacked, up to a limit.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Kept {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let needed = self.bytes.len().saturating_add(more.len());
        if needed > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if needed > self.bytes.capacity() {
            // Doubles, but never reserves beyond the limit.
            let capacity = self.bytes.capacity().saturating_mul(2).clamp(needed, self.limit);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
