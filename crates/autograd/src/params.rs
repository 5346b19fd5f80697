//! Structures of tensors: what functions take and give, beside single tensors.

use crate::tensor::Tensor;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use tensor_core::{AtCaller, Error, Float, Result};

/// What a function of several tensors takes or gives: one tensor, or a tuple, array, vector, map or option of them,
/// or of such structures in turn. [`params!`](crate::params!) makes one of a struct of your own. Two maps fit each other
/// where they have the same keys, whose order is that of the tensors.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no structure of tensors of `{T}`",
    label = "a tensor, or a tuple, array, vector, map or option of tensors of `{T}` is needed",
    note = "a struct is one after `params!(Name {{ field, .. }})`"
)]
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

/// No tensors: what a function gives that gives nothing.
impl<T: Float> Params<T> for () {
    type Structure<Q> = ();

    fn tensors(&self) -> Vec<Tensor<T>> {
        Vec::new()
    }
    fn rebuild(&self, _: Vec<Tensor<T>>) -> Self {}
    fn structure<Q>(&self, _: Vec<Q>) {}
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
tuple_params!(A 0);
tuple_params!(A 0, B 1);
tuple_params!(A 0, B 1, C 2);
tuple_params!(A 0, B 1, C 2, D 3);
tuple_params!(A 0, B 1, C 2, D 3, E 4);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple_params!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

impl<T: Float, P: Params<T>> Params<T> for Option<P> {
    type Structure<Q> = Option<P::Structure<Q>>;

    fn tensors(&self) -> Vec<Tensor<T>> {
        self.as_ref().map_or(Vec::new(), P::tensors)
    }
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
        self.as_ref().map(|p| p.rebuild(tensors))
    }
    fn structure<Q>(&self, parts: Vec<Q>) -> Self::Structure<Q> {
        self.as_ref().map(|p| p.structure(parts))
    }
}

impl<T: Float, K: Ord + Clone, P: Params<T>> Params<T> for BTreeMap<K, P> {
    type Structure<Q> = BTreeMap<K, P::Structure<Q>>;

    fn tensors(&self) -> Vec<Tensor<T>> {
        self.values().flat_map(P::tensors).collect()
    }
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
        let mut tensors = tensors.into_iter();
        self.iter().map(|(key, p)| (key.clone(), p.rebuild(share(p, &mut tensors)))).collect()
    }
    fn structure<Q>(&self, parts: Vec<Q>) -> Self::Structure<Q> {
        let mut parts = parts.into_iter();
        self.iter().map(|(key, p)| (key.clone(), p.structure(share(p, &mut parts)))).collect()
    }
}

/// The entries in the order of their keys: that of a hash map differs from one to the next.
fn in_order<K: Ord, P, S>(map: &HashMap<K, P, S>) -> Vec<(&K, &P)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

impl<T, K, P, S> Params<T> for HashMap<K, P, S>
where
    T: Float,
    K: Ord + Hash + Clone,
    P: Params<T>,
    S: BuildHasher + Default,
{
    type Structure<Q> = HashMap<K, P::Structure<Q>, S>;

    fn tensors(&self) -> Vec<Tensor<T>> {
        in_order(self).into_iter().flat_map(|(_, p)| p.tensors()).collect()
    }
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
        let mut tensors = tensors.into_iter();
        let entry = |(key, p): (&K, &P)| (key.clone(), p.rebuild(share(p, &mut tensors)));
        in_order(self).into_iter().map(entry).collect()
    }
    fn structure<Q>(&self, parts: Vec<Q>) -> Self::Structure<Q> {
        let mut parts = parts.into_iter();
        let entry = |(key, p): (&K, &P)| (key.clone(), p.structure(share(p, &mut parts)));
        in_order(self).into_iter().map(entry).collect()
    }
}

/// All elements of a structure in one vector: tensor by tensor, each in row-major order. [`unflatten`] makes a structure of
/// it again. Gradients flow through both.
///
/// ```
/// use tapegrad::{Tensor, params};
/// let p = (Tensor::from([[1.0, 2.0]]), vec![Tensor::scalar(3.0)]);
/// let flat = params::flatten(&p)?;
/// assert_eq!(flat.to_vec(), [1.0, 2.0, 3.0]);
/// let (a, b) = params::unflatten(&p, &(flat * 2.0))?;
/// assert_eq!((a.shape(), b[0].item()?), (&[1, 2][..], 6.0));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Device, where the tensors are on several; out of memory.
#[track_caller]
pub fn flatten<T: Float>(params: &impl Params<T>) -> Result<Tensor<T>> {
    let parts: Vec<Tensor<T>> = params.tensors().iter().map(Tensor::flatten).collect();
    if parts.is_empty() { Ok(Tensor::from(Vec::new())) } else { Tensor::cat(parts, 0).called("flatten") }
}

/// The structure of `like` around the elements of a vector, as [`flatten`] puts them.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::params::{flatten, unflatten};
/// let layer = (Tensor::from([[1.0, 2.0]]), Tensor::from([3.0]));
/// let twice: (Tensor, Tensor) = unflatten(&layer, &(flatten(&layer)? * 2.0))?;
/// assert_eq!((twice.0.shape(), twice.1.to_vec()), (&[1, 2][..], vec![6.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where it is no vector of as many elements as the structure has.
#[track_caller]
pub fn unflatten<T: Float, P: Params<T>>(like: &P, vector: &Tensor<T>) -> Result<P> {
    let tensors = like.tensors();
    let count: usize = tensors.iter().map(Tensor::numel).sum();
    if *vector.shape() != [count] {
        let message =
            format!("a vector of {count} elements is needed, not a tensor of shape {:?}", vector.shape());
        return Err(Error::shape("unflatten", message).at_caller());
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(tensors.len());
    for like in &tensors {
        parts.push(vector.narrow(0, start, like.numel())?.reshape(like.shape())?);
        start += like.numel();
    }
    Ok(like.rebuild(parts))
}

/// The structure around the values of `f` at each of its tensors.
///
/// ```
/// use tapegrad::{Tensor, params};
/// let halves = params::map(&[Tensor::scalar(4.0), Tensor::scalar(6.0)], |x| Ok(x * 0.5))?;
/// assert_eq!((halves[0].item()?, halves[1].item()?), (2.0, 3.0));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns.
pub fn map<T: Float, P: Params<T>>(params: &P, f: impl FnMut(&Tensor<T>) -> Result<Tensor<T>>) -> Result<P> {
    Ok(params.rebuild(params.tensors().iter().map(f).collect::<Result<_>>()?))
}

/// The structure of `a` around the values of `f` at each of its tensors and that of `b` in the same place: a step down a
/// gradient, say.
///
/// ```
/// use tapegrad::{Tensor, params, value_and_grad};
/// let p = (Tensor::from([1.0, 2.0]), Tensor::scalar(3.0));
/// let (_, g) = value_and_grad(|(a, b)| Ok(a.square().sum() * b), &p)?;
/// let next = params::zip_map(&p, &g, |p, g| Ok(p - g * 0.1))?;
/// assert_eq!(next.1.item()?, 2.5);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the structures do not have as many tensors; what `f` returns.
#[track_caller]
pub fn zip_map<T: Float, P: Params<T>>(
    a: &P,
    b: &impl Params<T>,
    mut f: impl FnMut(&Tensor<T>, &Tensor<T>) -> Result<Tensor<T>>,
) -> Result<P> {
    let (xs, ys) = (a.tensors(), b.tensors());
    if xs.len() != ys.len() {
        let message = format!("structures of {} and of {} tensors: as many are needed", xs.len(), ys.len());
        return Err(Error::shape("zip_map", message).at_caller());
    }
    Ok(a.rebuild(xs.iter().zip(&ys).map(|(x, y)| f(x, y)).collect::<Result<_>>()?))
}

/// Makes [`Params`] of a struct whose fields are tensors or structures of them: name the struct and its
/// fields. `..` stands for fields that are no tensors, and are cloned: the struct then is [`Clone`]. A struct that is
/// generic over the element type is named with the parameter.
///
/// ```
/// use tapegrad::{Tensor, hessian, params, value_and_grad};
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
/// #[derive(Clone)]
/// struct Layer<T: tapegrad::Float> {
///     weights: Tensor<T>,
///     bias: Option<Tensor<T>>,
///     name: String,
/// }
/// params!(Layer<T> { weights, bias, .. });
/// # let layer = Layer::<f32> { weights: Tensor::scalar(1f32), bias: None, name: "first".into() };
/// # assert_eq!(params::map(&layer, |x| Ok(x * 2.0))?.name, "first");
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[macro_export]
macro_rules! params {
    ($Name:ident { $($field:ident),* $(,)? }) => {
        $crate::params!(impl [] f64, $Name, [], $($field),*);
    };
    ($Name:ident { $($field:ident,)* .. }) => {
        $crate::params!(impl [] f64, $Name, [..], $($field),*);
    };
    ($Name:ident<$T:ident> { $($field:ident),* $(,)? }) => {
        $crate::params!(impl [$T: $crate::Float] $T, $Name<$T>, [], $($field),*);
    };
    ($Name:ident<$T:ident> { $($field:ident,)* .. }) => {
        $crate::params!(impl [$T: $crate::Float] $T, $Name<$T>, [..], $($field),*);
    };
    (impl [$($bound:tt)*] $T:ty, $Name:ty, [$($dots:tt)?], $($field:ident),*) => {
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
                    $( $dots ::std::clone::Clone::clone(self) )?
                }
            }
            fn structure<Q>(&self, parts: ::std::vec::Vec<Q>) -> ::std::vec::Vec<Q> {
                parts
            }
        }
    };
}
