"""Keep a submission, which is a stranger's program, from the rest of the machine.

Where `bwrap` works (Linux), a submission reads the packages and Python, writes to an
empty folder in memory, sees no other process, and has no network. Where only `unshare`
works, it can also reach the user's files. Everywhere there are limits on memory, the
sizes of files, time and processes, and Python itself refuses to start processes.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from mdp.interface.compilation import cache_folder
from tests.exercises.manifest import ROOT

MEMORY = 4 * 2**30  # bytes
FILE = 16 * 2**20  # bytes of one file
FOLDER = 64 * 2**20  # bytes of all files together
OPEN_FILES = 256
PROCESSES = 128  # and threads
INSIDE = "/book"  # where bwrap shows the packages
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc")
# A submission gets the environment variables that begin so: none may be secret.
SHOWN = ("PATH", "LANG", "LC_", "XLA_", "JAX_", "OPENBLAS_", "OMP_", "NPROC", "XDG_")
# Actions that Python reports beforehand; see "audit events" in its documentation.
PROCESS_EVENTS = frozenset(
    "os.fork os.forkpty os.system os.exec os.spawn os.posix_spawn subprocess.Popen "
    "pty.spawn os.kill os.killpg ctypes.dlopen socket.connect socket.bind "
    "socket.sendto socket.getaddrinfo".split()
)
READING = ("open", "os.listdir", "os.scandir")
FILE_EVENTS = frozenset(
    "os.remove os.rename os.rmdir os.link os.symlink os.truncate os.chmod os.mkdir "
    "shutil.rmtree".split()
)


@cache
def means() -> str:
    """The program that isolates submissions: "bwrap", "unshare", or "" for none."""
    for name in ("bwrap", "unshare"):
        if shutil.which(name) and _works([*_prefix(name, Path("/tmp"), True), "true"]):
            return name
    return ""


def warning() -> str:
    """One line on what is not isolated here; empty if all is."""
    if means() == "bwrap":
        return ""
    files = "your files"
    if means() == "unshare":
        return f"Not isolated here: a submission can reach {files} (install bwrap)."
    if not hasattr(os, "fork"):
        return "Not isolated here: submissions run in the process that judges them."
    return (
        f"Not isolated here: a submission can reach {files}, the network and other "
        "processes (on Linux, install bwrap)."
    )


def isolated(program: list[str], folder: Path, may_write: bool) -> list[str]:
    """The command that runs a program of Python in a folder, which it may read.

    `may_write` is for the judge's own trials, which fill the caches.
    """
    return [*_prefix(means(), folder, may_write), sys.executable, *program]


def environment(scratch: Path) -> dict[str, str]:
    """The environment of a submission, with a folder for temporary files."""
    kept = {n: value for n, value in os.environ.items() if n.startswith(SHOWN)}
    home = {"HOME": os.environ.get("HOME", "/")}  # the place of jax's cache
    own = {
        "ISOLATED_BY": means(),
        "TMPDIR": "/tmp" if means() == "bwrap" else str(scratch),
        "HIDDEN_FOLDER": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
    }
    return kept | home | own


def _prefix(name: str, folder: Path, may_write: bool) -> list[str]:
    """The command that isolates what follows it."""
    if name == "unshare":
        own = "--user --map-root-user --net --pid --fork --kill-child --mount-proc"
        return ["unshare", *own.split()]
    if name != "bwrap":
        return []
    own = "--unshare-all --unshare-user --uid 65534 --gid 65534 --cap-drop ALL"
    words = ["bwrap", *own.split(), "--die-with-parent", "--new-session"]
    for path in SYSTEM:
        if Path(path).is_symlink():
            words += ["--symlink", os.readlink(path), path]
        elif Path(path).exists():
            words += ["--ro-bind", path, path]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", f"{FOLDER}"]
    words += ["--tmpfs", "/tmp"]
    for path in dict.fromkeys((sys.base_prefix, sys.prefix)):
        if not path.startswith("/usr"):
            words += ["--ro-bind", os.path.realpath(path), path]
    bind = "--bind" if may_write else "--ro-bind"
    with contextlib.suppress(ValueError):  # without a home, there is no cache
        words += [f"{bind}-try", str(cache_folder()), str(cache_folder())]
    return [*words, bind, str(folder), INSIDE, "--chdir", INSIDE]


def _works(command: list[str]) -> bool:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, timeout=10)
        return done.returncode == 0
    return False


def hide() -> None:
    """Let no other process of the same user read or change this one's memory."""
    if sys.platform == "linux":
        import ctypes

        set_dumpable, adopt_orphans = 4, 36
        ctypes.CDLL(None).prctl(set_dumpable, 0)
        ctypes.CDLL(None).prctl(adopt_orphans, 1)


def limit() -> None:
    """Set limits for this process and all that it starts."""
    import resource

    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: FILE,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_DATA: MEMORY,
    }
    if _means_here() == "bwrap":  # elsewhere all of the user's processes would count
        wanted[resource.RLIMIT_NPROC] = PROCESSES
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def _means_here() -> str:
    """The program that isolates this process, as the judge named it."""
    return os.environ.get("ISOLATED_BY", "")


def refuse() -> None:
    """Let Python refuse to start processes, to use the network, and to change files.

    This cannot be undone in the process. The folder of temporary files stays open.
    """
    scratch = os.path.realpath(tempfile.gettempdir())
    hidden = os.environ["HIDDEN_FOLDER"]
    shown = os.path.realpath(sys.prefix), sys.prefix
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def is_outside(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # the number of an open file
        real = os.path.realpath(os.fsdecode(path))
        return not real.startswith((scratch, "/dev/"))

    def hook(event: str, arguments: tuple) -> None:
        if event in PROCESS_EVENTS:
            raise PermissionError(f"a submission must not call {event}")
        if event == "open" and arguments[2] & writing and is_outside(arguments[0]):
            raise PermissionError(f"a submission must not write to {arguments[0]}")
        is_hidden = event in READING and str(arguments[0]).startswith(hidden)
        if is_hidden and not str(arguments[0]).startswith(shown):
            raise PermissionError(f"a submission must not read {arguments[0]}")
        if event in FILE_EVENTS and any(map(is_outside, arguments)):
            raise PermissionError(f"a submission must not call {event} there")

    sys.addaudithook(hook)


def end_all(child: int) -> int:
    """End a child and every process that it has left behind; return its status."""
    status = 0
    while True:
        kill_all(child)
        try:  # orphans are children now; see `hide`
            ended, how = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        status = how if ended == child else status


def kill_all(child: int) -> None:
    """Kill a child, its group, and all processes below this one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    for process in descendants():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    # Where this is the first process of a namespace, or bwrap's child there, it can end
    # all others. Anywhere else this would end all that the user runs.
    if _means_here() and os.getpid() <= 2:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)


def descendants() -> list[int]:
    """The processes below this one, as far as the system shows them."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            parents[int(folder.name)] = int(parent)
    found = [os.getpid()]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found[1:]
