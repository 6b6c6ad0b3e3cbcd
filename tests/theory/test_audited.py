from __future__ import annotations

from typing import Any

from fwrnn_core.theory.audited import curvature_in_words, in_words


def point(loss: float, **other: Any) -> dict[str, Any]:
    """A row of an audit at which everything is well, but for ``other``."""
    return {
        "loss": loss,
        "radius": 0.1,
        "gradient_norm": 10.0,
        "displacement_norm": 0.1,
        "distance": 2.0,
        "smallest_eigenvalue": 1.0,
        "largest_eigenvalue": 4.0,
        "lipschitz": 2.0,
        "convex_share": 1.0,
        "residual": 0.5,
        "gradient_goal": 20.0,
        "angle_goal": 30.0,
        "curvature": {"0.1": 0.16},
        "inexactness": 0.5,
        **other,
    }


def audit(end: float, holds: bool, share: float, *points: dict[str, Any]) -> dict[str, Any]:
    return {
        "points": list(points),
        "final": {"loss": end},
        "summary": {"A5": {"holds": holds, "share": share}},
    }


AUDITS = {
    "har2/fw-k5": audit(
        0.1,
        True,
        1.0,
        point(0.5),
        point(0.05, residual=-0.1, gradient_goal=95.0, convex_share=0.5, inexactness=None),
    ),
    "har2/adam": audit(
        0.1,
        False,
        0.5,
        point(0.4, residual=-0.2, angle_goal=91.0, smallest_eigenvalue=-8.0, distance=11.0),
        point(0.3, largest_eigenvalue=300.0, inexactness=3.0),
    ),
}


def test_every_count_by_hand() -> None:
    said = in_words(AUDITS)
    assert said["a1"] == "at 3 of 4 points"
    assert said["pairs"] == "88 %"
    assert (said["smallest"], said["largest"]) == ("1", "4")
    assert said["drawn"] == "1 of 4", "a negative curvature of 8 beside a positive one of 4"
    assert said["a2"] == "at 2 of 4 points"
    assert (said["below"], said["below-held"]) == ("1 of 4", "0 of 1")
    assert (said["higher"], said["two-loop"]) == ("at 2 of 3 points", "at all 1 points")
    assert said["uphill"] == "at 1 of 2 points"
    assert (said["a3-least"], said["a3-most"], said["a3-spread"]) == ("4", "300", "19")
    assert said["a4"] == "11"
    assert (said["a5"], said["a5-share"]) == ("in 1 of 2 runs", "75 %")
    assert said["away"] == "at 1 of 4 points"
    assert (said["goal"], said["beta"]) == ("30°", "20°")
    # The first path gains 0.17 everywhere; the second has one step away from a lower risk.
    assert said["merged"] == "1 of 2"
    # ρ = C/(2·0.1·10) with C = 0.16, or 0.01·300 = 3 at the last point; ρ₀ = 0.1·300/20 there.
    assert (said["trust"], said["centre"]) == ("at 3 of 4 points", "at 3 of 4 points")
    # ε is 0.5, 0.5 and 3·0.16/3 = 0.16.
    assert (said["oracle"], said["epsilon"]) == ("at all 3 points", "0.5")


def test_without_audits_there_is_nothing_to_say() -> None:
    said = in_words({})
    assert said.keys() == in_words(AUDITS).keys()
    assert {said[key] for key in ("a1", "a2", "a5", "oracle")} == {"nowhere yet"}
    assert {said[key] for key in ("pairs", "smallest", "a3-most", "a4", "epsilon")} == {"–"}
    assert said["merged"] == "0 of 0"


def along(*places: tuple[float, float, float]) -> dict[str, Any]:
    """A path of points with these gradient norms and curvatures in two balls, in units of δ²; its
    Hessian's largest eigenvalue is the first of them, the smallest −10."""
    return audit(
        0.0,
        True,
        1.0,
        *(
            point(
                1.0,
                radius=1e-3,
                gradient_norm=norm,
                curvature={"0.001": near * 1e-6, "0.01": far * 1e-4},
                largest_eigenvalue=near,
                smallest_eigenvalue=-10.0,
            )
            for norm, near, far in places
        ),
    )


def test_curvature_beside_the_gradient_by_hand() -> None:
    said = curvature_in_words(
        {
            "one": along((1.0, 4.0, 4.0), (0.5, 6.0, 3.0 * 6), (2.0, 2.0, 2.0), (0.001, 5.0, 5.0)),
            "other": along((0.1, 300.0, 300.0), (0.2, 100.0, 100.0)),
        }
    )
    # Where it is shorter it is rougher, twice; where it is longer it is flatter, twice.
    assert (said["risen-short"], said["risen-long"]) == ("all 2 points", "none of 2 points")
    # The shortest gradient has 5, the median of 6, 2, 5; the other path's is its first.
    assert (said["shorter"], said["flatter"]) == ("1 of 2", "0 of these 1")
    assert (said["apart-median"], said["apart-most"]) == ("1", "3")
    # ρ = 0.001·C/δ²/(2‖∇F‖): 0.002 and 1.5 at the starts, 2.5 and 0.25 at the ends.
    assert (said["sure-start"], said["distrust-start"]) == ("in 1 of 2 runs", "in 1 of 2 runs")
    assert (said["sure-end"], said["distrust-end"]) == ("in 1 of 2 runs", "in 1 of 2 runs")
    # ρ₀ is the same here, and below the plane 0.005/‖∇F‖: 5 at the shortest gradient.
    assert said["wrong-end"] == "in 1 of 2 runs"
    assert (said["above"], said["below"]) == ("at 2 of 6 points", "at 1 of 6 points")
    assert (said["fair"], said["own-either"]) == ("at 4 of 6 points", "at 2 of 6 points")
    assert (said["own-distrust"], said["own-centre"]) == ("at 2 of 6 points", "at 2 of 6 points")
    assert said["own-quadratic"] == "at none of 6 points"


def test_without_audits_no_curvature_is_spoken_of() -> None:
    said = curvature_in_words({})
    assert (said["risen-long"], said["fair"]) == ("nowhere yet", "nowhere yet")
    assert (said["shorter"], said["apart-most"]) == ("0 of 0", "–")
