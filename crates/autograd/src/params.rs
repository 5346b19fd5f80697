//! Structures of tensors: what functions take and give, beside single tensors.

use crate::tensor::Tensor;
use tensor_core::Float;

/// What a function of several tensors takes or gives: one tensor, or a tuple, array or vector of them,
/// or of such structures in turn. [`params!`](crate::params) makes one of a struct of your own.
pub trait Params<T: Float>: Sized {
    /// A `Q` for each tensor, in this structure: a Jacobian holds one structure of derivatives for each
    /// tensor of the value. `Vec<Q>` serves where the structure cannot hold anything but tensors.
    type Structure<Q>;

    /// The tensors, in order.
    fn tensors(&self) -> Vec<Tensor<T>>;

    /// The same structure around other tensors, as many as [`Params::tensors`] gave.
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self;

    /// The structure of `parts`, as many as [`Params::tensors`] gave.
    fn structure<Q>(&self, parts: Vec<Q>) -> Self::Structure<Q>;
}

impl<T: Float> Params<T> for Tensor<T> {
    type Structure<Q> = Q;

    fn tensors(&self) -> Vec<Tensor<T>> {
        vec![self.clone()]
    }
    fn rebuild(&self, mut tensors: Vec<Tensor<T>>) -> Self {
        tensors.swap_remove(0)
    }
    fn structure<Q>(&self, mut parts: Vec<Q>) -> Q {
        parts.swap_remove(0)
    }
}

/// As many of `parts`, from its front, as the structure has tensors.
fn share<T: Float, P: Params<T>, Q>(of: &P, parts: &mut impl Iterator<Item = Q>) -> Vec<Q> {
    let count = of.tensors().len();
    parts.take(count).collect()
}

impl<T: Float, P: Params<T>> Params<T> for Vec<P> {
    type Structure<Q> = Vec<P::Structure<Q>>;

    fn tensors(&self) -> Vec<Tensor<T>> {
        self.iter().flat_map(P::tensors).collect()
    }
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
        let mut tensors = tensors.into_iter();
        self.iter().map(|p| p.rebuild(share(p, &mut tensors))).collect()
    }
    fn structure<Q>(&self, parts: Vec<Q>) -> Self::Structure<Q> {
        let mut parts = parts.into_iter();
        self.iter().map(|p| p.structure(share(p, &mut parts))).collect()
    }
}

impl<T: Float, P: Params<T>, const N: usize> Params<T> for [P; N] {
    type Structure<Q> = [P::Structure<Q>; N];

    fn tensors(&self) -> Vec<Tensor<T>> {
        self.iter().flat_map(P::tensors).collect()
    }
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
        let mut tensors = tensors.into_iter();
        self.each_ref().map(|p| p.rebuild(share(p, &mut tensors)))
    }
    fn structure<Q>(&self, parts: Vec<Q>) -> Self::Structure<Q> {
        let mut parts = parts.into_iter();
        self.each_ref().map(|p| p.structure(share(p, &mut parts)))
    }
}

macro_rules! tuple_params {
    ($($name:ident $index:tt),*) => {
        impl<T: Float, $($name: Params<T>),*> Params<T> for ($($name,)*) {
            type Structure<Q> = ($($name::Structure<Q>,)*);

            fn tensors(&self) -> Vec<Tensor<T>> {
                let mut all = Vec::new();
                $( all.extend(self.$index.tensors()); )*
                all
            }
            fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
                let mut tensors = tensors.into_iter();
                ($( self.$index.rebuild(share(&self.$index, &mut tensors)), )*)
            }
            fn structure<Q>(&self, parts: Vec<Q>) -> Self::Structure<Q> {
                let mut parts = parts.into_iter();
                ($( self.$index.structure(share(&self.$index, &mut parts)), )*)
            }
        }
    };
}
tuple_params!(A 0, B 1);
tuple_params!(A 0, B 1, C 2);
tuple_params!(A 0, B 1, C 2, D 3);
tuple_params!(A 0, B 1, C 2, D 3, E 4);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5);

/// Makes [`Params`] of a struct whose fields are tensors or structures of them: name the struct and its
/// fields, all of them. A struct that is generic over the element type is named with the parameter.
///
/// ```
/// use autograd::{Tensor, hessian, params, value_and_grad};
///
/// struct Line {
///     slope: Tensor,
///     offset: Tensor,
/// }
/// params!(Line { slope, offset });
///
/// let x: Tensor = Tensor::from([0.0, 1.0, 2.0]);
/// let loss = |line: &Line| Ok((&line.slope * &x + &line.offset - 1.0).square().sum());
/// let line = Line { slope: Tensor::scalar(1.0), offset: Tensor::scalar(0.5) };
/// let (_, gradient) = value_and_grad(loss, &line)?;
/// assert_eq!((gradient.slope.item()?, gradient.offset.item()?), (7.0, 3.0));
/// let rows = hessian(loss, &line)?;
/// assert_eq!((rows[0].slope.item()?, rows[0].offset.item()?), (10.0, 6.0));
///
/// struct Layer<T: autograd::Float> {
///     weights: Tensor<T>,
/// }
/// params!(Layer<T> { weights });
/// # let _ = |l: &Layer<f32>| autograd::Params::tensors(l);
/// # let _ = Layer::<f32> { weights: Tensor::scalar(1f32) };
/// # Ok::<(), tensor_core::Error>(())
/// ```
#[macro_export]
macro_rules! params {
    ($Name:ident { $($field:ident),* $(,)? }) => {
        $crate::params!(impl [] f64, $Name, $($field),*);
    };
    ($Name:ident<$T:ident> { $($field:ident),* $(,)? }) => {
        $crate::params!(impl [$T: $crate::Float] $T, $Name<$T>, $($field),*);
    };
    (impl [$($bound:tt)*] $T:ty, $Name:ty, $($field:ident),*) => {
        impl<$($bound)*> $crate::Params<$T> for $Name {
            type Structure<Q> = ::std::vec::Vec<Q>;

            fn tensors(&self) -> ::std::vec::Vec<$crate::Tensor<$T>> {
                let mut all = ::std::vec::Vec::new();
                $( all.extend($crate::Params::<$T>::tensors(&self.$field)); )*
                all
            }
            fn rebuild(&self, tensors: ::std::vec::Vec<$crate::Tensor<$T>>) -> Self {
                let mut tensors = tensors.into_iter();
                Self {
                    $( $field: {
                        let count = $crate::Params::<$T>::tensors(&self.$field).len();
                        let own = tensors.by_ref().take(count).collect();
                        $crate::Params::<$T>::rebuild(&self.$field, own)
                    }, )*
                }
            }
            fn structure<Q>(&self, parts: ::std::vec::Vec<Q>) -> ::std::vec::Vec<Q> {
                parts
            }
        }
    };
}
