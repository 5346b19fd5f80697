//! Files that lie: each is an error that names the file and the fault, and takes no memory for what it claims.

use super::bounded::largest_request;
use super::*;
use crate::error::{Error, ErrorKind};
use crate::io::*;
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use std::collections::BTreeMap;
use std::io::{Cursor, Write};

/// More than any of these files could need, and far less than any of them claims.
const BOUND: usize = 2 << 20;

fn refused<T>(answer: Result<T, Error>, fault: &str) {
    let error = answer.err().unwrap_or_else(|| panic!("accepted; expected: {fault}"));
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::File, "{text}");
    assert!(text.contains("the file") && text.contains(fault), "{text}\nexpected: {fault}");
}

fn read_npy(file: &[u8]) -> Result<AnyArray, Error> {
    npy::read(&mut &file[..], file.len() as u64, file.len() as u64, named())
}

fn read_safetensors(file: &[u8]) -> Result<BTreeMap<String, AnyArray>, Error> {
    super::super::safetensors::read_all(&mut Cursor::new(file), file.len() as u64, named())
}

fn read_npz(file: &[u8]) -> Result<BTreeMap<String, AnyArray>, Error> {
    npz::read_all(Cursor::new(file), file.len() as u64, named())
}

#[test]
fn npy_headers_that_claim_or_nest() {
    let eight = [0; 8];
    let nested = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {}", "(".repeat(50_000));
    let many = format!("({})", "1,".repeat(65));
    let table: &[(Vec<u8>, &str)] = &[
        (vec![], "too few"),
        (b"PK\x03\x04 is another format".to_vec(), "not a .npy file"),
        (b"\x93NUMPY\x07\x00\x00\x00".to_vec(), "version 7"),
        (b"\x93NUMPY\x01\x00\xff\xffabc".to_vec(), "claims 65535 bytes"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xffabc".to_vec(), "claims 4294967295 bytes"),
        (npy_of("<f8", "(1152921504606846976,)", &eight), "cut short or damaged"),
        (npy_of("<f8", "(4294967296, 4294967296)", &eight), "more than any memory"),
        (npy_of("<f8", "(18446744073709551615, 0)", &eight), "more than any memory"),
        (npy_of("<f8", "(18446744073709551616,)", &eight), "no size"),
        (npy_of("<f8", "(-1,)", &eight), "no size"),
        (npy_of("<f8", "(1.0,)", &eight), "')' is missing"),
        (npy_of("<f8", "(2,)", &eight), "takes 16 bytes, and 8 bytes follow"),
        (npy_of("<f8", "()", &[0; 9]), "takes 8 bytes, and 9 bytes follow"),
        (npy_of("<f8", &many, &eight), "more than 64 dimensions"),
        (npy_of("<f8", "1", &eight), "'(' is missing"),
        (npy_of("<f8", "(1,", &eight), "no size"),
        (npy_of("<f8", "()} {", &eight), "follows the dictionary"),
        (npy_of("<f8", "(), 'shape': ()", &eight), "'shape' appears twice"),
        (npy_of("<f8", "(), 'more': 1", &eight), "\"more\" is not known"),
        (npy_of("|O", "()", &eight), "\"|O\" are not read"),
        (npy_of("<c8", "()", &eight), "astype"),
        (npy_of("<u8", "()", &eight), "\"<u8\" are not read"),
        (npy_of("é8", "()", &eight), "are not read"),
        (npy_of("|f8", "()", &eight), "names no byte order"),
        (npy_of("|b1", "(8,)", &[0, 1, 2, 0, 0, 0, 0, 0]), "neither 0 nor 1"),
        (npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': ()}", &eight), "records"),
        (npy("{'descr': '<f8', 'fortran_order': 0, 'shape': ()}", &eight), "True or False"),
        (npy("{'descr': '<f8', 'shape': ()}", &eight), "not all there"),
        (npy("{'descr", &eight), "does not end"),
        (npy("(((((", &eight), "'{' is missing"),
        (npy("\u{80}", &eight), "'{' is missing"),
        (npy(&nested, &eight), "no size"),
    ];
    for (file, fault) in table {
        let (answer, largest) = largest_request(|| read_npy(file));
        refused(answer, fault);
        assert!(largest < BOUND, "{largest} bytes for: {fault}");
    }
    let mut latin = npy("{'descr': '<f8'}", &eight);
    latin[11] = 0xe9;
    refused(read_npy(&latin), "not text");
}

#[test]
fn files_cut_short_at_every_byte() {
    let scratch = Scratch::new();
    let x = AnyArray::from(Array::from_vec((0..12).map(f64::from).collect(), &[3, 4]).unwrap());
    let arrays = BTreeMap::from([("x".to_string(), x.clone()), ("y".to_string(), x.clone())]);
    let mut file = Vec::new();
    npy::write(&x, &mut file).unwrap();
    for n in 0..file.len() {
        refused(read_npy(&file[..n]), "");
        // A file that was cut after its length was taken.
        refused(
            npy::read::<AnyArray>(&mut &file[..n], file.len() as u64, file.len() as u64, named()),
            "cut short",
        );
    }
    let path = scratch.path("x");
    save_safetensors(&path, &arrays, &BTreeMap::new()).unwrap();
    let file = std::fs::read(&path).unwrap();
    (0..file.len()).for_each(|n| refused(read_safetensors(&file[..n]), ""));
    for compression in [Compression::Stored, Compression::Deflated] {
        save_npz(&path, &arrays, compression).unwrap();
        let file = std::fs::read(&path).unwrap();
        (0..file.len()).for_each(|n| refused(read_npz(&file[..n]), ""));
    }
}

#[test]
fn safetensors_headers_that_claim_overlap_or_nest() {
    let one = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"x":{{"dtype":"F64","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    let two = |b: &str| format!(r#"{{"a":{{"dtype":"F64","shape":[1],"data_offsets":[0,8]}},{b}}}"#);
    let nested = format!("{{\"x\":{}", "[".repeat(100_000));
    let ignored = format!(r#"{{"x":{{"more":{}"#, "[".repeat(100_000));
    let table: &[(Vec<u8>, &str)] = &[
        (vec![0; 7], "too few"),
        (vec![255; 16], "claim a header of 18446744073709551615 bytes"),
        (safetensors("[]", &[]), "damaged"),
        (safetensors("{", &[]), "damaged"),
        (safetensors(&nested, &[]), "damaged"),
        (safetensors(&ignored, &[]), "damaged"),
        (safetensors(&one("[1]", 0, 1 << 60), &[0; 8]), "take 1152921504606846976 bytes, and 8 follow"),
        (safetensors(&one("[1152921504606846976]", 0, 8), &[0; 8]), "does not take"),
        (safetensors(&one("[4294967296,4294967296]", 0, 8), &[0; 8]), "does not take"),
        (safetensors(&one("[-1]", 0, 8), &[0; 8]), "damaged"),
        (safetensors(&one("[1.0]", 0, 8), &[0; 8]), "damaged"),
        (safetensors(&one("[18446744073709551616]", 0, 8), &[0; 8]), "damaged"),
        (safetensors(&one("[1]", 8, 0), &[0; 8]), "overlap or leave gaps"),
        (safetensors(&one("[1]", 8, 16), &[0; 16]), "overlap or leave gaps"),
        (safetensors(&one("[1]", 0, 8), &[0; 9]), "and 9 follow the header"),
        (safetensors(&one(&format!("[{}1]", "1,".repeat(64)), 0, 8), &[0; 8]), "more than 64 dimensions"),
        (safetensors(&two(r#""b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}"#), &[0; 8]), "overlap"),
        (safetensors(&two(r#""b":{"dtype":"F64","shape":[1],"data_offsets":[4,12]}"#), &[0; 12]), "overlap"),
        (safetensors(&two(r#""a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}"#), &[0; 8]), "twice"),
        (safetensors(&two(r#""__metadata__":{"a":1}"#), &[0; 8]), "damaged"),
        (safetensors(&two(r#""__metadata__":{},"__metadata__":{}"#), &[0; 8]), "twice"),
        (safetensors(&one("[1]", 0, 8).replace("F64", "F8_E4M3"), &[0; 8]), "\"F8_E4M3\" are not read"),
        (safetensors(r#"{"x":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#, &[7]), "neither 0 nor 1"),
    ];
    for (file, fault) in table {
        let (answer, largest) = largest_request(|| read_safetensors(file));
        refused(answer, fault);
        assert!(largest < BOUND, "{largest} bytes for: {fault}");
    }
}

/// An archive of entries as they are given.
fn zipped(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Puts `new` wherever `old`, as long as it, is found.
fn replace(file: &mut [u8], old: &[u8], new: &[u8]) {
    let places: Vec<_> = (0..=file.len() - old.len()).filter(|&i| file[i..].starts_with(old)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|i| file[i..i + new.len()].copy_from_slice(new));
}

#[test]
fn archives_that_claim_overlap_or_repeat() {
    let x = npy_of("<f8", "(1,)", &[0; 8]);
    let stored = CompressionMethod::Stored;
    let mut twice = zipped(&[("x.npy", &x), ("y.npy", &x)], stored);
    replace(&mut twice, b"y.npy", b"x.npy");
    refused(read_npz(&twice), "one name");
    refused(
        read_npz(&zipped(&[("x.txt", b"text"), ("y.txt", b"")], stored)),
        "none of its entries is an array",
    );
    refused(read_npz(&zipped(&[("x.npy", b"text")], stored)), "array \"x\": 4 bytes are too few");
    refused(read_npz(&zipped(&[("x.npy", &x[..x.len() - 1])], stored)), "cut short");
    refused(read_npz(b"not a zip archive at all, but text"), "not a whole zip archive");
    let mut flipped = zipped(&[("x.npy", &x)], stored);
    let last = (0..flipped.len()).rfind(|&i| flipped[i..].starts_with(b"PK\x01\x02")).unwrap() - 1;
    flipped[last] ^= 1;
    refused(read_npz(&flipped), "checksum");
    // Two entries whose directory sends both to the first one's bytes.
    let mut over = zipped(&[("x.npy", &x), ("y.npy", &x)], stored);
    let second = (0..over.len()).rfind(|&i| over[i..].starts_with(b"PK\x01\x02")).unwrap();
    over[second + 42..second + 46].fill(0);
    refused(read_npz(&over), "over each other");
    // An archive of a million entries, as its end says.
    let mut many = zipped(&[("x.npy", &x)], stored);
    let end = many.len() - 22;
    many[end + 8..end + 12].fill(0xff);
    many[end + 12..end + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    let (answer, largest) = largest_request(|| read_npz(&many));
    refused(answer, "");
    assert!(largest < 32 << 20, "{largest}");
}

#[test]
fn a_bomb_takes_no_more_memory_than_what_arrives() {
    // 2^26 elements in the header, and in the sizes of the archive; zeros that stop after 100 kB.
    let claimed = npy_of("<f8", "(67108864,)", &[0; 100_000]);
    let mut bomb = zipped(&[("x.npy", &claimed)], CompressionMethod::Deflated);
    let honest = (claimed.len() as u32).to_le_bytes();
    let lie = ((claimed.len() - 100_000 + (1 << 29)) as u32).to_le_bytes();
    replace(&mut bomb, &honest, &lie);
    let (answer, largest) = largest_request(|| read_npz(&bomb));
    refused(answer, "");
    assert!(largest < BOUND, "{largest} bytes for a file of {}", bomb.len());
    // More arrives than the header says.
    let honest = npy_of("<f8", "(1,)", &[0; 100_008]);
    let mut bomb = zipped(&[("x.npy", &honest)], CompressionMethod::Deflated);
    let len = honest.len() as u32;
    replace(&mut bomb, &len.to_le_bytes(), &(len - 100_000).to_le_bytes());
    refused(read_npz(&bomb), "");
}

#[test]
fn maps_refuse_what_they_would_have_to_convert() {
    let scratch = Scratch::new();
    // SAFETY: the files are only replaced.
    let map = |bytes: &[u8]| unsafe { map_npy::<AnyArray>(&scratch.file("the file.npy", bytes)) };
    refused(map(&npy_of("<f4", "(1152921504606846976,)", &[0; 8])), "cut short");
    refused(map(&npy_of(">f8", "(1,)", &[0; 8])), "another order: load the file instead");
    refused(map(&npy_of("<f2", "(4,)", &[0; 8])), "a map converts nothing");
    refused(map(&npy_of("|b1", "(2,)", &[1, 2])), "neither 0 nor 1");
    refused(map(&[]), "too few");
    let aligned = |pad: usize| {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}";
        map(&npy(&format!("{header}{}", " ".repeat(pad)), &[0; 16]))
    };
    assert_eq!((0..8).filter(|&pad| aligned(pad).is_ok()).count(), 1);
    refused(aligned(if aligned(0).is_ok() { 1 } else { 0 }), "not aligned");
}

#[test]
fn only_regular_files_are_read() {
    let scratch = Scratch::new();
    let folder = scratch.path("the file");
    refused(load_npy::<AnyArray>(&folder), "");
    std::fs::create_dir(&folder).unwrap();
    refused(load_npy::<AnyArray>(&folder), "not a regular file");
    refused(load_csv::<f64>(&folder, &CsvOptions::default()), "not a regular file");
    if cfg!(unix) {
        let zero = load_npz(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(zero.contains("not a regular file"), "{zero}");
    }
}
