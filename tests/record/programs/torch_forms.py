"""Forms of a PyTorch loop, one of which is named as argument: what they share, and what differs.

Each notes by its own means what it gave the model and the loss, and saves that as own.npz.
"""

import os
import sys
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x_all = torch.randn(10, 4, 2)
y_all = x_all.sum((1, 2))
own = {"x": [], "y": [], "losses": []}


class Net(nn.Module):
    def __init__(self, batch_first=True):
        super().__init__()
        self.rnn = nn.RNN(2, 3, batch_first=batch_first)
        self.fc = nn.Linear(3, 1)

    def forward(self, x, hidden=None):
        out, _ = self.rnn(x, hidden)
        return self.fc(out[:, -1] if self.rnn.batch_first else out[-1])


def batches(epochs=2):
    for _ in range(epochs):
        for rows in torch.randperm(10).split(4):
            yield x_all[rows], y_all[rows]


def note(x, y, loss):
    own["x"].append(x.numpy().copy())
    own["y"].append(y.numpy().copy())
    own["losses"].append(loss.item())


def loop(model, optimizer, loss_of, between=lambda _: None):
    for x, y in batches():
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        between(model)
        note(x, y, loss)
        loss.backward()
        optimizer.step()


def mse(prediction, y):
    return F.mse_loss(prediction.squeeze(-1), y)


def sgd(model, **settings):
    return torch.optim.SGD(model.parameters(), lr=0.05, **settings)


def keywords():
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=6)
    criterion = nn.L1Loss()
    for x, y in batches():
        loss = criterion(target=y, input=model(x=x).view(-1))
        note(x, y, loss)
        loss.backward()
        optimizer.step()
        schedule.step()
        model.zero_grad()


def evaluation_between():
    def evaluate(model):
        mse(model(x_all), y_all)  # neither eval() nor no_grad()
        model.eval()  # and left so

    model = Net()
    loop(model, sgd(model), mse, evaluate)


def changes_its_input():
    class Scaling(Net):
        def forward(self, x):
            x *= 0.5
            return super().forward(x)

    model = Scaling()
    optimizer = sgd(model)
    for x, y in batches():
        before = x.clone()
        loss = mse(model(x), y)
        note(before, y, loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def side_by_side():
    first, second = Net(), nn.Sequential(nn.Flatten(), nn.Linear(8, 1))
    optimizers = [sgd(first), sgd(second)]
    for x, y in batches():
        predictions = [first(x), second(x + 1)]
        losses = [mse(prediction, y) for prediction in predictions]
        note(x, y, losses[0])
        for optimizer, loss in zip(optimizers, losses, strict=True):
            optimizer.zero_grad()
            loss.backward()
        for optimizer in optimizers:
            optimizer.step()


def no_single_model():
    rnn, fc = nn.RNN(2, 3, batch_first=True), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*rnn.parameters(), *fc.parameters()], lr=0.05)
    for x, y in batches():
        out, _ = rnn(x)
        loss = mse(fc(out[:, -1]), y)
        note(x, y, loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def time_major():
    model = Net(batch_first=False)
    optimizer = sgd(model)
    for x, y in batches():
        loss = mse(model(x.transpose(0, 1)), y)
        note(x, y, loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def penalty():
    model = Net()
    optimizer = sgd(model)
    for x, y in batches():
        loss = mse(model(x), y)
        note(x, y, loss)
        optimizer.zero_grad()
        (loss + 0.01 * model.fc.weight.pow(2).sum()).backward()
        optimizer.step()


def weighted():
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))
    model = Net()
    loop(model, sgd(model), lambda out, y: criterion(out.squeeze(-1), (y > 0).double()))


def scaler():
    model = Net()
    optimizer, scaling = sgd(model), torch.amp.GradScaler("cpu")
    for x, y in batches():
        optimizer.zero_grad()
        loss = mse(model(x), y)
        note(x, y, loss)
        scaling.scale(loss).backward()
        scaling.step(optimizer)
        scaling.update()


def accumulation():
    model = Net()
    optimizer = sgd(model)
    for number, (x, y) in enumerate(batches()):
        loss = mse(model(x), y)
        own["x"].append(x.numpy())
        own["y"].append(y.numpy())
        (loss / 2).backward()
        if number % 2:
            optimizer.step()
            optimizer.zero_grad()


def two_optimizers():
    model = Net()
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.05) for part in (model.rnn, model.fc)]
    for x, y in batches():
        model.zero_grad()
        loss = mse(model(x), y)
        note(x, y, loss)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()


def step_by_step():
    cell, optimizer = nn.RNNCell(2, 3), None
    optimizer = sgd(cell)
    for x, y in batches():
        hidden = torch.zeros(len(x), 3)
        for time in range(4):
            hidden = cell(x[:, time], hidden)
        loss = mse(hidden[:, :1], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def lbfgs():
    model = Net()
    optimizer = torch.optim.LBFGS(model.parameters())

    def closure():
        optimizer.zero_grad()
        loss = mse(model(x_all), y_all)
        loss.backward()
        return loss

    optimizer.step(closure)


def own_loss():
    model = Net()
    loop(model, sgd(model), lambda out, y: ((out.squeeze(-1) - y) ** 2).mean())


def exits():
    def leave(_model):
        if len(own["x"]) == 3:
            sys.exit(3)

    model = Net()
    loop(model, sgd(model), mse, leave)


def interrupted():
    def stop(_model):
        if len(own["x"]) == 3:
            raise KeyboardInterrupt

    model = Net()
    loop(model, sgd(model), mse, stop)


def in_a_process_of_its_own():
    child = os.fork()
    if child == 0:
        model = Net()
        loop(model, sgd(model), mse)
        os._exit(0)
    os.waitpid(child, 0)


def unused_optimizer():
    unused, model = Net(), Net()
    sgd(unused).step()  # without any gradient
    loop(model, sgd(model, momentum=0.9), mse)


try:
    globals()[sys.argv[1]]()
finally:
    model = None
    joined: Any = {
        name: np.concatenate(v) if v and name != "losses" else v for name, v in own.items()
    }
    np.savez("own.npz", draw=torch.rand(3).numpy(), **joined)
