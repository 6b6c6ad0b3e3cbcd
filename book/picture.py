"""Draws the picture of the README and the card that is shown where a link to the book is shared.

    python book/picture.py

A true run: two-loop Frank-Wolfe walks down a bent valley, and normalised gradient descent (K = 1)
from the same start, with the same radius and the same number of gradients.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure

from fwrnn_core import FrankWolfe, figures
from fwrnn_core.book.assets import slim_figure

STATIC = Path(__file__).parent / "_static"
START, RADIUS, INNER_STEPS, OUTER_STEPS = (-1.45, 1.35), 0.36, 12, 8
PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2}


def valley(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A bent valley with a flat floor, after Rosenbrock."""
    return (1.1 - x) ** 2 / 8 + 2 * (y - x**2 / 1.6) ** 2


def run(inner_steps: int, radius: float = RADIUS) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights before each outer step [outer + 1, 2] and inner iterates [outer, inner + 1, 2]."""
    weights = torch.nn.Parameter(torch.tensor(START))
    optimizer = FrankWolfe([weights], lr=radius, inner_steps=inner_steps, outer=None)
    outer, inner = [weights.detach().clone()], []
    for _ in range(OUTER_STEPS * INNER_STEPS // inner_steps):
        walked = [weights.detach().clone()]
        for _ in range(inner_steps):
            optimizer.zero_grad()
            valley(*weights).backward()
            optimizer.step()
            walked.append(weights.detach().clone())
        outer.append(walked[-1])
        inner.append(torch.stack(walked))
    return torch.stack(outer), torch.stack(inner)


def draw(width: float, height: float) -> Figure:
    """The picture, in inches."""
    fig, ax = figures.panel(width=width, height=height)
    figures.surface(
        ax,
        lambda x, y: valley(*map(torch.from_numpy, (x, y))).sqrt().numpy(),
        (-2.05, 1.75),
        (-0.45, 1.75),
        levels=14,
    )
    ax.set_axis_off()
    one, two = figures.LOOKS[1], figures.LOOKS[0]
    plain, _ = run(1)
    ax.plot(*plain.T, color=one.color, linewidth=0.9, alpha=0.75)
    outer, inner = run(INNER_STEPS)
    for centre, walked in zip(outer, inner, strict=False):
        figures.ball(ax, centre, RADIUS, linewidth=0.8)
        ax.plot(*walked[1:].T, color=figures.INK, linewidth=0.8, marker=".", markersize=4)
    ax.plot(*outer.T, color=two.color, linewidth=2.2, marker="o", markersize=6)
    ax.annotate(
        "start", outer[0].tolist(), xytext=(-14, 10), textcoords="offset points", ha="right"
    )
    ax.annotate(
        f"{INNER_STEPS} inner steps never leave the ball;\nthe last one is the outer step",
        (outer[2] + torch.tensor([0.0, RADIUS])).tolist(),
        xytext=(60, 40),
        textcoords="offset points",
        bbox=PLATE,
        color=two.color,
        arrowprops={"arrowstyle": "-", "color": two.color, "linewidth": 0.8},
    )
    ax.annotate(
        "as many normalised gradient\nsteps: across and back",
        plain[60].tolist(),
        xytext=(-70, 84),
        textcoords="offset points",
        bbox=PLATE,
        color=one.color,
        arrowprops={"arrowstyle": "-", "color": one.color, "linewidth": 0.8},
    )
    return fig


def main() -> None:
    figures.use()
    options = {"facecolor": "white", "transparent": False}
    picture = STATIC / "inner-loop.svg"
    draw(8.0, 4.4).savefig(picture, metadata={"Date": None}, **options)
    picture.write_text(slim_figure(picture.read_text("utf-8")), "utf-8")
    draw(8.0, 4.2).savefig(STATIC / "card.png", dpi=150, metadata={"Software": None}, **options)


if __name__ == "__main__":
    main()
