"""Trains until it is stopped; says when it has begun."""

import torch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
step = 0
while True:
    loss = torch.nn.functional.mse_loss(model(torch.ones(3, 2) * step % 7), torch.ones(3, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    step += 1
    if step == 5:
        print("has begun", flush=True)
