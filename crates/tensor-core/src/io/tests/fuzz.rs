//! Real files, damaged at random: the answer is an array or an error that names the file, within bounded memory.
//!
//! The damage is drawn from a fixed seed; TAPEGRAD_FUZZ sets how many files of each format are tried.

use super::bounded::largest_request;
use super::*;
use crate::error::{Error, ErrorKind};
use crate::io::*;
use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::io::{Cursor, Write};

/// Far less than a damaged length can claim.
const BOUND: usize = 4 << 20;

/// Numbers that lengths, counts and offsets go wrong at.
const EDGES: [u64; 10] = [0, 1, 7, 0x7f, 0xff, 0xffff, 1 << 31, u32::MAX as u64, 1 << 60, u64::MAX];

/// Texts that headers go wrong at.
const WORDS: [&[u8]; 14] = [
    b"1152921504606846976", b"18446744073709551616", b"-1", b"((((((((", b"[[[[[[[[", b"{\"x\":",
    b"'shape': ", b"True", b">i2", b"|b1", b"\"BOOL\"", b"\xff\xfe", b"nan", b"\"",
];

fn damage(file: &mut Vec<u8>, rng: &mut SmallRng) {
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..=file.len());
        let end = file.len().min(at + rng.random_range(0..16));
        match rng.random_range(0..7) {
            0 if at < file.len() => file[at] ^= 1 << rng.random_range(0..8),
            1 if at < file.len() => file[at] = rng.random(),
            2 => {
                let width = [1, 2, 4, 8][rng.random_range(0..4)];
                let edge = EDGES[rng.random_range(0..EDGES.len())].to_le_bytes();
                file.iter_mut().skip(at).zip(&edge[..width]).for_each(|(b, e)| *b = *e);
            }
            3 => drop(file.splice(at..end, WORDS[rng.random_range(0..WORDS.len())].iter().copied())),
            4 => drop(file.drain(at..end)),
            5 => {
                let part = file[at..end].to_vec();
                file.splice(at..at, part);
            }
            _ => file.truncate(at.max(file.len() / 2)),
        }
    }
}

/// Damages one of `files` again and again; `read` gives the number of elements that came out.
fn try_damaged(files: &[Vec<u8>], read: impl Fn(&[u8], &mut SmallRng) -> Result<usize, Error>) {
    let tries = std::env::var("TAPEGRAD_FUZZ").map_or(20_000, |n| n.parse().expect("a number"));
    let mut rng = SmallRng::seed_from_u64(7);
    let mut accepted = 0;
    for _ in 0..tries {
        let mut file = files[rng.random_range(0..files.len())].clone();
        damage(&mut file, &mut rng);
        let (answer, largest) = largest_request(|| read(&file, &mut rng));
        assert!(largest < BOUND, "{largest} bytes at once for {file:?}");
        match answer {
            // Elements take at least a bit each, packed as well as can be.
            Ok(elements) => {
                accepted += 1;
                assert!(elements <= 8192 * file.len(), "{elements} elements of {file:?}");
            }
            Err(e) => {
                assert!(matches!(e.kind(), ErrorKind::File | ErrorKind::OutOfMemory { .. }), "{e:?}");
                assert!(e.to_string().contains("the file"), "{e}");
            }
        }
    }
    // A damaged element is still a number: were every file refused, little would have been tried.
    assert!(tries < 1000 || (accepted > 0 && accepted < tries), "{accepted} of {tries} accepted");
}

fn npy_files() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for x in samples() {
        let mut file = Vec::new();
        npy::write(&x, &mut file).unwrap();
        files.push(file);
    }
    files.push(npy_of(">f4", "(2,)", &[0x3f; 8]));
    files.push(npy_of("<f2", "(2, 2)", &[0x3c; 8]));
    files.push(npy_of("|u1", "(8,)", &[200; 8]));
    files
}

fn elements(arrays: BTreeMap<String, AnyArray>) -> usize {
    arrays.values().map(AnyArray::numel).sum()
}

#[test]
fn damaged_npy() {
    try_damaged(&npy_files(), |file, _| {
        let len = file.len() as u64;
        npy::read::<AnyArray>(&mut &file[..], len, len, named()).map(|x| x.numel())
    });
}

#[test]
fn damaged_npz() {
    let scratch = Scratch::new();
    let path = scratch.path("x");
    let mut files = Vec::new();
    let samples = samples();
    for (i, part) in samples.chunks(3).enumerate() {
        let arrays = part.iter().enumerate().map(|(k, x)| (format!("é{k}"), x.clone())).collect();
        let compression = [Compression::Stored, Compression::Deflated][i % 2];
        save_npz(&path, &arrays, compression).unwrap();
        files.push(std::fs::read(&path).unwrap());
    }
    let inner = npy_files();
    try_damaged(&files, |file, rng| {
        // Half of them are archives in order, of a damaged .npy: the checksum would stop most of the others.
        let mut whole = file.to_vec();
        if rng.random() {
            let mut entry = inner[rng.random_range(0..inner.len())].clone();
            damage(&mut entry, rng);
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            let stored = SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Stored);
            zip.start_file("x.npy", stored).unwrap();
            zip.write_all(&entry).unwrap();
            whole = zip.finish().unwrap().into_inner();
        }
        let len = whole.len() as u64;
        npz::read_all(Cursor::new(whole), len, named()).map(elements)
    });
}

#[test]
fn damaged_safetensors() {
    let scratch = Scratch::new();
    let path = scratch.path("x");
    let mut files = Vec::new();
    for part in samples().chunks(3) {
        let arrays = part.iter().enumerate().map(|(k, x)| (format!("é{k}"), x.clone())).collect();
        let texts = BTreeMap::from([("format".to_string(), "pt".to_string())]);
        save_safetensors(&path, &arrays, &texts).unwrap();
        files.push(std::fs::read(&path).unwrap());
    }
    try_damaged(&files, |file, _| {
        let len = file.len() as u64;
        super::super::safetensors::read_all(&mut Cursor::new(file), len, named()).map(elements)
    });
}

#[test]
fn damaged_csv() {
    let files: Vec<Vec<u8>> =
        ["1,2.5,-3\n4,1e5,nan\n", "0.1\n\"2\"\r\n-inf\n", "", "7, 8\n\n9, 10\n", "# a\n 1.5D+03  2,\t# b\n"]
            .map(|text| text.as_bytes().repeat(4))
            .to_vec();
    try_damaged(&files, |file, rng| {
        let options = CsvOptions {
            skip_rows: rng.random_range(0..2),
            delimiter: if rng.random() { b',' } else { CsvOptions::WHITESPACE },
            comments: rng.random::<bool>().then_some('#'),
            empty: rng.random::<bool>().then_some(f64::NAN),
        };
        match rng.random() {
            true => csv::read::<f64>(file, &options, named()).map(|x| x.numel()),
            false => csv::read::<i64>(file, &options, named()).map(|x| x.numel()),
        }
    });
}
