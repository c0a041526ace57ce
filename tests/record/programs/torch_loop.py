"""A PyTorch loop as tutorials have it: a loader, a schedule, clipping, validation each epoch.

It saves what it did by its own means: inputs, targets and losses of each step, and its weights.
"""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Net(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.rnn = nn.LSTM(features, hidden, batch_first=True)
        self.dropout = nn.Dropout(0.0)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(self.dropout(out[:, -1, :]))


def evaluate(model, loader, criterion):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for x, y in loader:
            total += criterion(model(x).squeeze(-1), y).item()
    return total / len(loader)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", default="own.npz")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    x = torch.randn(22, 5, 2)
    data = TensorDataset(x, x.sum((1, 2)))
    training, validation = random_split(data, [14, 8])
    train_loader = DataLoader(training, batch_size=4, shuffle=True)
    val_loader = DataLoader(validation, batch_size=4)
    model = Net(2, 4)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    first = {name: value.clone().numpy() for name, value in model.state_dict().items()}
    xs, ys, losses, rates = [], [], [], []
    for epoch in range(options.epochs):
        model.train()
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs.squeeze(-1), targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            xs.append(inputs.numpy())
            ys.append(targets.numpy())
            losses.append(loss.item())
        scheduler.step()
        print(f"epoch {epoch}: validation {evaluate(model, val_loader, criterion):.4f}")
    weights = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    np.savez(
        options.out, x=np.concatenate(xs), y=np.concatenate(ys), losses=losses, rates=rates,
        weights=weights, draw=torch.rand(3).numpy(), **first,
    )  # fmt: skip


if __name__ == "__main__":
    main()
