"""The linear soft-margin SVM without a bias, solved exactly: its normal is the direction that separates two classes."""

import torch

_STEPS = 100  # a dozen do


def svm_normal(points: torch.Tensor, labels: torch.Tensor, cost: float = 1.0) -> torch.Tensor:
    """The w of scikit-learn's LinearSVC(C=cost, fit_intercept=False), float64 [D].

        minimise  |w|^2 / 2  +  cost * sum over i of  max(0, 1 - y_i w.x_i)^2

    points: x, [N, D]. labels: bool [N], y is +1 where true and -1 elsewhere. Newton's method in the span of the points
    (Chapelle, Training a support vector machine in the primal, 2007): w = sum of b_i x_i, and with S the points inside
    the margin, K their products, the step leads to b_S = (K_SS + I / (2 cost))^-1 y_S and b = 0 elsewhere; it is halved
    until the objective falls. The cost is that of N x N systems, whatever D is.
    """
    x = points.double()
    y = labels.double() * 2 - 1
    products = x @ x.T
    ridge = torch.eye(len(x), dtype=torch.float64) / (2 * cost)

    def objective(b: torch.Tensor) -> float:
        read = products @ b
        return float(b @ read / 2 + cost * (1 - y * read).clamp(min=0).square().sum())

    b = torch.zeros_like(y)
    now = objective(b)
    for _ in range(_STEPS):
        inside = y * (products @ b) < 1
        aim = torch.zeros_like(b)
        aim[inside] = torch.linalg.solve((products + ridge)[inside][:, inside], y[inside])
        step = 1.0
        while step > 1e-9 and objective(b + step * (aim - b)) >= now:
            step /= 2
        if step <= 1e-9:
            break
        b = b + step * (aim - b)
        now = objective(b)
    return x.T @ b
