//! What quotients by the gaps of a spectrum are asked for.

/// (p_ij + `transpose` p_ji) / (2 (w_j + `other` w_i)), zero on the diagonal.
#[derive(Clone, Copy, Debug)]
pub struct Gaps<T> {
    /// 1 or -1, the sign of the transpose.
    pub transpose: T,
    /// 1 or -1, the sign of the other value.
    pub other: T,
    /// Gaps up to this part of the largest w count as zero, and the quotient by them as zero.
    pub rounding: Option<T>,
}
