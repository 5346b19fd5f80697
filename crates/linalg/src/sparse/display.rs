//! Sparse tensors print as PyTorch's do: the places, the values, and what they belong to.

use super::{SparseLayout, SparseTensor};
use autograd::Tensor;
use std::fmt;
use tensor_core::{Float, Result};

impl<T: Float> fmt::Display for SparseTensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A formatter has no other error: what cannot be computed cannot be shown.
        let show = |name: &str, places: Result<Tensor<i64>>| {
            places.map(|p| indented(name, &p.to_string())).map_err(|_| fmt::Error)
        };
        let (layout, places) = match self.layout() {
            SparseLayout::Coo => ("coo", vec![show("indices", self.indices())?]),
            SparseLayout::Csr => (
                "csr",
                vec![
                    show("crow_indices", self.compressed_indices())?,
                    show("col_indices", self.plain_indices())?,
                ],
            ),
            SparseLayout::Csc => (
                "csc",
                vec![
                    show("ccol_indices", self.compressed_indices())?,
                    show("row_indices", self.plain_indices())?,
                ],
            ),
        };
        let sizes: Vec<String> = self.shape().iter().map(usize::to_string).collect();
        let comma = if sizes.len() == 1 { "," } else { "" };
        write!(
            f,
            "tensor({},\n       {},\n       size=({}{comma}), nnz={}, layout=sparse_{layout})",
            places.join(",\n       "),
            indented("values", &self.values.to_string()),
            sizes.join(", "),
            self.nnz(),
        )
    }
}

/// `name=text`, with the lines of the text below each other.
fn indented(name: &str, text: &str) -> String {
    format!("{name}={}", text.replace('\n', &format!("\n{}", " ".repeat("tensor(".len() + name.len() + 1))))
}

impl<T: Float> fmt::Debug for SparseTensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
