"""Truncated back-propagation: chunks, and the released code's rule against a hand-made trace."""

from __future__ import annotations

import torch
from torch import Tensor

from fwrnn_core import FrankWolfe
from fwrnn_core.training.tbptt import ReleasedTbptt, chunks


def test_chunks_cover_the_sequence_in_order():
    x = torch.arange(10.0).reshape(1, 10, 1)
    pieces = list(chunks(x, 3))
    assert [p.shape[1] for p in pieces] == [3, 3, 3, 1]
    assert torch.equal(torch.cat(pieces, 1), x)


class Trace:
    """A parameter, and the gradients that the minibatches' chunks are to have."""

    def __init__(self, inner_steps: int, lr: float = 0.1) -> None:
        self.p = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        self.opt = ReleasedTbptt([self.p], lr=lr, inner_steps=inner_steps)
        self.generator = torch.Generator().manual_seed(0)

    def chunk(self, chunk: int, of: int) -> Tensor:
        grad = torch.randn(2, generator=self.generator, dtype=torch.float64)
        self.p.grad = grad.clone()
        self.opt.step(chunk=chunk, of=of)
        return grad / grad.norm()


class Adam:
    """Adam in four lines, so that the trace below shares no code with what it checks."""

    def __init__(self) -> None:
        self.m = self.v = torch.zeros(2, dtype=torch.float64)
        self.t = 0

    def move(self, grad: Tensor, lr: float = 0.1) -> Tensor:
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * grad
        self.v = 0.999 * self.v + 0.001 * grad**2
        hat = self.v / (1 - 0.999**self.t)
        return -lr * (self.m / (1 - 0.9**self.t)) / (hat.sqrt() + 1e-8)


def test_one_inner_step_first_chunk_stays_and_last_chunk_undoes_the_one_before():
    trace, adam, w = Trace(inner_steps=1), Adam(), torch.tensor([1.0, -2.0]).double()
    for _ in range(3):
        w = w - 0.1 * trace.chunk(0, 4)  # a raw displacement that nothing takes back
        torch.testing.assert_close(trace.p.data, w)
        w = w + adam.move(trace.chunk(1, 4))
        torch.testing.assert_close(trace.p.data, w)
        before = w
        w = w + adam.move(trace.chunk(2, 4))
        torch.testing.assert_close(trace.p.data, w)
        w = before + adam.move(trace.chunk(3, 4))  # from the anchor before chunk 3's Adam step
        torch.testing.assert_close(trace.p.data, w)
        assert trace.opt.completed


def test_two_inner_steps_first_minibatch_drifts_and_only_the_last_adam_step_survives():
    trace, adam, w = Trace(inner_steps=2), Adam(), torch.tensor([1.0, -2.0]).double()
    for _ in range(3):
        for chunk in range(3):
            anchor = w
            unit = trace.chunk(chunk, 3)
            w = w - 0.1 * unit  # re-anchored at every chunk
            torch.testing.assert_close(trace.p.data, w)
        mean = unit
        for chunk in range(3):
            mean = 0.5 * mean + 0.5 * trace.chunk(chunk, 3)
            w = anchor + adam.move(mean)
            torch.testing.assert_close(trace.p.data, w)
            assert trace.opt.completed == (chunk == 2)


def test_without_chunks_it_is_the_released_optimizer():
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(5, generator=generator, dtype=torch.float64)
    a, b = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours = FrankWolfe([a], lr=0.1, inner_steps=3, trajectory="released")
    theirs = ReleasedTbptt([b], lr=0.1, inner_steps=3)
    for _ in range(13):
        a.grad = torch.randn(5, generator=generator, dtype=torch.float64)
        b.grad = a.grad.clone()
        ours.step()
        theirs.step()
        torch.testing.assert_close(a, b)


def test_state_survives_a_round_trip_in_the_middle_of_everything():
    whole, first, second = (Trace(inner_steps=2) for _ in range(3))
    for chunk in range(3):
        whole.chunk(chunk, 3)
        first.chunk(chunk, 3)
    whole.chunk(0, 3)
    first.chunk(0, 3)
    second.p.data.copy_(first.p.data)
    second.opt.load_state_dict(first.opt.state_dict())
    second.generator.set_state(first.generator.get_state())
    for chunk in (1, 2, 0, 1, 2):
        whole.chunk(chunk, 3)
        second.chunk(chunk, 3)
    assert torch.equal(whole.p, second.p)


def test_a_scheduler_moves_radius_and_adam_together():
    p = torch.nn.Parameter(torch.ones(2))
    opt = ReleasedTbptt([p], lr=0.1)
    torch.optim.lr_scheduler.StepLR(opt, 1, 0.5)
    opt.param_groups[0]["lr"] = 0.05
    assert opt.outer.param_groups[0]["lr"] == 0.05
    opt.load_state_dict(opt.state_dict())  # of a resumed run too
    opt.param_groups[0]["lr"] = 0.025
    assert opt.outer.param_groups[0]["lr"] == 0.025


def test_a_parameter_may_get_its_first_gradient_late():
    early, late = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    opt = ReleasedTbptt([early, late], lr=0.1, inner_steps=2)
    for gradient in (None, torch.tensor([3.0, -4.0])):
        early.grad, late.grad = torch.ones(2), gradient
        opt.step()
    # Adam's first step is of the length of its rate, whatever the gradient.
    torch.testing.assert_close(late.data, torch.tensor([0.9, 1.1]))


def test_a_zero_gradient_is_no_nan():
    p = torch.nn.Parameter(torch.ones(2))
    opt = ReleasedTbptt([p], lr=0.1)
    p.grad = torch.zeros(2)
    opt.step()
    assert torch.equal(p, torch.ones(2))
