//! What this library writes, it reads; a write that fails changes nothing.

use super::*;
use crate::element::DType;
use crate::error::ErrorKind;
use crate::io::*;
use std::collections::BTreeMap;
use std::fs;

fn save(path: &Path, x: &AnyArray) {
    match x {
        AnyArray::F32(x) => save_npy(path, x),
        AnyArray::F64(x) => save_npy(path, x),
        AnyArray::I64(x) => save_npy(path, x),
        AnyArray::Bool(x) => save_npy(path, x),
    }
    .unwrap();
}

#[test]
fn npy_keeps_every_array_and_column_major_order() {
    let scratch = Scratch::new();
    let path = scratch.path("x.npy");
    for x in samples() {
        save(&path, &x);
        assert_eq!(fs::read(&path).unwrap().len() % 64, x.numel() * x.dtype().size() % 64);
        let back: AnyArray = load_npy(&path).unwrap();
        assert!(same_any(&x, &back), "{x:?} became {back:?}");
        // SAFETY: nobody writes to the file while it is mapped.
        let mapped: AnyArray = unsafe { map_npy(&path).unwrap() };
        assert!(same_any(&x, &mapped), "{x:?} became {mapped:?}");
    }
    let columns =
        Array::from_vec((0..6).map(f64::from).collect(), &[2, 3]).unwrap().permute("", &[1, 0]).unwrap();
    save_npy(&path, &columns).unwrap();
    assert!(fs::read(&path).unwrap().windows(21).any(|w| w == b"'fortran_order': True"));
    let back: Array<f64> = load_npy(&path).unwrap();
    assert_eq!(back.layout().strides().to_vec(), [1, 3]);
}

#[test]
fn archives_keep_every_array_by_name() {
    let scratch = Scratch::new();
    let mut arrays = BTreeMap::new();
    for (i, x) in samples().into_iter().enumerate() {
        arrays.insert(format!("x{i}"), x);
    }
    for name in ["", "größe/質量", "../../up", "/root", "a\"b\\c\n", "x.npy", "__meta__"] {
        arrays.insert(name.to_string(), AnyArray::from(Array::scalar(1i64)));
    }
    let check = |back: BTreeMap<String, AnyArray>| {
        assert_eq!(arrays.keys().collect::<Vec<_>>(), back.keys().collect::<Vec<_>>());
        for (name, x) in &arrays {
            assert!(same_any(x, &back[name]), "{name}: {x:?} became {:?}", back[name]);
        }
    };
    let path = scratch.path("x.npz");
    for compression in [Compression::Stored, Compression::Deflated] {
        save_npz(&path, &arrays, compression).unwrap();
        check(load_npz(&path).unwrap());
        assert_eq!(load_npz_entry::<Array<i64>>(&path, "größe/質量").unwrap().single(), Some(1));
        let e = load_npz_entry::<AnyArray>(&path, "none").unwrap_err().to_string();
        assert!(e.contains("no array \"none\"") && e.contains("x.npz"), "{e}");
    }
    let path = scratch.path("x.safetensors");
    let texts = BTreeMap::from([("format".to_string(), "pt".to_string()), ("\"ü\"".into(), "\n".into())]);
    save_safetensors(&path, &arrays, &texts).unwrap();
    check(load_safetensors(&path).unwrap());
    assert_eq!(safetensors_metadata(&path).unwrap(), texts);
    assert_eq!(load_safetensors_entry::<Array<i64>>(&path, "../../up").unwrap().single(), Some(1));
    assert!(load_safetensors_entry::<AnyArray>(&path, "none").unwrap_err().to_string().contains("\"none\""));
    // SAFETY: nobody writes to the file while it is mapped.
    check(unsafe { map_safetensors(&path).unwrap() });
    arrays.clear();
    save_npz(&scratch.path("none.npz"), &arrays, Compression::Stored).unwrap();
    assert!(load_npz(&scratch.path("none.npz")).unwrap().is_empty());
    save_safetensors(&scratch.path("none.st"), &arrays, &BTreeMap::new()).unwrap();
    assert!(load_safetensors(&scratch.path("none.st")).unwrap().is_empty());
}

#[test]
fn tables_keep_their_numbers_exactly() {
    let scratch = Scratch::new();
    let path = scratch.path("x.csv");
    let floats = vec![0.1, -0.0, f64::MAX, 5e-324, f64::NEG_INFINITY, 1.0 / 3.0];
    let x = Array::from_vec(floats, &[2, 3]).unwrap();
    for delimiter in *b",;\t :|" {
        let options = CsvOptions { delimiter, ..CsvOptions::default() };
        save_csv(&path, &x.permute("", &[1, 0]).unwrap(), delimiter).unwrap();
        assert!(same(&load_csv(&path, &options).unwrap(), &x.permute("", &[1, 0]).unwrap()));
    }
    let n = Array::from_vec(vec![i64::MIN, i64::MAX, 0], &[3]).unwrap();
    save_csv(&path, &n, b',').unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "-9223372036854775808\n9223372036854775807\n0\n");
    assert_eq!(load_csv::<i64>(&path, &CsvOptions::default()).unwrap().shape(), [3, 1]);
    save_csv(&path, &Array::from_vec(vec![0.1f32, f32::MAX], &[2]).unwrap(), b',').unwrap();
    assert_eq!(load_csv::<f32>(&path, &CsvOptions::default()).unwrap().to_vec(), [0.1, f32::MAX]);
    save_csv(&path, &Array::<f64>::zeros(&[0, 4]).unwrap(), b',').unwrap();
    assert_eq!(load_csv::<f64>(&path, &CsvOptions::default()).unwrap().shape(), [0, 0]);
    assert_eq!(save_csv(&path, &Array::scalar(1.0), b',').unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(save_csv(&path, &x, b'1').unwrap_err().kind(), ErrorKind::Argument);
}

#[test]
fn a_mapped_array_is_read_in_place_and_copied_to_be_written() {
    let scratch = Scratch::new();
    let path = scratch.path("x.npy");
    save_npy(&path, &Array::from_vec(vec![1.0, 2.0, 3.0], &[3]).unwrap()).unwrap();
    // SAFETY: the file is only replaced, never written to.
    let mut x: Array<f64> = unsafe { map_npy(&path).unwrap() };
    x.make_mut().unwrap()[0] = 9.0;
    assert_eq!(x.to_vec(), [9.0, 2.0, 3.0]);
    // SAFETY: as above.
    let old: Array<f64> = unsafe { map_npy(&path).unwrap() };
    assert_eq!(old.to_vec(), [1.0, 2.0, 3.0]);
    save_npy(&path, &x).unwrap();
    assert_eq!(old.to_vec(), [1.0, 2.0, 3.0]);
    assert_eq!(load_npy::<Array<f64>>(&path).unwrap().to_vec(), [9.0, 2.0, 3.0]);
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let scratch = Scratch::new();
    let path = scratch.file("x.npy", b"old");
    let place = Place::new("save", &path);
    let error = write::atomically(place, |out| {
        std::io::Write::write_all(out, b"half")?;
        Err(std::io::Error::other("no space is left"))
    })
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    let text = error.to_string();
    assert!(text.contains("x.npy") && text.contains("no space is left"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(scratch.folder.path()).unwrap().count(), 1);
    let x = Array::scalar(1.0);
    let none = scratch.path("no such folder").join("x.npy");
    assert!(save_npy(&none, &x).unwrap_err().to_string().contains("no such folder"));
    assert!(save_npy(scratch.folder.path(), &x).unwrap_err().to_string().contains("not a regular file"));
    let reserved = BTreeMap::from([("__metadata__".to_string(), AnyArray::from(x))]);
    assert!(save_safetensors(&path, &reserved, &BTreeMap::new()).is_err());
    let deep = Array::<f64>::zeros(&[1; 65]).unwrap();
    assert!(save_npy(&path, &deep).unwrap_err().to_string().contains("reshape"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[cfg(unix)]
#[test]
fn a_file_has_ordinary_permissions_keeps_its_own_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scratch = Scratch::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (path, ordinary) = (scratch.path("x.npy"), scratch.file("ordinary", b""));
    let x = Array::scalar(1.0);
    save_npy(&path, &x).unwrap();
    assert_eq!(mode(&path), mode(&ordinary));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = scratch.path("link.npy");
    symlink("x.npy", &link).unwrap();
    save_npy(&link, &Array::scalar(2.0)).unwrap();
    assert_eq!(mode(&path), 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(load_npy::<Array<f64>>(&path).unwrap().single(), Some(2.0));
}

#[test]
fn any_array_converts_where_every_value_is_kept() {
    let x = AnyArray::from(Array::from_vec(vec![true, false], &[2]).unwrap());
    assert_eq!(x.to::<f32>("to").unwrap().to_vec(), [1.0, 0.0]);
    assert_eq!((x.dtype(), x.get::<bool>().is_some()), (DType::Bool, true));
    let x = AnyArray::from(Array::from_vec(vec![0.5f32], &[1]).unwrap());
    assert_eq!(x.to::<f64>("to").unwrap().to_vec(), [0.5]);
    let x = AnyArray::from(Array::scalar(-(1i64 << 53)));
    assert_eq!(x.to::<f64>("to").unwrap().single(), Some(-9007199254740992.0));
    let e = AnyArray::from(Array::scalar(1i64 << 54)).to::<f64>("to").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Argument);
    assert!(e.to_string().contains("to_type::<f64>()"), "{e}");
}
