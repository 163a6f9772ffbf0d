"""Compiled 3 x 3 convolutions of `entroscape.models.images.Rows`, for CPU.

All inner loops run over the images, which are contiguous, and become vector instructions; what is worked on stays in
the cache of a core. Nothing is allocated: `scratch` and `spare` are the caller's. Threads may call at the same time.
"""

import numpy as np

from entroscape.numba_cache import njit_reordered as _njit

# What `which` says of a 2 x 2 block: the place of its largest value, the first of equals, or that this is not above
# zero, so that ReLU passes no gradient.
UPPER_LEFT, UPPER_RIGHT = np.uint8(0), np.uint8(1)
LOWER_LEFT, LOWER_RIGHT = np.uint8(2), np.uint8(3)
DEAD = np.uint8(4)


@_njit
def _row(values, r, channels, weight, bias, relu, out, spare):
    """Row of a convolution, out[O * X, N], from values[r : r + 3]; weight[O, C, 3, 3], bias[O]; values[0] is zero."""
    columns, outputs, images, zero = values.shape[1] // channels, len(bias), values.shape[2], values[0, 0, 0]
    for o in range(0, outputs, 2):  # two at a time share what they read
        p = min(o + 1, outputs - 1)
        for x in range(columns):
            first = out[o * columns + x]
            second = out[p * columns + x] if p > o else spare
            for n in range(images):
                first[n] = bias[o]
            for n in range(images):
                second[n] = bias[p]
            left, right = max(x - 1, 0), min(x + 1, columns - 1)
            for c in range(channels):
                for i in range(3):
                    row, f, s = values[r + i], weight[o, c, i], weight[p, c, i]
                    before, here, after = row[c * columns + left], row[c * columns + x], row[c * columns + right]
                    # beyond the image: zero weight, whatever stands there
                    f0, f1, f2 = f[0] if x > left else zero, f[1], f[2] if x < right else zero
                    s0, s1, s2 = s[0] if x > left else zero, s[1], s[2] if x < right else zero
                    for n in range(images):
                        a, b, d = before[n], here[n], after[n]
                        first[n] += f0 * a + f1 * b + f2 * d
                        second[n] += s0 * a + s1 * b + s2 * d
            if relu:
                for n in range(images):
                    first[n] = zero if first[n] <= zero else first[n]
                for n in range(images):
                    second[n] = zero if second[n] <= zero else second[n]


@_njit
def _pixels(row, place, left, right):
    """The pixel[N] at a place of a row, between its neighbours; in place of one that there is not, itself."""
    return row[place - 1 if left else place], row[place], row[place + 1 if right else place]


@_njit
def _row_gradient(values, r, channels, gradient, weight, bias):
    """Add to weight[O, C, 3, 3] and bias[O] what a row's gradient[O * X, N] gives; values[0] is zero."""
    columns, outputs, images, zero = values.shape[1] // channels, len(bias), values.shape[2], values[0, 0, 0]
    for o in range(0, outputs, 2):
        p = min(o + 1, outputs - 1)
        for x in range(columns):
            first, second = gradient[o * columns + x], gradient[p * columns + x]
            f = s = zero
            for n in range(images):
                f += first[n]
                s += second[n]
            bias[o] += f
            if p > o:
                bias[p] += s
            left, right = x > 0, x < columns - 1
            for c in range(channels):
                place = c * columns + x
                u0, u1, u2 = _pixels(values[r], place, left, right)
                m0, m1, m2 = _pixels(values[r + 1], place, left, right)
                l0, l1, l2 = _pixels(values[r + 2], place, left, right)
                fu0 = fu1 = fu2 = fm0 = fm1 = fm2 = fl0 = fl1 = fl2 = zero
                su0 = su1 = su2 = sm0 = sm1 = sm2 = sl0 = sl1 = sl2 = zero
                # all nine pixels in one loop, rows u, m, l, columns 0, 1, 2: sums stay in registers
                for n in range(images):
                    f, s = first[n], second[n]
                    a, b, d, e, g, h, i, j, k = u0[n], u1[n], u2[n], m0[n], m1[n], m2[n], l0[n], l1[n], l2[n]
                    fu0, fu1, fu2 = fu0 + f * a, fu1 + f * b, fu2 + f * d
                    fm0, fm1, fm2 = fm0 + f * e, fm1 + f * g, fm2 + f * h
                    fl0, fl1, fl2 = fl0 + f * i, fl1 + f * j, fl2 + f * k
                    su0, su1, su2 = su0 + s * a, su1 + s * b, su2 + s * d
                    sm0, sm1, sm2 = sm0 + s * e, sm1 + s * g, sm2 + s * h
                    sl0, sl1, sl2 = sl0 + s * i, sl1 + s * j, sl2 + s * k
                _add(weight[o, c, 0], fu0, fu1, fu2, left, right)
                _add(weight[o, c, 1], fm0, fm1, fm2, left, right)
                _add(weight[o, c, 2], fl0, fl1, fl2, left, right)
                if p > o:
                    _add(weight[p, c, 0], su0, su1, su2, left, right)
                    _add(weight[p, c, 1], sm0, sm1, sm2, left, right)
                    _add(weight[p, c, 2], sl0, sl1, sl2, left, right)


@_njit
def _add(weight, before, here, after, has_before, has_after):
    """Add to three neighbouring weights, but not what would belong to pixels beyond the image."""
    if has_before:
        weight[0] += before
    weight[1] += here
    if has_after:
        weight[2] += after


@_njit
def _pool(upper, lower, outputs, zero, out, which):
    """ReLU of the largest of 2 x 2 of two rows[O * X, N], out[O * (X // 2), N], and which it was."""
    columns, images = len(upper) // outputs, upper.shape[1]
    half = columns // 2
    for o in range(outputs):
        for x in range(half):
            place = o * columns + 2 * x
            a, b, c, d = upper[place], upper[place + 1], lower[place], lower[place + 1]
            result, code = out[o * half + x], which[o * half + x]
            for n in range(images):
                # nan is taken, not passed over
                best = a[n] if b[n] <= a[n] else b[n]
                best = best if c[n] <= best else c[n]
                best = best if d[n] <= best else d[n]
                result[n] = zero if best <= zero else best
            for n in range(images):
                best = result[n]
                k = LOWER_LEFT if c[n] == best else LOWER_RIGHT
                k = UPPER_RIGHT if b[n] == best else k
                k = UPPER_LEFT if a[n] == best else k
                code[n] = DEAD if best <= zero else k


@_njit
def _unpool(gradient, which, outputs, zero, upper, lower):
    """Gradients of the two rows of `_pool`."""
    columns, images = len(upper) // outputs, upper.shape[1]
    half = columns // 2
    for o in range(outputs):
        for x in range(half):
            place = o * columns + 2 * x
            a, b, c, d = upper[place], upper[place + 1], lower[place], lower[place + 1]
            given, code = gradient[o * half + x], which[o * half + x]
            for n in range(images):
                a[n] = given[n] if code[n] == UPPER_LEFT else zero
                b[n] = given[n] if code[n] == UPPER_RIGHT else zero
            for n in range(images):
                c[n] = given[n] if code[n] == LOWER_LEFT else zero
                d[n] = given[n] if code[n] == LOWER_RIGHT else zero
        for x in range(2 * half, columns):
            for n in range(images):
                upper[o * columns + x, n] = zero
                lower[o * columns + x, n] = zero


@_njit
def _mask(gradient, result, relu, zero, out):
    """Gradient before ReLU, if there is one, of a row of the result."""
    for k in range(len(out)):
        given, value, row = gradient[k], result[k], out[k]
        for n in range(len(row)):
            row[n] = zero if relu and value[n] <= zero else given[n]


@_njit
def forward(values, shared, weight, bias, pool, relu, scratch, spare, out, which):
    """Convolution of the values of `Rows`, of all walkers or one that is `shared`, then pooling with ReLU, or ReLU.

    weight[W, O, C, 3, 3], bias[W, O], scratch[2, O * X, N], spare[N]; out: values of `Rows`; which[W, Y, O * X, N].
    """
    outputs, channels, zero = weight.shape[1], weight.shape[2], values[0, 0, 0]
    height = (len(values) - 2) // (1 if shared else len(weight)) - 1
    target_height = height // 2 if pool else height
    for w in range(len(weight)):
        source, target = 0 if shared else w * (height + 1), w * (target_height + 1) + 1
        for y in range(target_height):
            if pool:
                for i in range(2):
                    _row(values, source + 2 * y + i, channels, weight[w], bias[w], False, scratch[i], spare)
                _pool(scratch[0], scratch[1], outputs, zero, out[target + y], which[w, y])
            else:
                _row(values, source + y, channels, weight[w], bias[w], relu, out[target + y], spare)


@_njit
def backward(values, shared, pool, relu, gradient, result, which, adjoint, none, scratch, spare, weight, bias,
             below):  # fmt: skip
    """Add to weight[W, O, C, 3, 3] and bias[W, O] their gradients, and write that of the values to `below`.

    gradient, result: values of `Rows`, as `forward` gave them. adjoint[W, C, O, 3, 3] and none[C]: weights of the
    transposed convolution and its bias, zero. below: values of `Rows`, or nothing if they are not wanted.
    scratch[Y + 2, O * X, N], its first and last row zero; only the first two rows are used if `below` is nothing.
    """
    outputs, channels, zero, wanted = weight.shape[1], weight.shape[2], values[0, 0, 0], len(below) > 0
    height = (len(values) - 2) // (1 if shared else len(weight)) - 1
    target_height = height // 2 if pool else height
    for w in range(len(weight)):
        source, target = 0 if shared else w * (height + 1), w * (target_height + 1) + 1
        for y in range(target_height):
            if pool:
                place = 1 + 2 * y if wanted else 0
                _unpool(gradient[target + y], which[w, y], outputs, zero, scratch[place], scratch[place + 1])
                for i in range(2):
                    _row_gradient(values, source + 2 * y + i, channels, scratch[place + i], weight[w], bias[w])
            else:
                place = 1 + y if wanted else 0
                _mask(gradient[target + y], result[target + y], relu, zero, scratch[place])
                _row_gradient(values, source + y, channels, scratch[place], weight[w], bias[w])
        if wanted:
            for y in range(height):
                _row(scratch, y, outputs, adjoint[w], none, False, below[source + 1 + y], spare)
