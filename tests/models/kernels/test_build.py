"""Building, keeping and checking the kernel; what happens where it cannot be built."""

import os
import pathlib
import shutil
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import convolution
from hwr_jax.models.kernels import build, calls, reference


@pytest.fixture
def anew(kernel, tmp_path, monkeypatch):
    """An empty cache, and a compiler that hands over what was built before; returns a function that builds."""
    version = tmp_path / "version"
    version.write_text("a compiler 1.0\n")
    compiler = tmp_path / "compiler"
    compiler.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        f"if '--version' in sys.argv: print(open({str(version)!r}).read(), end='')\n"
        f"else: shutil.copy({kernel.library._name!r}, sys.argv[-1])\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("HWR_CACHE_DIR", str(tmp_path / "cache"))
    return build.kernel.__wrapped__


def kept(tmp_path):
    return sorted((tmp_path / "cache" / "kernels").iterdir())


def test_it_says_how_it_was_built(anew):
    assert anew().what.startswith("a compiler 1.0, ")


def test_it_is_built_once(anew, tmp_path, monkeypatch):
    anew()
    files = kept(tmp_path)
    assert [f.suffix for f in files] == [".sha256", ".so"]
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("it was built again"))
    assert anew().library is not None
    assert kept(tmp_path) == files


def test_another_compiler_builds_it_again(anew, tmp_path):
    anew()
    (tmp_path / "version").write_text("a compiler 2.0\n")
    anew()
    assert len(kept(tmp_path)) == 4


def test_other_flags_build_it_again(anew, tmp_path, monkeypatch):
    anew()
    monkeypatch.setenv("CXX", f"{os.environ['CXX']} -mno-avx512f")
    anew()
    assert len(kept(tmp_path)) == 4


def test_a_torn_library_is_built_again(anew, kernel):
    library = build._path([os.environ["CXX"]], "a compiler 1.0")
    library.parent.mkdir(mode=0o700, parents=True)
    whole = pathlib.Path(kernel.library._name)
    library.write_bytes(whole.read_bytes()[:20_000])  # as a full disk leaves it: loading it would end the process
    build._digest(library).write_text(build._digest(whole).read_text())
    assert anew().library is not None
    assert library.stat().st_size == whole.stat().st_size


def test_without_a_compiler_there_is_none_and_it_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.kernel.__wrapped__() == (None, "no C++ compiler (c++, g++, clang++) is installed")


def test_a_compiler_that_fails_is_quoted(anew, tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo a compiler 1.0 && exit\necho out of registers >&2; exit 1\n"
    )
    found = anew()
    assert found == (None, f"{compiler} failed: out of registers")
    assert kept(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_named(anew, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HWR_CACHE_DIR", str(tmp_path / "file"))
    assert anew() == (None, f"the cache {tmp_path / 'file' / 'kernels'} cannot be written (Not a directory)")


def test_a_kernel_that_computes_wrong_is_not_used(anew, monkeypatch):
    right = reference.convolution
    monkeypatch.setattr(reference, "convolution", lambda *a: tuple(x + 1e-3 for x in right(*a)))
    found = anew()
    assert found.library is None
    assert "computes wrong (the result of 3x3 kernels with stride 1: error" in found.what


def test_a_kernel_that_crashes_is_not_used_and_this_process_goes_on(anew, tmp_path, monkeypatch):
    compiler = next(name for name in build.COMPILERS if shutil.which(name))
    crashing = f"{compiler} -include {tmp_path / 'crash.h'}"
    (tmp_path / "crash.h").write_text("#include <cstdlib>\nstatic int never_zero = (std::abort(), 1);\n")
    monkeypatch.setenv("CXX", crashing)
    monkeypatch.setattr(build, "SOURCE", tmp_path / "kernels.cc")
    monkeypatch.setattr(build, "HEADERS", ())
    build.SOURCE.write_text("")
    assert anew() == (None, f"a kernel that {compiler} made crashes (SIGABRT)")
    assert not kept(tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("compiler", [name for name in build.COMPILERS if shutil.which(name)])
def test_every_compiler_of_this_machine_builds_it(anew, compiler, monkeypatch):
    monkeypatch.setenv("CXX", compiler)
    found = anew()
    assert found.library is not None, found.what


def test_a_recurrent_layer_that_computes_wrong_is_not_used(anew, monkeypatch):
    right = reference.recurrent
    monkeypatch.setattr(reference, "recurrent", lambda *a: tuple(x + 1e-3 for x in right(*a)))
    assert "computes wrong (the recurrent layer lstm: error" in anew().what


def test_the_switch_leaves_it_out(monkeypatch):
    monkeypatch.setenv("HWR_KERNEL", "0")
    assert build.kernel.__wrapped__() == (None, "HWR_KERNEL=0")


def test_a_config_that_asks_for_it_in_vain_is_refused(monkeypatch):
    monkeypatch.setattr(calls, "available", lambda: False)
    monkeypatch.setattr(calls, "what", lambda: "no C++ compiler is installed")
    with pytest.raises(
        ConfigError, match=r"compiled is not possible here \(no C\+\+ compiler is installed\): use auto"
    ):
        convolution.by_name("compiled", train=True)
    assert convolution.by_name("compiled", train=False) is convolution.CONVOLUTIONS["native"]  # such a run is read


def test_the_reference_is_the_definition():
    rng = np.random.default_rng(0)
    image, weights, gradient = rng.random((1, 5, 4, 2)), rng.random((3, 3, 2, 2)), rng.random((1, 3, 2, 2))
    result, of_image, of_weights = reference.convolution(image, weights, gradient, 2, 1)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    window = padded[0, 2:5, 2:5]
    assert result[0, 1, 1] == pytest.approx((window[..., None] * weights).sum((0, 1, 2)))
    assert (of_image * image).sum() == pytest.approx((result * gradient).sum())  # linear in the image
    assert (of_weights * weights).sum() == pytest.approx((result * gradient).sum())


def test_nobody_else_may_write_the_library(anew, tmp_path, monkeypatch):
    before = os.umask(0o002)
    try:
        anew()
    finally:
        os.umask(before)
    _, library = kept(tmp_path)
    for place in (library, library.parent):
        assert not place.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def test_a_library_that_somebody_else_could_have_written_is_not_loaded(anew, tmp_path):
    anew()
    _, library = kept(tmp_path)
    library.chmod(0o722)
    assert anew() == (None, f"{library} is not yours alone to write: remove it, or set its mode to 700")


def test_what_is_wrong_with_cxx_is_a_sentence(monkeypatch):
    monkeypatch.setenv("CXX", 'g++ "')
    assert build.kernel.__wrapped__() == (None, "No closing quotation")


def test_an_unfinished_build_is_removed_after_a_day(anew, tmp_path):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(mode=0o700, parents=True)
    for name, age_s in (("draft-old.so", 2 * build.LEFT_S), ("draft-new.so", 0), ("mine.so", 2 * build.LEFT_S)):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (time.time() - age_s,) * 2)
    anew()
    assert {f.name for f in kept(tmp_path) if f.stat().st_size == 0} == {"draft-new.so", "mine.so"}


def test_a_person_is_told_that_it_is_built(anew, monkeypatch, capsys):
    anew()
    assert capsys.readouterr().err == ""  # a file or a pipe: a script reads it
    monkeypatch.setenv("CXX", f"{os.environ['CXX']} -mno-avx512f")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    anew()
    assert capsys.readouterr().err.startswith("hwr_jax: building the C++ kernels, once on this machine")


def test_threads_that_ask_at_once_build_it_once(anew, monkeypatch):
    built = []
    compile_ = build._compile
    monkeypatch.setattr(build, "_compile", lambda *a: built.append(a) or time.sleep(0.1) or compile_(*a))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: anew(), range(4)))
    assert len(built) == 1
    assert all(one.library is not None for one in found)


def test_compiled_programs_depend_on_every_source_of_the_kernels(tmp_path, monkeypatch):
    for path in build.SOURCE.parent.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(build, "SOURCE", tmp_path / build.SOURCE.name)
    before = build.digest()
    for name in (build.SOURCE.name, *build.HEADERS, "calls.py"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        assert build.digest() != before
        before = build.digest()
