"""Debian's kernel, its headers and busybox, by package name, unpacked into a cache. Nothing is installed.

apt-get fetches, dpkg unpacks; both are this machine's own, with the sources that it is set up for.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEFAULT_KERNEL", "KernelTree", "OracleError", "fetch", "needs"]

DEFAULT_KERNEL = "linux-image-amd64"
PROGRAMS = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg": "dpkg",
    "qemu-system-x86_64": "qemu-system-x86",
    "gcc": "gcc",
    "make": "make",
}
LIMIT = 600  # seconds for one program


class OracleError(RuntimeError):
    """The kernel could not be fetched, built or booted: says what failed, and what is needed."""


@dataclass(frozen=True)
class KernelTree:
    """An unpacked kernel: `release` as uname prints it, `version` as Debian counts ("6.1.192")."""

    folder: Path
    release: str
    version: str

    @property
    def image(self) -> Path:
        return self.folder / f"boot/vmlinuz-{self.release}"

    @property
    def headers(self) -> Path:
        return self.folder / f"usr/src/linux-headers-{self.release}"

    @property
    def busybox(self) -> Path:
        return next(path for path in (self.folder / "bin/busybox", self.folder / "usr/bin/busybox") if path.exists())


def needs() -> str:
    """Which programs are missing, in one line with the packages that have them; "" if none is."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    packages = sorted({PROGRAMS[program] for program in missing})
    return f"needs {', '.join(missing)}: apt-get install {' '.join(packages)}" if missing else ""


def cache_folder() -> Path:
    """Where unpacked kernels are kept: about 100 MB each."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kwlab" / "oracle"


def fetch(kernel: str = DEFAULT_KERNEL) -> KernelTree:
    """The tree of the package `kernel`, or of the one that it depends on; from the cache if it is there.

    Errors: `OracleError`.
    """
    if missing := needs():
        raise OracleError(f"the oracle {missing}")
    image = _real_image(kernel)
    release = image.removeprefix("linux-image-").removesuffix("-unsigned")
    version = _version(image)
    folder = cache_folder() / f"{release}_{version}"
    tree = KernelTree(folder, release, re.split(r"[-+~]", version)[0])
    if not (folder / ".complete").exists():
        headers = f"linux-headers-{release}"
        packages = [image, headers, *_depends(headers, r"linux-(?:headers|kbuild)-"), "busybox-static"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _unpack(packages, folder)
        _mend_makefile(tree)
        (folder / ".complete").touch()
    return tree


def _real_image(kernel: str) -> str:
    real = r"linux-image-\d+\.\d+\.\d"  # linux-image-6.12-amd64 names a series, and depends on its newest
    if re.match(real, kernel):
        return kernel
    found = _depends(kernel, real)
    if not found:
        raise OracleError(f"the package {kernel} names no kernel; run apt-get update, or name one: linux-image-6...")
    return found[0]


def _depends(package: str, pattern: str) -> list[str]:
    said = run(["apt-cache", "depends", package])
    names = re.findall(r"^ *Depends: (\S+)", said, re.MULTILINE)
    return [name for name in names if re.match(pattern, name)]


def _version(package: str) -> str:
    found = re.search(r"^Version: (\S+)", run(["apt-cache", "show", "--no-all-versions", package]), re.MULTILINE)
    if not found:
        raise OracleError(f"apt knows no package {package}: run apt-get update")
    return found[1]


def _unpack(packages: list[str], folder: Path) -> None:
    debs = folder / "debs"
    debs.mkdir()
    run(["apt-get", "download", "-qq", *packages], cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", str(deb), str(folder)])
    shutil.rmtree(debs)
    shutil.rmtree(folder / "lib/modules", ignore_errors=True)  # the guest needs none
    shutil.rmtree(folder / "usr/share", ignore_errors=True)


def _mend_makefile(tree: KernelTree) -> None:
    """Its one absolute include names where the package would have been installed."""
    makefile = tree.headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("include /usr/src/", f"include {tree.folder}/usr/src/"))


def run(command: list[str], cwd: Path | None = None) -> str:
    """What a program prints. `OracleError` has the end of its complaint."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise OracleError(f"{command[0]} took longer than {LIMIT} seconds") from None
    if done.returncode:
        complaint = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise OracleError(f"{' '.join(command[:4])} failed:\n{complaint}")
    return done.stdout
