"""Checks that no dependency of the library crates asks for a newer Rust than they promise.

The standard library's own interfaces are checked by clippy's incompatible_msrv.
"""

import json
import subprocess
import sys


def version(text: str) -> tuple[int, ...]:
    """1.89 and 1.89.0 are the same."""
    parts = [int(part) for part in text.split(".")]
    return tuple(parts + [0] * (3 - len(parts)))


metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True
    ).stdout
)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
members = metadata["workspace_members"]
promised = {packages[member]["rust_version"] for member in members}
if len(promised) != 1 or None in promised:
    sys.exit(f"the crates promise different Rust versions: {promised}")
(msrv,) = promised

reached, pending = set(), list(members)
while pending:
    node = pending.pop()
    if node in reached:
        continue
    reached.add(node)
    for dependency in nodes[node]["deps"]:
        # A user of the library builds its normal and build dependencies, not those of its tests.
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
            pending.append(dependency["pkg"])

newer = [
    f"{package['name']} {package['version']} needs Rust {package['rust_version']}"
    for package in (packages[node] for node in reached)
    if package["rust_version"] and version(package["rust_version"]) > version(msrv)
]
if newer:
    sys.exit(f"promised Rust {msrv}, but " + "; ".join(newer))
print(f"{len(reached)} packages build with Rust {msrv} by their own account")
