"""Verdicts on many rows together: Holm by intervals is Holm by p-values, and holds the family-wise error."""

import numpy as np
import pytest
from scipy import stats

from entroscape.analysis import families
from entroscape.analysis.families import COLUMNS, Candidate
from entroscape.analysis.largest import Bounds
from entroscape.config.load import load_claims
from entroscape.config.schema import LARGEST_FAMILY, Claim, Claims
from entroscape.errors import ConfigError


def sign(lower: float, upper: float) -> str:
    return "supported" if lower > 0 else "contradicted" if upper < 0 else "undecided"


def candidate(value: float, error: float = 1.0, dof: float = np.inf, figure: str = "EA-1", **changes) -> Candidate:
    """A row about a value with a normal or Student's error, which claims that the value is positive."""

    def interval(share: int) -> tuple[float, float]:
        half = error * stats.t.isf(0.025 / share, dof)
        return value - half, value + half

    about = dict.fromkeys(COLUMNS, "") | {"figure": figure, "value": value}
    return Candidate(**{"about": about, "confidence": 0.95, "interval": interval, "decide": sign} | changes)


def holm(p: np.ndarray, risk: float) -> np.ndarray:
    """Which hypotheses are rejected, from p-values, by the definition."""
    rejected = np.zeros(len(p), dtype=bool)
    for step, number in enumerate(np.argsort(p)):
        if p[number] > risk / (len(p) - step):
            break
        rejected[number] = True
    return rejected


def test_rows_decided_are_those_that_holm_rejects():
    random, decided = np.random.default_rng(0), 0
    for _ in range(300):
        z = random.normal(size=random.integers(1, LARGEST_FAMILY + 1)) * 2 + random.choice([-2, 0, 2])
        table = families.verdicts([candidate(value) for value in z], {})
        expected = holm(2 * stats.norm.sf(np.abs(z)), 0.05)
        found = table["verdict"].to_numpy() != "undecided"
        np.testing.assert_array_equal(found, expected)
        assert (table["verdict"][found] == np.where(z[found] > 0, "supported", "contradicted")).all()
        decided += int(0 < found.sum() < len(z))
    assert decided > 100, "families of which some rows are decided"


def test_intervals_shown_are_those_that_decided_and_agree_with_the_verdict():
    random = np.random.default_rng(1)
    for _ in range(100):
        z = random.normal(size=7) * 3
        table = families.verdicts([candidate(value) for value in z], {})
        for row in table.itertuples():
            assert sign(row.lower, row.upper) == row.verdict
            assert (row.upper - row.lower) / 2 == pytest.approx(stats.norm.isf((1 - row.confidence) / 2))
        shares = np.round(0.05 / (1 - table["confidence"])).astype(int).to_numpy()
        decided = (table["verdict"] != "undecided").to_numpy()
        assert sorted(shares[decided]) == list(range(8 - decided.sum(), 8)), "each step has a level of its own"
        assert set(shares[~decided]) <= {7 - decided.sum()}, "all others have that of the step that failed"


def test_rows_about_which_nothing_is_known_count():
    clear = 2.3  # p = 0.021: decided alone and not in a family of three
    assert families.verdicts([candidate(clear)], {})["verdict"].tolist() == ["supported"]
    unknown, barred = candidate(np.nan), candidate(9.0, decidable=False)
    table = families.verdicts([unknown, candidate(clear), barred], {})
    assert table["verdict"].tolist() == ["undecided"] * 3
    assert table["confidence"].tolist() == pytest.approx([1 - 0.05 / 3] * 3)
    assert families.verdicts([candidate(clear)], {"EA-1": 3})["verdict"].tolist() == ["undecided"]
    assert families.verdicts([candidate(4.0), unknown, barred], {})["verdict"].tolist()[0] == "supported"


def test_figures_are_families_of_their_own():
    rows = [candidate(2.1, figure="EA-1"), candidate(0.0, figure="EA-2"), candidate(2.1, figure="EA-2")]
    assert families.verdicts(rows, {})["verdict"].tolist() == ["supported", "undecided", "undecided"]
    assert families.verdicts(rows, {})["figure"].tolist() == ["EA-1", "EA-2", "EA-2"]
    assert list(families.verdicts([], {}).columns) == COLUMNS


def test_risk_of_any_wrong_verdict_in_a_family_is_held():
    """2000 families of five correlated rows, all true values 0: judged one by one, too many are wrong."""
    random, rows, units = np.random.default_rng(2), 5, 12
    mixing = np.linalg.cholesky(0.6 * np.ones((rows, rows)) + 0.4 * np.eye(rows))
    wrong, alone = 0, 0
    for _ in range(2000):
        noise = random.normal(size=(units, rows)) @ mixing.T
        value, error = noise.mean(axis=0), noise.std(axis=0, ddof=1) / np.sqrt(units)
        found = [candidate(*pair, dof=units - 1) for pair in zip(value, error, strict=True)]
        clear = [row.clearness(rows) for row in found]
        alone += max(clear) >= 1
        wrong += any(one >= share for one, share in zip(clear, families.shares(clear, rows), strict=True))
    assert wrong / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert alone / 2000 > 0.1


def test_risk_is_held_where_some_values_are_not_zero():
    """Rows that are decided rightly give their share of the risk to the others, and no more."""
    random, wrong, decided = np.random.default_rng(3), 0, 0
    for _ in range(2000):
        z = random.normal(size=5) + np.array([0, 0, 4, 4, 8])
        clear = [candidate(value).clearness(5) for value in z]
        verdict = [one >= share for one, share in zip(clear, families.shares(clear, 5), strict=True)]
        wrong += any(verdict[:2])
        decided += sum(verdict[2:])
    assert 0.02 < wrong / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert decided / 6000 > 0.9


def test_levels_and_their_columns():
    levels = families.levels(0.9)
    assert levels[:3] == pytest.approx([0.9, 0.95, 1 - 0.1 / 3]) and len(levels) == LARGEST_FAMILY
    found = families.columns([Bounds(0.0, -1.0, 1.0), Bounds(0.0, -2.0, 2.0)])
    assert found == {"low": -1.0, "high": 1.0, "low_2": -2.0, "high_2": 2.0}


def test_families_that_are_too_large_are_refused():
    about = {"id": "A", "statement": "s", "experiment": "task", "quantity": "advantage", "test": "positive"}
    claim = Claim(**about, figure="EA-1", baselines=["free", "box"])
    half = LARGEST_FAMILY // 2
    assert Claims(claims=[claim] * half).family_sizes == {"EA-1": LARGEST_FAMILY}
    with pytest.raises(ValueError, match=f"at most {LARGEST_FAMILY} verdicts .* EA-1 has {LARGEST_FAMILY + 2}"):
        Claims(claims=[claim] * (half + 1))
    with pytest.raises(ConfigError, match="spread its claims over more figures"):
        families.verdicts([candidate(0.0)] * (LARGEST_FAMILY + 1), {})


def test_shipped_claims_on_landscapes_and_courses_of_a_figure_are_one_family():
    shipped = load_claims()
    sizes = shipped.family_sizes
    assert sum(sizes.values()) == len(shipped.courses) + sum(len(one.baselines or [""]) for one in shipped.claims)
    assert sizes["GR-1"] == 13 and sizes["EA-5"] == 10 and sizes["GR-3"] == 3
