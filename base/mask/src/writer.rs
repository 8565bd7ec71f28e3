//! Masking a stream: what logs, panics and others write.

use std::io::{self, ErrorKind, Write};

use crate::scan::Scanner;
use crate::span::Span;

/// As much of a line is held at most, in bytes. A longer one is masked in windows of that size.
const WINDOW: usize = 64 * 1024;
/// How much of a window is searched again with the next: nothing shorter is missed at an edge.
const OVERLAP: usize = 16 * 1024;
/// How much of what was written is kept to be looked back at, for names and the edges of words.
const CONTEXT: usize = 256;

/// A writer that masks what is written through it, line by line, and hands it on.
///
/// A line is held until its end; so it does not matter in what pieces it comes. A line longer than 64 KiB
/// is masked in windows that overlap, by the same bytes however they come. What is not UTF-8 is handed on
/// as it is. Nothing is lost when the inner writer fails: what it did not take is written again first.
///
/// `flush` hands on the incomplete line too, masked as far as it goes. What was found to reach its end
/// goes on with what comes next; what a flush cuts before it can be told is not found. So flush at the
/// ends of lines.
///
/// # Errors
/// Those of the inner writer. An error of `write` means that nothing of the buffer was taken.
pub struct MaskWriter<W: Write> {
    /// There until [`MaskWriter::into_inner`] takes it.
    inner: Option<W>,
    scanner: Scanner,
    /// The line so far, or its last window.
    line: Vec<u8>,
    /// How much of `line` is only there to be looked back at.
    done: usize,
    /// The last line's end, held back because a PEM block may go on behind it.
    owes_line_end: bool,
    /// Masked, for the inner writer.
    masked: Vec<u8>,
    /// How much of it the inner writer took.
    written: usize,
    window: usize,
    overlap: usize,
}

impl<W: Write> MaskWriter<W> {
    /// Masks what goes to `inner`.
    pub const fn new(inner: W) -> Self {
        Self::with_windows(inner, WINDOW, OVERLAP)
    }

    const fn with_windows(inner: W, window: usize, overlap: usize) -> Self {
        Self {
            inner: Some(inner),
            scanner: Scanner::new(),
            line: Vec::new(),
            done: 0,
            owes_line_end: false,
            masked: Vec::new(),
            written: 0,
            window,
            overlap,
        }
    }

    /// The inner writer, after all that is held was handed on to it.
    ///
    /// # Errors
    /// Those of the inner writer; it is dropped then.
    pub fn into_inner(mut self) -> io::Result<W> {
        self.flush()?;
        self.inner.take().ok_or_else(|| io::Error::from(ErrorKind::NotConnected))
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let line_end = memchr::memchr(b'\n', rest);
            let piece = line_end.unwrap_or(rest.len()).min(self.window - self.line.len());
            let (taken, left) = rest.split_at_checked(piece).unwrap_or((rest, &[]));
            self.line.extend_from_slice(taken);
            rest = left;
            if line_end == Some(piece) {
                self.end_line();
                rest = rest.get(1..).unwrap_or_default();
            } else if self.line.len() >= self.window {
                self.end_window();
            }
        }
    }

    fn end_line(&mut self) {
        self.scanner.scan(&self.line, self.done);
        self.emit(self.line.len());
        self.line.clear();
        self.done = 0;
        if self.scanner.end_line() {
            self.owes_line_end = true;
        } else {
            self.masked.push(b'\n');
        }
    }

    /// Hands on the part of a full window whose end the rest of it can't change.
    fn end_window(&mut self) {
        self.scanner.scan(&self.line, self.done);
        let middle = self.window - self.overlap;
        let across = self.scanner.spans().iter().find(|span| span.start < middle && middle < span.end);
        let cut = across.map_or(middle, |span| span.end);
        if cut < self.line.len() {
            self.scanner.forget();
        }
        self.emit(cut);
        self.keep_context(cut);
    }

    /// Masks the line up to `cut`, which no span crosses.
    fn emit(&mut self, cut: usize) {
        let spans = self.scanner.spans();
        let goes_on = matches!(spans.first(), Some(Span { kind: None, .. }));
        if std::mem::take(&mut self.owes_line_end) && !goes_on {
            self.masked.push(b'\n');
        }
        let mut copied = self.done;
        for span in spans.iter().take_while(|span| span.end <= cut) {
            self.masked.extend_from_slice(self.line.get(copied..span.start).unwrap_or_default());
            self.masked.extend_from_slice(span.kind.map_or("", |kind| kind.word()).as_bytes());
            copied = span.end;
        }
        self.masked.extend_from_slice(self.line.get(copied..cut).unwrap_or_default());
    }

    /// Keeps what stands before `cut`, but nothing that was masked.
    fn keep_context(&mut self, cut: usize) {
        let masked = self.scanner.spans().iter().map(|span| span.end).filter(|end| *end <= cut).max();
        let dropped = cut.saturating_sub(CONTEXT).max(masked.unwrap_or(0));
        self.line.drain(..dropped);
        self.done = cut - dropped;
    }

    /// Hands on what is masked, as much as the inner writer takes.
    fn drain(&mut self) -> io::Result<()> {
        while let (Some(inner), Some(rest)) = (&mut self.inner, self.masked.get(self.written..))
            && !rest.is_empty()
        {
            match inner.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.masked.clear();
        self.written = 0;
        Ok(())
    }
}

impl<W: Write> Write for MaskWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.drain()?;
        // No more at once than a window, so that what is held stays bounded.
        let count = bytes.len().min(self.window);
        self.take(bytes.get(..count).unwrap_or_default());
        // They are taken: an error that stays is reported by the next call.
        let _ = self.drain();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()?;
        if self.done < self.line.len() {
            self.scanner.scan(&self.line, self.done);
            self.emit(self.line.len());
            self.keep_context(self.line.len());
        } else if std::mem::take(&mut self.owes_line_end) {
            self.masked.push(b'\n');
        }
        self.drain()?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for MaskWriter<W> {
    fn drop(&mut self) {
        // As `std::io::BufWriter`: whoever wants to know flushes.
        let _ = self.flush();
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
