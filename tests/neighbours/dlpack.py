"""NumPy's and PyTorch's memory in tapegrad and tapegrad's in theirs, without copying.

Usage: python test_dlpack.py LIBRARY
"""

import ctypes
import gc
import sys

import numpy as np

from bridge import OLD_NAME, OLD_USED, Bridge, Lent, new_capsule, pointer_of, rename

bridge = Bridge(sys.argv[1])
bridge.library.live_bytes.restype = ctypes.c_size_t
bridge.library.counting.restype = ctypes.c_void_p

ORIGINALS = {
    "float64": np.arange(60, dtype=np.float64).reshape(3, 4, 5),
    "float32": np.arange(60, dtype=np.float32).reshape(3, 4, 5),
    "int64": np.arange(60, dtype=np.int64).reshape(3, 4, 5),
    "bool": (np.arange(60) % 3 == 0).reshape(3, 4, 5),
}
VIEWS = {
    "all": lambda a: a,
    "transposed": lambda a: a.transpose(2, 0, 1),
    "every other": lambda a: a[::2, :, 1::2],
    "backwards": lambda a: a[::-1, :, ::-2],
    "column": lambda a: a[:, 1, 2],
    "repeated": lambda a: np.broadcast_to(a[:, :1], (3, 4, 5)),
    "empty": lambda a: a[:, 2:2],
    "one": lambda a: a[1, 2, 3:4],
    "no dimension": lambda a: a[1, 2, 3, ...],
}


def address(array):
    return array.__array_interface__["data"][0]


def has_gaps(shape, strides):
    """Whether elements leave gaps between the lowest and the highest of them; strides in elements."""
    covered = 1
    for step, size in sorted((abs(s), d) for s, d in zip(strides, shape) if d > 1):
        if step > covered:
            return True
        covered += step * (size - 1)
    return False


def numpy_memory_is_read_in_place_where_it_has_no_gaps():
    for original in ORIGINALS.values():
        for name, view in VIEWS.items():
            a = view(original)
            found = ctypes.c_size_t()
            b = np.from_dlpack(bridge.call("echo", a, found))
            assert b.dtype == a.dtype and b.shape == a.shape and (b == a).all(), name
            # A single element is copied: it lies in the array itself.
            if a.size > 1:
                assert found.value == address(b), name
                # What lies in gaps was not lent: the elements are copied.
                copied = has_gaps(a.shape, [s // a.itemsize for s in a.strides])
                assert (address(a) != address(b)) == copied, name
                assert copied or not b.flags.writeable, name


def owners_are_released_once():
    for view in VIEWS.values():
        a = view(ORIGINALS["float64"]).copy()
        before = sys.getrefcount(a)
        b = np.from_dlpack(bridge.call("echo", a, ctypes.c_size_t()))
        assert a.size <= 1 or sys.getrefcount(a) == before + 1
        c = b.T
        del b
        gc.collect()
        assert a.size <= 1 or sys.getrefcount(a) == before + 1
        del c
        gc.collect()
        assert sys.getrefcount(a) == before


def gradients_come_back_in_place():
    x = np.linspace(-3.0, 3.0, 10_000).reshape(100, 100).T[::-1]
    value = ctypes.c_double()
    before = bridge.library.live_bytes()
    g = np.from_dlpack(bridge.call("gradient", x, value))
    assert np.allclose(value.value, (x * np.sin(x)).sum())
    assert np.allclose(g, np.sin(x) + x * np.cos(x))
    assert bridge.library.live_bytes() == before + g.nbytes
    del g
    gc.collect()
    assert bridge.library.live_bytes() == before


def memory_of_ones_own_may_be_written():
    before = bridge.library.live_bytes()
    a = np.from_dlpack(Lent(bridge, bridge.library.counting(ctypes.c_size_t(1000))))
    a += 1
    assert a.flags.writeable and a[999] == 1000 and bridge.library.live_bytes() == before + 8000
    del a
    gc.collect()
    assert bridge.library.live_bytes() == before
    # A capsule that nobody reads releases its tensor itself.
    Lent(bridge, bridge.library.counting(ctypes.c_size_t(1000)))
    gc.collect()
    assert bridge.library.live_bytes() == before


def what_cannot_be_read_is_an_error_and_released():
    for array, said in [
        (np.zeros(3, dtype=np.int32), "int32"),
        (np.zeros(3, dtype=np.uint8), "uint8"),
        (np.zeros(3, dtype=np.complex128), "complex128"),
    ]:
        before = sys.getrefcount(array)
        try:
            bridge.call("echo", array, ctypes.c_size_t())
        except ValueError as error:
            assert said in str(error) and ".astype" in str(error), error
        else:
            raise AssertionError(f"{said} was read")
        assert sys.getrefcount(array) == before


def capsules_from_before_version_1():
    a = np.arange(6.0).reshape(2, 3).T
    before = sys.getrefcount(a)
    capsule = a.__dlpack__()
    pointer = ctypes.c_void_p(pointer_of(capsule, OLD_NAME))
    rename(capsule, OLD_USED)
    echo = bridge.library.echo_unversioned
    echo.restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(1000)
    answer = echo(pointer, error, ctypes.c_size_t(len(error)))
    # What is only to be read was copied, and its owner released.
    assert sys.getrefcount(a) == before

    class Old:
        def __dlpack_device__(self):
            return (1, 0)

        def __dlpack__(self, **_):
            return new_capsule(answer, OLD_NAME, None)

    b = np.from_dlpack(Old())
    assert (b == a).all() and address(b) != address(a)


def pytorch_memory_is_read_in_place_where_it_has_no_gaps():
    for name, original in ORIGINALS.items():
        t = torch.from_numpy(original.copy())
        for view in [t, t.permute(2, 0, 1), t[::2, :, 1::2], t[:, 1, 2], t[:, :1].expand(3, 4, 5), t[:, 2:2]]:
            found = ctypes.c_size_t()
            b = np.from_dlpack(bridge.call("echo", view, found))
            assert (b == view.numpy()).all(), name
            assert view.numel() == 0 or found.value == address(b), name
            copied = has_gaps(view.shape, view.stride())
            assert view.numel() == 0 or (view.data_ptr() != address(b)) == copied, name


def gradients_go_to_pytorch_in_place():
    x = torch.linspace(-3.0, 3.0, 1000, dtype=torch.float64)
    value = ctypes.c_double()
    before = bridge.library.live_bytes()
    g = torch.from_dlpack(bridge.call("gradient", x, value))
    y = x.clone().requires_grad_()
    (y * y.sin()).sum().backward()
    assert torch.allclose(g, y.grad)
    assert bridge.library.live_bytes() == before + 8000
    del g
    gc.collect()
    assert bridge.library.live_bytes() == before


TESTS = [
    numpy_memory_is_read_in_place_where_it_has_no_gaps,
    owners_are_released_once,
    gradients_come_back_in_place,
    memory_of_ones_own_may_be_written,
    what_cannot_be_read_is_an_error_and_released,
    capsules_from_before_version_1,
]
try:
    import torch

    TESTS += [pytorch_memory_is_read_in_place_where_it_has_no_gaps, gradients_go_to_pytorch_in_place]
except ImportError:
    print("PyTorch is not installed: its tests are left out")

for test in TESTS:
    test()
    print(f"ok: {test.__name__.replace('_', ' ')}")
print(f"{len(TESTS)} passed, 0 failed")
