"""NumPy's and safetensors' side of the test of files: `make` writes them, `check` reads what came back."""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

try:
    import torch
    import safetensors.torch
except ImportError:
    torch = None

# What each type is read as.
READ_AS = {
    "?": "bool", "f2": "f32", "f4": "f32", "f8": "f64",
    "i1": "i64", "i2": "i64", "i4": "i64", "i8": "i64", "u1": "i64", "u2": "i64", "u4": "i64",
}
NUMPY = {"bool": "?", "f32": "<f4", "f64": "<f8", "i64": "<i8"}
SHAPES = [(), (1,), (5,), (0,), (3, 0, 2), (2, 3), (2, 3, 4), (2, 1, 3, 2)]


def values(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array that holds the type's extremes."""
    kind = np.dtype(dtype).kind
    if kind == "f":
        info = np.finfo(dtype)
        special = [0.0, -0.0, np.nan, np.inf, -np.inf, info.max, info.tiny, info.smallest_subnormal, 0.1, -3.0]
    elif kind == "b":
        special = [True, False, False]
    else:
        info = np.iinfo(dtype)
        special = [0, 1, info.max, info.min, 42]
    return np.resize(np.array(special, dtype=dtype), shape)


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    swapped = x.astype(x.dtype.newbyteorder(">"))
    found = {"c": x, "fortran": np.asfortranarray(x), "big": swapped, "big_fortran": np.asfortranarray(swapped)}
    if x.ndim > 0:
        found["strided"] = np.repeat(x, 2, axis=-1)[..., ::2]
        found["reversed"] = x[::-1]
    return found


def expect(case: list, file: str, x: np.ndarray, name: str = "") -> None:
    read_as = READ_AS["?" if x.dtype.kind == "b" else x.dtype.str[1:]]
    x = x.astype(NUMPY[read_as])
    case.append({"file": file, "name": name, "dtype": read_as, "shape": x.shape, "bytes": x.tobytes().hex()})


def make(folder: Path) -> None:
    cases: list = []
    arrays = {}
    for dtype in READ_AS:
        for shape in SHAPES:
            for layout, x in layouts(values(dtype, shape)).items():
                name = f"{dtype.replace('?', 'bool')}_{'x'.join(map(str, shape))}_{layout}"
                np.save(folder / f"{name}.npy", x)
                expect(cases, f"{name}.npy", x)
                arrays[name] = x
    for version in [(1, 0), (2, 0), (3, 0)]:
        x = values("f8", (2, 3))
        with open(folder / f"version{version[0]}.npy", "wb") as file:
            np.lib.format.write_array(file, x, version=version)
        expect(cases, f"version{version[0]}.npy", x)
    arrays["größe/質量"] = values("f8", (3,))
    np.savez(folder / "stored.npz", **arrays)
    np.savez_compressed(folder / "packed.npz", **arrays)
    # safetensors writes little-endian arrays in C order alone.
    plain = {name: np.ascontiguousarray(x) for name, x in arrays.items() if "big" not in name}
    plain = {name: x.reshape(arrays[name].shape) for name, x in plain.items()}
    save_file(plain, folder / "plain.safetensors", metadata={"format": "np"})
    for name, x in arrays.items():
        expect(cases, "stored.npz", x, name)
        expect(cases, "packed.npz", x, name)
    for name, x in plain.items():
        expect(cases, "plain.safetensors", x, name)
    if torch is not None:
        halves = torch.tensor([1.5, -0.1, float("inf"), 3e38])
        tensors = {"bf16": halves.bfloat16(), "f16": halves.half(), "f64": halves.double().reshape(2, 2)}
        safetensors.torch.save_file(tensors, folder / "torch.safetensors")
        for name, x in tensors.items():
            x = x if name == "f64" else x.float()
            expect(cases, "torch.safetensors", x.numpy(), name)
    refused = {
        "complex.npy": np.zeros(2, "c8"),
        "unsigned.npy": np.zeros(2, "u8"),
        "objects.npy": np.array([None, {}], dtype=object),
        "records.npy": np.zeros(2, [("a", "f8"), ("b", "i4")]),
        "text.npy": np.array(["a", "b"]),
        "times.npy": np.zeros(2, "M8[s]"),
    }
    for file, x in refused.items():
        np.save(folder / file, x)
    np.savetxt(folder / "table.csv", table(), delimiter=",")
    expected = {"arrays": cases, "refused": list(refused)}
    (folder / "expected.json").write_text(json.dumps(expected))


def table() -> np.ndarray:
    return np.array([[0.1, -0.0, 1e300], [5e-324, np.inf, np.nan], [1 / 3, 2.0**53, -7.0]])


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def check(folder: Path) -> None:
    original = {}
    for case in json.loads((folder / "expected.json").read_text())["arrays"]:
        data = bytes.fromhex(case["bytes"])
        x = np.frombuffer(data, NUMPY[case["dtype"]]).reshape(case["shape"])
        if case["name"]:
            continue  # what came out of an archive is not written again
        name = case["file"]
        original[name] = x
        original[f"{name} reversed"] = x.transpose()
        original[f"{name} backwards"] = x[::-1] if x.ndim else x
    back = folder / "back"
    names = json.loads((back / "names.json").read_text())
    assert sorted(names) == sorted(original), "arrays are missing"
    files = {name: np.load(back / f"{i}.npy") for i, name in enumerate(names)}
    found = {"npy": files, "safetensors": load_file(back / "all.safetensors")}
    for archive in ["all.npz", "packed.npz"]:
        with np.load(back / archive) as arrays:
            found[archive] = {name: arrays[name] for name in arrays}
    if torch is not None:
        found["torch"] = {name: torch.from_numpy(x).numpy() for name, x in files.items()}
        tensors = safetensors.torch.load_file(back / "all.safetensors")
        found["safetensors.torch"] = {name: x.numpy() for name, x in tensors.items()}
    for how, arrays in found.items():
        assert sorted(arrays) == sorted(original), f"{how}: arrays are missing"
        for name, x in original.items():
            assert same(arrays[name], x), f"{how}: {name}: {arrays[name]!r} is not {x!r}"
    with safe_open(back / "all.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt", "größe": '"1"'}, file.metadata()
    assert same(np.loadtxt(back / "table.csv", delimiter=","), table())
    with_torch = "with PyTorch" if torch is not None else "without PyTorch, which is not installed"
    print(f"{len(original)} arrays came back through {', '.join(found)}, {with_torch}")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2]))
