"""Synthetic series, and windows of them; a window is a sample with the values of all its steps."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(series, n_steps, every=1):
    """Return windows of a series (length, n_sensors), (n, n_steps * n_sensors), with adjacent sensors of a step."""
    cut = sliding_window_view(series, n_steps, axis=0)[::every]  # (n, n_sensors, n_steps)
    return cut.swapaxes(1, 2).reshape(len(cut), -1)


def waves(n, n_steps, rng):
    """Return waves of two sensors, (n, 2 * n_steps), of 12 to n_steps steps, padded with NaN."""
    steps = np.arange(n_steps)
    angle = rng.uniform(0.1, 0.4, (n, 1)) * steps + rng.uniform(0, 2 * np.pi, (n, 1))
    sensors = np.stack([np.sin(angle), np.cos(2 * angle)], axis=2) * rng.uniform(0.5, 2, (n, 1, 1))
    sensors += rng.normal(scale=0.1, size=sensors.shape)
    sensors[steps >= rng.integers(12, n_steps + 1, (n, 1))] = np.nan
    return sensors.reshape(n, -1)


def beats(length, rng):
    """Return heartbeats at varying intervals, each a peak, a dip and a slow wave: one sensor."""
    steps, at, signal = np.arange(length), 10.0, np.zeros(length)
    while at < length:
        for shift, width, height in ((0, 1.0, 2.0), (3, 1.2, -0.8), (9, 2.5, 0.6)):
            signal += height * np.exp(-0.5 * np.square((steps - at - shift) / width))
        at += rng.normal(24, 2)
    return (signal + rng.normal(scale=0.05, size=length))[:, None]


def machine(length, rng):
    """Return four sensors of a machine whose speed drifts: its angle, two harmonics, and the speed."""
    speed = 0.25 + 0.1 * np.tanh(np.cumsum(rng.normal(scale=0.05, size=length)))
    angle = np.cumsum(speed)
    sensors = [np.sin(angle), np.cos(2 * angle), np.sin(3 * angle + 0.5), 10 * (speed - 0.25)]
    return np.stack(sensors, axis=1) + rng.normal(scale=0.05, size=(length, 4))


def switching(length, rng):
    """Return two sensors that switch between two periods at random times."""
    steps, signal, at = np.arange(length), np.zeros((length, 2)), 0
    while at < length:
        until = at + rng.integers(20, 80)
        period, phase = rng.choice([6, 15]), rng.uniform(0, 2 * np.pi)
        wave = 2 * np.pi * steps[at:until] / period + phase
        signal[at:until] = np.stack([np.sin(wave), np.sign(np.cos(wave))], axis=1)
        at = until
    return signal + rng.normal(scale=0.05, size=signal.shape)


# name: function, number of sensors, steps per window, distance between windows, number of components
SERIES = {
    "beats": (beats, 1, 48, 3, 6),
    "machine": (machine, 4, 50, 3, 8),
    "switching": (switching, 2, 60, 3, 12),
}


def train_and_test(name, seed, length=6000):
    """Return windows of a series and of another one, standardized by the first, in float32."""
    make, _, n_steps, every, _ = SERIES[name]
    rng = np.random.default_rng(seed)
    series = make(length, rng)
    mean, deviation = series.mean(axis=0), series.std(axis=0)
    series, another = (series - mean) / deviation, (make(length // 2, rng) - mean) / deviation
    return windows(series, n_steps, every).astype(np.float32), windows(another, n_steps, 5).astype(np.float32)
