//! What rows are measured on: the same for this library and, in benches/peers/rust, for others.

/// The first is a square, whose rows are of length 32.
pub const SIZES: &[usize] = &[1024, 90_000, 4_000_000];

/// What the first operand of n elements looks like.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "a program may have rows of some of these alone")]
pub enum Shape {
    /// Of n elements.
    Vector,
    /// A matrix of n elements, or a few less.
    Square,
    /// Of this length, as many as there are whole ones.
    Rows(usize),
}

impl Shape {
    /// The shape for n elements.
    pub fn of(self, n: usize) -> Vec<usize> {
        match self {
            Shape::Vector => vec![n],
            Shape::Square => vec![n.isqrt(); 2],
            Shape::Rows(length) => vec![n / length, length],
        }
    }
}

/// What is measured of a work.
#[derive(Clone, Copy)]
pub enum What {
    /// The value.
    Forward,
    /// The value and the gradient of its sum.
    Gradient,
}

impl What {
    /// Its part of an id.
    pub fn name(self) -> &'static str {
        match self {
            What::Forward => "forward",
            What::Gradient => "gradient",
        }
    }
}

/// The value, and the value and the gradient.
pub const BOTH: [What; 2] = [What::Forward, What::Gradient];
