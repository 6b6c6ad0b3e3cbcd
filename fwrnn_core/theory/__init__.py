"""The theory of the two-loop method, as functions that measure it.

Each assumption of the convergence theorem, each constant and each bound is one pure function on an
:class:`~fwrnn_core.theory.objective.Objective` or on arrays taken from a run. Nothing there depends
on the training loop; :mod:`fwrnn_core.theory.probes` attaches the same functions to one.
"""
