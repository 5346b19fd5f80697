//! Strided data on a device: what every kernel reads and writes.

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::{DType, Element};
use crate::error::{Error, ErrorKind, OrRaise, Result};
#[cfg(feature = "cuda")]
use crate::gpu::allocation::Allocation;
use crate::kernels;
use crate::layout::Layout;
use crate::memory::buffer::Buffer;
use crate::memory::vectors;
use crate::shape::{self, Dims};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// A strided array of one element type. Clones and views share the data; a write happens in place
/// exactly when nothing else shares it, and goes to a copy otherwise.
///
/// ```
/// use tensor_core::Array;
/// let a = Array::from_vec(vec![1, 2, 3, 4, 5, 6], &[2, 3])?;
/// let t = a.permute("permute", &[1, 0])?;
/// assert_eq!(t.shape(), [3, 2]);
/// assert_eq!(t.to_vec(), [1, 4, 2, 5, 3, 6]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
pub struct Array<T: Element>(Arc<Inner<T>>);

struct Inner<T: Element> {
    layout: Layout,
    data: Data<T>,
}

enum Data<T: Element> {
    /// One element, inline: scalars cost one allocation, not two.
    One([T; 1]),
    Owned(Buffer<T>),
    /// Elements that something else owns, to be read only.
    Foreign(Box<dyn Memory<T>>),
    /// A view of an array that is not itself a view.
    View(Array<T>),
    /// One element of an array on a GPU that the host knows: kernels take it as a parameter.
    #[cfg(feature = "cuda")]
    Known(Device, [T; 1]),
    #[cfg(feature = "cuda")]
    Cuda(Allocation),
}

/// Memory of another owner, read without copying: a mapped file, another library's matrix.
///
/// An array and its views keep the owner alive; writing to such an array copies it first.
///
/// # Safety
/// [`Memory::elements`] gives the same slice at every call, wherever the owner has been moved to.
pub unsafe trait Memory<T>: Send + Sync {
    /// The elements.
    fn elements(&self) -> &[T];
}

// SAFETY: the vector's memory is its own, and nothing changes it while it is shared.
unsafe impl<T: Send + Sync> Memory<T> for Vec<T> {
    fn elements(&self) -> &[T] {
        self
    }
}

// SAFETY: the elements lie behind the count, and nothing changes them while they are shared.
unsafe impl<T: Send + Sync> Memory<T> for Arc<[T]> {
    fn elements(&self) -> &[T] {
        self
    }
}

// What arrays share is only read, foreign memory too: a panic leaves nothing half written in another's elements.
impl<T: Element> UnwindSafe for Array<T> {}
impl<T: Element> RefUnwindSafe for Array<T> {}

impl<T: Element> Clone for Array<T> {
    #[inline]
    fn clone(&self) -> Self {
        Array(self.0.clone())
    }
}

impl<T: Element> Array<T> {
    #[inline]
    fn new(layout: Layout, data: Data<T>) -> Self {
        Array(Arc::new(Inner { layout, data }))
    }

    /// An array without dimensions.
    #[inline]
    pub fn scalar(x: T) -> Self {
        Array::one(Dims::new(), x)
    }

    /// The array of `shape`, whose sizes are all 1, that holds `x`.
    #[inline]
    pub(crate) fn one(shape: Dims, x: T) -> Self {
        Array::new(Layout::row_major(shape), Data::One([x]))
    }

    #[inline]
    pub(crate) fn from_buffer(shape: Dims, buffer: Buffer<T>) -> Self {
        if let [x] = *buffer {
            return Array::one(shape, x);
        }
        Array::new(Layout::row_major(shape), Data::Owned(buffer))
    }

    /// `buffer` read through `layout`, which stays within it.
    pub(crate) fn with_layout(layout: Layout, buffer: Buffer<T>) -> Self {
        if layout.numel() == 1 {
            return Array::one(Dims::from_slice(layout.shape()), buffer[layout.offset()]);
        }
        Array::new(layout, Data::Owned(buffer))
    }

    /// An array of `shape` whose elements, of arbitrary values at first, `fill` writes.
    #[inline]
    pub(crate) fn build(op: &'static str, shape: Dims, fill: impl FnOnce(&mut [T])) -> Result<Self> {
        let mut buffer = Buffer::for_overwrite(op, shape::numel(op, &shape)?)?;
        fill(&mut buffer);
        Ok(Array::from_buffer(shape, buffer))
    }

    /// Takes a vector over, without copying, as a row-major array.
    ///
    /// # Errors
    /// Shape, where the vector does not have as many elements as the shape.
    pub fn from_vec(data: Vec<T>, shape: &[usize]) -> Result<Self> {
        let n = shape::numel("from_vec", shape)?;
        if data.len() != n {
            let message = format!("{} elements do not fill shape {shape:?}, which takes {n}", data.len());
            return Err(Error::shape("from_vec", message));
        }
        Ok(Array::from_buffer(Dims::from_slice(shape), Buffer::adopt(data)))
    }

    /// Copies a slice as a row-major array.
    ///
    /// # Errors
    /// Shape, where the slice does not have as many elements as the shape; out of memory.
    pub fn from_slice(data: &[T], shape: &[usize]) -> Result<Self> {
        let n = shape::numel("from_slice", shape)?;
        if data.len() != n {
            let message = format!("{} elements do not fill shape {shape:?}, which takes {n}", data.len());
            return Err(Error::shape("from_slice", message));
        }
        Array::build("from_slice", Dims::from_slice(shape), |out| out.copy_from_slice(data))
    }

    /// Reads memory of another owner through strides, without copying.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tensor_core::Array;
    /// let shared: Arc<[f64]> = Arc::new([1.0, 2.0, 3.0, 4.0]);
    /// // Column after column.
    /// let a = Array::from_memory(shared.clone(), &[2, 2], &[1, 2], 0)?;
    /// assert_eq!(a.to_vec(), [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where strides and offset, in elements, leave the memory, or there is not a stride for each dimension.
    pub fn from_memory(
        memory: impl Memory<T> + 'static,
        shape: &[usize],
        strides: &[isize],
        offset: usize,
    ) -> Result<Self> {
        shape::numel("from_memory", shape)?;
        let len = memory.elements().len();
        if !Layout::stays_within(shape, strides, offset, len) {
            let message = format!(
                "shape {shape:?} with strides {strides:?} from element {offset} leaves memory of {len} elements"
            );
            return Err(Error::shape("from_memory", message));
        }
        let layout = Layout::strided(Dims::from_slice(shape), strides, offset);
        if layout.numel() == 1 {
            return Ok(Array::one(Dims::from_slice(shape), memory.elements()[offset]));
        }
        Ok(Array::new(layout, Data::Foreign(Box::new(memory))))
    }

    /// Zeros (`false` for truth values).
    ///
    /// # Errors
    /// Out of memory.
    pub fn zeros(shape: &[usize]) -> Result<Self> {
        let n = shape::numel("zeros", shape)?;
        Ok(Array::from_buffer(Dims::from_slice(shape), Buffer::zeroed("zeros", n)?))
    }

    /// One value everywhere, in memory of its own; [`Array::repeat`] takes none.
    ///
    /// # Errors
    /// Out of memory.
    pub fn full(shape: &[usize], value: T) -> Result<Self> {
        Array::build("full", Dims::from_slice(shape), |out| out.fill(value))
    }

    /// One value everywhere, stored once.
    ///
    /// # Errors
    /// Out of memory, for a shape no memory could hold.
    pub fn repeat(shape: &[usize], value: T) -> Result<Self> {
        if shape.iter().all(|&d| d == 1) {
            return Ok(Array::one(Dims::from_slice(shape), value));
        }
        Array::scalar(value).expand("full", shape)
    }

    /// One value everywhere on a device, stored once.
    ///
    /// # Errors
    /// Out of memory, for a shape no memory could hold.
    pub fn repeat_on(device: Device, shape: &[usize], value: T) -> Result<Self> {
        let x = Array::repeat(shape, value)?;
        if device == Device::Cpu { Ok(x) } else { x.to_device("full", device) }
    }

    /// Zeros (`false` for truth values) on a device, in memory of their own.
    ///
    /// # Errors
    /// Out of memory; device, where it cannot be used.
    pub fn zeros_on(device: Device, shape: &[usize]) -> Result<Self> {
        match device {
            Device::Cpu => Array::zeros(shape),
            device => kernels::copy("zeros", &Array::repeat_on(device, shape, T::default())?),
        }
    }

    /// The sizes of the dimensions.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        self.0.layout.shape()
    }

    /// The number of dimensions.
    #[inline]
    pub fn ndim(&self) -> usize {
        self.0.layout.ndim()
    }

    /// The number of elements.
    #[inline]
    pub fn numel(&self) -> usize {
        self.0.layout.numel()
    }

    /// The element type's run-time name.
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// Where the data lives.
    #[inline]
    pub fn device(&self) -> Device {
        #[cfg(feature = "cuda")]
        match &self.0.data {
            Data::View(owner) => return owner.device(),
            Data::Known(device, _) => return *device,
            Data::Cuda(memory) => return Device::Cuda(memory.gpu().ordinal()),
            Data::One(_) | Data::Owned(_) | Data::Foreign(_) => {}
        }
        Device::Cpu
    }

    /// Whether the elements are on a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn is_on_gpu(&self) -> bool {
        match &self.0.data {
            Data::One(_) | Data::Owned(_) | Data::Foreign(_) => false,
            Data::View(owner) => owner.is_on_gpu(),
            Data::Known(_, _) | Data::Cuda(_) => true,
        }
    }

    /// Shape, strides and offset within [`Array::storage`].
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// All of the buffer this array is a view of; [`Array::layout`] says where its elements lie. Empty for an
    /// array on a GPU.
    #[inline]
    pub fn storage(&self) -> &[T] {
        match &self.0.data {
            Data::One(x) => x,
            Data::Owned(b) => b,
            Data::Foreign(memory) => memory.elements(),
            Data::View(owner) => owner.storage(),
            #[cfg(feature = "cuda")]
            Data::Known(_, _) | Data::Cuda(_) => &[],
        }
    }

    /// The elements in row-major order, where they lie that way in the host's memory.
    #[inline]
    pub fn as_slice(&self) -> Option<&[T]> {
        let layout = &self.0.layout;
        let n = layout.numel();
        match n {
            0 => Some(&[]),
            _ if layout.is_contiguous() => self.storage().get(layout.offset()..layout.offset() + n),
            _ => None,
        }
    }

    /// The only element of an array that has one, where the host knows it.
    #[inline]
    pub fn single(&self) -> Option<T> {
        match &self.0.data {
            Data::One([x]) => Some(*x),
            #[cfg(feature = "cuda")]
            _ if self.numel() == 1 => self.known(),
            _ => None,
        }
    }

    /// The only element, brought from a GPU where it is there.
    ///
    /// # Errors
    /// Shape, where there is not exactly one element.
    pub fn item(&self, op: &'static str) -> Result<T> {
        if let Some(x) = self.single() {
            return Ok(x);
        }
        if self.numel() != 1 {
            let message = format!(
                "shape {:?} does not have exactly one element: index it, or use to_vec",
                self.shape()
            );
            return Err(Error::shape(op, message));
        }
        Ok(self.to_device(op, Device::Cpu)?.storage()[0])
    }

    /// Whether there is another handle of this array.
    #[inline]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The elements for writing, in row-major order, where they lie that way and nothing else
    /// shares them.
    pub fn as_mut_slice(&mut self) -> Option<&mut [T]> {
        let layout = &self.0.layout;
        if !layout.is_contiguous() {
            return None;
        }
        let (start, n) = (layout.offset(), layout.numel());
        let storage = self.storage_mut()?;
        if n == 0 { Some(&mut []) } else { storage.get_mut(start..start + n) }
    }

    /// All of the buffer for writing, where nothing else shares it.
    #[inline]
    pub(crate) fn storage_mut(&mut self) -> Option<&mut [T]> {
        match &mut Arc::get_mut(&mut self.0)?.data {
            Data::One(x) => Some(x),
            Data::Owned(b) => Some(b),
            Data::View(owner) => owner.storage_mut(),
            Data::Foreign(_) => None,
            #[cfg(feature = "cuda")]
            Data::Known(_, _) | Data::Cuda(_) => None,
        }
    }

    /// The elements for writing, in row-major order; copies first where they are shared or lie
    /// otherwise.
    ///
    /// # Errors
    /// Out of memory; device, where they are on a GPU.
    pub fn make_mut(&mut self) -> Result<&mut [T]> {
        if self.device() != Device::Cpu {
            let message = format!("the elements are on {}: move them with cpu() first", self.device());
            return Err(Error::new(ErrorKind::Device, "make_mut", message));
        }
        if self.as_mut_slice().is_none() {
            *self = kernels::copy("make_mut", self)?;
        }
        Ok(self.as_mut_slice().expect("a fresh copy is row-major and unshared"))
    }

    /// The address and the bytes of the buffer behind this array, which others may share; no bytes for
    /// a single element, which lies in the array itself.
    pub fn allocation(&self) -> (usize, usize) {
        match &self.0.data {
            Data::One(x) => (x.as_ptr() as usize, 0),
            Data::Owned(buffer) => (buffer.as_ptr() as usize, buffer.bytes()),
            Data::Foreign(memory) => (memory.elements().as_ptr() as usize, size_of_val(memory.elements())),
            Data::View(owner) => owner.allocation(),
            #[cfg(feature = "cuda")]
            Data::Known(_, x) => (x.as_ptr() as usize, 0),
            #[cfg(feature = "cuda")]
            Data::Cuda(memory) => (memory.pointer() as usize, memory.bytes()),
        }
    }

    /// A view of the same buffer; the layout reaches no further than this array's own.
    pub(crate) fn view(&self, layout: Layout) -> Self {
        if layout.numel() == 1
            && let Some(&x) = self.storage().get(layout.offset())
        {
            return Array::one(Dims::from_slice(layout.shape()), x);
        }
        let owner = match &self.0.data {
            Data::View(owner) => owner,
            _ => self,
        };
        Array::new(layout, Data::View(owner.clone()))
    }

    /// A view with the dimensions in the order `dims`, a permutation.
    ///
    /// # Errors
    /// Index, where `dims` do not name each dimension once.
    pub fn permute(&self, op: &'static str, dims: &[usize]) -> Result<Self> {
        // Few dimensions: looking for each is quicker than marking it in a list.
        if dims.len() != self.ndim() || (0..self.ndim()).any(|d| !dims.contains(&d)) {
            let message = format!("{dims:?} does not name each dimension of shape {:?} once", self.shape());
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().permute(dims)))
    }

    /// An error where there is no dimension `dim`.
    fn has_dim(&self, op: &'static str, dim: usize) -> Result<()> {
        if dim < self.ndim() {
            return Ok(());
        }
        Err(Error::index(op, format!("shape {:?} has no dimension {dim}", self.shape())))
    }

    /// A view stretched to `to`.
    ///
    /// # Errors
    /// Shape, where a dimension of size other than 1 would change.
    pub fn expand(&self, op: &'static str, to: &[usize]) -> Result<Self> {
        Ok(self.view(self.layout().expand(op, to)?))
    }

    /// A view of the elements whose index in the second of `dims`, two different ones, is that in the
    /// first plus `offset`, along a last dimension in place of the two.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist, or is named twice.
    pub fn diagonal(&self, op: &'static str, offset: isize, dims: [usize; 2]) -> Result<Self> {
        self.has_dim(op, dims[0])?;
        self.has_dim(op, dims[1])?;
        if dims[0] == dims[1] {
            return Err(Error::index(op, format!("dimension {} is named twice: name two", dims[0])));
        }
        Ok(self.view(self.layout().diagonal(offset, dims)))
    }

    /// A view of `len` elements along `dim` from `start`, `step` apart.
    ///
    /// # Errors
    /// Index, where that leaves the dimension, or there is no such dimension.
    pub fn slice(&self, op: &'static str, dim: usize, start: usize, step: isize, len: usize) -> Result<Self> {
        self.has_dim(op, dim)?;
        let size = self.shape()[dim];
        // In numbers that hold every product.
        let last = || start as i128 + (len as i128 - 1) * step as i128;
        let inside = match len {
            0 => start <= size,
            _ => start < size && (0..size as i128).contains(&last()),
        };
        if !inside {
            let message = format!(
                "{len} elements from {start} by steps of {step} leave dimension {dim} of shape {:?}",
                self.shape()
            );
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().slice(dim, start, step, len)))
    }

    /// A view of the elements at `index` of dimension `dim`, which disappears.
    ///
    /// # Errors
    /// Index, where `index` is out of range, or there is no such dimension.
    pub fn select(&self, op: &'static str, dim: usize, index: usize) -> Result<Self> {
        self.has_dim(op, dim)?;
        let size = self.shape()[dim];
        if index >= size {
            let message =
                format!("index {index} is out of range for dimension {dim} of shape {:?}", self.shape());
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().slice(dim, index, 1, 1).remove_dim(dim)))
    }

    /// A view without dimension `dim`, whose size is 1.
    ///
    /// # Errors
    /// Index, where there is no such dimension; shape, where it has another size.
    pub fn remove_dim(&self, op: &'static str, dim: usize) -> Result<Self> {
        self.has_dim(op, dim)?;
        if self.shape()[dim] != 1 {
            let message = format!("dimension {dim} of shape {:?} is not of size 1: select", self.shape());
            return Err(Error::shape(op, message));
        }
        Ok(self.view(self.layout().remove_dim(dim)))
    }

    /// A view with a dimension of size 1 before dimension `dim`, or behind the last one.
    ///
    /// # Errors
    /// Index, where there is no such place.
    pub fn insert_dim(&self, op: &'static str, dim: usize) -> Result<Self> {
        if dim > self.ndim() {
            let message = format!("shape {:?} has no place {dim} for a dimension", self.shape());
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().insert_dim(dim)))
    }

    /// The same elements in another shape: a view where strides allow it, else a copy.
    ///
    /// # Errors
    /// Shape, where the number of elements differs.
    pub fn reshape(&self, op: &'static str, to: &[usize]) -> Result<Self> {
        if shape::numel(op, to)? != self.numel() {
            let message =
                format!("shape {:?} cannot become {to:?}: the numbers of elements differ", self.shape());
            return Err(Error::shape(op, message));
        }
        match self.layout().reshape(to) {
            Some(layout) => Ok(self.view(layout)),
            None => kernels::copy(op, self)?.reshape(op, to),
        }
    }

    /// The elements in row-major order. Where there is no memory for them, it panics with what
    /// [`memory::try_run`] turns into an error.
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(s) => vectors::collect("to_vec", s.iter().copied()).or_raise(),
            None if self.device() == Device::Cpu => kernels::copy("to_vec", self).or_raise().into_vec(),
            None => self.to_device("to_vec", Device::Cpu).or_raise().into_vec(),
        }
    }

    /// Gives the vector back where nothing else shares it and it lies in row-major order, else a
    /// copy, for which memory may run out as for [`Array::to_vec`].
    #[track_caller]
    pub fn into_vec(self) -> Vec<T> {
        match self.take_buffer() {
            Ok((layout, v))
                if layout.is_contiguous() && layout.offset() == 0 && layout.numel() == v.len() =>
            {
                v
            }
            Ok((layout, v)) => Array::with_layout(layout, Buffer::adopt(v)).to_vec(),
            Err(shared) => shared.to_vec(),
        }
    }

    /// The buffer's own vector and the layout in it, where nothing else shares it.
    pub(crate) fn take_buffer(self) -> std::result::Result<(Layout, Vec<T>), Self> {
        if self.device() != Device::Cpu {
            return Err(self);
        }
        let Inner { layout, data } = match Arc::try_unwrap(self.0) {
            Ok(inner) => inner,
            Err(shared) => return Err(Array(shared)),
        };
        match data {
            Data::One(x) => Ok((layout, x.to_vec())),
            Data::Owned(b) => Ok((layout, b.into_vec())),
            Data::Foreign(memory) => Err(Array::new(layout, Data::Foreign(memory))),
            Data::View(owner) => match Arc::try_unwrap(owner.0) {
                Ok(Inner { data: Data::Owned(b), .. }) => Ok((layout, b.into_vec())),
                Ok(Inner { data: Data::One(x), .. }) => Ok((layout, x.to_vec())),
                Ok(foreign) => Err(Array::new(layout, Data::View(Array(Arc::new(foreign))))),
                Err(owner) => Err(Array::new(layout, Data::View(Array(owner)))),
            },
            #[cfg(feature = "cuda")]
            Data::Known(_, _) | Data::Cuda(_) => unreachable!("the array is on the CPU"),
        }
    }
}

/// Arrays on other devices than the CPU.
impl<T: Element> Array<T> {
    /// The same elements on a device; nothing happens where they are there already, and one value stored once
    /// stays so.
    ///
    /// # Errors
    /// Device, where it cannot be used; out of memory.
    #[cfg(not(feature = "cuda"))]
    pub fn to_device(&self, op: &'static str, device: Device) -> Result<Self> {
        device.usable(op).map(|_| self.clone())
    }

    /// The same elements on a device; nothing happens where they are there already, and one value stored once
    /// stays so.
    ///
    /// # Errors
    /// Device, where it cannot be used; out of memory.
    #[cfg(feature = "cuda")]
    pub fn to_device(&self, op: &'static str, device: Device) -> Result<Self> {
        if device == self.device() {
            return Ok(self.clone());
        }
        device.usable(op)?;
        if let Some(x) = self.known() {
            let one = match device {
                Device::Cpu => Data::One([x]),
                gpu => Data::Known(gpu, [x]),
            };
            let one = Array::new(Layout::row_major(Dims::new()), one);
            return Ok(one.view(self.layout().moved_to(0)));
        }
        cuda::transfer(op, self, device)
    }

    /// The value of every element, where it is stored once and the host knows it.
    #[cfg(feature = "cuda")]
    pub(crate) fn known(&self) -> Option<T> {
        match &self.0.data {
            Data::One([x]) | Data::Known(_, [x]) => Some(*x),
            Data::View(owner) => owner.known(),
            Data::Owned(_) | Data::Foreign(_) | Data::Cuda(_) => None,
        }
    }

    /// The memory on a GPU that holds the elements, if any does.
    #[cfg(feature = "cuda")]
    pub(crate) fn memory(&self) -> Option<&Allocation> {
        match &self.0.data {
            Data::Cuda(memory) => Some(memory),
            Data::View(owner) => owner.memory(),
            _ => None,
        }
    }

    /// The row-major array in memory on a GPU that has room for it.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_gpu(shape: Dims, memory: Allocation) -> Self {
        Array::new(Layout::row_major(shape), Data::Cuda(memory))
    }

    /// Whether the memory on a GPU may be written, since nothing else shares it.
    #[cfg(feature = "cuda")]
    pub(crate) fn is_unshared(&mut self) -> bool {
        match Arc::get_mut(&mut self.0).map(|inner| &mut inner.data) {
            Some(Data::View(owner)) => owner.is_unshared(),
            Some(Data::Cuda(_)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: &[usize]) -> Array<i64> {
        Array::from_vec((0..shape.iter().product::<usize>() as i64).collect(), shape).unwrap()
    }

    #[test]
    fn writes_stay_in_place_only_while_unshared() {
        let mut a = counting(&[4]);
        let place = a.storage().as_ptr();
        a.make_mut().unwrap()[0] = 9;
        assert_eq!(a.storage().as_ptr(), place);
        let b = a.clone();
        a.make_mut().unwrap()[0] = 1;
        assert_eq!((a.to_vec()[0], b.to_vec()[0]), (1, 9));
        let mut reshaped = counting(&[2, 3]).reshape("reshape", &[6]).unwrap();
        assert!(reshaped.as_mut_slice().is_some());
    }

    #[test]
    fn memory_of_others_is_read_in_place_and_copied_to_be_written() {
        let owner: Arc<[i64]> = (0..6).collect();
        let mut a = Array::from_memory(owner.clone(), &[2, 3], &[-1, 2], 1).unwrap();
        assert_eq!(a.storage().as_ptr(), owner.as_ptr());
        assert_eq!(a.to_vec(), [1, 3, 5, 0, 2, 4]);
        let row = a.select("select", 0, 1).unwrap();
        a.make_mut().unwrap()[3] = 9;
        assert_eq!((a.to_vec(), row.into_vec()), (vec![1, 3, 5, 9, 2, 4], vec![0, 2, 4]));
        assert_eq!(Arc::strong_count(&owner), 1);
        for (shape, strides, offset) in [
            (&[2usize, 3][..], &[-1isize, 2][..], 0),
            (&[7], &[1], 0),
            (&[2], &[isize::MIN], 0),
            (&[2, 2], &[isize::MAX, isize::MAX], 0),
            (&[2], &[1, 1], 0),
            (&[0], &[1], 7),
        ] {
            let error = Array::from_memory(owner.clone(), shape, strides, offset).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
        }
    }

    #[test]
    fn vectors_go_in_and_out_without_a_copy() {
        let v = vec![1.0; 100];
        let place = v.as_ptr();
        let out = Array::from_vec(v, &[10, 10]).unwrap().into_vec();
        assert_eq!(out.as_ptr(), place);
    }

    #[test]
    fn slices_are_checked() {
        let a = counting(&[5]);
        assert_eq!(a.slice("slice", 0, 4, -2, 3).unwrap().to_vec(), [4, 2, 0]);
        assert!(a.slice("slice", 0, 4, -2, 4).is_err());
        assert!(a.slice("slice", 0, 5, 1, 1).is_err());
        assert_eq!(a.slice("slice", 0, 5, 1, 0).unwrap().numel(), 0);
        assert!(a.slice("slice", 0, 1, isize::MAX, 3).is_err());
        assert!(a.select("select", 0, 5).is_err());
        assert_eq!(a.slice("slice", 0, 2, isize::MIN, 1).unwrap().to_vec(), [2]);
    }

    #[test]
    fn views_of_dimensions_that_are_not_there_are_errors() {
        let a = counting(&[2, 3]);
        let far = [2, 7, usize::MAX];
        let mut answers = vec![
            a.permute("", &[0, 0]),
            a.permute("", &[0]),
            a.permute("", &[]),
            a.permute("", &[0, 1, 1]),
            a.permute("", &[1, 2]),
            a.diagonal("", 0, [1, 1]),
            a.remove_dim("", 2),
            a.insert_dim("", 3),
            a.slice("", 0, usize::MAX, 1, 1),
            a.slice("", 0, 0, 1, usize::MAX),
            a.slice("", 0, 0, isize::MAX, usize::MAX),
        ];
        for d in far {
            answers.push(a.slice("", d, 0, 1, 1));
            answers.push(a.select("", d, 0));
            answers.push(a.diagonal("", 0, [0, d]));
            answers.push(a.diagonal("", 0, [d, 0]));
            answers.push(a.insert_dim("", d.saturating_add(1)));
        }
        for (k, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.map(|x| x.shape().to_vec()).unwrap_err().kind(), ErrorKind::Index, "{k}");
        }
        assert_eq!(a.remove_dim("", 0).map(|_| ()).unwrap_err().kind(), ErrorKind::Shape);
        for offset in [isize::MIN, isize::MIN + 1, isize::MAX] {
            assert_eq!(a.diagonal("", offset, [0, 1]).unwrap().numel(), 0);
        }
    }
}
