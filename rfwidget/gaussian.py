"""A Gaussian fitted to a map by least squares."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEPS = 60


class GaussianFit(NamedTuple):
    """``amplitude * exp(-(x - mx)^2 / (2 sx^2) - (y - my)^2 / (2 sy^2))``, nearest to a map in the least-squares sense.

    Attributes:
        amplitude: height in the middle, in units of the map.
        center: ``(mx, my)`` in pixel-edge coordinates of the map, its left top corner being (0, 0).
        sigma: ``(sx, sy)`` in pixels.
        r_squared: share of the map's variance that the fit explains; 1 is a perfect fit.
    """

    amplitude: float
    center: tuple[float, float]
    sigma: tuple[float, float]
    r_squared: float


def moments(profile: Floats) -> tuple[float, float]:
    """Mean and RMS deviation of a mass along an axis, in pixel-edge coordinates.

    >>> mean, deviation = moments(np.array([1.0, 1.0, 1.0]))
    >>> mean, round(deviation**2, 6)
    (1.5, 0.666667)
    """
    places = np.arange(len(profile)) + 0.5
    mean = float(profile @ places / profile.sum())
    return mean, float(np.sqrt(profile @ (places - mean) ** 2 / profile.sum()))


def fit(values: Floats) -> GaussianFit:
    """The Gaussian nearest to a map ``(h, w)`` of mass, by Levenberg-Marquardt from the map's moments."""
    (mx, sx), (my, sy) = moments(values.sum(axis=0)), moments(values.sum(axis=1))
    # Logarithms keep amplitude and widths positive. A map one pixel wide has no width: start from a fraction of one.
    guess = np.array([np.log(values.max()), mx, my, np.log(max(sx, 0.3)), np.log(max(sy, 0.3))])
    damping, error, gradient, curvature = 1e-3, *_linearised(values, guess)
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature) + 1e-300), gradient)
        new_error, *parts = _linearised(values, guess + step)
        if new_error < error:
            settled = error - new_error <= 1e-14 * error
            guess, error, damping = guess + step, new_error, damping / 5
            gradient, curvature = parts
            if settled:
                break
        else:
            damping *= 5
            if damping > 1e9:
                break
    height, mx, my, sx, sy = (float(value) for value in guess)
    spread = float(((values - values.mean()) ** 2).sum())
    r_squared = 1 - error / spread if spread > 0 else float(error == 0)
    return GaussianFit(math.exp(height), (mx, my), (math.exp(sx), math.exp(sy)), r_squared)


def _linearised(values: Floats, guess: Floats) -> tuple[float, Floats, Floats]:
    """Squared error of a Gaussian, and the normal equations around it.

    Each derivative is the product of a function of x and one of y, so all sums over the map are sums over its sides.
    """
    height, mx, my, sx, sy = (float(value) for value in guess)
    x, along_x = _profile(values.shape[1], mx, math.exp(sx))
    y, along_y = _profile(values.shape[0], my, math.exp(sy))
    x *= math.exp(height)
    columns = np.stack([x, along_x / math.exp(sx) * x, x, along_x**2 * x, x])
    rows = np.stack([y, y, along_y / math.exp(sy) * y, y, along_y**2 * y])
    residual = values - np.outer(y, x)
    gradient: Floats = ((rows @ residual) * columns).sum(axis=1)
    curvature: Floats = (columns @ columns.T) * (rows @ rows.T)
    return float((residual**2).sum()), gradient, curvature


def _profile(length: int, mean: float, sigma: float) -> tuple[Floats, Floats]:
    """``exp(-u^2 / 2)`` along an axis, and ``u``."""
    u = np.asarray((np.arange(length) + 0.5 - mean) / sigma, np.float64)
    bell: Floats = np.exp(-(u**2) / 2)
    return bell, u
