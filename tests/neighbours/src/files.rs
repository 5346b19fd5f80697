//! Reads the files that files.py made, holds them against its expectations, and writes every array back.

use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fs;
use std::path::Path;
use tapegrad::prelude::*;
use tapegrad::{Array, load_npz, load_safetensors, save_npz, save_npz_compressed, save_safetensors_with};

pub fn check(folder: &Path) -> Result<(), Box<dyn StdError>> {
    let expected: Value = serde_json::from_str(&fs::read_to_string(folder.join("expected.json"))?)?;
    let list = |key: &str| expected[key].as_array().cloned().unwrap_or_default();
    let (mut archives, mut arrays) = (BTreeMap::new(), BTreeMap::new());
    for case in list("arrays") {
        let (file, name) = (text(&case["file"]).to_string(), text(&case["name"]));
        let path = folder.join(&file);
        let x = match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => AnyTensor::load_npy(&path)?,
            archive => {
                if !archives.contains_key(&file) {
                    let all =
                        if archive == Some("npz") { load_npz(&path)? } else { load_safetensors(&path)? };
                    archives.insert(file.clone(), all);
                }
                archives[&file].get(name).ok_or_else(|| format!("{file} has no {name}"))?.clone()
            }
        };
        let shape: Vec<u64> = x.shape().iter().map(|&d| d as u64).collect();
        let found = (x.dtype().to_string(), Value::from(shape), hex(&x));
        let wanted =
            (text(&case["dtype"]).to_string(), case["shape"].clone(), text(&case["bytes"]).to_string());
        if found != wanted {
            return Err(format!("{file} {name}: read {found:?}, expected {wanted:?}").into());
        }
        if name.is_empty() {
            arrays.insert(file, x);
        }
    }
    let one = Tensor::load_npz(folder.join("stored.npz"), "größe/質量")?;
    assert_eq!(hex(&one.into()), hex(&archives["stored.npz"]["größe/質量"]));
    for file in list("refused") {
        let path = folder.join(text(&file));
        match AnyTensor::load_npy(&path) {
            Err(e) if e.kind() == ErrorKind::File && e.to_string().contains(text(&file)) => {}
            other => return Err(format!("{} should be refused: {other:?}", text(&file)).into()),
        }
    }
    write(&folder.join("back"), &arrays)?;
    let table = Tensor::load_csv(folder.join("table.csv"))?;
    table.save_csv(folder.join("back/table.csv"))?;
    println!(
        "{} arrays read, {} written back, {} files refused",
        list("arrays").len(),
        3 * arrays.len(),
        list("refused").len()
    );
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The elements in row-major order, each from its lowest byte on.
fn hex(x: &AnyTensor) -> String {
    fn bytes<T: Element, const N: usize>(x: &Tensor<T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        x.to_vec().into_iter().flat_map(bytes).collect()
    }
    let bytes = match x {
        AnyTensor::F32(x) => bytes(x, f32::to_le_bytes),
        AnyTensor::F64(x) => bytes(x, f64::to_le_bytes),
        AnyTensor::I64(x) => bytes(x, i64::to_le_bytes),
        AnyTensor::Bool(x) => bytes(x, |b| [b.into()]),
        other => unreachable!("{} is no element type", other.dtype()),
    };
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Every array as it is and, in other strides, backwards and with its dimensions reversed.
fn write(folder: &Path, arrays: &BTreeMap<String, AnyTensor>) -> tapegrad::Result<()> {
    let mut all: Vec<(String, AnyTensor)> = Vec::new();
    for (name, x) in arrays {
        let [reversed, backwards] = match x {
            AnyTensor::F32(x) => views(x.array())?,
            AnyTensor::F64(x) => views(x.array())?,
            AnyTensor::I64(x) => views(x.array())?,
            AnyTensor::Bool(x) => views(x.array())?,
            other => unreachable!("{} is no element type", other.dtype()),
        };
        all.push((name.clone(), x.clone()));
        all.push((format!("{name} reversed"), reversed));
        all.push((format!("{name} backwards"), backwards));
    }
    for (i, (_, x)) in all.iter().enumerate() {
        x.save_npy(folder.join(format!("{i}.npy")))?;
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let names = serde_json::to_string(&names).map_err(Error::other)?;
    fs::write(folder.join("names.json"), names).map_err(Error::other)?;
    save_npz(folder.join("all.npz"), all.clone())?;
    save_npz_compressed(folder.join("packed.npz"), all.clone())?;
    save_safetensors_with(folder.join("all.safetensors"), all, [("format", "pt"), ("größe", "\"1\"")])
}

fn views<T: Element>(x: &Array<T>) -> tapegrad::Result<[AnyTensor; 2]> {
    let dims: Vec<usize> = (0..x.ndim()).rev().collect();
    let backwards = match x.shape() {
        [] => x.clone(),
        [size, ..] => x.slice("slice", 0, size.saturating_sub(1), -1, *size)?,
    };
    Ok([x.permute("permute", &dims)?, backwards].map(|x| Tensor::from(x).into()))
}
