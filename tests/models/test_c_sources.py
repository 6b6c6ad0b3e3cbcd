"""The C itself: under the sanitizers, without warnings, and at every vector width."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fwrnn_core.models import kernels
from fwrnn_core.models.kernels import cc, reference

SOURCES = [str(Path(cc.__file__).parent / name) for name in cc.SOURCES]


@pytest.fixture(scope="module")
def compiler() -> list[str]:
    try:
        return cc.compiler()
    except cc.BuildError as error:
        pytest.skip(str(error))


def test_the_sanitizers_find_nothing(compiler: list[str], tmp_path: Path) -> None:
    program = tmp_path / "sanitize"
    driver = str(Path(__file__).parent / "sanitize.c")
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [*compiler, *flags, driver, *SOURCES, "-lm", "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"this compiler has no sanitizers: {built.stderr.splitlines()[:1]}")
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.stdout == "clean\n", done.stderr


def test_the_sanitizers_would_find_a_short_buffer(compiler: list[str], tmp_path: Path) -> None:
    """The driver's own check: one column less than documented must be reported."""
    source = (Path(__file__).parent / "sanitize.c").read_text()
    short = tmp_path / "short.c"
    short.write_text(source.replace("b = filled(G)", "b = filled(G - 1)"))
    flags = ["-g", "-O1", "-fsanitize=address", "-fno-sanitize-recover=all"]
    command = [*compiler, *flags, str(short), *SOURCES, "-lm", "-o", str(tmp_path / "short")]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this compiler has no sanitizers")
    done = subprocess.run([str(tmp_path / "short")], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr


EXHAUSTED = """
#include <stddef.h>
#include <stdio.h>
typedef ptrdiff_t idx;
int tanh_rnn_forward(), tanh_rnn_backward(), lstm_forward(), lstm_backward();
void *exhausted(size_t count, size_t size) { return (void)count, (void)size, NULL; }
int main(void) {
    const idx two = 2, rows = 70, none = 0;
    float *const no = NULL;
    const int failed[] = {
        tanh_rnn_forward(two, two, rows, two, two, no, two, two, two, no, no, no, no, no),
        tanh_rnn_backward(two, two, rows, two, two, no, two, two, two, no, no, no, no, no, no,
                          no, none, no, none, none, none, no),
        lstm_forward(two, two, rows, two, two, no, two, two, two, no, no, no, no, no, no, no, no),
        lstm_backward(two, two, rows, two, two, no, two, two, two, no, no, no, no, no, no, no, no,
                      no, no, no, none, no, none, none, none, no, no)};
    for (int i = 0; i < 4; i++) printf("%d", failed[i]);
}
"""


def test_a_kernel_without_memory_says_so(compiler: list[str], tmp_path: Path) -> None:
    (tmp_path / "exhausted.c").write_text(EXHAUSTED)
    # The scratch is what the kernels ask the system for.
    command = [*compiler, "-std=gnu11", "-Dcalloc=exhausted", str(tmp_path / "exhausted.c")]
    subprocess.run([*command, *SOURCES, "-lm", "-o", str(tmp_path / "exhausted")], check=True)
    done = subprocess.run([tmp_path / "exhausted"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1111")


def test_no_warnings(compiler: list[str]) -> None:
    flags = ["-std=gnu11", "-fsyntax-only", "-fopenmp-simd", "-Wall", "-Wextra", "-Werror"]
    done = subprocess.run(
        [*compiler, *flags, *SOURCES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


WIDTHS = {"sse": ("-mno-avx",), "avx2": ("-mavx2", "-mfma", "-mno-avx512f")}


@pytest.fixture(params=sorted(WIDTHS))
def other_width(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The kernels as another x86 processor would get them."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("x86 only: this machine's own width is tested everywhere else")
    if request.param == "avx2" and torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this processor has no AVX2")
    monkeypatch.setattr(cc, "TUNING", (WIDTHS[request.param],))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cc.load.cache_clear()
    yield
    cc.load.cache_clear()


def test_every_vector_width_gives_the_same(compiler: list[str], other_width: None) -> None:
    torch.manual_seed(0)
    x, h0, c0 = torch.randn(7, 13, 5), torch.randn(13, 33), torch.randn(13, 33)
    w_ih, w_hh = torch.randn(132, 5) / 2, torch.randn(132, 33) / 6
    b_ih, b_hh = torch.randn(2, 132)
    cases = {
        "tanh_rnn": [x, h0, w_ih[:33], w_hh[:33], b_ih[:33], b_hh[:33]],
        "lstm": [x, h0, c0, w_ih, w_hh, b_ih, b_hh],
        "indrnn": [x, h0, w_ih[:33], b_ih[:33], b_hh[:33].abs()],
    }
    for name, inputs in cases.items():
        results = []
        for module, backend in ((kernels, "c"), (reference, "reference")):
            leaves = [v.detach().requires_grad_() for v in inputs]
            with kernels.use_backend(backend):
                outputs = getattr(module, name)(*leaves)[:2]
            gradients = torch.autograd.grad(sum(v.square().sum() for v in outputs), leaves)
            results.append([*outputs, *gradients])
        for a, b in zip(*results, strict=True):
            assert (a - b).norm() <= 1e-5 * b.norm(), name
