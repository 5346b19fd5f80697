//! Strided data on a device: what every kernel reads and writes.

#[cfg(feature = "cuda")]
mod on_gpu;
mod views;

use crate::device::Device;
use crate::element::{DType, Element};
use crate::error::{Error, Result};
#[cfg(feature = "cuda")]
use crate::gpu::allocation::Allocation;
use crate::heap::buffer::Buffer;
use crate::layout::Layout;
use crate::shape::{self, Dims};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// A strided array of one element type. Clones and views share the data; a write happens in place
/// exactly when nothing else shares it, and goes to a copy otherwise.
///
/// ```
/// use tapegrad::Array;
/// let a = Array::from_vec(vec![1, 2, 3, 4, 5, 6], &[2, 3])?;
/// let t = a.permute("permute", &[1, 0])?;
/// assert_eq!(t.shape(), [3, 2]);
/// assert_eq!(t.to_vec(), [1, 4, 2, 5, 3, 6]);
/// # Ok::<(), tapegrad::Error>(())
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
/// ```
/// use tapegrad::Array;
/// let numbers: std::sync::Arc<[f64]> = [1.0, 2.0].into();
/// let x = Array::from_memory(numbers.clone(), &[2], &[1], 0)?;
/// assert_eq!(x.storage().as_ptr(), numbers.as_ptr());
/// # Ok::<(), tapegrad::Error>(())
/// ```
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
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::scalar(2.5);
    /// assert_eq!((x.ndim(), x.numel(), x.to_vec()), (0, 1, vec![2.5]));
    /// ```
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
    /// ```
    /// use tapegrad::{Array, shape};
    /// assert_eq!(Array::from_vec(vec![1, 2, 3, 4], &[2, 2])?.shape(), [2, 2]);
    /// assert!(Array::from_vec(vec![1, 2, 3], &[2, 2]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
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
    /// ```
    /// use tapegrad::Array;
    /// let numbers = [1, 2, 3, 4];
    /// assert_eq!(Array::from_slice(&numbers[1..], &[3, 1])?.to_vec(), [2, 3, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
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
    /// use tapegrad::Array;
    /// let shared: Arc<[f64]> = Arc::new([1.0, 2.0, 3.0, 4.0]);
    /// // Column after column.
    /// let a = Array::from_memory(shared.clone(), &[2, 2], &[1, 2], 0)?;
    /// assert_eq!(a.to_vec(), [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
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
    /// ```
    /// use tapegrad::Array;
    /// assert_eq!(Array::<f32>::zeros(&[2])?.to_vec(), [0.0, 0.0]);
    /// assert!(Array::<f32>::zeros(&[usize::MAX, 2]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    pub fn zeros(shape: &[usize]) -> Result<Self> {
        let n = shape::numel("zeros", shape)?;
        Ok(Array::from_buffer(Dims::from_slice(shape), Buffer::zeroed("zeros", n)?))
    }

    /// One value everywhere, in memory of its own; [`Array::repeat`] takes none.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::full(&[2, 2], 7)?;
    /// assert_eq!((x.to_vec(), x.storage().len()), (vec![7; 4], 4));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    pub fn full(shape: &[usize], value: T) -> Result<Self> {
        Array::build("full", Dims::from_slice(shape), |out| out.fill(value))
    }

    /// One value everywhere, stored once.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::repeat(&[1000, 1000], 7)?;
    /// assert_eq!((x.numel(), x.storage().len()), (1_000_000, 1));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
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
    /// ```
    /// use tapegrad::{Array, Device};
    /// let x = Array::repeat_on(Device::Cpu, &[2, 3], 0.5)?;
    /// assert_eq!(x.layout().strides()[..], [0, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory, for a shape no memory could hold.
    pub fn repeat_on(device: Device, shape: &[usize], value: T) -> Result<Self> {
        let x = Array::repeat(shape, value)?;
        device.usable("full")?;
        #[cfg(feature = "cuda")]
        if device != Device::Cpu {
            return Ok(x.of_known(value, device));
        }
        Ok(x)
    }

    /// The sizes of the dimensions.
    ///
    /// ```
    /// use tapegrad::{Array, shape};
    /// assert_eq!(Array::<f64>::zeros(&[2, 3])?.shape(), [2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[inline]
    pub fn shape(&self) -> &[usize] {
        self.0.layout.shape()
    }

    /// The number of dimensions.
    ///
    /// ```
    /// use tapegrad::Array;
    /// assert_eq!(Array::<f64>::zeros(&[2, 3])?.ndim(), 2);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[inline]
    pub fn ndim(&self) -> usize {
        self.0.layout.ndim()
    }

    /// The number of elements.
    ///
    /// ```
    /// use tapegrad::Array;
    /// assert_eq!(Array::<f64>::zeros(&[2, 3])?.numel(), 6);
    /// assert_eq!(Array::<f64>::zeros(&[2, 0])?.numel(), 0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[inline]
    pub fn numel(&self) -> usize {
        self.0.layout.numel()
    }

    /// The element type's run-time name.
    ///
    /// ```
    /// use tapegrad::{Array, DType};
    /// assert_eq!(Array::scalar(true).dtype(), DType::Bool);
    /// ```
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// Where the data lives.
    ///
    /// ```
    /// use tapegrad::{Array, Device};
    /// assert_eq!(Array::scalar(1.0).device(), Device::Cpu);
    /// ```
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
    ///
    /// ```
    /// use tapegrad::Array;
    /// let t = Array::<f64>::zeros(&[2, 3])?.permute("t", &[1, 0])?;
    /// assert_eq!(t.layout().strides()[..], [1, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// All of the buffer this array is a view of; [`Array::layout`] says where its elements lie. Empty for an
    /// array on a GPU.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let row = Array::from_vec(vec![1, 2, 3, 4], &[2, 2])?.select("row", 0, 1)?;
    /// assert_eq!(row.storage(), [1, 2, 3, 4]);
    /// assert_eq!(row.layout().offset(), 2);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
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
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], &[2, 2])?;
    /// assert_eq!(x.select("row", 0, 1)?.as_slice(), Some(&[3, 4][..]));
    /// assert_eq!(x.select("column", 1, 1)?.as_slice(), None);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
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
    ///
    /// ```
    /// use tapegrad::Array;
    /// assert_eq!(Array::from_vec(vec![5], &[1, 1])?.single(), Some(5));
    /// assert_eq!(Array::from_vec(vec![5, 6], &[2])?.single(), None);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[inline]
    pub fn single(&self) -> Option<T> {
        match &self.0.data {
            Data::One([x]) => Some(*x),
            #[cfg(feature = "cuda")]
            _ if self.numel() == 1 => self.known(),
            _ => None,
        }
    }

    /// Whether there is another handle of this array.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1, 2], &[2])?;
    /// assert!(!x.is_shared());
    /// let y = x.clone();
    /// assert!(x.is_shared() && y.is_shared());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[inline]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The elements for writing, in row-major order, where they lie that way and nothing else
    /// shares them.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let mut x = Array::from_vec(vec![1, 2], &[2])?;
    /// x.as_mut_slice().unwrap()[0] = 5;
    /// assert_eq!(x.to_vec(), [5, 2]);
    /// let _shared = x.clone();
    /// assert!(x.as_mut_slice().is_none());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn as_mut_slice(&mut self) -> Option<&mut [T]> {
        let layout = &self.0.layout;
        if !layout.is_contiguous() {
            return None;
        }
        let (start, n) = (layout.offset(), layout.numel());
        let storage = self.storage_mut()?;
        if n == 0 { Some(&mut []) } else { storage.get_mut(start..start + n) }
    }

    /// The elements of an array that was just made, for writing: nothing shares it yet, and it is row-major.
    pub(crate) fn fresh_mut(&mut self) -> &mut [T] {
        self.as_mut_slice().expect("an array that was just made is row-major, and nothing shares it")
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

    /// The elements of an array that was just made: see [`Array::fresh_mut`].
    pub(crate) fn fresh_vec(self) -> Vec<T> {
        let vector = self.take_buffer().map(|(_, vector)| vector).ok();
        vector.expect("an array that was just made is on the host, and nothing shares it")
    }

    /// The address and the bytes of the buffer behind this array, which others may share; no bytes for
    /// a single element, which lies in the array itself.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1.0, 2.0, 3.0], &[3])?;
    /// let part = x.slice("part", 0, 1, 1, 2)?;
    /// assert_eq!(part.allocation(), x.allocation());
    /// assert!(x.allocation().1 >= 24);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
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

#[cfg(test)]
mod tests;
