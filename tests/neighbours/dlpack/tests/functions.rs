//! The functions that Python calls, called from Rust.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;
use tapegrad::Tensor;
use tapegrad::dlpack::DLManagedTensorVersioned;
use tapegrad_neighbours_dlpack::{echo, gradient};

#[test]
fn a_gradient_and_a_tensor_come_back() {
    let x = Tensor::from([0.0, 1.0, 2.0]);
    let (mut value, mut address) = (0.0, 0);
    // SAFETY: the pointers are fresh, and no text is asked for.
    unsafe {
        let lent = x.to_dlpack().unwrap().into_raw();
        let g: Tensor = Tensor::from_dlpack(gradient(lent, &mut value, null_mut(), 0)).unwrap();
        assert_eq!(value, 1f64.sin() + 2.0 * 2f64.sin());
        assert!((g.get([1]).unwrap() - 1f64.sin() - 1f64.cos()).abs() < 1e-15);
        let lent = x.to_dlpack().unwrap().into_raw();
        let same: Tensor = Tensor::from_dlpack(echo(lent, &mut address, null_mut(), 0)).unwrap();
        assert_eq!((same.to_vec(), address), (x.to_vec(), x.as_slice().unwrap().as_ptr().addr()));
    }
}

#[test]
fn an_error_is_told_as_far_as_there_is_room() {
    let mut text = [1 as c_char; 40];
    for room in [0, 1, 12, 40] {
        let lent = Tensor::from([1, 2, 3]).into_dlpack().unwrap().into_raw();
        // SAFETY: the pointer is fresh, and the text has so much room.
        let answer: *mut DLManagedTensorVersioned =
            unsafe { gradient(lent, &mut 0.0, text.as_mut_ptr(), room) };
        assert!(answer.is_null());
        if room > 0 {
            // SAFETY: the text ends with a zero byte.
            let told = unsafe { CStr::from_ptr(text.as_ptr()) }.to_str().unwrap();
            let whole = "from_dlpack: the tensor's elements are int64, not f64";
            assert_eq!(told, &whole[..room - 1]);
        }
    }
}
