//! What the formats promise: every array comes back, and whatever a file holds is an answer or an error.

mod bounded;
mod foreign;
mod fuzz;
mod hostile;
mod round_trip;

use super::AnyArray;
use crate::array::Array;
use crate::element::Element;
use crate::io::place::Place;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of one test, and a file in it.
struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        Scratch { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// A file's name for readers of bytes that lie in memory.
fn named() -> Place<'static> {
    Place::new("load", Path::new("folder/the file"))
}

/// A .npy file.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

fn npy_of(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n"), data)
}

/// A safetensors file.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// The same shape and the same bits, so that NaN equals itself and 0.0 does not equal -0.0.
fn same<T: Element>(a: &Array<T>, b: &Array<T>) -> bool {
    let bytes = |x: &Array<T>| bytemuck::cast_slice::<T, u8>(&x.to_vec()).to_vec();
    a.shape() == b.shape() && bytes(a) == bytes(b)
}

fn same_any(a: &AnyArray, b: &AnyArray) -> bool {
    match (a, b) {
        (AnyArray::F32(a), AnyArray::F32(b)) => same(a, b),
        (AnyArray::F64(a), AnyArray::F64(b)) => same(a, b),
        (AnyArray::I64(a), AnyArray::I64(b)) => same(a, b),
        (AnyArray::Bool(a), AnyArray::Bool(b)) => same(a, b),
        _ => false,
    }
}

/// An array of each type and many shapes, in many layouts.
fn samples() -> Vec<AnyArray> {
    let floats = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, -1e300, 5e-324, 0.1, 1e-5, -7.0];
    let integers = [0, 1, -1, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1, 42];
    let mut all = Vec::new();
    for shape in [&[][..], &[1], &[5], &[0], &[2, 3], &[3, 1], &[3, 0, 2], &[2, 3, 4], &[2, 1, 3, 2]] {
        all.extend(layouts(shape, |i| floats[i % floats.len()]));
        all.extend(layouts(shape, |i| floats[i % floats.len()] as f32));
        all.extend(layouts(shape, |i| integers[i % integers.len()]));
        all.extend(layouts(shape, |i| i % 3 == 1));
    }
    all
}

fn layouts<T: Element>(shape: &[usize], value: impl Fn(usize) -> T) -> Vec<AnyArray> {
    let n = shape.iter().product::<usize>();
    let plain = Array::from_vec((0..n).map(value).collect(), shape).unwrap();
    let reversed: Vec<usize> = (0..shape.len()).rev().collect();
    let mut all = vec![plain.clone(), plain.permute("", &reversed).unwrap()];
    if let [.., last] = *shape {
        let dim = shape.len() - 1;
        all.push(plain.slice("slice", dim, last.saturating_sub(1), -1, last).unwrap());
        all.push(plain.slice("slice", dim, 0, 2, last.div_ceil(2)).unwrap());
        all.push(plain.insert_dim("", 0).unwrap().expand("expand", &[&[2], shape].concat()).unwrap());
    }
    all.into_iter().map(AnyArray::from).collect()
}
