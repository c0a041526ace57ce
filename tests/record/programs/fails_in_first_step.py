"""Fails in the first step of its training."""

import torch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
torch.nn.functional.mse_loss(model(torch.ones(3, 2)), torch.ones(3, 1)).backward()
optimizer.param_groups[0]["weight_decay"] = "much"
optimizer.step()
