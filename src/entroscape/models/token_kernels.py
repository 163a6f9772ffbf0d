"""Compiled loops that make the tables of `entroscape.models.token_tables` for narrow networks on CPU.

Matrices lie so that the longer index, of tokens or readings, is the last: all inner loops run over it. Nothing is
allocated. Threads may call at the same time.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from entroscape.numba_cache import njit_reordered as _njit


class Tensors(NamedTuple):
    """The tensors of W walkers in the order of the layout; V tokens, the last of them "=", M neurons."""

    embedding: Any  # [W, V, D]
    position: Any  # [W, 3, D]
    query: Any  # [W, D, D], rows are heads x their width
    key: Any  # [W, D, D]
    value: Any  # [W, D, D]
    output: Any  # [W, D, D], columns are heads x their width
    hidden_weight: Any  # [W, M, D]
    hidden_bias: Any  # [W, M]
    back_weight: Any  # [W, D, M]
    back_bias: Any  # [W, D]
    unembedding: Any  # [W, V, D]


class Work(NamedTuple):
    """What is made on the way, one walker after the other; also their gradients. P = V - 1 tokens, K readings."""

    equals: np.ndarray  # [W, D], "=" and its position
    rows: np.ndarray  # [W, 2, D, P], tokens as x and as y, less "="
    readers: np.ndarray  # [W, D, K]
    through: np.ndarray  # [W, D, K], readers behind the output matrix
    query: np.ndarray  # [W, D], over the root of the heads' width
    felt: np.ndarray  # [W, H, D], what the query feels of a token
    values: np.ndarray  # [W, 2, D, P]
    value: np.ndarray  # [W, D], that of "="
    stream: np.ndarray  # [W, D], where all attention is on "="


def work(walkers: int, d_model: int, heads: int, tokens: int, readings: int, dtype: Any) -> Work:
    """Arrays of zeros."""
    shapes = {
        "equals": (d_model,),
        "rows": (2, d_model, tokens),
        "readers": (d_model, readings),
        "through": (d_model, readings),
        "query": (d_model,),
        "felt": (heads, d_model),
        "values": (2, d_model, tokens),
        "value": (d_model,),
        "stream": (d_model,),
    }
    return Work(**{name: np.zeros((walkers, *shape), dtype) for name, shape in shapes.items()})


def spare(like: Work) -> Work:
    """Arrays of zeros for the gradients of those of `work`."""
    return Work(*(np.zeros_like(array) for array in like))


@_njit
def forward(t, work, scores, first, second, base, product):
    """The tables of all walkers, added to the last five; work: arrays of zeros, which are filled."""
    heads, d_model = work.felt.shape[1:]
    width, neurons = d_model // heads, t.hidden_weight.shape[1]
    scale = 1 / math.sqrt(width)
    for w in range(len(t.embedding)):
        tokens = t.embedding[w, :-1]
        equals, readers, through = work.equals[w], work.readers[w], work.through[w]
        for d in range(d_model):
            equals[d] = t.embedding[w, len(tokens), d] + t.position[w, 2, d]
            for place in range(2):
                shift = t.position[w, place, d] - equals[d]
                for p in range(len(tokens)):
                    work.rows[w, place, d, p] = tokens[p, d] + shift
            for m in range(neurons):
                readers[d, m] = t.hidden_weight[w, m, d]
            for v in range(len(tokens) + 1):
                readers[d, neurons + v] = t.unembedding[w, v, d]
        _apply(t.query[w], equals, work.query[w])
        for j in range(d_model):
            work.query[w, j] *= scale
            for d in range(d_model):
                work.felt[w, j // width, d] += work.query[w, j] * t.key[w, j, d]
        _transposed_multiply(t.output[w], readers, through)
        for place in range(2):
            rows, values, table = work.rows[w, place], work.values[w, place], (first, second)[place][w]
            _multiply(t.value[w], rows, values)
            for h in range(heads):
                mine = slice(h * width, h * width + width)
                _multiply(work.felt[w, h : h + 1], rows, scores[w, h, place : place + 1])
                _transposed_multiply(values[mine], through[mine], table[h])
        _apply(t.value[w], equals, work.value[w])
        _apply(t.output[w], work.value[w], work.stream[w])
        for m in range(neurons):
            base[w, m] += t.hidden_bias[w, m]
        for d in range(d_model):
            work.stream[w, d] += equals[d]
            moved = work.stream[w, d] + t.back_bias[w, d]
            for k in range(neurons):
                base[w, k] += work.stream[w, d] * readers[d, k]
            for k in range(neurons, len(base[w])):
                base[w, k] += moved * readers[d, k]
        _multiply(t.unembedding[w], t.back_weight[w], product[w])


@_njit
def backward(to_scores, to_first, to_second, to_base, to_product, t, work, to_work, found):
    """Add to `found`, as `t`, the gradients that those of the tables give; to_work: as `work`, zeros."""
    heads, d_model = work.felt.shape[1:]
    width, neurons = d_model // heads, t.hidden_weight.shape[1]
    scale, zero = 1 / math.sqrt(width), to_base[0, 0] * 0
    for w in range(len(t.embedding)):
        equals, readers, through = work.equals[w], work.readers[w], work.through[w]
        to_equals, to_readers, to_through = to_work.equals[w], to_work.readers[w], to_work.through[w]
        tokens = work.rows.shape[3]
        for place in range(2):
            rows, values, to_table = work.rows[w, place], work.values[w, place], (to_first, to_second)[place][w]
            to_rows, to_values = to_work.rows[w, place], to_work.values[w, place]
            for h in range(heads):
                mine, score = slice(h * width, h * width + width), to_scores[w, h, place : place + 1]
                _multiply_transposed(through[mine], to_table[h], to_values[mine])
                _multiply(values[mine], to_table[h], to_through[mine])
                _multiply_transposed(score, rows, to_work.felt[w, h : h + 1])
                _transposed_multiply(work.felt[w, h : h + 1], score, to_rows)
            _multiply_transposed(to_values, rows, found.value[w])
            _transposed_multiply(t.value[w], to_values, to_rows)
            for d in range(d_model):
                total = zero
                for p in range(tokens):
                    found.embedding[w, p, d] += to_rows[d, p]
                    total += to_rows[d, p]
                found.position[w, place, d] += total
                to_equals[d] -= total
        for d in range(d_model):
            moved = work.stream[w, d] + t.back_bias[w, d]
            of_neurons = of_logits = zero
            for k in range(neurons):
                of_neurons += to_base[w, k] * readers[d, k]
                to_readers[d, k] += to_base[w, k] * work.stream[w, d]
            for k in range(neurons, len(to_base[w])):
                of_logits += to_base[w, k] * readers[d, k]
                to_readers[d, k] += to_base[w, k] * moved
            found.back_bias[w, d] += of_logits
            to_work.stream[w, d] = of_neurons + of_logits
            to_equals[d] += of_neurons + of_logits
        for m in range(neurons):
            found.hidden_bias[w, m] += to_base[w, m]
        _apply_back(t.output[w], work.value[w], to_work.stream[w], found.output[w], to_work.value[w])
        _apply_back(t.value[w], equals, to_work.value[w], found.value[w], to_equals)
        for j in range(d_model):
            for d in range(d_model):
                to_work.query[w, j] += to_work.felt[w, j // width, d] * t.key[w, j, d]
                found.key[w, j, d] += to_work.felt[w, j // width, d] * work.query[w, j]
            to_work.query[w, j] *= scale
        _apply_back(t.query[w], equals, to_work.query[w], found.query[w], to_equals)
        _multiply_transposed(readers, to_through, found.output[w])
        _multiply(t.output[w], to_through, to_readers)
        _transposed_multiply(t.unembedding[w], to_product[w], found.back_weight[w])
        _multiply_transposed(to_product[w], t.back_weight[w], found.unembedding[w])
        for d in range(d_model):
            found.embedding[w, tokens, d] += to_equals[d]
            found.position[w, 2, d] += to_equals[d]
            for m in range(neurons):
                found.hidden_weight[w, m, d] += to_readers[d, m]
            for v in range(tokens + 1):
                found.unembedding[w, v, d] += to_readers[d, neurons + v]


@_njit
def _apply(matrix, vector, result):
    """Add matrix[I, J] @ vector[J]."""
    for i in range(len(matrix)):
        for j in range(len(vector)):
            result[i] += matrix[i, j] * vector[j]


@_njit
def _apply_back(matrix, vector, arrived, to_matrix, to_vector):
    """Add the gradients of the arguments of `_apply`, from that of its result."""
    for i in range(len(matrix)):
        for j in range(len(vector)):
            to_matrix[i, j] += arrived[i] * vector[j]
            to_vector[j] += arrived[i] * matrix[i, j]


@_njit
def _multiply(a, b, result):
    """Add a[I, J] @ b[J, K]; four terms at a time, so that a row of the result is seldom fetched."""
    whole = len(b) // 4 * 4
    for i in range(len(a)):
        for j in range(0, whole, 4):
            p, q, r, s = a[i, j], a[i, j + 1], a[i, j + 2], a[i, j + 3]
            for k in range(b.shape[1]):
                result[i, k] += p * b[j, k] + q * b[j + 1, k] + r * b[j + 2, k] + s * b[j + 3, k]
        for j in range(whole, len(b)):
            for k in range(b.shape[1]):
                result[i, k] += a[i, j] * b[j, k]


@_njit
def _transposed_multiply(a, b, result):
    """Add the transpose of a[J, I], @ b[J, K]; as `_multiply`."""
    whole = len(b) // 4 * 4
    for i in range(a.shape[1]):
        for j in range(0, whole, 4):
            p, q, r, s = a[j, i], a[j + 1, i], a[j + 2, i], a[j + 3, i]
            for k in range(b.shape[1]):
                result[i, k] += p * b[j, k] + q * b[j + 1, k] + r * b[j + 2, k] + s * b[j + 3, k]
        for j in range(whole, len(b)):
            for k in range(b.shape[1]):
                result[i, k] += a[j, i] * b[j, k]


@_njit
def _multiply_transposed(a, b, result):
    """Add a[I, K] @ the transpose of b[J, K]; four results at a time."""
    whole = len(b) // 4 * 4
    for i in range(len(a)):
        for j in range(0, whole, 4):
            p, q, r, s = result[i, j], result[i, j + 1], result[i, j + 2], result[i, j + 3]
            for k in range(b.shape[1]):
                p += a[i, k] * b[j, k]
                q += a[i, k] * b[j + 1, k]
                r += a[i, k] * b[j + 2, k]
                s += a[i, k] * b[j + 3, k]
            result[i, j], result[i, j + 1], result[i, j + 2], result[i, j + 3] = p, q, r, s
        for j in range(whole, len(b)):
            total = result[i, j]
            for k in range(b.shape[1]):
                total += a[i, k] * b[j, k]
            result[i, j] = total
