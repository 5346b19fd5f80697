//! Files as others write them: other versions, byte orders and element types.

use super::*;
use crate::io::*;
use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;
use std::io::Write;

fn load<A: FromFile>(file: &[u8]) -> Result<A, crate::Error> {
    super::super::npy::read(&mut &file[..], file.len() as u64, file.len() as u64, named())
}

#[test]
fn versions_byte_orders_and_spellings() {
    let data: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }          \n";
    let one = npy(header, &data);
    for version in [1, 2, 3] {
        let mut file = one.clone();
        file[6] = version;
        if version > 1 {
            file.splice(10..10, [0, 0]);
        }
        assert_eq!(load::<Array<f64>>(&file).unwrap().to_vec(), [1.5, -2.0]);
    }
    for header in [
        "{\"shape\":(2L,),\"fortran_order\":True,\"descr\":\"=f8\"}",
        "  { 'shape' : ( 2 , ) , 'descr' : '<f8' , 'fortran_order' : False , } \n",
    ] {
        assert_eq!(load::<Array<f64>>(&npy(header, &data)).unwrap().to_vec(), [1.5, -2.0]);
    }
    let big: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(load::<Array<f64>>(&npy_of(">f8", "(2,)", &big)).unwrap().to_vec(), [1.5, -2.0]);
    let big: Vec<u8> = [7i64, -1].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(load::<Array<i64>>(&npy_of(">i8", "(2,)", &big)).unwrap().to_vec(), [7, -1]);
    let big: Vec<u8> = [0.5f32].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(load::<Array<f64>>(&npy_of(">f4", "()", &big)).unwrap().to_vec(), [0.5]);
}

#[test]
fn other_types_are_converted_where_every_value_is_kept() {
    // The file's type, one element's bytes, its value, and whether f32, f64, i64 and bool take it.
    let table: &[(&str, &[u8], f64, [bool; 4])] = &[
        ("|u1", &[200], 200.0, [true, true, true, false]),
        ("|i1", &[200], -56.0, [true, true, true, false]),
        ("<u2", &[0, 200], 51200.0, [true, true, true, false]),
        (">i2", &[200, 0], -14336.0, [true, true, true, false]),
        ("<u4", &[0, 0, 0, 200], 3355443200.0, [false, true, true, false]),
        ("<i4", &[1, 0, 0, 200], -939524095.0, [false, true, true, false]),
        ("<i8", &[5, 0, 0, 0, 0, 0, 0, 0], 5.0, [false, true, true, false]),
        (">i8", &[0, 0x20, 0, 0, 0, 0, 0, 0], 9007199254740992.0, [false, true, true, false]),
        (">i8", &[0, 0x40, 0, 0, 0, 0, 0, 0], 18014398509481984.0, [false, false, true, false]),
        ("<f2", &[0, 0x3e], 1.5, [true, true, false, false]),
        (">f2", &[0x3e, 0], 1.5, [true, true, false, false]),
        ("<f4", &[0, 0, 0xc0, 0x3f], 1.5, [true, true, false, false]),
        ("<f8", &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], 1.5, [false, true, false, false]),
        ("|b1", &[1], 1.0, [true, true, true, true]),
    ];
    for &(descr, bytes, value, taken) in table {
        let data = bytes.repeat(70_000 / bytes.len());
        let n = data.len() / bytes.len();
        let file = npy_of(descr, &format!("({n},)"), &data);
        let floats = load::<Array<f64>>(&file).map(|x| x.to_vec());
        let singles = load::<Array<f32>>(&file).map(|x| x.to_vec());
        let integers = load::<Array<i64>>(&file).map(|x| x.to_vec());
        let truths = load::<Array<bool>>(&file).map(|x| x.to_vec());
        let found = [singles.is_ok(), floats.is_ok(), integers.is_ok(), truths.is_ok()];
        assert_eq!(found, taken, "{descr}");
        let _ = singles.map(|x| assert_eq!(x, vec![value as f32; n]));
        let _ = integers.map(|x| assert_eq!(x, vec![value as i64; n]));
        match floats {
            Ok(x) => assert_eq!(x, vec![value; n]),
            Err(e) => assert!(e.to_string().contains("load it as i64, and to_type::<f64>()"), "{e}"),
        }
        assert!(load::<AnyArray>(&file).is_ok());
    }
    let header = r#"{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
    let scratch = Scratch::new();
    let path = scratch.file("x", &safetensors(header, &[0xc0, 0x3f, 0x80, 0xbf]));
    assert_eq!(load_safetensors_entry::<Array<f32>>(&path, "x").unwrap().to_vec(), [1.5, -1.0]);
}

#[test]
fn what_is_packed_better_than_the_file_is_long_arrives_whole() {
    let scratch = Scratch::new();
    let path = scratch.path("x.npz");
    let x = AnyArray::from(Array::<f64>::full(&[700, 300], 2.5).unwrap());
    let arrays = std::collections::BTreeMap::from([("x".to_string(), x.clone())]);
    save_npz(&path, &arrays, Compression::Deflated).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);
    assert!(same_any(&load_npz(&path).unwrap()["x"], &x));
}

#[test]
fn tables_with_headers_quotes_and_blank_lines() {
    let read = |text: &str, skip_rows| {
        let options = CsvOptions { skip_rows, ..CsvOptions::default() };
        csv::read::<f64>(text.as_bytes(), &options, named())
    };
    let x = read("\u{feff}a,b\r\n 1.0 , \"2\"\r\n\r\n+3e2,-inf\r\n", 1).unwrap();
    assert_eq!((x.shape(), x.to_vec()), (&[2, 2][..], vec![1.0, 2.0, 300.0, f64::NEG_INFINITY]));
    assert!(read("NaN\n", 0).unwrap().to_vec()[0].is_nan());
    assert_eq!(read("", 3).unwrap().shape(), [0, 0]);
    for (text, fault) in [
        ("1,2\n3\n", "line 2 has 1 numbers, and the first row 2"),
        ("1,2\n3,x\n", "line 2, column 2: \"x\" is no f64"),
        ("1,2\n\n3,\n", "line 3, column 2: \"\" is no f64"),
        ("1;2\n", "line 1, column 1: \"1;2\" is no f64"),
        ("0x10\n", "line 1, column 1"),
    ] {
        let e = read(text, 0).unwrap_err().to_string();
        assert!(e.contains(fault) && e.contains("the file"), "{e}");
    }
    let e = csv::read::<i64>(&b"1.5\n"[..], &CsvOptions::default(), named()).unwrap_err().to_string();
    assert!(e.contains("is no i64"), "{e}");
}

/// What NumPy's loadtxt and genfromtxt read, and what they make of it.
#[test]
fn tables_as_numpy_reads_them() {
    let spaces = || CsvOptions { delimiter: CsvOptions::WHITESPACE, ..CsvOptions::default() };
    let filled = || CsvOptions { empty: Some(-1.0), ..CsvOptions::default() };
    let percent = || CsvOptions { comments: Some('%'), ..spaces() };
    let none = || CsvOptions { comments: None, ..CsvOptions::default() };
    let both = || CsvOptions { empty: Some(7.0), skip_rows: 1, ..CsvOptions::default() };
    let tabs = || CsvOptions { delimiter: b'\t', ..filled() };
    let cases: &[(&str, CsvOptions, [usize; 2], &[f64])] = &[
        ("  1   2\n 3\t 4  \n", spaces(), [2, 2], &[1.0, 2.0, 3.0, 4.0]),
        ("1 2 \r\n   \r\n3 4\r\n", spaces(), [2, 2], &[1.0, 2.0, 3.0, 4.0]),
        ("# x y\n1 2 # first\n#\n  # more\n3 4", spaces(), [2, 2], &[1.0, 2.0, 3.0, 4.0]),
        ("% x y\n1 2%first\n", percent(), [1, 2], &[1.0, 2.0]),
        ("#a,b\n1,2\n", CsvOptions::default(), [1, 2], &[1.0, 2.0]),
        ("1, 2 , 3   \n", CsvOptions::default(), [1, 3], &[1.0, 2.0, 3.0]),
        ("1,,3\n,5,\n", filled(), [2, 3], &[1.0, -1.0, 3.0, -1.0, 5.0, -1.0]),
        ("a,b\n1,\" \"\n", both(), [1, 2], &[1.0, 7.0]),
        ("1\t\t3\n", tabs(), [1, 3], &[1.0, -1.0, 3.0]),
        ("1.5D+03 -2.5d-3 1D0\n", spaces(), [1, 3], &[1500.0, -0.0025, 1.0]),
        ("", spaces(), [0, 0], &[]),
        ("# nothing\n\n", spaces(), [0, 0], &[]),
        ("1\n2\n", none(), [2, 1], &[1.0, 2.0]),
    ];
    for (text, options, shape, numbers) in cases {
        let x = csv::read::<f64>(text.as_bytes(), options, named()).unwrap();
        assert_eq!((x.shape(), &x.to_vec()[..]), (&shape[..], *numbers), "{text:?}");
        let x = csv::read::<f32>(text.as_bytes(), options, named()).unwrap();
        assert_eq!(x.to_vec(), numbers.iter().map(|&x| x as f32).collect::<Vec<_>>(), "{text:?}");
    }
    let nan = CsvOptions { empty: Some(f64::NAN), ..CsvOptions::default() };
    assert!(csv::read::<f64>(&b"1,\n"[..], &nan, named()).unwrap().to_vec()[1].is_nan());
    assert_eq!(csv::read::<i64>(&b"1,\n"[..], &filled(), named()).unwrap().to_vec(), [1, -1]);
    let refused: &[(&str, CsvOptions, &str)] = &[
        (
            "1,,3\n",
            CsvOptions::default(),
            "line 1, column 2: \"\" is no f64: correct it, or say in the options",
        ),
        ("1 2\n3\n", spaces(), "line 2 has 1 numbers"),
        ("#a\n", none(), "line 1, column 1"),
        ("1D+\n", spaces(), "is no f64"),
        ("d\n", spaces(), "is no f64"),
    ];
    for (text, options, fault) in refused {
        let e = csv::read::<f64>(text.as_bytes(), options, named()).unwrap_err().to_string();
        assert!(e.contains(fault), "{text:?}: {e}");
    }
    let e = csv::read::<i64>(&b"1,\n"[..], &nan, named()).unwrap_err().to_string();
    assert!(e.contains("is no i64"), "{e}");
}

/// NumPy takes an entry for an array by its first bytes, and names with and without their ending.
#[test]
fn archives_that_hold_more_than_arrays() {
    let scratch = Scratch::new();
    let x = npy_of("<f8", "(1,)", &1.5f64.to_le_bytes());
    let y = npy_of("<f8", "(1,)", &2.5f64.to_le_bytes());
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.add_directory("folder", SimpleFileOptions::default()).unwrap();
    let entries: [(&str, &[u8]); 6] = [
        ("x.npy", &x),
        ("notes.txt", b"a text, and no array"),
        ("empty", b""),
        ("plain", &y),
        ("x", b"of the same name"),
        ("folder/z.npy", &y),
    ];
    for (name, bytes) in entries {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let path = scratch.file("x.npz", &zip.finish().unwrap().into_inner());
    for (name, value) in [("x", 1.5), ("x.npy", 1.5), ("plain", 2.5), ("folder/z", 2.5)] {
        assert_eq!(load_npz_entry::<Array<f64>>(&path, name).unwrap().to_vec(), [value], "{name}");
    }
    let all: Vec<String> = load_npz(&path).unwrap().into_keys().collect();
    assert_eq!(all, ["folder/z", "plain", "x"]);
    for (name, fault) in [("notes.txt", "does not begin with"), ("missing", "missing")] {
        let e = load_npz_entry::<Array<f64>>(&path, name).unwrap_err().to_string();
        assert!(e.contains(fault), "{e}");
    }
}

/// A disk that is full is an error, and nothing on the standard error.
#[test]
fn an_archive_that_cannot_be_written_complains_once() {
    const WRITES: &str = "TAPEGRAD_TEST_WRITES_TO";
    if let Some(path) = std::env::var_os(WRITES) {
        let arrays = ["a", "b"]
            .map(|name| (name.to_string(), AnyArray::from(Array::<f64>::zeros(&[1 << 16]).unwrap())));
        for compression in [Compression::Stored, Compression::Deflated] {
            let e =
                npz::write_all(std::fs::File::create(&path).unwrap(), &arrays.clone().into(), compression);
            assert_eq!(e.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        }
        return;
    }
    if cfg!(target_os = "linux") {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args([
            "--exact",
            "io::tests::foreign::an_archive_that_cannot_be_written_complains_once",
            "--nocapture",
        ]);
        let found = again.env(WRITES, "/dev/full").output().unwrap();
        assert!(found.status.success(), "{found:?}");
        assert_eq!(String::from_utf8_lossy(&found.stderr), "");
    }
}
