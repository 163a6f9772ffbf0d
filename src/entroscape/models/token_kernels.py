"""Compiled loops of narrow transformers on CPU, for `entroscape.models.narrow_transformer`.

One walker after the other: what all prompts have in common, then the prompts. Matrices lie so that the longer index,
of prompts, tokens or readings, is the last: all inner loops run over it. Nothing is allocated. Threads may call at the
same time.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from entroscape.numba_cache import njit_reordered as _njit

BOUNDED = 80.0  # scores of attention up to here, either sign, have exponentials whose sums and ratios are finite


class Tensors(NamedTuple):
    """The tensors of a walker, or of W, in the order of the layout; V tokens, the last of them "=", M neurons."""

    embedding: Any  # [V, D]
    position: Any  # [3, D]
    query: Any  # [D, D], rows are heads x their width
    key: Any  # [D, D]
    value: Any  # [D, D]
    output: Any  # [D, D], columns are heads x their width
    hidden_weight: Any  # [M, D]
    hidden_bias: Any  # [M]
    back_weight: Any  # [D, M]
    back_bias: Any  # [D]
    unembedding: Any  # [V, D]


class Tables(NamedTuple):
    """What all prompts of W walkers have in common; also their gradients. P = V - 1 tokens, K = M + V readings.

    All is relative to "=": attention is drawn to x and y by what their scores are above its own, and moves the readings
    by what their values are apart from its own.
    """

    equals: np.ndarray  # [W, D], "=" and its position
    places: np.ndarray  # [W, 2, D], positions of x and y, less `equals`
    query: np.ndarray  # [W, D], over the root of the heads' width
    maps: np.ndarray  # [W, D + H, D], from tokens to values, then to the scores of each head
    common: np.ndarray  # [W, D + H, P], what these make of tokens wherever they stand
    shift: np.ndarray  # [W, 2, D + H], and of the places
    taken: np.ndarray  # [W, D + H, 2 P], values and scores of tokens as x, then as y
    value: np.ndarray  # [W, D], that of "="
    stream: np.ndarray  # [W, D], where all attention is on "="
    moved: np.ndarray  # [W, D], the same with the bias of the MLP's second layer
    base: np.ndarray  # [W, K], the readings there: M neurons, V logits
    through: np.ndarray  # [W, K, D], from mixed values to readings
    product: np.ndarray  # [W, V, M], from active neurons to logits


class Passed(NamedTuple):
    """What N prompts make on their way, left for the way back."""

    attention: np.ndarray  # [W, H, 2, N], of x and y; what is missing to 1 is that of "="
    mixed: np.ndarray  # [W, D, N], values that attention takes
    readings: np.ndarray  # [W, K, N], active neurons, then logits


class Spare(NamedTuple):
    """What the way back overwrites, one walker after the other."""

    mixed: np.ndarray  # [D, N], gradient of the mixed values
    readings: np.ndarray  # [K, N], of neurons before ReLU and logits
    pull: np.ndarray  # [1, N], what all attention of a head would lose by growing together
    placed: np.ndarray  # [2 P, N], attention of a head at its tokens; zeros elsewhere, and before and after each walker


def tables(walkers: int, d_model: int, heads: int, tokens: int, neurons: int, dtype: Any) -> Tables:
    """Arrays of zeros."""
    readings, rows = neurons + tokens + 1, d_model + heads
    shapes = {
        "equals": (d_model,),
        "places": (2, d_model),
        "query": (d_model,),
        "maps": (rows, d_model),
        "common": (rows, tokens),
        "shift": (2, rows),
        "taken": (rows, 2 * tokens),
        "value": (d_model,),
        "stream": (d_model,),
        "moved": (d_model,),
        "base": (readings,),
        "through": (readings, d_model),
        "product": (tokens + 1, neurons),
    }
    return Tables(**{name: np.zeros((walkers, *shape), dtype) for name, shape in shapes.items()})


def passed(like: Tables, prompts: int) -> Passed:
    """Arrays that are not filled."""
    walkers, rows, d_model = like.maps.shape
    shapes = (rows - d_model, 2, prompts), (d_model, prompts), (like.base.shape[1], prompts)
    return Passed(*(np.empty((walkers, *shape), like.base.dtype) for shape in shapes))


def spare(like: Tables, prompts: int) -> Spare:
    """Arrays of zeros."""
    rows = like.equals.shape[1], like.base.shape[1], 1, like.taken.shape[2]
    return Spare(*(np.zeros((count, prompts), like.base.dtype) for count in rows))


@_njit
def forward(theta, tokens, table, passed, powers):
    """The way of prompts tokens[W or 1, 2, N] through walkers theta[W, P]; logits are the last of the readings.

    table: zeros, which are filled; passed: filled; powers[2 P]: overwritten.
    """
    for w in range(len(theta)):
        _tabulate(_tensors(theta[w], table), table, w)
        x, y = tokens[w if len(tokens) > 1 else 0]
        attention, mixed, taken = passed.attention[w], passed.mixed[w], table.taken[w]
        for h in range(len(attention)):
            _attend(taken[len(mixed) + h], x, y, powers, attention[h])
        _mix(attention, taken, x, y, mixed)
        _read(mixed, table.base[w], table.through[w], table.product[w], passed.readings[w])


@_njit
def backward(to_logits, theta, tokens, table, passed, to_table, spare, found):
    """Add to found[W, P], zeros, the gradient of theta from to_logits[W, V, N].

    table, passed: as `forward` left them; to_table: zeros, which are filled; spare: zeros, overwritten.
    """
    for w in range(len(theta)):
        x, y = tokens[w if len(tokens) > 1 else 0]
        mixed, half = passed.mixed[w], len(spare.placed) // 2
        _read_back(to_logits[w], passed.readings[w], table.product[w], spare.readings, to_table.product[w])
        for k in range(len(spare.readings)):
            to_table.base[w, k] = _sum(spare.readings[k])
        _multiply_transposed(spare.readings, mixed, to_table.through[w])
        _clear(spare.mixed)
        _multiply(table.through[w].T, spare.readings, spare.mixed)
        for h in range(len(passed.attention[w])):
            _attend_back(h, passed.attention[w, h], mixed, table.taken[w], x, y, spare, to_table.taken[w])
        for n in range(len(x)):
            spare.placed[x[n], n] = spare.placed[half + y[n], n] = 0
        _tabulate_back(_tensors(theta[w], table), table, to_table, w, _tensors(found[w], table))


@_njit
def _tensors(row, table):
    """Views of a walker's row[P] of parameters."""
    d, (v, m) = table.equals.shape[1], table.product.shape[1:]
    at = v * d
    embedding, row = row[:at].reshape(v, d), row[at:]
    position, row = row[: 3 * d].reshape(3, d), row[3 * d :]
    at = d * d
    query, row = row[:at].reshape(d, d), row[at:]
    key, row = row[:at].reshape(d, d), row[at:]
    value, row = row[:at].reshape(d, d), row[at:]
    output, row = row[:at].reshape(d, d), row[at:]
    at = m * d
    hidden_weight, row = row[:at].reshape(m, d), row[at:]
    hidden_bias, row = row[:m], row[m:]
    back_weight, row = row[:at].reshape(d, m), row[at:]
    back_bias, unembedding = row[:d], row[d:].reshape(v, d)
    return Tensors(
        embedding, position, query, key, value, output, hidden_weight, hidden_bias, back_weight, back_bias, unembedding
    )


@_njit
def _attend(scores, x, y, powers, attention):
    """Attention[2, N] of a head to x[N] and y[N], a softmax of their scores[2 P] and zero, that of "="; powers: spare.

    Exponentials are those of tokens, not of prompts, where none is too large or too small.
    """
    bounded, tokens = True, len(scores) // 2
    zero, one = scores.dtype.type(0), scores.dtype.type(1)
    for p in range(len(scores)):
        bounded &= abs(scores[p]) <= BOUNDED
        powers[p] = math.exp(scores[p])
    for n in range(len(x)):
        if bounded:
            a, b, c = powers[x[n]], powers[tokens + y[n]], one
        else:
            of_x, of_y = scores[x[n]], scores[tokens + y[n]]
            top = max(of_x, of_y, zero)
            a, b, c = math.exp(of_x - top), math.exp(of_y - top), math.exp(-top)
        total = a + b + c
        attention[0, n] = a / total
        attention[1, n] = b / total


@_njit
def _mix(attention, taken, x, y, mixed):
    """Write mixed[D, N]: attention[H, 2, N] times what is taken[D + H, 2 P] of x[N] and y[N]."""
    width, tokens = len(mixed) // len(attention), taken.shape[1] // 2
    for d in range(len(mixed)):
        first, second = attention[d // width]
        of_x, of_y, row = taken[d, :tokens], taken[d, tokens:], mixed[d]
        for n in range(len(x)):
            row[n] = first[n] * of_x[x[n]] + second[n] * of_y[y[n]]


@_njit
def _read(mixed, base, through, product, readings):
    """Readings[K, N] of mixed[D, N]."""
    neurons, zero = product.shape[1], mixed.dtype.type(0)
    for k in range(len(readings)):
        for n in range(readings.shape[1]):
            readings[k, n] = base[k]
    _multiply(through, mixed, readings)
    for m in range(neurons):
        for n in range(readings.shape[1]):
            readings[m, n] = zero if readings[m, n] <= zero else readings[m, n]
    _multiply(product, readings[:neurons], readings[neurons:])


@_njit
def _read_back(to_logits, readings, product, to_readings, to_product):
    """Write to_readings[K, N], before ReLU, and add to to_product[V, M], from to_logits[V, N]."""
    neurons, zero = product.shape[1], readings.dtype.type(0)
    to_neurons, arrived = to_readings[:neurons], to_readings[neurons:]
    for v in range(len(arrived)):
        for n in range(to_logits.shape[1]):
            arrived[v, n] = to_logits[v, n]
    _clear(to_neurons)
    _multiply(product.T, arrived, to_neurons)
    for m in range(neurons):
        for n in range(to_logits.shape[1]):
            to_neurons[m, n] = zero if readings[m, n] <= zero else to_neurons[m, n]
    _multiply_transposed(arrived, readings[:neurons], to_product)


@_njit
def _attend_back(h, attention, mixed, taken, x, y, spare, to_taken):
    """Add to to_taken[D + H, 2 P] what head h gives, from the gradient of the mixed values.

    A score gets attention times what its own value gains above the mixed one. Summed over prompts, the former is what
    the value itself gets times the value; sums over prompts are products with attention placed at its tokens.
    """
    d_model, tokens, pull, placed = len(mixed), taken.shape[1] // 2, spare.pull, spare.placed
    width = d_model // (len(taken) - d_model)
    mine, to_scores = slice(h * width, h * width + width), to_taken[d_model + h : d_model + h + 1]
    for n in range(len(x)):
        placed[x[n], n], placed[tokens + y[n], n] = attention[0, n], attention[1, n]
    _clear(pull)
    for d in range(h * width, h * width + width):
        for n in range(len(x)):
            pull[0, n] -= spare.mixed[d, n] * mixed[d, n]
    _multiply_transposed(spare.mixed[mine], placed, to_taken[mine])
    _multiply_transposed(pull, placed, to_scores)
    for d in range(h * width, h * width + width):
        for p in range(2 * tokens):
            to_scores[0, p] += taken[d, p] * to_taken[d, p]


@_njit
def _tabulate(t, table, w):
    """Add to the tables of walker w."""
    maps, places, common, taken = table.maps[w], table.places[w], table.common[w], table.taken[w]
    equals, query, through, neurons = table.equals[w], table.query[w], table.through[w], len(t.hidden_bias)
    stream, moved, base = table.stream[w], table.moved[w], table.base[w]
    d_model, tokens = len(equals), common.shape[1]
    width = d_model // (len(maps) - d_model)
    scale = equals.dtype.type(1 / math.sqrt(width))
    for d in range(d_model):
        equals[d] = t.embedding[tokens, d] + t.position[2, d]
        for place in range(2):
            places[place, d] = t.position[place, d] - equals[d]
    _apply(t.query, equals, query)
    for j in range(d_model):
        query[j] *= scale
        for d in range(d_model):
            maps[j, d] = t.value[j, d]
            maps[d_model + j // width, d] += query[j] * t.key[j, d]
    _multiply_transposed(maps, t.embedding[:tokens], common)
    _multiply_transposed(places, maps, table.shift[w])
    for i in range(len(maps)):
        for place in range(2):
            for p in range(tokens):
                taken[i, place * tokens + p] = common[i, p] + table.shift[w, place, i]
    _apply(t.value, equals, table.value[w])
    _apply(t.output, table.value[w], stream)
    for d in range(d_model):
        stream[d] += equals[d]
        moved[d] = stream[d] + t.back_bias[d]
    for m in range(neurons):
        base[m] = t.hidden_bias[m]
    _apply(t.hidden_weight, stream, base[:neurons])
    _apply(t.unembedding, moved, base[neurons:])
    _multiply(t.hidden_weight, t.output, through[:neurons])
    _multiply(t.unembedding, t.output, through[neurons:])
    _multiply(t.unembedding, t.back_weight, table.product[w])


@_njit
def _tabulate_back(t, table, to_table, w, found):
    """Add to `found`, zeros as `t`, the gradients that those of the tables of walker w give."""
    maps, places, query, neurons = table.maps[w], table.places[w], table.query[w], len(t.hidden_bias)
    to_maps, to_places, to_common = to_table.maps[w], to_table.places[w], to_table.common[w]
    to_equals, to_query, to_stream = to_table.equals[w], to_table.query[w], to_table.stream[w]
    to_shift, to_base, to_product = to_table.shift[w], to_table.base[w], to_table.product[w]
    to_through = to_table.through[w]
    d_model, tokens = len(to_equals), to_common.shape[1]
    width = d_model // (len(maps) - d_model)
    scale = to_equals.dtype.type(1 / math.sqrt(width))
    for i in range(len(maps)):
        first, second = to_table.taken[w, i, :tokens], to_table.taken[w, i, tokens:]
        to_shift[0, i], to_shift[1, i] = _sum(first), _sum(second)
        for p in range(tokens):
            to_common[i, p] = first[p] + second[p]
    _multiply(to_common, t.embedding[:tokens], to_maps)
    _multiply(to_common.T, maps, found.embedding[:tokens])
    _multiply(to_shift.T, places, to_maps)
    _multiply(to_shift, maps, to_places)
    _apply_back(t.unembedding, table.moved[w], to_base[neurons:], found.unembedding, found.back_bias)
    _apply_back(t.hidden_weight, table.stream[w], to_base[:neurons], found.hidden_weight, to_stream)
    for m in range(neurons):
        found.hidden_bias[m] += to_base[m]
    for d in range(d_model):
        to_stream[d] += found.back_bias[d]
        to_equals[d] += to_stream[d]
        for place in range(2):
            found.position[place, d] += to_places[place, d]
            to_equals[d] -= to_places[place, d]
    _apply_back(t.output, table.value[w], to_stream, found.output, to_table.value[w])
    _apply_back(t.value, table.equals[w], to_table.value[w], found.value, to_equals)
    for j in range(d_model):
        to_felt = to_maps[d_model + j // width]
        total = to_equals.dtype.type(0)
        for d in range(d_model):
            found.value[j, d] += to_maps[j, d]
            total += to_felt[d] * t.key[j, d]
            found.key[j, d] += to_felt[d] * query[j]
        to_query[j] = total * scale
    _apply_back(t.query, table.equals[w], to_query, found.query, to_equals)
    for d in range(d_model):
        found.embedding[tokens, d] += to_equals[d]
        found.position[2, d] += to_equals[d]
    _multiply_transposed(to_through[:neurons], t.output, found.hidden_weight)
    _multiply_transposed(to_through[neurons:], t.output, found.unembedding)
    _multiply(t.hidden_weight.T, to_through[:neurons], found.output)
    _multiply(t.unembedding.T, to_through[neurons:], found.output)
    _multiply(t.unembedding.T, to_product, found.back_weight)
    _multiply_transposed(to_product, t.back_weight, found.unembedding)


@_njit
def _clear(matrix):
    """Fill with zeros."""
    for i in range(len(matrix)):
        for k in range(matrix.shape[1]):
            matrix[i, k] = 0


@_njit
def _sum(vector):
    """Sum of all elements."""
    total = vector.dtype.type(0)
    for k in range(len(vector)):
        total += vector[k]
    return total


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
    """Add a[I, J] @ b[J, K]; two rows by four terms at a time, so that rows are seldom fetched."""
    whole, last = len(b) // 4 * 4, len(a) - 1
    for i in range(0, last, 2):
        first, second = result[i], result[i + 1]
        for j in range(0, whole, 4):
            p, q, r, s = a[i, j], a[i, j + 1], a[i, j + 2], a[i, j + 3]
            t, u, v, w = a[i + 1, j], a[i + 1, j + 1], a[i + 1, j + 2], a[i + 1, j + 3]
            for k in range(b.shape[1]):
                c, d, e, f = b[j, k], b[j + 1, k], b[j + 2, k], b[j + 3, k]
                first[k] += p * c + q * d + r * e + s * f
                second[k] += t * c + u * d + v * e + w * f
        for j in range(whole, len(b)):
            p, t = a[i, j], a[i + 1, j]
            for k in range(b.shape[1]):
                first[k] += p * b[j, k]
                second[k] += t * b[j, k]
    if last % 2 == 0:
        for j in range(len(b)):
            for k in range(b.shape[1]):
                result[last, k] += a[last, j] * b[j, k]


@_njit
def _multiply_transposed(a, b, result):
    """Add a[I, K] @ the transpose of b[J, K]; two by four results at a time."""
    whole, last = len(b) // 4 * 4, len(a) - 1
    for i in range(0, last, 2):
        first, second = a[i], a[i + 1]
        for j in range(0, whole, 4):
            p = q = r = s = t = u = v = w = a.dtype.type(0)
            for k in range(b.shape[1]):
                c, d = first[k], second[k]
                p += c * b[j, k]
                q += c * b[j + 1, k]
                r += c * b[j + 2, k]
                s += c * b[j + 3, k]
                t += d * b[j, k]
                u += d * b[j + 1, k]
                v += d * b[j + 2, k]
                w += d * b[j + 3, k]
            result[i, j] += p
            result[i, j + 1] += q
            result[i, j + 2] += r
            result[i, j + 3] += s
            result[i + 1, j] += t
            result[i + 1, j + 1] += u
            result[i + 1, j + 2] += v
            result[i + 1, j + 3] += w
        for j in range(whole, len(b)):
            _dot(first, b[j], result[i], j)
            _dot(second, b[j], result[i + 1], j)
    if last % 2 == 0:
        for j in range(len(b)):
            _dot(a[last], b[j], result[last], j)


@_njit
def _dot(first, second, result, j):
    """Add the product of two vectors to result[j]."""
    total = first.dtype.type(0)
    for k in range(len(first)):
        total += first[k] * second[k]
    result[j] += total
