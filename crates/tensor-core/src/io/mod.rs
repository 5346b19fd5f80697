//! Arrays in files: NumPy's .npy and .npz, safetensors, and CSV.
//!
//! A file is a stranger's word. Whatever it claims is held against its length before memory is taken for it, and
//! what is wrong with it is an [`ErrorKind::File`](crate::ErrorKind::File) that names the file and the fault. Only
//! regular files are read and written: a pipe has no length to hold a claim against. Files are written beside
//! their place under another name, and take it when they are whole and on the disk.
//!
//! ```
//! use tapegrad::{Array, io};
//! # let folder = std::env::temp_dir().join(format!("tapegrad-io-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! let path = folder.join("x.npy");
//! io::save_npy(&path, &Array::from_vec(vec![1.5, 2.5], &[2])?)?;
//! assert_eq!(io::load_npy::<Array<f64>>(&path)?.to_vec(), [1.5, 2.5]);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok::<(), tapegrad::Error>(())
//! ```

mod any;
mod csv;
mod described;
mod from_file;
mod mapped;
mod mapping;
mod npy;
mod npy_header;
mod npz;
mod parts;
mod place;
mod rows;
mod safetensors;
mod safetensors_header;
mod source;
mod stored;
mod write;

#[cfg(test)]
mod tests;

pub use any::AnyArray;
pub use csv::{CsvOptions, load_csv, save_csv};
pub use from_file::FromFile;
pub use mapped::{map_npy, map_safetensors};
pub use npy::{load_npy, save_npy};
pub use npz::{Compression, load_npz, load_npz_entry, save_npz};
pub use parts::{NpyParts, npy_header, write_npy_rows};
pub use rows::RowFile;
pub use safetensors::{load_safetensors, load_safetensors_entry, safetensors_metadata, save_safetensors};
