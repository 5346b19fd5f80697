use super::*;
use crate::array::Array;
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::interop::has_no_gaps;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// A tensor of somebody else's, which counts how often it is released.
struct Producer {
    tensor: DLManagedTensorVersioned,
    shape: Vec<i64>,
    strides: Vec<i64>,
    released: Arc<AtomicUsize>,
}

unsafe extern "C" fn release(tensor: *mut DLManagedTensorVersioned) {
    // SAFETY: the context is the producer's box, released once.
    let producer = unsafe { Box::from_raw((*tensor).manager_ctx.cast::<Producer>()) };
    producer.released.fetch_add(1, SeqCst);
}

/// The pointer to a tensor that was changed by `damage`, and the count of its releases.
fn produce(
    data: *const c_void,
    dtype: DLDataType,
    shape: &[i64],
    strides: &[i64],
    damage: impl FnOnce(&mut DLManagedTensorVersioned),
) -> (*mut DLManagedTensorVersioned, Arc<AtomicUsize>) {
    let released = Arc::new(AtomicUsize::new(0));
    let dl_tensor = DLTensor {
        data: data.cast_mut(),
        device: DLDevice { device_type: CPU, device_id: 0 },
        ndim: shape.len() as i32,
        dtype,
        shape: std::ptr::null_mut(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    };
    let manager_ctx = std::ptr::null_mut();
    let tensor = DLManagedTensorVersioned {
        version: VERSION,
        manager_ctx,
        deleter: Some(release),
        flags: 0,
        dl_tensor,
    };
    let producer =
        Producer { tensor, shape: shape.to_vec(), strides: strides.to_vec(), released: released.clone() };
    let place = Box::into_raw(Box::new(producer));
    // SAFETY: the box was just made, and nothing else refers to it.
    let producer = unsafe { &mut *place };
    producer.tensor.manager_ctx = place.cast();
    producer.tensor.dl_tensor.shape = producer.shape.as_mut_ptr();
    if !producer.strides.is_empty() {
        producer.tensor.dl_tensor.strides = producer.strides.as_mut_ptr();
    }
    damage(&mut producer.tensor);
    // SAFETY: as above; the address is taken of all of the memory.
    (unsafe { &raw mut (*place).tensor }, released)
}

fn import<T: Element>(tensor: *mut DLManagedTensorVersioned) -> Result<Array<T>> {
    // SAFETY: every test makes tensors that fit their memory, or that are refused before it is read.
    unsafe { Array::from_dlpack(tensor) }
}

#[test]
fn what_is_lent_comes_back_in_place() {
    fn round_trip<T: Element>(elements: Vec<T>) {
        let owner = Array::from_vec(elements, &[2, 3, 2]).unwrap();
        let views = [
            owner.clone(),
            owner.permute("", &[2, 0, 1]).unwrap(),
            owner.slice("slice", 1, 2, -1, 3).unwrap(),
            owner.slice("slice", 2, 1, 1, 1).unwrap(),
            owner
                .select("select", 0, 1)
                .unwrap()
                .select("select", 0, 1)
                .unwrap()
                .select("select", 0, 0)
                .unwrap(),
            owner.slice("slice", 1, 3, 1, 0).unwrap(),
            owner
                .select("select", 1, 0)
                .unwrap()
                .insert_dim("", 1)
                .unwrap()
                .expand("expand", &[2, 4, 2])
                .unwrap(),
        ];
        for x in views {
            let back = import::<T>(x.clone().into_dlpack().unwrap().into_raw()).unwrap();
            assert_eq!((back.shape(), back.to_vec()), (x.shape(), x.to_vec()));
            let own = owner.storage().as_ptr_range().contains(&back.storage().as_ptr());
            assert!(x.numel() < 2 || own == has_no_gaps(x.shape(), &x.layout().strides()));
            let copied = x.clone().into_dlpack().unwrap().into_raw_unversioned().unwrap();
            // SAFETY: the pointer was just made.
            let back = unsafe { Array::<T>::from_dlpack_unversioned(copied) }.unwrap();
            assert_eq!((back.shape(), back.to_vec()), (x.shape(), x.to_vec()));
        }
    }
    round_trip((0..12).map(f64::from).collect());
    round_trip((0..12).map(|i| i as f32).collect());
    round_trip((0..12).collect::<Vec<i64>>());
    round_trip((0..12).map(|i| i % 3 == 0).collect());
}

#[test]
fn only_what_nothing_else_shares_may_be_written() {
    let a = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
    assert!(a.clone().into_dlpack().unwrap().is_read_only());
    let place = a.storage().as_ptr();
    let tensor = a.permute("", &[1, 0]).unwrap();
    drop(a);
    let raw = tensor.into_dlpack().unwrap().into_raw();
    // SAFETY: the pointer was just made; the elements may be written, as the flag is not set.
    unsafe {
        assert_eq!(((*raw).flags, (*raw).dl_tensor.data.cast_const().cast()), (0, place));
        *(*raw).dl_tensor.data.cast::<f64>() = 9.0;
    }
    assert_eq!(import::<f64>(raw).unwrap().to_vec(), [9.0, 3.0, 2.0, 4.0]);
    let row = Array::from_vec(vec![1.0, 2.0], &[1, 2]).unwrap().expand("expand", &[3, 2]).unwrap();
    assert!(row.into_dlpack().unwrap().is_read_only());
    let shared = Array::from_memory(Arc::<[i64]>::from([1, 2]), &[2], &[1], 0).unwrap();
    assert!(shared.into_dlpack().unwrap().is_read_only());
}

#[test]
fn the_owner_is_released_once_when_the_last_reader_goes() {
    let data: Vec<i64> = (0..12).collect();
    let dtype = DLDataType { code: 0, bits: 64, lanes: 1 };
    let (tensor, released) = produce(data.as_ptr().cast(), dtype, &[3, 2], &[2, -1], |t| {
        t.dl_tensor.byte_offset = 8;
    });
    let a = import::<i64>(tensor).unwrap();
    assert_eq!((a.to_vec(), a.storage().as_ptr()), (vec![1, 0, 3, 2, 5, 4], data.as_ptr()));
    let row = a.select("select", 0, 1).unwrap();
    drop(a);
    assert_eq!((released.load(SeqCst), row.to_vec()), (0, vec![3, 2]));
    std::thread::spawn(move || drop(row)).join().unwrap();
    assert_eq!(released.load(SeqCst), 1);
    // Row-major without strides, without elements, and without dimensions.
    let (tensor, released) = produce(data.as_ptr().cast(), dtype, &[2, 3], &[], |_| ());
    assert_eq!(import::<i64>(tensor).unwrap().to_vec(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(released.load(SeqCst), 1);
    let (tensor, released) = produce(std::ptr::null(), dtype, &[2, 0], &[1, 1], |_| ());
    assert_eq!(import::<i64>(tensor).unwrap().shape(), [2, 0]);
    assert_eq!(released.load(SeqCst), 1);
    let (tensor, released) = produce(data[5..].as_ptr().cast(), dtype, &[], &[], |t| {
        t.dl_tensor.shape = std::ptr::null_mut();
    });
    assert_eq!(import::<i64>(tensor).unwrap().item("item").unwrap(), 5);
    assert_eq!(released.load(SeqCst), 1);
}

#[test]
fn memory_that_cannot_be_read_in_place_is_copied() {
    let bytes: Vec<u8> = (0..33).collect();
    let start = (1..9).find(|&k| !bytes[k..].as_ptr().addr().is_multiple_of(8)).unwrap();
    let float = DLDataType { code: 2, bits: 64, lanes: 1 };
    let (tensor, released) = produce(bytes[start..].as_ptr().cast(), float, &[2], &[-1], |t| {
        t.dl_tensor.byte_offset = 8;
    });
    let a = import::<f64>(tensor).unwrap();
    assert_eq!(released.load(SeqCst), 1);
    let number = |k: usize| f64::from_ne_bytes(bytes[start + k..][..8].try_into().unwrap());
    assert_eq!(a.to_vec(), [number(8), number(0)]);
    let flags = DLDataType { code: 6, bits: 8, lanes: 1 };
    let (tensor, released) = produce(bytes.as_ptr().cast(), flags, &[3], &[2], |_| ());
    let a = import::<bool>(tensor).unwrap();
    assert_eq!((a.to_vec(), released.load(SeqCst)), (vec![false, true, true], 1));
}

/// Shape, strides, bytes to the first element, and the elements.
type Lent<'a> = (&'a [i64], &'a [i64], u64, &'a [i64]);

/// Between the elements of a view lies memory of others: it is neither read nor part of any slice.
#[test]
fn gaps_are_not_lent() {
    let data: Vec<i64> = (0..12).collect();
    let dtype = DLDataType { code: 0, bits: 64, lanes: 1 };
    let cases: [Lent<'_>; 5] = [
        (&[3, 2], &[4, -2], 16, &[2, 0, 6, 4, 10, 8]),
        (&[2], &[11], 0, &[0, 11]),
        (&[4], &[-3], 72, &[9, 6, 3, 0]),
        (&[2, 3], &[5, 0], 8, &[1, 1, 1, 6, 6, 6]),
        (&[2, 2, 2], &[1, 6, 3], 0, &[0, 3, 6, 9, 1, 4, 7, 10]),
    ];
    for (shape, strides, offset, expected) in cases {
        let (tensor, released) =
            produce(data.as_ptr().cast(), dtype, shape, strides, |t| t.dl_tensor.byte_offset = offset);
        let a = import::<i64>(tensor).unwrap();
        assert_eq!((a.to_vec(), released.load(SeqCst)), (expected.to_vec(), 1), "{shape:?} {strides:?}");
        let sizes: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        assert_eq!(a.shape(), sizes);
    }
    // Overlapping windows leave no gap: they are read in place.
    let (tensor, released) = produce(data.as_ptr().cast(), dtype, &[4, 3], &[2, 1], |_| ());
    let a = import::<i64>(tensor).unwrap();
    assert_eq!((a.to_vec()[9..].to_vec(), released.load(SeqCst)), (vec![6, 7, 8], 0));
    // Truth values, and numbers that are not aligned.
    let bytes: Vec<u8> = (0..40).collect();
    let flags = DLDataType { code: 6, bits: 8, lanes: 1 };
    let (tensor, _) = produce(bytes.as_ptr().cast(), flags, &[2], &[5], |_| ());
    assert_eq!(import::<bool>(tensor).unwrap().to_vec(), [false, true]);
    let start = (1..9).find(|&k| !bytes[k..].as_ptr().addr().is_multiple_of(8)).unwrap();
    let float = DLDataType { code: 2, bits: 64, lanes: 1 };
    let (tensor, _) = produce(bytes[start..].as_ptr().cast(), float, &[2], &[2], |_| ());
    let number = |k: usize| f64::from_ne_bytes(bytes[start + k..][..8].try_into().unwrap());
    assert_eq!(import::<f64>(tensor).unwrap().to_vec(), [number(0), number(16)]);
}

#[test]
fn whatever_cannot_be_is_an_error_and_released_once() {
    type Damage = fn(&mut DLManagedTensorVersioned);
    let data = [1.0f64; 6];
    let dtype = DLDataType { code: 2, bits: 64, lanes: 1 };
    let damages: [(&str, Damage); 13] = [
        ("int32", |t| t.dl_tensor.dtype = DLDataType { code: 0, bits: 32, lanes: 1 }),
        ("as f32", |t| t.dl_tensor.dtype.bits = 32),
        ("4 lanes", |t| t.dl_tensor.dtype.lanes = 4),
        ("cuda:1", |t| t.dl_tensor.device = DLDevice { device_type: CUDA, device_id: 1 }),
        ("DLPack 2.0", |t| t.version = DLPackVersion { major: 2, minor: 0 }),
        ("-1 dimensions", |t| t.dl_tensor.ndim = -1),
        ("2147483647 dimensions", |t| t.dl_tensor.ndim = i32::MAX),
        ("2 dimensions", |t| t.dl_tensor.shape = std::ptr::null_mut()),
        ("address space", |t| t.dl_tensor.data = std::ptr::null_mut()),
        ("address space", |t| t.dl_tensor.byte_offset = u64::MAX),
        // SAFETY: the list has two entries.
        ("negative size", |t| unsafe { *t.dl_tensor.shape = -2 }),
        // SAFETY: as above.
        ("no memory", |t| unsafe { *t.dl_tensor.shape = i64::MAX }),
        // SAFETY: as above.
        ("address space", |t| unsafe { *t.dl_tensor.strides = i64::MIN }),
    ];
    for (said, damage) in damages {
        let (tensor, released) = produce(data.as_ptr().cast(), dtype, &[2, 3], &[3, 1], damage);
        let error = import::<f64>(tensor).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert_eq!(released.load(SeqCst), 1, "{said}");
    }
    assert_eq!(import::<f64>(std::ptr::null_mut()).unwrap_err().kind(), ErrorKind::Argument);
}
