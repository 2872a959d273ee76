//! Containers and the documents in them.

mod containers;
mod corpus;

use std::io::Write;

use ::zip::CompressionMethod;

const REPORT: &[u8] = b"<?xml version=\"1.0\"?>\n<feedback><report_metadata/></feedback>\n";

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Some members: name, method, content.
fn zipped(members: &[(&str, CompressionMethod, &[u8])]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, method, content) in members {
        let options = ::zip::write::SimpleFileOptions::default().compression_method(*method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Numbers that are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound.max(1)
    }
}

/// Bytes that do not pack, and look like nothing.
fn noise(length: usize) -> Vec<u8> {
    let mut chance = Chance(0x5EED);
    let mut bytes: Vec<u8> = (0..length).map(|_| chance.next() as u8).collect();
    bytes.iter_mut().take(4).for_each(|byte| *byte = 0);
    bytes
}
