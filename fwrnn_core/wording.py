"""Words for readers that every part shares: names of methods, and powers of ten."""

from __future__ import annotations

# The last part of a run's name says the method; these are the names that a reader sees.
LABELS = {
    "sgd": "SGD with momentum",
    "adam": "Adam",
    "adam-clip": "Adam + clipping",
    "adam-bn": "Adam + batch norm",
    "adam-bn-clip": "Adam + clipping + batch norm",
    "adam-tbptt": "Adam, TBPTT",
    "lstm-adam": "LSTM, Adam",
    "lstm-clip": "LSTM, Adam + clipping",
    "fw-k1": "Frank-Wolfe, K = 1",
    "fw-k5": "Frank-Wolfe, K = 5",
    "fw-k10": "Frank-Wolfe, K = 10",
    "fw-k30": "Frank-Wolfe, K = 30",
    "fw-bn": "Frank-Wolfe + batch norm",
    "fw-tbptt": "Frank-Wolfe, TBPTT",
    "fw-k1-tbptt": "Frank-Wolfe, K = 1, TBPTT",
    "fw-k5-tbptt": "Frank-Wolfe, K = 5, TBPTT",
    "fw-k5-wide": "K = 5, δ = 0.01",
    "fw-k5-plain": "Plain update, K = 5",
    "lstm-fw": "LSTM, Frank-Wolfe",
    "indrnn-adam": "IndRNN, Adam",
    "indrnn-fw": "IndRNN, Frank-Wolfe",
}


def label(name: str) -> str:
    """What a reader calls a method, or a run beside the others of its task.

    >>> label("fw-k5"), label("theory/har2/fw-k5-wide"), label("theory/har2/fw-k5-batch-512")
    ('Frank-Wolfe, K = 5', 'K = 5, δ = 0.01', 'fw-k5-batch-512')
    """
    method = name.rpartition("/")[2]
    return LABELS.get(method, method)


def in_words(method: str) -> str:
    """A method's name inside a sentence, where a comma would part it.

    >>> in_words("fw-k5"), in_words("adam-tbptt")
    ('Frank-Wolfe with K = 5', 'Adam with TBPTT')
    """
    return label(method).replace(", ", " with ", 1)


def counted(number: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted(1, "run"), counted(2, "run")
    ('1 run', '2 runs')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def be(count: int) -> str:
    """The verb of one thing, or of any other number.

    >>> be(1), be(2)
    ('is', 'are')
    """
    return "is" if count == 1 else "are"


def power_of_ten(exponent: int) -> str:
    """Ten with a raised exponent.

    >>> power_of_ten(-5)
    '10⁻⁵'
    """
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
