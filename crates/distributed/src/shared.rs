//! A tensor in memory that the processes of one machine share.
//!
//! It lies in a file without a name, in memory, which is sealed once it is written: from then on the system lets nobody change
//! it, or its length, not even the process that made it. So the map that every process makes of it is as constant as Rust
//! takes it for.

use crate::group::Group;
use autograd::Tensor;
use tensor_core::{AtCaller, Element, Result};

/// # Shared memory
impl Group {
    /// The tensor that `make` gives in the process `root`, in memory that all processes of the group share: it is there once,
    /// whatever their number. The others do not call `make`. The tensor is a constant; writing to it copies it.
    ///
    /// The processes have to be on one machine: [`Group::split_by_machine`] gives those that are. The memory is freed when the
    /// last of them drops it, or ends. A file that all processes map ([`Tensor::map_npy`]) is shared as well, and
    /// can change under the map, which this cannot.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// # if cfg!(target_os = "linux") {
    /// let sums = distributed::spawn(3, |group| {
    ///     let table: Tensor = group.split_by_machine()?.share(0, || Ok(Tensor::ones([1000])))?;
    ///     table.sum().item()
    /// })?;
    /// assert_eq!(sums, [1000.0; 3]);
    /// # }
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `make` returns, which the other processes are told; argument, where there is no such rank; device, elsewhere than
    /// on Linux; group, where the processes are on several machines, or in containers of which one cannot see the other's
    /// processes, or do not come.
    #[track_caller]
    pub fn share<T: Element>(
        &self,
        root: usize,
        make: impl FnOnce() -> Result<Tensor<T>>,
    ) -> Result<Tensor<T>> {
        self.check_rank("share", root).at_caller()?;
        let made = (self.rank() == root).then(make);
        sealed::share(self, made).map_err(|e| e.renamed("share")).at_caller()
    }
}

#[cfg(target_os = "linux")]
mod sealed {
    use crate::files::{together, told};
    use crate::group::Group;
    use autograd::Tensor;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use tensor_core::io::{npy_header, write_npy_rows};
    use tensor_core::{Element, Error, ErrorKind, Result};

    /// Nobody writes, or changes the length, or takes this back.
    fn all() -> SealFlags {
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL
    }

    /// A path to an open file of this process.
    fn own_path(file: &File) -> String {
        format!("/proc/self/fd/{}", file.as_raw_fd())
    }

    /// A sealed file of the tensor's elements.
    fn written<T: Element>(x: &Tensor<T>) -> Result<File> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let io = |e: std::io::Error| Error::new(ErrorKind::File, "share", format!("a file in memory: {e}"));
        let mut file: File = memfd_create("tapegrad", flags).map_err(|e| io(e.into()))?.into();
        let header = npy_header(T::DTYPE, x.shape());
        file.write_all(&header).map_err(io)?;
        let flat = x.array().reshape("share", &[x.numel()])?;
        write_npy_rows(own_path(&file).as_ref(), header.len() as u64, 0, &flat)?;
        fcntl_add_seals(&file, all()).map_err(|e| io(e.into()))?;
        Ok(file)
    }

    /// What the others need to find the file, and to know that it is the one.
    fn address(file: &File) -> Result<String> {
        let found = file.metadata()?;
        Ok(format!("{} {} {} {}", std::process::id(), file.as_raw_fd(), found.dev(), found.ino()))
    }

    fn opened(address: &str) -> Result<File> {
        let elsewhere = |why: String| {
            let message = format!(
                "the memory of the process that shares it is not within reach ({why}): share among the processes of one \
                 machine, as split_by_machine() gives them, and of containers that see each other's processes"
            );
            Error::new(ErrorKind::Group, "share", message)
        };
        let parts: Vec<&str> = address.split(' ').collect();
        let [process, number, device, node] = parts[..] else { return Err(elsewhere("no address".into())) };
        let file =
            File::open(format!("/proc/{process}/fd/{number}")).map_err(|e| elsewhere(e.to_string()))?;
        let found = file.metadata()?;
        if (found.dev().to_string(), found.ino().to_string()) != (device.into(), node.into()) {
            return Err(elsewhere("another file is there".into()));
        }
        Ok(file)
    }

    pub(super) fn share<T: Element>(group: &Group, made: Option<Result<Tensor<T>>>) -> Result<Tensor<T>> {
        let written = made.map(|x| x.and_then(|x| written(&x))).transpose();
        let (own, said) = match &written {
            Ok(file) => (Ok(()), file.as_ref().map(address).transpose()),
            Err(_) => (Err(()), Ok(None)),
        };
        let said = said?.unwrap_or_default();
        let file = match (own, written) {
            (Ok(()), Ok(file)) => {
                together(group, Ok(()))?;
                file
            }
            (_, Err(e)) => {
                together(group, Err(e))?;
                None
            }
            (Err(()), Ok(file)) => file,
        };
        let address = String::from_utf8_lossy(&told(group, said.as_bytes())?).into_owned();
        let found = opened(&address).and_then(|file| mapped(&file));
        let (found, verdict) = match found {
            Ok(x) => (Some(x), Ok(())),
            Err(e) => (None, Err(e)),
        };
        // The file stays open until every process has its own map.
        let verdict = together(group, verdict);
        drop(file);
        verdict?;
        found.ok_or_else(|| Error::new(ErrorKind::Group, "share", "nothing was shared"))
    }

    #[expect(unsafe_code, reason = "a map is sound where the file cannot change")]
    fn mapped<T: Element>(file: &File) -> Result<Tensor<T>> {
        let seals = fcntl_get_seals(file).map_err(|e| Error::other(std::io::Error::from(e)))?;
        if !seals.contains(all()) {
            return Err(Error::new(ErrorKind::Group, "share", "the file in memory is not sealed"));
        }
        // SAFETY: it is sealed, for good: the system refuses to write to it and to change its length.
        unsafe { Tensor::map_npy_of(own_path(file)) }
    }
}

#[cfg(not(target_os = "linux"))]
mod sealed {
    use crate::group::Group;
    use autograd::Tensor;
    use tensor_core::{Element, Error, ErrorKind, Result};

    pub(super) fn share<T: Element>(_: &Group, _: Option<Result<Tensor<T>>>) -> Result<Tensor<T>> {
        let message = "memory is shared on Linux only: map a file in every process instead";
        Err(Error::new(ErrorKind::Device, "share", message))
    }
}
