"""Compiled mixing of token tables by attention, for `entroscape.models.attention` on CPU.

What attention gives to a prompt (x, y) is a weighted sum of rows of two tables, row x of one and row y of the other.
All inner loops run over such a row, and what changes in them lies in one row that stays in the cache. Nothing is
allocated. Threads may call at the same time.
"""

from entroscape.numba_cache import njit_reordered as _njit


@_njit
def forward(attention, first, second, base, tokens, neurons, others, spare):
    """base[W, K] + sum over heads of attention[W, H, 0, N] first[W, H, x] + attention[W, H, 1, N] second[W, H, y].

    first, second: [W, H, P, K]. tokens: int64[W or 1, N, 2], the x and y of each prompt. The first of the K go to
    neurons[W, N, R] through ReLU, the rest to others[W, N, K - R]. spare: [K].
    """
    walkers, heads, _, count = attention.shape
    width, rectified, zero = base.shape[1], neurons.shape[2], base[0, 0] * 0
    for w in range(walkers):
        mine = tokens[w if len(tokens) > 1 else 0]
        for n in range(count):
            x, y = mine[n, 0], mine[n, 1]
            for k in range(width):
                spare[k] = base[w, k]
            for h in range(heads):
                a, b = attention[w, h, 0, n], attention[w, h, 1, n]
                left, right = first[w, h, x], second[w, h, y]
                for k in range(width):
                    spare[k] += a * left[k] + b * right[k]
            neuron, other = neurons[w, n], others[w, n]
            for k in range(rectified):
                neuron[k] = zero if spare[k] <= zero else spare[k]
            for k in range(rectified, width):
                other[k - rectified] = spare[k]


@_njit
def backward(
    to_neurons, to_others, neurons, attention, first, second, tokens, to_attention, to_first, to_second, to_base, spare
):
    """Add to the last four before spare[K] the gradients of the arguments of `forward` that they are named after."""
    walkers, heads, _, count = attention.shape
    width, rectified, zero = to_base.shape[1], neurons.shape[2], to_base[0, 0] * 0
    for w in range(walkers):
        mine = tokens[w if len(tokens) > 1 else 0]
        for n in range(count):
            to_neuron, to_other, neuron = to_neurons[w, n], to_others[w, n], neurons[w, n]
            x, y = mine[n, 0], mine[n, 1]
            for k in range(rectified):
                spare[k] = zero if neuron[k] <= zero else to_neuron[k]
            for k in range(rectified, width):
                spare[k] = to_other[k - rectified]
            for k in range(width):
                to_base[w, k] += spare[k]
            for h in range(heads):
                a, b = attention[w, h, 0, n], attention[w, h, 1, n]
                left, right = first[w, h, x], second[w, h, y]
                to_left, to_right = to_first[w, h, x], to_second[w, h, y]
                to_a = to_b = zero
                for k in range(width):
                    to_a += spare[k] * left[k]
                    to_b += spare[k] * right[k]
                for k in range(width):
                    to_left[k] += a * spare[k]
                    to_right[k] += b * spare[k]
                to_attention[w, h, 0, n] += to_a
                to_attention[w, h, 1, n] += to_b
