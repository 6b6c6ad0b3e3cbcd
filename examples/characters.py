"""A character-level GRU on the Python language reference.

Swapping the optimizer is one line: put torch.optim.Adam(model.parameters(), lr=2e-3) in its place.
"""

import argparse
from pydoc_data.topics import topics  # text that ships with every Python

import torch
from torch import nn

from fwrnn_core import FrankWolfe

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("updates", nargs="?", type=int, default=300, help="of five minibatches each")
steps = 5 * parser.parse_args().updates

text = "\n".join(topics[key] for key in sorted(topics))
alphabet = sorted(set(text))
codes = torch.tensor([alphabet.index(c) for c in text[:200_000]])

torch.manual_seed(0)
embed, gru = nn.Embedding(len(alphabet), 32), nn.GRU(32, 128, batch_first=True)
head = nn.Linear(128, len(alphabet))
model = nn.ModuleList([embed, gru, head])
optimizer = FrankWolfe(model.parameters(), lr=2e-3, inner_steps=5)

for step in range(steps):
    start = torch.randint(len(codes) - 65, (32,))
    batch = torch.stack([codes[i : i + 65] for i in start.tolist()])
    logits = head(gru(embed(batch[:, :-1]))[0])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0 or step == steps - 1:
        print(f"minibatch {step:5d}   {loss.item() / 0.6931:.2f} bits per character")
