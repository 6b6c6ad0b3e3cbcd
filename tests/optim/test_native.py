"""The C kernels against the torch path: the same walk, and chosen by nothing but the state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError
from fwrnn_core.models.kernels import use_backend
from fwrnn_core.optim import NonFiniteGradient, native

SHAPES = [(17, 5), (33,), (), (1,), (0,), (3, 1, 2)]

needs_c = pytest.mark.skipif(native.library() is None, reason="no C compiler here")


def trained(backend: str, late: bool = False, scale: float = 1.0, **options: Any) -> list[Tensor]:
    """Weights after 23 minibatches of random gradients; ``late`` withholds some of them."""
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(s, generator=generator)) for s in SHAPES]
    opt = FrankWolfe(params, **{"lr": 0.01, "inner_steps": 5, **options})
    seen = []
    with use_backend(backend):
        for batch in range(23):
            for i, p in enumerate(params):
                p.grad = scale * torch.randn(p.shape, generator=generator)
                if late and (batch + i) % 4 == 0:
                    p.grad = None
            opt.step()
            seen += [p.detach().clone() for p in params]
    return [*seen, opt.agreement().nan_to_num(-1)]


@needs_c
@pytest.mark.parametrize("inner_steps", [1, 5])
@pytest.mark.parametrize("scope", ["tensor", "global"])
@pytest.mark.parametrize("trajectory", ["paper", "released"])
@pytest.mark.parametrize("step_size", ["1/k", "2/(k+1)"])
@pytest.mark.parametrize("late", [False, True])
def test_both_paths_agree(
    inner_steps: int, scope: str, trajectory: str, step_size: str, late: bool
) -> None:
    options = {
        "inner_steps": inner_steps,
        "scope": scope,
        "trajectory": trajectory,
        "step_size": step_size,
    }
    for a, b in zip(trained("c", late, **options), trained("torch", late, **options), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6, check_dtype=False)


@needs_c
@pytest.mark.parametrize("inner_steps", [1, 5])
@pytest.mark.parametrize("scope", ["tensor", "global"])
@pytest.mark.parametrize("late", [False, True])
def test_tracking_changes_no_bit_of_the_walk(inner_steps: int, scope: str, late: bool) -> None:
    options = {"inner_steps": inner_steps, "scope": scope}
    plain = trained("c", late, **options)
    tracked = trained("c", late, track=("gap", "angle"), **options)
    assert all(torch.equal(a, b) for a, b in zip(plain, tracked, strict=True))


@needs_c
def test_a_group_that_the_kernels_cannot_walk_leaves_the_others_whole() -> None:
    """With one ball around both, the momentum of the second takes the first off the kernels too,
    before anything of its loop has begun."""

    def walked(backend: str) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        params = [nn.Parameter(torch.randn(s, generator=generator)) for s in ((5, 4), (7,))]
        groups = [{"params": [params[0]]}, {"params": [params[1]], "gradient_momentum": 0.5}]
        opt = FrankWolfe(groups, scope="global", lr=0.01, inner_steps=3)
        with use_backend(backend):
            for _ in range(7):
                for p in params:
                    p.grad = torch.randn(p.shape, generator=generator)
                opt.step()
        return [p.detach() for p in params]

    for a, b in zip(walked("c"), walked("torch"), strict=True):
        torch.testing.assert_close(a, b)


@needs_c
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e30, 1e37])
def test_gradients_of_any_size(scale: float) -> None:
    usual = trained("c", outer=torch.optim.SGD)
    for a, b in zip(trained("c", scale=scale, outer=torch.optim.SGD), usual, strict=True):
        tolerance = 1e-3 if scale < 1e-37 else 1e-5  # subnormal gradients have few digits
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@needs_c
def test_the_largest_gradients_of_a_large_tensor() -> None:
    """One over their norm is a float of four digits at best."""
    w = nn.Parameter(torch.zeros(200, 300))
    opt = FrankWolfe([w], lr=1.0, inner_steps=1, outer=None)
    with use_backend("c"):
        feed(opt, (w, torch.full_like(w, 3.3e38)))
    expected = torch.full((200, 300), -1 / 60_000**0.5)
    torch.testing.assert_close(w.detach(), expected, rtol=2e-6, atol=0)


@needs_c
@pytest.mark.parametrize("inner_steps", [1, 5])
@pytest.mark.parametrize("trajectory", ["paper", "released"])
def test_repeated_steps_are_the_general_path_to_the_last_bit(
    inner_steps: int, trajectory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick: list[bool] = []
    repeat = native.Walker.repeat

    def counted(self: native.Walker, *arguments: Any) -> bool:
        quick.append(repeat(self, *arguments))
        return quick[-1]

    monkeypatch.setattr(native.Walker, "repeat", counted)
    options = {"inner_steps": inner_steps, "trajectory": trajectory}
    short = trained("c", **options)
    # The first loop lays the plans; after it every step is like the one before.
    assert quick == [False, *[True] * 22]
    monkeypatch.setattr(native.Walker, "repeat", lambda *_: False)
    assert all(torch.equal(a, b) for a, b in zip(short, trained("c", **options), strict=True))


@needs_c
@pytest.mark.parametrize("bad", [0, 1])
def test_a_bad_gradient_in_mid_loop_leaves_the_walk_as_it_was(bad: int) -> None:
    """Whichever of the two tensors it is for."""
    options = {"lr": 0.1, "inner_steps": 3, "nonfinite": "skip", "outer": None}
    disturbed, twins = ([nn.Parameter(torch.ones(4)) for _ in range(2)] for _ in range(2))
    opt, other = FrankWolfe(disturbed, **options), FrankWolfe(twins, **options)
    for batch in range(8):
        good = torch.tensor([1.0, float(batch), 0.0, -2.0])
        feed(opt, *((p, good.clone()) for p in disturbed))
        feed(other, *((p, good.clone()) for p in twins))
        disturbed[bad].grad = torch.tensor([0.0, float("nan"), 0.0, 1.0])
        opt.step()
        assert all(map(torch.equal, disturbed, twins))
    assert (opt.skipped, opt.inner_step) == (8, 2)


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("inner_steps", [1, 2])
def test_a_loop_begins_with_nothing_of_what_the_memory_held(backend: str, inner_steps: int) -> None:
    a, b, opt = two_groups(inner_steps=inner_steps)
    with use_backend(backend):
        for _ in range(3):
            for _ in range(inner_steps):
                feed(opt, (a, torch.tensor([0.0, 2.0])), (b, torch.tensor([3.0, 4.0])))
            for p in (a, b):
                opt.state[p]["direction"].fill_(torch.nan)
    torch.testing.assert_close(a.detach(), torch.tensor([0.0, -3.0]))
    torch.testing.assert_close(b.detach(), torch.tensor([-1.8, -2.4]))


@needs_c
def test_autograd_notices_weights_that_the_kernel_wrote() -> None:
    w = nn.Parameter(torch.ones(4))
    opt = FrankWolfe([w], inner_steps=3)
    loss = w.square().sum()
    loss.backward(retain_graph=True)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@needs_c
def test_nonfinite_gradients_touch_nothing() -> None:
    w, v = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(2))
    opt = FrankWolfe([w, v], inner_steps=3)
    for bad in (float("nan"), float("inf"), float("-inf")):
        w.grad, v.grad = torch.tensor([0.0, bad, 0.0, 0.0]), torch.ones(2)
        with pytest.raises(NonFiniteGradient):
            opt.step()
    assert w.tolist() == [1.0] * 4
    assert (opt.inner_step, opt.skipped) == (0, 0)


def test_without_a_compiler_the_torch_path_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained("torch")
    monkeypatch.setattr(native, "library", lambda: None)
    assert all(torch.equal(a, b) for a, b in zip(trained("auto"), expected, strict=True))


@needs_c
def test_weights_that_move_to_other_memory_are_followed() -> None:
    w = nn.Parameter(torch.zeros(3))
    opt = FrankWolfe([w], lr=1.0, inner_steps=3, outer=None)
    for _ in range(3):
        w.grad = torch.tensor([1.0, 0.0, 0.0])
        opt.step()
        w.data = w.data.clone()
    assert w.tolist() == [-1.0, 0.0, 0.0]


@needs_c
@pytest.mark.parametrize(
    "change",
    [{"norm": float("inf")}, {"norm": 1}, {"gradient_momentum": 0.9}, {"inner_steps": 3}],
    ids=str,
)
@pytest.mark.parametrize("before", [1, 2])
def test_options_changed_between_two_loops_count_from_the_next_on(
    change: dict[str, Any], before: int
) -> None:
    """The kernels' short way repeats the step before; a changed group takes the general one."""

    def walked(backend: str) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        w = nn.Parameter(torch.zeros(6))
        opt = FrankWolfe([w], lr=0.1, inner_steps=before, outer=None)
        with use_backend(backend):
            for batch in range(4 * before + 7):
                if batch == 4 * before:
                    opt.param_groups[0].update(change)
                w.grad = torch.randn(6, generator=generator)
                opt.step()
        return w.detach()

    torch.testing.assert_close(walked("c"), walked("torch"))


@needs_c
def test_a_bad_gradient_at_the_start_of_a_loop_leaves_the_radius_of_the_last() -> None:
    w = nn.Parameter(torch.ones(4))
    opt = FrankWolfe([w], lr=0.1, inner_steps=2)
    for _ in range(4):
        w.grad = torch.ones(4)
        opt.step()
    opt.param_groups[0]["lr"] = 0.5
    w.grad = torch.full((4,), float("nan"))
    with pytest.raises(NonFiniteGradient):
        opt.step()
    assert opt.diagnostics()["loop_radius"] == [0.1]


PLANS = st.lists(  # per minibatch, which of three groups of two parameters have which gradients
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=3),
    min_size=4,
    max_size=16,
)


def walked(backend: str, plan: list[list[tuple[bool, bool]]], own: int, **options: Any) -> Any:
    """Weights and agreement after every minibatch of a plan, between loops changed by hand."""
    generator = torch.Generator().manual_seed(0)
    groups = [[nn.Parameter(torch.randn(3, generator=generator)) for _ in "ab"] for _ in range(3)]
    extra = {"inner_steps": own} if options["scope"] == "tensor" else {}
    opt = FrankWolfe(
        [{"params": groups[0], **extra}, *({"params": g} for g in groups[1:])], **options
    )
    seen = []
    with use_backend(backend):
        for minibatch in plan:
            for group, given in zip(groups, minibatch, strict=True):
                for p, there in zip(group, given, strict=True):
                    gradient = torch.randn(3, generator=generator)
                    p.grad = gradient if there else None
            opt.step()
            if all(g["inner_step"] == 0 for g in opt.param_groups):
                with torch.no_grad():
                    groups[0][0].add_(0.25)
            seen += [p.detach().clone() for group in groups for p in group]
            seen.append(opt.agreement().nan_to_num(-1))
    return seen


@needs_c
@given(
    plan=PLANS,
    inner_steps=st.integers(1, 4),
    own=st.integers(1, 3),
    scope=st.sampled_from(["tensor", "global"]),
    trajectory=st.sampled_from(["paper", "released"]),
)
@settings(max_examples=150)
def test_both_paths_agree_whichever_groups_have_gradients(plan, own, **options) -> None:
    options |= {"lr": 0.1, "radius": 0.5, "outer": None}
    for a, b in zip(
        walked("c", plan, own, **options), walked("torch", plan, own, **options), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, check_dtype=False)


def two_groups(**options: Any) -> tuple[nn.Parameter, nn.Parameter, FrankWolfe]:
    a, b = (nn.Parameter(torch.zeros(2)) for _ in "ab")
    options = {"lr": 1.0, "inner_steps": 2, "outer": None, **options}
    return a, b, FrankWolfe([{"params": [a]}, {"params": [b]}], **options)


def feed(opt: FrankWolfe, *gradients: tuple[nn.Parameter, Tensor | None]) -> None:
    for p, gradient in gradients:
        p.grad = gradient
    opt.step()


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_group_that_goes_without_a_gradient_goes_back_to_the_anchor(backend: str) -> None:
    east = torch.tensor([1.0, 0.0])
    a, b, opt = two_groups()
    with use_backend(backend):
        feed(opt, (a, east), (b, east))
        feed(opt, (a, None), (b, east))
    assert a.tolist() == [-0.5, 0.0], "one vertex of two, inside the ball"
    assert b.tolist() == [-1.0, 0.0]


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_group_leaves_the_one_ball_to_the_others(backend: str, frozen: int) -> None:
    *both, opt = two_groups(scope="global")
    still, moving = both[frozen], both[1 - frozen]
    still.requires_grad_(False)
    with use_backend(backend):
        for _ in range(2):
            feed(opt, (moving, torch.tensor([3.0, 4.0])))
    torch.testing.assert_close(moving.detach(), torch.tensor([-0.6, -0.8]))
    assert opt.agreement().tolist() == pytest.approx([1.0])
    assert still.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_weights_changed_between_loops_stay_changed(backend: str) -> None:
    east = torch.tensor([1.0, 0.0])
    p, q, b = (nn.Parameter(torch.zeros(2)) for _ in "pqb")
    opt = FrankWolfe([{"params": [p, q]}, {"params": [b]}], lr=1.0, inner_steps=2, outer=None)
    with use_backend(backend):
        feed(opt, (p, east), (b, east))
        feed(opt, (q, east))
        with torch.no_grad():
            p.fill_(7.0)
        feed(opt, (p, None), (q, None))
        feed(opt, (p, east))
    assert p.tolist() == [6.5, 7.0], "half of a walk, from where the weights were put"


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_weight_cut_to_another_shape_is_refused(backend: str) -> None:
    w = nn.Parameter(torch.ones(1000))
    opt = FrankWolfe([w], lr=0.1, inner_steps=2, outer=None)
    with use_backend(backend):
        for _ in range(2):
            feed(opt, (w, torch.ones(1000)))
        w.grad = None
        w.data = w.data[:10]
        w.grad = torch.ones(10)
        with pytest.raises(ConfigError, match=r"shape \(10,\) had shape \(1000,\)"):
            opt.step()
    assert opt.inner_step == 0


@needs_c
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_gradients_whose_memory_does_not_hold_them(inner_steps: int) -> None:
    """torch's lazy minus, whose memory holds the opposite, and its zeros without any memory."""
    minus = torch._neg_view(torch.tensor([3.0, -4.0]))
    nothing: Tensor = torch._efficientzerotensor(2)
    assert not native.fits([minus])
    assert not native.fits([torch.ones(2), nothing])
    ends = []
    for lazy in (True, False):
        w, gate = (nn.Parameter(torch.ones(2)) for _ in range(2))
        opt = FrankWolfe([w, gate], lr=0.5, inner_steps=inner_steps, outer=None)
        with use_backend("c"):
            for step in range(2 * inner_steps):
                # Every other one, so that the plan of an ordinary step is there to be repeated.
                odd = lazy and step % 2 == 1
                w.grad = minus if odd else torch.tensor([-3.0, 4.0])
                gate.grad = nothing if odd else torch.zeros(2)
                opt.step()
        assert opt.updates == 2
        ends.append(torch.stack([w.detach(), gate.detach()]))
    torch.testing.assert_close(*ends)
    torch.testing.assert_close(ends[0], torch.tensor([[1.6, 0.2], [1.0, 1.0]]))


@needs_c
@pytest.mark.parametrize(("key", "value"), [("norm", 1), ("gradient_momentum", 0.5)])
def test_an_option_changed_in_mid_loop_counts_at_once_on_both_paths(key: str, value: Any) -> None:
    ends = []
    for backend in ("c", "torch"):
        w, other = (nn.Parameter(torch.zeros(2)) for _ in range(2))
        groups = [{"params": [w]}, {"params": [other]}]
        opt = FrankWolfe(groups, lr=1.0, inner_steps=3, outer=None)
        with use_backend(backend):
            for step, gradient in enumerate(([1.0, 0.0], [1.0, 2.0], [3.0, 1.0])):
                if step == 1:
                    opt.param_groups[0][key] = value
                feed(opt, (w, torch.tensor(gradient)), (other, torch.ones(2)))
        ends.append(w.detach())
    torch.testing.assert_close(*ends)
