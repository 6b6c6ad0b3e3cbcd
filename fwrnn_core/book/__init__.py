"""The book's build: a small Sphinx extension around Jupyter Book 1, and ``fwrnn book``."""
