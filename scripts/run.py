"""Runs a Python command in the project's environment, which the first call makes: nothing is to be set up by hand.

    python3 scripts/run.py -m hwr_jax.main --config=configs/cnn.py
    python3 scripts/run.py -m pytest
    python3 scripts/run.py --extra=cuda -m hwr_jax.main --config=configs/cnn.py    (or HWR_EXTRA=cuda)

The environment is the active virtual environment, else .venv in the repository. It gets the locked packages
(requirements*.txt, hashes checked) and the project itself, editable; a stamp in it makes later calls skip that. pip
installs uv, and uv the packages; where uv cannot, pip does that too, in minutes more. The command runs in the
repository root, whatever the current folder is, and its exit code is this script's own: 64 stands for a Python or a
machine that JAX does not support, 74 for an installation that failed.

Uses the standard library only. It is written in the syntax of Python 3.6, so that an old Python can read the sentence
which says that it is too old.
"""

import hashlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STAMP = "hwr_jax.stamp"  # in the environment: what is installed there, or UNFINISHED
UNFINISHED = "unfinished"
BUILD = "requirements-build.txt"  # uv, and what builds the packages that come as source, and the project
UV_VARIABLES = {  # pip's settings that uv takes too, each by a variable
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "no-cache-dir": "UV_NO_CACHE",
    "no-index": "UV_NO_INDEX",
}
WITHOUT_EFFECT = {  # pip's settings that change nothing here: the lock file pins every version, say
    "config-file",  # what is in it is listed
    "constraint",
    "disable-pip-version-check",
    "no-color",
    "no-compile",
    "no-input",
    "progress-bar",
    "require-virtualenv",
    "retries",
    "root-user-action",
    "user",
}
UNSUPPORTED, INPUT_OUTPUT, INTERRUPTED = 64, 74, 130


def main(arguments):
    """Prepares the environment and becomes the command; returns an exit code only where it cannot."""
    problem = unsupported(sys.version_info, sys.implementation.name, sys.platform, machine(), sys.maxsize)
    if problem:
        return fail(UNSUPPORTED, problem + " (this is " + sys.executable + ")")
    command, extras = split_extra(arguments, os.environ.get("HWR_EXTRA", ""))
    if not command or command[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if command else UNSUPPORTED
    try:
        if sys.prefix == sys.base_prefix:
            return become(make_environment(), [os.path.abspath(__file__)] + arguments)
        prepare(extras)
    except KeyboardInterrupt:
        return fail(INTERRUPTED, "the installation was interrupted; the same command takes it up again")
    except OSError as error:
        return fail(INPUT_OUTPUT, str(error))
    os.chdir(ROOT)
    os.environ["VIRTUAL_ENV"] = sys.prefix  # as an activated environment has it: ty and other tools look there
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")
    return become(sys.executable, command)


def unsupported(version, implementation, system, processor, maxsize):
    """Returns the sentence that says why JAX cannot run here, or None where it can."""
    if tuple(version[:2]) < (3, 11) or implementation != "cpython":
        return "hwr_jax needs CPython 3.11 or newer, not %s %d.%d" % (implementation, version[0], version[1])  # noqa: UP031
    if maxsize <= 2**32:
        return "hwr_jax needs a 64-bit Python: JAX has no 32-bit packages"
    if system == "darwin" and processor == "x86_64":
        return "hwr_jax does not run on Intel Macs, nor in an x86-64 Python on Apple silicon: JAX has dropped them"
    return None


def machine():
    """The processor's name, such as x86_64 or arm64; "" on Windows."""
    return os.uname().machine if hasattr(os, "uname") else ""


def split_extra(arguments, variable):
    """Returns (command, extras): those of a leading --extra=A,B and of the variable HWR_EXTRA."""
    named = variable
    if arguments and arguments[0].startswith("--extra="):
        named += "," + arguments[0][len("--extra=") :]
        arguments = arguments[1:]
    return list(arguments), {name.strip() for name in named.split(",") if name.strip()}


def requirements_file(version):
    """The lock file of a Python version: JAX 0.11 and later need Python 3.12."""
    return "requirements.txt" if tuple(version[:2]) < (3, 12) else "requirements-py312.txt"


def stamp_key(root, version):
    """SHA-256 of all that decides what is installed: the lock files, pyproject.toml, the folder and the Python."""
    digest = hashlib.sha256(repr((root, tuple(version[:3]))).encode())
    for name in (BUILD, requirements_file(version), "pyproject.toml"):
        with open(os.path.join(root, name), "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def read_stamp(folder):
    """Returns (key, extras) of an environment; ("", nothing) where there is no stamp."""
    try:
        with open(os.path.join(folder, STAMP), encoding="utf-8") as file:
            key, *extras = file.read().split() or [""]
    except FileNotFoundError:
        return "", set()
    return key, set(extras)


def write_stamp(folder, key, extras):
    """Replaces the stamp as a whole."""
    path = os.path.join(folder, STAMP)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(" ".join([key] + sorted(extras)) + "\n")
    os.replace(path + ".new", path)


def python_of(folder):
    """The path of an environment's Python."""
    return os.path.join(folder, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def usable(folder):
    """Whether a folder is a virtual environment whose Python is still there."""
    try:
        with open(os.path.join(folder, "pyvenv.cfg"), encoding="utf-8") as file:
            return "home" in file.read() and os.path.exists(python_of(folder))
    except OSError:
        return False


def make_environment():
    """Returns the Python of the environment to use: the active one, else .venv, made where it is not usable."""
    active, own = os.environ.get("VIRTUAL_ENV", ""), os.path.join(ROOT, ".venv")
    if active and usable(active):
        return python_of(active)
    with lock():
        if not usable(own):
            import venv

            say("making .venv in " + ROOT)
            venv.EnvBuilder(clear=True, symlinks=os.name != "nt", with_pip=False).create(own)
    return python_of(own)


def prepare(extras):
    """Installs what the running environment lacks; at once where the stamp says that there is nothing to do."""
    key = stamp_key(ROOT, sys.version_info)
    if up_to_date(key, extras):
        return
    with lock() as held:
        if up_to_date(key, extras):  # by another call, meanwhile
            return
        before, had = read_stamp(sys.prefix)
        if before == UNFINISHED:
            remove_unfinished()
        extras = extras | had
        write_stamp(sys.prefix, UNFINISHED, extras)
        install(extras, held.fileno())
        write_stamp(sys.prefix, key, extras)


def up_to_date(key, extras):
    """Whether the running environment holds just this, with the extras asked for."""
    installed, had = read_stamp(sys.prefix)
    return installed == key and extras <= had


def remove_unfinished():
    """Makes pip forget the packages whose installation was cut off: INSTALLER, which pip writes late, is missing."""
    import shutil
    import sysconfig

    for packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in list(os.scandir(packages)):
            if entry.name.endswith(".dist-info") and not os.path.exists(os.path.join(entry.path, "INSTALLER")):
                shutil.rmtree(entry.path)


def install(extras, held):
    """Installs the locked packages and the project. uv and the build tools come first, so that these too are locked."""
    import time

    lock_file, began, pip = requirements_file(sys.version_info), time.monotonic(), find_pip()
    say(f"installing {lock_file} into {sys.prefix} (once; a minute or more)")
    by_pip = pip + ["--disable-pip-version-check", "install", "--no-compile", "--progress-bar=off"]
    packages = count_packages(BUILD)
    say(f"step 1 of 3: what installs and builds packages ({packages} packages)")
    run_pip(by_pip + ["--require-hashes", "-r", BUILD], held, packages)
    packages = count_packages(lock_file)
    say(f"step 2 of 3: JAX and all that hwr_jax needs ({packages} packages)")
    options = ["--no-build-isolation", "--require-hashes", "-r", lock_file]
    if not uv_installs(options, pip, held):
        run_pip(by_pip + options, held, packages)
    say("step 3 of 3: hwr_jax itself" + (" with " + ", ".join(sorted(extras)) if extras else ""))
    if extras:  # not in the lock file; the jax that is installed by now decides the versions
        run_pip(by_pip + ["--no-build-isolation", "-e", ".[" + ",".join(sorted(extras)) + "]"], held)
    else:
        run_pip(by_pip + ["--no-build-isolation", "--no-deps", "-e", "."], held)
    if sys.dont_write_bytecode:  # else Python keeps what it compiles at an import: of a third of them, ever
        compile_packages()
    say(f"installed in {time.monotonic() - began:.0f} s; a command may take longer to start the first time")


def uv_installs(options, pip, held):
    """Installs by uv, with pip's settings; returns False, and says why, where pip has to do it."""
    variables, others = uv_settings(pip)
    if others:
        say(f"  pip's configuration has {', '.join(others)}, unknown to uv: pip installs instead, in some minutes")
        return False
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, "--color=never"]
    uv.append("--index-strategy=unsafe-best-match")  # as pip does, from any index: the hashes decide
    code, lines = run_installer(uv + options, held, variables=variables)
    if code:
        why = [line.strip() for line in lines if line.split()[:1] in (["error:"], ["cause:"])][:2] or lines[-1:]
        say("  uv failed (" + "; ".join(why).strip() + "): pip installs instead, in some minutes")
        remove_unfinished()
    return code == 0


def uv_settings(pip):
    """Returns (variables, others): pip's configuration as variables for uv, and its settings that uv does not know."""
    import ast
    import subprocess

    sections, settings = ["global", "install", ":env:"], {}  # the later one counts
    listed = subprocess.check_output(pip + ["config", "list"], universal_newlines=True)
    for section in sections:
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section + "."):
                settings[name[len(section) + 1 :]] = ast.literal_eval(value)
    variables = {}
    for key in sorted(set(settings) & set(UV_VARIABLES)):
        values = settings[key].split()  # pip splits at any white space
        variables[UV_VARIABLES[key]] = ("," if key == "find-links" else " ").join(values)
    return variables, sorted(set(settings) - set(UV_VARIABLES) - WITHOUT_EFFECT)


def compile_packages():
    """Compiles what was installed to byte code on all cores: pip uses one. What cannot be compiled is no module; the
    packages' own tests, a fifth of it all, are never imported."""
    import compileall
    import re
    import sysconfig

    for packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        compileall.compile_dir(packages, quiet=2, workers=0, rx=re.compile(r"[/\\]tests[/\\]"))


def count_packages(name):
    """How many packages a lock file pins; some of them may be for other systems."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return sum("==" in line for line in file if not line.startswith((" ", "#")))


def find_pip():
    """Returns the command of a pip for this environment: its own, else that of the Python it was made from."""
    import subprocess

    null = subprocess.DEVNULL
    outer = getattr(sys, "_base_executable", sys.executable)
    for pip in ([sys.executable, "-m", "pip"], [outer, "-m", "pip", "--python", sys.executable]):
        if subprocess.call(pip + ["--version"], stdout=null, stderr=null) == 0:
            return pip
    if subprocess.call([sys.executable, "-m", "ensurepip"], stdout=null, stderr=null) == 0:
        return [sys.executable, "-m", "pip"]
    raise OSError("no pip (22.3 or newer) was found; on Debian and Ubuntu: apt install python3-pip")


def run_pip(command, held, packages=0):
    """Runs pip in the repository root. packages: how many it will collect, 0 if that is unknown.

    Raises:
        OSError: pip failed; the last lines of its output are in the message.
    """
    code, lines = run_installer(command, held, packages, {"PIP_USER": "0"})
    if code:
        raise OSError("pip failed:\n" + "".join(lines[-20:]) + "hwr_jax: the same command takes the installation up")


def run_installer(command, held, packages=0, variables=()):
    """Returns (exit code, lines) of pip or uv, and shows one short line of progress at a time."""
    import subprocess

    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(os.environ, **dict(variables)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
        pass_fds=(held,) if os.name != "nt" else (),  # it holds the lock too, should it outlive this process
    ) as installer:
        lines = list(show(installer.stdout, packages))
    return installer.returncode, lines


def show(lines, packages=0):
    """Passes the lines of pip or uv on; shows which package is at work, and of those that pip collects its number out
    of `packages` (0: unknown), on a terminal in place, else every ten seconds."""
    import time

    terminal, last, count = sys.stderr.isatty(), time.monotonic(), 0
    for line in lines:
        yield line
        words = line.split()
        if words[:1] == ["Collecting"]:
            count += 1
        elif words[:1] not in (["Downloading"], ["Downloaded"], ["Installing"], ["Building"]):
            continue
        if words[0] == "Installing":
            text = f"  unpacking {count} packages: the longest part, without news"
        elif count:
            text = "  package {}{}: {}".format(count, f" of {packages}" if packages else "", " ".join(words[:2]))
        else:  # uv does many at once
            text = "  " + " ".join(words)
        if terminal:
            sys.stderr.write("\r\033[K" + text[:79])
            sys.stderr.flush()
        elif time.monotonic() - last > 10 or words[0] == "Installing":
            last = time.monotonic()
            say(text)
    if terminal:
        sys.stderr.write("\r\033[K")


def lock():
    """Returns this very file, opened and locked: the one lock of the checkout, held until the file is closed."""
    file = open(os.path.abspath(__file__), "ab")  # noqa: SIM115
    if os.name == "nt":
        import msvcrt

        file.seek(2**30)  # beyond the text, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        return file
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("waiting for another installation to end")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def become(python, arguments):
    """Replaces this process by a Python command, so that signals and the exit code are its own."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(python, [python] + arguments)
    import subprocess

    return subprocess.call([python] + arguments)


def say(text):
    """Tells the user something on standard error: standard output belongs to the command."""
    sys.stderr.write("hwr_jax: " + text + "\n")
    sys.stderr.flush()


def fail(code, text):
    """Says why, and returns the exit code."""
    say(text)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
