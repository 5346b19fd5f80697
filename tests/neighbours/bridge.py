"""Tensors between Python and a Rust library by DLPack, with nothing but ctypes."""

import ctypes

NAME, USED = b"dltensor_versioned", b"used_dltensor_versioned"
OLD_NAME, OLD_USED = b"dltensor", b"used_dltensor"


def python(name, result, *arguments):
    """A function of Python's own, called with the interpreter's lock held."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


new_capsule = python("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
pointer_of = python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
rename = python("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
# A capsule that is about to go must not be counted once more: here it is an address.
is_named = python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
pointer_at = python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)


class Bridge:
    """The functions of a library whose tensors come and go as DLPack's pointers."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.release.argtypes = [ctypes.c_void_p]
        self.library.release.restype = None

        def destroy(capsule):
            # One that was read has another name, and belongs to its reader.
            if is_named(capsule, NAME):
                self.library.release(pointer_at(capsule, NAME))

        self.destroy = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(destroy)

    def call(self, function, tensor, *results):
        """Calls a function of a tensor that returns another."""
        f = getattr(self.library, function)
        f.restype = ctypes.c_void_p
        error = ctypes.create_string_buffer(1000)
        out = [ctypes.byref(result) for result in results]
        answer = f(take(tensor), *out, error, ctypes.c_size_t(len(error)))
        if answer is None:
            raise ValueError(error.value.decode())
        return Lent(self, answer)


def take(tensor):
    """The pointer to a tensor of any library that speaks DLPack, which the receiver has to release."""
    capsule = tensor.__dlpack__(max_version=(1, 1))
    pointer = pointer_of(capsule, NAME)
    rename(capsule, USED)
    return ctypes.c_void_p(pointer)


class Lent:
    """A tensor of the Rust library: numpy.from_dlpack and torch.from_dlpack read it in place."""

    def __init__(self, bridge, pointer):
        self.capsule = new_capsule(pointer, NAME, ctypes.cast(bridge.destroy, ctypes.c_void_p))
        self.bridge = bridge

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return self.capsule
