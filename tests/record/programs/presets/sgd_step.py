"""One step of SGD, with the last hidden state as output."""

import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(32, 10, 32), torch.randn(32, 64)
rnn = nn.RNN(32, 64, batch_first=True)
optimizer = torch.optim.SGD(rnn.parameters(), lr=0.01)
output, last = rnn(x)
loss = nn.functional.mse_loss(last[0], y)
loss.backward()
for name, weight in rnn.named_parameters():
    print(name, tuple(weight.shape))
optimizer.step()
