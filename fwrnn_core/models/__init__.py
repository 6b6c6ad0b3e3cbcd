"""The paper's recurrent models: inputs ``[N, T, F]`` float32, outputs ``[N, output_size]``.

>>> import torch
>>> from fwrnn_core.models import RecurrentNet
>>> RecurrentNet(9, 80, 1, cell="lstm", head="sigmoid")(torch.zeros(4, 128, 9)).shape
torch.Size([4, 1])
"""

from fwrnn_core.models.indrnn import IndRNN
from fwrnn_core.models.recurrent import RecurrentNet
from fwrnn_core.models.state import State, detach

__all__ = ["IndRNN", "RecurrentNet", "State", "detach"]
