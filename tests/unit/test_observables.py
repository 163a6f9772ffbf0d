"""Loss and accuracy of a walker batch against direct formulas."""

import math

import torch

from entroscape.observables import accuracy, correct, ln_loss, mean_loss

LABELS = torch.tensor([0, 1, 2, 1])


def random_logits(walkers=3, points=4, classes=3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 5 * torch.randn(walkers, points, classes, generator=generator, dtype=torch.float64)


def test_ln_loss_is_log_of_mean_negative_log_probability():
    logits = random_logits()
    probability = logits.softmax(2)
    for walker in range(3):
        terms = [-math.log(probability[walker, n, label]) for n, label in enumerate(LABELS.tolist())]
        assert math.isclose(ln_loss(logits, LABELS)[walker], math.log(sum(terms) / 4), rel_tol=1e-12)


def test_equal_logits_cost_ln_of_the_number_of_classes():
    assert torch.allclose(
        mean_loss(torch.zeros(2, 4, 3, dtype=torch.float64), LABELS), torch.tensor(3.0).log().double()
    )


def test_confident_logits_keep_their_precision():
    # margin 20: the loss ln(1 + e^-20) = 2e-9 would be rounded to nothing in float32
    value = ln_loss(torch.tensor([[[20.0, 0.0]]], dtype=torch.float64), torch.tensor([0]))
    assert math.isclose(value, math.log(math.log1p(math.exp(-20))), abs_tol=1e-6)


def test_ln_loss_passes_gradcheck():
    assert torch.autograd.gradcheck(lambda z: ln_loss(z, LABELS), random_logits().requires_grad_())


def test_correct_counts_the_strictly_largest_own_logit():
    logits = torch.tensor([[[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [3.0, 0.0, 1.0], [0.0, 1.0, 1.5]]])
    assert correct(logits, LABELS).tolist() == [2]
    assert accuracy(logits, LABELS).tolist() == [0.5]


def test_a_tie_is_wrong_whichever_class_is_right():
    tie = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]])
    assert correct(tie, torch.tensor([0, 1])).tolist() == [0]


def test_logits_that_are_not_finite_give_nan_loss_and_no_correct_point():
    logits = torch.full((1, 4, 3), torch.nan, dtype=torch.float64)
    assert ln_loss(logits, LABELS).isnan().all() and correct(logits, LABELS).tolist() == [0]


def test_labels_of_their_own_per_walker():
    logits, labels = random_logits(), torch.tensor([[0, 1, 2, 1], [2, 2, 0, 1], [1, 0, 0, 2]])
    for walker in range(3):
        alone = logits[walker : walker + 1]
        assert torch.equal(mean_loss(logits, labels)[walker], mean_loss(alone, labels[walker])[0])
        assert correct(logits, labels)[walker] == correct(alone, labels[walker])[0]
