//! The code in docs/, run as doctests: every cell of the last column of numpy-and-pytorch.md,
//! adding-an-op.md, guide-distributed.md, guide-interop.md and pitfalls.md.
#![doc = include_str!(concat!(env!("OUT_DIR"), "/cells.md"))]

#[cfg(doctest)]
#[doc = include_str!("../../adding-an-op.md")]
pub mod adding_an_op {}

#[cfg(doctest)]
#[doc = include_str!("../../guide-distributed.md")]
pub mod guide_distributed {}

#[cfg(doctest)]
#[doc = include_str!("../../guide.md")]
pub mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../../guide-interop.md")]
pub mod guide_interop {}

#[cfg(doctest)]
#[doc = include_str!("../../pitfalls.md")]
pub mod pitfalls {}

#[cfg(test)]
mod tests {
    /// What adding-an-op.md quotes of the tree is there as it is quoted.
    #[test]
    fn rows_that_are_shown_are_those_of_the_tables() {
        let tables = [
            include_str!("../../../crates/autograd/src/ops/elementwise.rs"),
            include_str!("../../../crates/tensor-core/src/kernels/index.rs"),
        ];
        let rows: Vec<&str> = include_str!("../../adding-an-op.md").split("```text\n").skip(1).collect();
        assert_eq!(rows.len(), tables.len());
        for (row, table) in rows.iter().zip(tables) {
            let row = row.split("```").next().unwrap();
            assert!(table.contains(row), "{row}");
        }
    }
}
