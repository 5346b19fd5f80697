//! Files as others write them: other versions, byte orders and element types.

use super::*;
use crate::io::*;

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
