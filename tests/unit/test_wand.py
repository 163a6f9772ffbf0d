"""WanD as an optimizer: its thermostat, its state, its hybrid with AdamW, and what it refuses."""

import copy

import pytest
import torch
from torch import nn

from entroscape.training.wand import EntropyOfLoss, WanD, WanDRuns, deposit_share, kick, wand_weight

pytestmark = pytest.mark.unit
X = torch.randn(12, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.randn(12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
AXIS = (-6.0, 3.0, 0.1)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def closure(net: nn.Module, optimizer: torch.optim.Optimizer):
    def evaluate():
        optimizer.zero_grad()
        loss = (net(X).squeeze(1) - Y).square().mean()
        loss.backward()
        return loss

    return evaluate


def flat(net: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(net.parameters()).detach().clone()


def run(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    return [float(optimizer.step(closure(net, optimizer))) for _ in range(steps)]


def options(**changes) -> dict:
    return dict(lr=0.02, temperature=1e-4, bias=2.0, onset=-5.0, factor=0.05, factor_steps=5, axis=AXIS) | changes


def test_the_thermostat_keeps_the_temperature():
    noise = torch.Generator().manual_seed(1)
    velocity = torch.zeros(20_000)
    for _ in range(100):
        velocity = kick(velocity, torch.zeros(20_000), torch.randn(20_000, generator=noise), 0.01, 0.3, 0.7)
    assert velocity.square().mean() == pytest.approx(0.7, rel=0.05)


def test_loss_falls_and_equal_seeds_give_equal_runs():
    losses = []
    for _ in range(2):
        net = model()
        losses.append(run(net, WanD(net.parameters(), **options(generator=torch.Generator().manual_seed(3))), 300))
    assert losses[0][-1] < 0.6 * losses[0][0]
    assert losses[0] == losses[1]


def test_optimizer_and_batch_of_runs_make_the_same_steps():
    net = nn.Linear(5, 1, bias=False).double()
    x, theta = X[:, :1].expand(12, 5) * torch.arange(1, 6), flat(net).unsqueeze(0)
    optimizer = WanD(net.parameters(), **options(generator=torch.Generator().manual_seed(4)))
    entropy = EntropyOfLoss.of(AXIS, 2.0, -5.0, 1.0)
    runs = WanDRuns(
        theta, entropy, learning_rate=0.02, temperature=1e-4, friction=0.5, factor=0.05, factor_steps=5,
        generator=torch.Generator().manual_seed(4),
    )  # fmt: skip
    for _ in range(30):
        leaf = theta.clone().requires_grad_()
        loss = (leaf @ x.T - Y).square().mean(1)
        theta = theta + runs.move(torch.autograd.grad(loss.sum(), leaf)[0], loss.detach())

        def evaluate():
            optimizer.zero_grad()
            loss = (net(x).squeeze(1) - Y).square().mean()
            loss.backward()
            return loss

        optimizer.step(evaluate)
    torch.testing.assert_close(flat(net), theta[0], rtol=1e-9, atol=1e-12)


def test_the_slope_is_that_of_bias_and_deposits():
    entropy = EntropyOfLoss.of(AXIS, 3.0, -2.0, 2.0)
    deposits = entropy.zeros(2)
    entropy.deposit(deposits, torch.tensor([0.03, -1.0]), 0.5)
    assert deposits.max() == pytest.approx(0.5, rel=0.05)
    x = torch.tensor([-0.4, -3.0], dtype=torch.float64)
    step = 1e-5
    stencils = [entropy.nodes.stencil((x + side * step).unsqueeze(1)) for side in (1, -1)]
    high, low = ((s.weight.squeeze(1) * deposits.gather(1, s.node.squeeze(1))).sum(1) for s in stencils)
    expected = (high - low) / (2 * step) + torch.tensor([2 * 3.0 * 1.6, 0.0])
    torch.testing.assert_close(entropy.slope(deposits, x), expected, rtol=1e-5, atol=1e-7)


def test_deposits_rise_and_fall():
    assert [deposit_share(step, 4) for step in (1, 2, 4, 8)] == [0.25, 0.5, 1.0, 0.5]


@pytest.mark.parametrize("annealing", [None, "described"])
def test_a_state_that_is_saved_and_loaded_goes_on_alike(annealing):
    net = model()
    optimizer = WanD(net.parameters(), **options(annealing=annealing, weight_decay=0.1))
    torch.manual_seed(5)
    run(net, optimizer, 10)
    if annealing:
        optimizer.anneal(0.6)
    other = copy.deepcopy(net)
    restored = WanD(other.parameters(), **options(annealing=annealing))
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    torch.manual_seed(6)
    expected = run(net, optimizer, 10)
    torch.manual_seed(6)
    assert run(other, restored, 10) == expected
    assert torch.equal(flat(net), flat(other))


def test_a_state_of_single_precision_keeps_its_map():
    net = model().float()
    optimizer = WanD(net.parameters(), **options())
    double = lambda: (net(X.float()).squeeze(1) - Y.float()).square().mean()  # noqa: E731

    def evaluate():
        optimizer.zero_grad()
        loss = double()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(evaluate)
    before = optimizer._shared()["deposits"].clone()
    optimizer.load_state_dict(optimizer.state_dict())
    after = optimizer._shared()["deposits"]
    assert after.dtype == torch.float64 and torch.allclose(after, before, rtol=1e-6)


def test_groups_have_their_own_settings():
    net = model()
    still = list(net[0].parameters())
    optimizer = WanD(
        [dict(params=still, lr=1e-9, temperature=1e-12), dict(params=list(net[2].parameters()))], **options()
    )
    before = [p.detach().clone() for p in net.parameters()]
    torch.manual_seed(1)
    run(net, optimizer, 20)
    moved = [float((p - b).abs().max()) for p, b in zip(net.parameters(), before, strict=True)]
    assert max(moved[:2]) < 1e-6 < min(moved[2:])


def test_without_weight_the_hybrid_is_adamw():
    nets = model(), model()
    hybrid = WanD(nets[0].parameters(), **options(annealing="printed", adamw_lr=0.01, weight_decay=0.3))
    adamw = torch.optim.AdamW(nets[1].parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=0.3)
    hybrid.anneal(0.5)  # alpha = 0
    for net, optimizer in zip(nets, (hybrid, adamw), strict=True):
        run(net, optimizer, 20)
    torch.testing.assert_close(flat(nets[0]), flat(nets[1]), rtol=1e-9, atol=1e-12)


def test_weights_of_both_readings():
    accuracy = torch.tensor([0.0, 0.5, 1.0])
    assert wand_weight(accuracy, "printed").tolist() == [1, 0, 1]
    assert wand_weight(accuracy, "described").tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (dict(lr=0.0), "lr must be above 0"),
        (dict(temperature=-1.0), "temperature must be above 0"),
        (dict(friction=2.0), "friction must be above 0 and below 2"),
        (dict(bias=float("nan")), "bias must be above 0"),
        (dict(factor=-0.1), "factor must be at least 0"),
    ],
)
def test_impossible_settings_are_named(changes, text):
    with pytest.raises(ValueError, match=text):
        WanD(model().parameters(), **options(**changes))


def test_a_closure_and_a_loss_above_zero_are_needed():
    net = model()
    optimizer = WanD(net.parameters(), **options())
    with pytest.raises(ValueError, match="needs a closure"):
        optimizer.step()
    with pytest.raises(ValueError, match="the loss must be above 0"):
        optimizer.step(lambda: torch.tensor(0.0))
    with pytest.raises(ValueError, match="annealing must be"):
        optimizer.anneal(0.3)
