//! Finds the CUDA libraries at run time, and says what to do where one is missing.
//!
//! cudarc opens a library by name at its first call and panics where there is none, so every first
//! use passes through [`require`]. A library that the system's loader does not know is loaded here
//! by its path; cudarc's look-up by name then meets the loaded one.

use crate::error::{Error, ErrorKind, Result};
use std::ffi::CStr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// A library of CUDA's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    Driver,
    Nvrtc,
    Cublas,
    Cusolver,
    Cufft,
    /// Called by the functions that [`function`] gives: cudarc does not look for the name that NVIDIA's packages have.
    Nccl,
}

/// What has been found; a library that is loaded once stays loaded.
static FOUND: [OnceLock<libloading::Library>; 6] = [const { OnceLock::new() }; 6];
static SEARCH: Mutex<()> = Mutex::new(());

/// Makes sure that `library` is loaded and has the functions this crate calls.
pub(crate) fn require(op: &'static str, library: Library) -> Result<()> {
    if FOUND[library as usize].get().is_some() {
        return Ok(());
    }
    let _one_search = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    if FOUND[library as usize].get().is_none() {
        let handle = find(library).map_err(|message| Error::new(ErrorKind::Device, op, message))?;
        _ = FOUND[library as usize].set(handle);
    }
    Ok(())
}

/// Whether a loaded `library` has a function that older versions of it lack.
pub(crate) fn has(library: Library, symbol: &CStr) -> bool {
    FOUND[library as usize].get().is_some_and(|handle| exports(handle, symbol))
}

/// The address of a function of a loaded `library`.
pub(crate) fn function(library: Library, symbol: &CStr) -> Option<*const ()> {
    let handle = FOUND[library as usize].get()?;
    // SAFETY: the symbol is looked up as an address and neither read nor called.
    unsafe { handle.get::<*const ()>(symbol.to_bytes_with_nul()) }.ok().map(|address| *address)
}

fn exports(handle: &libloading::Library, symbol: &CStr) -> bool {
    // SAFETY: the symbol is looked up as an address and neither read nor called.
    unsafe { handle.get::<*const ()>(symbol.to_bytes_with_nul()) }.is_ok()
}

fn find(library: Library) -> Result<libloading::Library, String> {
    let mut notes = Vec::new();
    let Some(handle) = search::load(library, &mut notes)? else {
        let names = library.file_names().join(", ");
        return Err(format!(
            "{} was not found as {names}; searched: {}; {}, or set TAPEGRAD_CUDA_PATH to its folder",
            library.title(),
            notes.join("; "),
            library.remedy()
        ));
    };
    if let Some(missing) = library.symbols().iter().find(|s| !exports(&handle, s)) {
        return Err(format!(
            "{} that was found is too old or incomplete: it has no {}; {}",
            library.title(),
            missing.to_string_lossy(),
            library.remedy()
        ));
    }
    // SAFETY: opens the library by name and closes it again; it is loaded already.
    let agreed = unsafe {
        match library {
            Library::Driver => cudarc::driver::sys::is_culib_present(),
            Library::Nvrtc => cudarc::nvrtc::sys::is_culib_present(),
            Library::Cublas => cudarc::cublas::sys::is_culib_present(),
            Library::Cusolver => cudarc::cusolver::sys::is_culib_present(),
            Library::Cufft => cudarc::cufft::sys::is_culib_present(),
            Library::Nccl => true,
        }
    };
    if agreed {
        Ok(handle)
    } else {
        Err(format!(
            "{} was loaded but cannot be opened by name; put its folder on the loader's path (LD_LIBRARY_PATH)",
            library.title()
        ))
    }
}

impl Library {
    fn title(self) -> &'static str {
        match self {
            Library::Driver => "the CUDA driver library",
            Library::Nvrtc => "the CUDA compiler library (NVRTC)",
            Library::Cublas => "cuBLAS",
            Library::Cusolver => "cuSOLVER",
            Library::Cufft => "cuFFT",
            Library::Nccl => "NCCL",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Library::Driver => "install an NVIDIA driver of CUDA 12 or later",
            Library::Nvrtc => "`pip install nvidia-cuda-nvrtc` or install the CUDA toolkit",
            Library::Cublas => "`pip install nvidia-cublas` or install the CUDA toolkit",
            Library::Cusolver => "`pip install nvidia-cusolver` or install the CUDA toolkit",
            Library::Cufft => "`pip install nvidia-cufft` or install the CUDA toolkit",
            Library::Nccl => "`pip install nvidia-nccl-cu13`, or install the package libnccl2",
        }
    }

    /// Without the prefixes and endings of a platform; the first is the usual one.
    fn names(self) -> &'static [&'static str] {
        match self {
            Library::Driver => &["cuda", "nvcuda"],
            Library::Nvrtc => &["nvrtc"],
            Library::Cublas => &["cublas"],
            Library::Cusolver => &["cusolver"],
            Library::Cufft => &["cufft"],
            Library::Nccl => &["nccl"],
        }
    }

    /// What lies beside it and must be loaded before, in this order.
    #[cfg(target_os = "linux")]
    fn dependencies(self) -> &'static [&'static str] {
        match self {
            Library::Driver => &[],
            Library::Nvrtc => &["nvrtc-builtins"],
            Library::Cublas => &["cublasLt"],
            Library::Cusolver => &["nvJitLink", "cublasLt", "cublas", "cusparse"],
            Library::Cufft => &["nvJitLink"],
            Library::Nccl => &[],
        }
    }

    /// The file names under which cudarc looks, in its order.
    fn candidates(self) -> Vec<String> {
        match self {
            Library::Nccl => vec!["libnccl.so.2".into(), "libnccl.so".into()],
            _ => self.names().iter().flat_map(|name| cudarc::get_lib_name_candidates(name)).collect(),
        }
    }

    /// The file names worth telling a user.
    fn file_names(self) -> Vec<String> {
        if self == Library::Nccl {
            return self.candidates();
        }
        let mut names =
            cudarc::get_lib_name_candidates(self.names()[usize::from(cfg!(windows)) % self.names().len()]);
        names.retain(|name| cfg!(windows) || !name.contains("64"));
        names
    }

    /// The functions called without asking first: cudarc panics at a call of one that is missing.
    fn symbols(self) -> &'static [&'static CStr] {
        match self {
            Library::Driver => DRIVER,
            Library::Nvrtc => NVRTC,
            Library::Cublas => CUBLAS,
            Library::Cusolver => CUSOLVER,
            Library::Cufft => CUFFT,
            // Asked for before they are called.
            Library::Nccl => &[],
        }
    }
}

const CUBLAS: &[&CStr] = &[
    c"cublasCreate_v2",
    c"cublasDgemv_v2_64",
    c"cublasDgetrfBatched",
    c"cublasDtrsmBatched_64",
    c"cublasDtrsm_v2_64",
    c"cublasGemmStridedBatchedEx_64",
    c"cublasSetStream_v2",
    c"cublasSetWorkspace_v2",
    c"cublasSgemv_v2_64",
    c"cublasSgetrfBatched",
    c"cublasStrsmBatched_64",
    c"cublasStrsm_v2_64",
];

const CUFFT: &[&CStr] = &[
    c"cufftCreate", c"cufftDestroy", c"cufftExecC2C", c"cufftExecC2R", c"cufftExecD2Z", c"cufftExecR2C",
    c"cufftExecZ2D", c"cufftExecZ2Z", c"cufftMakePlanMany64", c"cufftSetAutoAllocation", c"cufftSetStream",
    c"cufftSetWorkArea",
];

const CUSOLVER: &[&CStr] = &[
    c"cusolverDnCreate",
    c"cusolverDnCreateParams",
    c"cusolverDnDorgqr",
    c"cusolverDnDorgqr_bufferSize",
    c"cusolverDnDpotrfBatched",
    c"cusolverDnSetStream",
    c"cusolverDnSorgqr",
    c"cusolverDnSorgqr_bufferSize",
    c"cusolverDnSpotrfBatched",
    c"cusolverDnXgeqrf",
    c"cusolverDnXgeqrf_bufferSize",
    c"cusolverDnXgesvd",
    c"cusolverDnXgesvd_bufferSize",
    c"cusolverDnXgetrf",
    c"cusolverDnXgetrf_bufferSize",
    c"cusolverDnXpotrf",
    c"cusolverDnXpotrf_bufferSize",
    c"cusolverDnXsyevd",
    c"cusolverDnXsyevd_bufferSize",
];

const DRIVER: &[&CStr] = &[
    c"cuCtxGetCurrent",
    c"cuCtxSetCurrent",
    c"cuDeviceGet",
    c"cuDeviceGetAttribute",
    c"cuDeviceGetCount",
    c"cuDeviceGetDefaultMemPool",
    c"cuDeviceGetName",
    c"cuDeviceGetUuid_v2",
    c"cuDevicePrimaryCtxRetain",
    c"cuDeviceTotalMem_v2",
    c"cuEventCreate",
    c"cuEventDestroy_v2",
    c"cuEventRecord",
    c"cuEventSynchronize",
    c"cuFuncGetAttribute",
    c"cuFuncSetAttribute",
    c"cuGraphDestroy",
    c"cuGraphExecDestroy",
    c"cuGraphInstantiateWithFlags",
    c"cuGraphLaunch",
    c"cuInit",
    c"cuLaunchKernel",
    c"cuMemAllocAsync",
    c"cuMemAlloc_v2",
    c"cuMemFreeAsync",
    c"cuMemFree_v2",
    c"cuMemHostAlloc",
    c"cuMemPoolGetAttribute",
    c"cuMemPoolSetAttribute",
    c"cuMemPoolTrimTo",
    c"cuMemcpyDtoDAsync_v2",
    c"cuMemcpyDtoHAsync_v2",
    c"cuMemcpyHtoDAsync_v2",
    c"cuMemcpyPeerAsync",
    c"cuMemsetD8Async",
    c"cuModuleGetFunction",
    c"cuModuleLoadData",
    c"cuStreamBeginCapture_v2",
    c"cuStreamCreate",
    c"cuStreamDestroy_v2",
    c"cuStreamEndCapture",
    c"cuStreamQuery",
    c"cuStreamSynchronize",
    c"cuStreamWaitEvent",
    c"cuThreadExchangeStreamCaptureMode",
];

const NVRTC: &[&CStr] = &[
    c"nvrtcCompileProgram",
    c"nvrtcCreateProgram",
    c"nvrtcDestroyProgram",
    c"nvrtcGetCUBIN",
    c"nvrtcGetCUBINSize",
    c"nvrtcGetNumSupportedArchs",
    c"nvrtcGetPTX",
    c"nvrtcGetPTXSize",
    c"nvrtcGetProgramLog",
    c"nvrtcGetProgramLogSize",
    c"nvrtcGetSupportedArchs",
    c"nvrtcVersion",
];

#[cfg(not(target_os = "linux"))]
mod search {
    use super::Library;

    pub(super) fn load(
        library: Library,
        notes: &mut Vec<String>,
    ) -> Result<Option<libloading::Library>, String> {
        notes.push("the system's loader".into());
        // SAFETY: NVIDIA's libraries may be loaded at any time and from any thread.
        Ok(library.candidates().into_iter().find_map(|name| unsafe { libloading::Library::new(name) }.ok()))
    }
}

#[cfg(target_os = "linux")]
mod search {
    use super::Library;
    use libloading::os::unix::{Library as Handle, RTLD_GLOBAL, RTLD_NOW};
    use std::env::var_os;
    use std::ffi::OsStr;
    use std::path::{Path, PathBuf};

    /// The places in order: the user's own folder, the system's loader, and where CUDA is usually
    /// installed. `notes` tells where nothing was found.
    pub(super) fn load(
        library: Library,
        notes: &mut Vec<String>,
    ) -> Result<Option<libloading::Library>, String> {
        match var_os("TAPEGRAD_CUDA_PATH") {
            None => notes.push("TAPEGRAD_CUDA_PATH (not set)".into()),
            Some(folder) => {
                if let Some(handle) = from_folders(library, &[folder.into()], notes)? {
                    if library == Library::Nccl {
                        return Ok(Some(handle.into()));
                    }
                    return same_by_name(library, handle).map(|h| Some(h.into()));
                }
            }
        }
        if let Some((_, handle)) = by_name(library) {
            return Ok(Some(handle.into()));
        }
        notes.push("the system's loader".into());
        for folders in places(notes) {
            match from_folders(library, &folders, notes) {
                Ok(Some(handle)) => return Ok(Some(handle.into())),
                Ok(None) => (),
                Err(broken) => notes.push(broken),
            }
        }
        Ok(None)
    }

    fn open(file: impl AsRef<OsStr>) -> Result<Handle, libloading::Error> {
        // SAFETY: NVIDIA's libraries may be loaded at any time and from any thread; their global
        // symbols are what makes one of them find another.
        unsafe { Handle::open(Some(file.as_ref()), RTLD_NOW | RTLD_GLOBAL) }
    }

    /// The library that cudarc gets, and the name by which it does.
    fn by_name(library: Library) -> Option<(String, Handle)> {
        library.candidates().into_iter().find_map(|name| open(&name).ok().map(|handle| (name, handle)))
    }

    /// A library of the user's own folder must be the one that cudarc gets: the loader could know
    /// another under a name that comes first, such as `libcuda.so` before `libcuda.so.1`.
    fn same_by_name(library: Library, handle: Handle) -> Result<Handle, String> {
        let raw = handle.into_raw();
        let found = by_name(library).map(|(name, other)| (name, other.into_raw()));
        match found {
            // SAFETY: the handle was taken apart above and is owned by nobody else.
            Some((_, other)) if other == raw => Ok(unsafe { Handle::from_raw(raw) }),
            found => Err(format!(
                "{} of TAPEGRAD_CUDA_PATH cannot be used: the system's loader finds {} under the name {}; in \
                 a folder that is first on LD_LIBRARY_PATH, make a link of this name to the right one",
                library.title(),
                if found.is_some() { "another" } else { "none" },
                found.map_or(library.file_names().swap_remove(0), |(name, _)| name),
            )),
        }
    }

    /// Loads the library and what it needs from folders that belong together.
    fn from_folders(
        library: Library,
        folders: &[PathBuf],
        notes: &mut Vec<String>,
    ) -> Result<Option<Handle>, String> {
        let files =
            || folders.iter().flat_map(|f| library.candidates().into_iter().map(move |name| f.join(name)));
        let Some(file) = files().find(|file| file.is_file()) else {
            notes.extend(folders.iter().map(|f| f.display().to_string()));
            return Ok(None);
        };
        for name in library.dependencies() {
            let prefix = format!("lib{name}.so");
            if let Some(dependency) = folders.iter().find_map(|f| children(f, &prefix).pop()) {
                // One that is missing shows when the library itself is opened.
                if let Ok(handle) = open(dependency) {
                    handle.into_raw();
                }
            }
        }
        open(&file).map(Some).map_err(|e| {
            let reason = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
            format!("{} does not load: {e}{reason}", file.display())
        })
    }

    /// Where CUDA is usually installed; folders that belong together stand in one list.
    fn places(notes: &mut Vec<String>) -> Vec<Vec<PathBuf>> {
        let folder = |variable: &str, below: &str| {
            var_os(variable).filter(|v| !v.is_empty()).map(|v| Path::new(&v).join(below))
        };
        let mut places: Vec<Vec<PathBuf>> =
            ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(|v| folder(v, "lib64")).map(|f| vec![f]).collect();
        places.push(vec!["/usr/local/cuda/lib64".into()]);
        let pythons =
            [folder("VIRTUAL_ENV", "lib"), folder("HOME", ".local/lib"), Some("/usr/local/lib".into())];
        let mut packages: Vec<PathBuf> = Vec::new();
        for python in pythons.into_iter().flatten().chain(["/usr/lib".into()]) {
            for version in children(&python, "python") {
                packages.extend(["site-packages", "dist-packages"].map(|p| version.join(p)));
            }
        }
        packages.iter_mut().for_each(|p| p.push("nvidia"));
        packages.retain(|p| p.is_dir());
        if packages.is_empty() {
            notes.push("the nvidia packages of Python (none; VIRTUAL_ENV names an environment)".into());
        }
        for nvidia in packages {
            // CUDA 13 shares one folder, CUDA 12 has one for each library.
            places.push(vec![nvidia.join("cu13/lib")]);
            let others = children(&nvidia, "").into_iter().filter(|f| !f.ends_with("cu13"));
            places.push(others.map(|f| f.join("lib")).collect());
        }
        places
    }

    /// What a folder holds whose name begins so, sorted; nothing where it cannot be read.
    fn children(folder: &Path, prefix: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let named = entries.filter(|e| e.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()));
        let mut paths: Vec<PathBuf> = named.map(|e| e.path()).collect();
        paths.sort();
        paths
    }
}
