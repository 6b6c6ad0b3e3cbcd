"""The paper's claims as a list: each has a page, true printed numbers, and links to its records."""

from __future__ import annotations

import re

import pytest
import yaml

from fwrnn_core import claims
from fwrnn_core.batch.catalog import book_pages
from fwrnn_core.claims import Verdict, comparisons, fair
from fwrnn_core.errors import ConfigError
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import tuned
from fwrnn_core.experiments.fair import METHODS, SEEDS, search
from fwrnn_core.experiments.published import TABLE3, repeats
from fwrnn_core.training import records

from ..shelf import put
from .cases import HOME, RUNS, finish, seeds

pytestmark = pytest.mark.usefixtures("shelf")


def test_every_claim_has_a_key_a_part_and_a_page_of_the_book():
    keys = [c.key for c in claims.CLAIMS]
    assert len(keys) == len(set(keys))
    assert {c.part for c in claims.CLAIMS} == set(claims.PARTS)
    parts = [claims.PARTS.index(c.part) for c in claims.CLAIMS]
    assert parts == sorted(parts), "numbered part by part"
    pages = set(book_pages(yaml.safe_load((HOME / "_toc.yml").read_text("utf-8"))))
    assert {f"notebooks/{c.page}" for c in claims.CLAIMS} <= pages


def test_every_claim_is_judged_by_planned_runs_or_settled_without():
    finals = {f"fair/{t}/final/{m}/seed-{s}" for t in SEEDS for m in METHODS for s in range(1, 6)}
    finals |= {f"adding/tuned/final/{m}/seed-{s}" for m in tuned.METHODS for s in tuned.SEEDS}
    for claim in claims.CLAIMS:
        used = [rule for rule in (claim.published, claim.fair) if rule]
        assert bool(used) != bool(claim.settled), claim.key
        # The experiment pages sum up their verdicts on the published settings.
        if claim.part.endswith("MNIST") or claim.page == "experiments/har2":
            assert claim.published, claim.key
        for rule in used:
            assert rule.names(), claim.key
            assert set(rule.names()) <= set(RUNS) | finals, claim.key


def test_without_a_record_nothing_is_judged():
    rows = claims.examine_all()
    judged = [f for r in rows for f in (r.published, r.fair) if f and not f.verdict.open]
    assert judged == []
    assert "none can be judged yet" in claims.summary(rows)
    assert len(claims.table(rows).splitlines()) == 4 + len(claims.CLAIMS)
    assert claims.examine("adding").cells == ("**not run yet**", "**not run yet**")


def test_numbers_in_print_are_the_paper_s():
    assert comparisons.in_print("har2/published/fw-k5") == 94.11
    assert comparisons.in_print("noisy-har2/published/adam") == 74.38
    assert comparisons.in_print("mnist-indrnn/published/permuted/fw-k1", "time") == 3.68
    for name in ("mnist-rnn/published/pixel/adam", "adding/published/adam", "har2/other/adam"):
        assert comparisons.in_print(name) is None
    printed = {c.key: c.printed() for c in claims.CLAIMS}
    assert printed["noisy-adam"] == "+15.14 points"
    assert printed["noise-drop"] == "+9.15 points"
    assert printed["indrnn-time"] == "0.53 (Pixel), 0.49 (Permute) × the time"
    assert printed["every-sgd"] == "6 of 10 comparisons in favour", (
        "Table II prints the baseline ahead"
    )
    assert printed["clip-fades"] == "+5.70 points, then +0.00 points"
    for row in TABLE3:
        for task in ("har2", "noisy-har2"):
            assert 50 < (comparisons.in_print(f"{task}/published/{row}") or 0) < 100


def test_an_unknown_claim_names_the_nearest():
    with pytest.raises(ConfigError, match="'har2-clip'"):
        claims.examine("har-clip")


def test_rules_are_listed_once_and_sources_name_the_runs():
    listed = claims.rules_in_words().splitlines()
    assert len(listed) == len(set(listed)) >= 10
    assert all(line.startswith("- ") and line.endswith(".") for line in listed)
    evidence = Evidence()
    shown = claims.sources(claims.examine_all(evidence=evidence), evidence)
    assert "`har2/published/fw-k5`" in shown
    assert "`fair/har2/final/fw-k5/*`" in shown
    assert "seed-" not in shown
    assert "](" not in shown, "nothing to link to"
    number = next(i for i, c in enumerate(claims.CLAIMS, 1) if c.key == "har2-bn")
    ours, tuned = (line for line in shown.splitlines() if f'href="#claim-{number}"' in line)
    assert ours.endswith("| learning rate, batch size, K |")
    assert tuned.endswith("| – |")


def test_every_record_of_the_list_is_a_link_that_leads_to_it():
    seeds("adam", [90, 91])
    put(RUNS["har2/published/fw-k1"], {"train_loss": [0.1]}, status="partial")
    finish("adam", [90, 91, 92, 93, 94])
    evidence = Evidence()
    rows = claims.examine_all(evidence=evidence)
    here = "experiments/reproduction_report"
    listed = claims.sources(rows, evidence, here)
    places = set(re.findall(r"\]\(([^)]+)\)", listed))
    folder = HOME / "notebooks/experiments"
    found = {(folder / place).resolve() for place in places}
    behind = {
        name
        for row in rows
        for rule in (row.claim.published, row.claim.fair)
        for each in (rule.names() if rule else ())
        for name in repeats(each)
    }
    there = {name for name in behind if evidence.record(name) is not None}
    assert found == {records.path_of(name).resolve() for name in there}
    assert all(path.is_file() for path in found)
    assert {"har2/seeds/adam/seed-43", "fair/har2/final/adam/seed-5"} <= there
    assert "`har2/seeds/adam/*` ([43](" in listed
    assert "), 44, 45, 46)" in listed, "a run without a record is named all the same"
    table = claims.table(rows, numbers=True, here=here)
    for page, other in ((table, listed), (listed, table)):
        targets = re.findall(r'href="#([\w-]+)"', page)
        assert set(targets) <= set(re.findall(r'id="([\w-]+)"', other))
        ids = re.findall(r'id="([\w-]+)"', page)
        assert len(ids) == len(set(ids))
    judged = [row for row in rows if row.published or row.fair]
    assert table.count(">records</a>") == len(judged)
    assert "records</a>" not in claims.table(rows), "the list is on another page"


def test_the_literatures_settings_are_ranked_among_the_draws():
    rule = claims.examine("literature").claim.fair
    assert isinstance(rule, fair.BestDraw)
    published = {}
    for task in SEEDS:
        for method in rule.methods:
            of = RUNS[f"{task}/published/{method}"]
            own = [
                n
                for n, c in enumerate(search(task, method))
                if (c.optimizer.lr, c.batch_size) == (of.optimizer.lr, of.batch_size)
            ]
            assert len(own) == 1, "its settings are among the draws"
            published[task, method] = own[0]
    assert rule.judge(Evidence()).verdict.open
    for (task, method), own in published.items():
        for n, config in enumerate(search(task, method)):
            put(config, {"validation_loss": [0.1 if n == own else 0.2 + n]})
    found = rule.judge(Evidence())
    assert found.verdict is Verdict.HOLDS
    assert found.text.startswith("rank among 12 draws: HAR-2 1 (Adam), 1 (Adam + clipping)")
    other = (published["har2", "adam"] + 1) % 12
    put(search("har2", "adam")[other], {"validation_loss": [0.01]})
    assert rule.judge(Evidence()).verdict is Verdict.PARTLY
    put(search("har2", "adam")[other], {"validation_loss": [0.01]}, status="diverged")
    assert rule.judge(Evidence()).verdict is Verdict.HOLDS
    put(search("har2", "adam")[other], {"validation_loss": [0.3]}, status="partial")
    assert rule.judge(Evidence()).verdict is Verdict.UNFINISHED
