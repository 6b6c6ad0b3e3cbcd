"""The paper's claims as data, the rules that judge them, and what the records say.

Each claim of the abstract, of section V and of the conclusions is a :class:`Claim` with up to two
rules: one for runs in the authors' settings, one for runs under fair conditions. A rule carries
its own words and the names of the runs that it needs. Where one of them has no record, or stopped
before its last epoch, the finding shows what there is and gives no verdict.

    from fwrnn_core import claims
    rows = claims.examine_all()
    print(claims.table(rows))
"""

from fwrnn_core.claims.claim import PARTS
from fwrnn_core.claims.comparisons import times_apart
from fwrnn_core.claims.paper import CLAIMS
from fwrnn_core.claims.report import (
    corrected,
    examine,
    examine_all,
    rules_in_words,
    sources,
    summary,
    table,
)
from fwrnn_core.claims.verdicts import FAIR, Verdict
