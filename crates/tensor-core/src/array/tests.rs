//! Tests of what an array shares, and of its views.

use super::*;
use crate::error::ErrorKind;

fn counting(shape: &[usize]) -> Array<i64> {
    Array::from_vec((0..shape.iter().product::<usize>() as i64).collect(), shape).unwrap()
}

#[test]
fn writes_stay_in_place_only_while_unshared() {
    let mut a = counting(&[4]);
    let place = a.storage().as_ptr();
    a.make_mut().unwrap()[0] = 9;
    assert_eq!(a.storage().as_ptr(), place);
    let b = a.clone();
    a.make_mut().unwrap()[0] = 1;
    assert_eq!((a.to_vec()[0], b.to_vec()[0]), (1, 9));
    let mut reshaped = counting(&[2, 3]).reshape("reshape", &[6]).unwrap();
    assert!(reshaped.as_mut_slice().is_some());
}

#[test]
fn memory_of_others_is_read_in_place_and_copied_to_be_written() {
    let owner: Arc<[i64]> = (0..6).collect();
    let mut a = Array::from_memory(owner.clone(), &[2, 3], &[-1, 2], 1).unwrap();
    assert_eq!(a.storage().as_ptr(), owner.as_ptr());
    assert_eq!(a.to_vec(), [1, 3, 5, 0, 2, 4]);
    let row = a.select("select", 0, 1).unwrap();
    a.make_mut().unwrap()[3] = 9;
    assert_eq!((a.to_vec(), row.into_vec()), (vec![1, 3, 5, 9, 2, 4], vec![0, 2, 4]));
    assert_eq!(Arc::strong_count(&owner), 1);
    for (shape, strides, offset) in [
        (&[2usize, 3][..], &[-1isize, 2][..], 0),
        (&[7], &[1], 0),
        (&[2], &[isize::MIN], 0),
        (&[2, 2], &[isize::MAX, isize::MAX], 0),
        (&[2], &[1, 1], 0),
        (&[0], &[1], 7),
    ] {
        let error = Array::from_memory(owner.clone(), shape, strides, offset).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}

#[test]
fn vectors_go_in_and_out_without_a_copy() {
    let v = vec![1.0; 100];
    let place = v.as_ptr();
    let out = Array::from_vec(v, &[10, 10]).unwrap().into_vec();
    assert_eq!(out.as_ptr(), place);
}

#[test]
fn slices_are_checked() {
    let a = counting(&[5]);
    assert_eq!(a.slice("slice", 0, 4, -2, 3).unwrap().to_vec(), [4, 2, 0]);
    assert!(a.slice("slice", 0, 4, -2, 4).is_err());
    assert!(a.slice("slice", 0, 5, 1, 1).is_err());
    assert_eq!(a.slice("slice", 0, 5, 1, 0).unwrap().numel(), 0);
    assert!(a.slice("slice", 0, 1, isize::MAX, 3).is_err());
    assert!(a.select("select", 0, 5).is_err());
    assert_eq!(a.slice("slice", 0, 2, isize::MIN, 1).unwrap().to_vec(), [2]);
}

#[test]
fn views_of_dimensions_that_are_not_there_are_errors() {
    let a = counting(&[2, 3]);
    let far = [2, 7, usize::MAX];
    let mut answers = vec![
        a.permute("", &[0, 0]),
        a.permute("", &[0]),
        a.permute("", &[]),
        a.permute("", &[0, 1, 1]),
        a.permute("", &[1, 2]),
        a.diagonal("", 0, [1, 1]),
        a.remove_dim("", 2),
        a.insert_dim("", 3),
        a.slice("", 0, usize::MAX, 1, 1),
        a.slice("", 0, 0, 1, usize::MAX),
        a.slice("", 0, 0, isize::MAX, usize::MAX),
    ];
    for d in far {
        answers.push(a.slice("", d, 0, 1, 1));
        answers.push(a.select("", d, 0));
        answers.push(a.diagonal("", 0, [0, d]));
        answers.push(a.diagonal("", 0, [d, 0]));
        answers.push(a.insert_dim("", d.saturating_add(1)));
    }
    for (k, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.map(|x| x.shape().to_vec()).unwrap_err().kind(), ErrorKind::Index, "{k}");
    }
    assert_eq!(a.remove_dim("", 0).map(|_| ()).unwrap_err().kind(), ErrorKind::Shape);
    for offset in [isize::MIN, isize::MIN + 1, isize::MAX] {
        assert_eq!(a.diagonal("", offset, [0, 1]).unwrap().numel(), 0);
    }
}
