"""What the optimizer holds beside its outer optimizer: at most two copies of the weights."""

import gc

import pytest
import torch

from fwrnn_core import FrankWolfe

SHAPES = [(300, 200), (200, 100), (1000,), (100, 100, 2)] * 5


@pytest.fixture
def fresh_heap():
    """What other tests have left is not looked at, again and again, for tensors."""
    gc.freeze()
    yield
    gc.unfreeze()


def held() -> int:
    """Bytes of all tensors alive that the collector follows."""
    gc.collect()
    storages = [t.untyped_storage() for t in gc.get_objects() if issubclass(type(t), torch.Tensor)]
    return sum({s.data_ptr(): s.nbytes() for s in storages}.values())


def beyond(build) -> float:
    """Copies of the weights alive after two and a half loops of five, weights and gradients not
    counted."""
    params = [torch.nn.Parameter(torch.randn(s)) for s in SHAPES]
    for p in params:
        p.grad = torch.randn_like(p)
    before = held()
    optimizer = build(params)
    for _ in range(12):
        optimizer.step()
    return (held() - before) / sum(p.nbytes for p in params)


@pytest.mark.usefixtures("fresh_heap")
@pytest.mark.parametrize("trajectory", ["paper", "released"])
@pytest.mark.parametrize("norm", [1, 2, 3, float("inf")])
@pytest.mark.parametrize("scope", ["tensor", "global"])
def test_two_copies_of_the_weights(trajectory, norm, scope):
    adam = beyond(lambda params: torch.optim.Adam(params, lr=1e-3))
    ours = beyond(
        lambda params: FrankWolfe(
            params, lr=1e-3, inner_steps=5, norm=norm, scope=scope, trajectory=trajectory
        )
    )
    # Counters and the like are some bytes per tensor.
    assert adam == pytest.approx(2, abs=1e-3)
    assert ours - adam <= 2.001
