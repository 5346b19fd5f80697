//! Sums, norms, products and positions whose intermediates would leave the range.
