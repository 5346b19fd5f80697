//! What direct solvers know of a pattern.

use faer::sparse::linalg::cholesky::SymbolicCholesky;
use faer::sparse::linalg::lu::SymbolicLu;
use faer::sparse::linalg::qr::SymbolicQr;
use std::sync::{Arc, OnceLock};

/// What solvers know of a pattern, whatever its values: it serves every matrix of the pattern.
#[derive(Default)]
pub(crate) struct Symbolic {
    pub(crate) columns: OnceLock<Columns>,
    pub(crate) cholesky: OnceLock<Arc<SymbolicCholesky<usize>>>,
    pub(crate) lu: OnceLock<Arc<SymbolicLu<usize>>>,
    pub(crate) qr: OnceLock<Arc<SymbolicQr<usize>>>,
}

/// The pattern column by column, as faer takes it.
pub(crate) struct Columns {
    pub(crate) starts: Vec<usize>,
    pub(crate) rows: Vec<usize>,
}
