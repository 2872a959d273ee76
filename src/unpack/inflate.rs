//! Deflate (RFC 1951) out of a slice, with the sizes and checksums counted by us.

use std::cell::RefCell;
use std::io;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::problem::{Code, Refusal};

thread_local! {
    /// Decoders that are not in use. Making one costs as much as unpacking a small report.
    static IDLE: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

/// A deflate stream that is being unpacked.
pub(super) struct Inflate {
    /// Taken out on drop only.
    decoder: Option<Decompress>,
    crc: Crc,
    /// Bytes of input used.
    pub used: usize,
    /// Bytes of output made.
    pub made: u64,
    /// The final block has been read.
    pub ended: bool,
}

impl Inflate {
    pub fn new() -> Self {
        let decoder = IDLE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Decompress::new(false));
        let mut inflate = Inflate { decoder: Some(decoder), crc: Crc::new(), used: 0, made: 0, ended: false };
        inflate.restart();
        inflate
    }

    /// Begins another stream.
    pub fn restart(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.reset(false);
        }
        self.crc.reset();
        (self.used, self.made, self.ended) = (0, 0, false);
    }

    /// CRC-32 of all output.
    pub fn crc(&self) -> u32 {
        self.crc.sum()
    }

    /// Unpacks from `input` (the whole stream, each time) into `out`; 0 bytes mean the end.
    pub fn read(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(0);
        };
        while !self.ended && !out.is_empty() {
            let rest = input.get(self.used..).unwrap_or_default();
            let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
            let status = decoder.decompress(rest, out, FlushDecompress::None);
            let used = (decoder.total_in() - before_in) as usize;
            let made = (decoder.total_out() - before_out) as usize;
            self.used += used;
            self.made += made as u64;
            self.crc.update(&out[..made.min(out.len())]);
            self.ended = matches!(status, Ok(Status::StreamEnd));
            // Bytes that came out before an error are handed over first: the error comes again.
            if made > 0 {
                return Ok(made);
            }
            match status {
                Err(_) => {
                    let reason = format!("byte {} of the deflate stream: invalid", self.used);
                    return Err(refuse(Code::Corrupt, reason));
                }
                Ok(_) if !self.ended && used == 0 => {
                    let reason = format!("the deflate stream ends after {} bytes, before its last block", input.len());
                    return Err(refuse(Code::Truncated, reason));
                }
                Ok(_) => {}
            }
        }
        Ok(0)
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        const KEPT: usize = 4;
        if let Some(decoder) = self.decoder.take() {
            // While a thread ends, its store may be gone before this value.
            let _ = IDLE.try_with(|idle| {
                let mut idle = idle.borrow_mut();
                if idle.len() < KEPT {
                    idle.push(decoder);
                }
            });
        }
    }
}

/// A reading error that carries a refusal.
pub(super) fn refuse(code: Code, reason: impl Into<String>) -> io::Error {
    io::Error::other(Refusal::new(code, reason))
}
