from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from distill_core.architecture import (
    capacity_architecture,
    default_architecture,
    lda_cost,
    optimal_architecture,
    proposed_architectures,
)
from distill_core.errors import SettingsError
from distill_core.students import EncoderConfig, ProjectionTransformer
from distill_core.students.encoder import encoder_cost

CAPACITY_HEADS = (2, 3, 4, 6, 8, 12, 16)


@pytest.mark.parametrize(
    ("n", "architecture"),
    [
        (1, (4, 1)),
        (4, (4, 1)),
        (10, (4, 1)),
        (11, (4, 2)),
        (18, (4, 2)),
        (64, (4, 3)),
        (100, (4, 3)),
        (256, (4, 4)),
    ],
)
def test_the_book_rule_on_its_published_figures(n: int, architecture: tuple[int, int]) -> None:
    assert optimal_architecture(n) == architecture


@pytest.mark.parametrize("heads", range(2, 17))
def test_the_book_rule_finds_exact_powers(heads: int) -> None:
    for layers in range(1, 13):
        assert optimal_architecture(heads**layers, prefer_h=heads) == (heads, layers)


def test_the_book_rule_where_floating_logarithms_go_wrong() -> None:
    assert optimal_architecture(216, prefer_h=6) == (6, 3)
    assert optimal_architecture(125, prefer_h=5) == (5, 3)


@given(st.integers(1, 10**12), st.integers(2, 64))
def test_the_book_rule_takes_the_nearest_power_and_the_smaller_of_two(n: int, heads: int) -> None:
    chosen_heads, layers = optimal_architecture(n, heads)
    distances = [abs(heads**candidate - n) for candidate in range(1, 50)]
    assert chosen_heads == heads
    assert layers == 1 + distances.index(min(distances))


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(2, 64))
def test_more_heads_never_need_fewer_layers(n: int, more: int, heads: int) -> None:
    assert optimal_architecture(n, heads)[1] <= optimal_architecture(n + more, heads)[1]


@pytest.mark.parametrize(("n", "heads"), [(0, 4), (-3, 4), (18, 1), (18, 0), (18, -2)])
def test_the_book_rule_refuses_what_has_no_answer(n: int, heads: int) -> None:
    with pytest.raises(SettingsError):
        optimal_architecture(n, heads)


@pytest.mark.parametrize(("n", "architecture"), [(18, (6, 2)), (64, (8, 2)), (512, (8, 3)), (1000, (12, 3))])
def test_the_capacity_rule_on_its_published_figures(n: int, architecture: tuple[int, int]) -> None:
    assert capacity_architecture(n, 384) == architecture


@given(st.integers(1, 10**6), st.sampled_from([8, 15, 24, 48, 100, 384, 768]))
def test_the_capacity_rule_is_the_first_of_all_in_its_order(n: int, dimension: int) -> None:
    every = [
        (layers, heads**layers - n, heads != 4, heads)
        for layers in range(1, 25)
        for heads in CAPACITY_HEADS
        if dimension % heads == 0 and heads**layers >= n
    ]
    layers, _, _, heads = min(every)
    assert capacity_architecture(n, dimension) == (heads, layers)


def test_the_capacity_rule_refuses_what_has_no_answer() -> None:
    with pytest.raises(SettingsError, match="dimension 7"):
        capacity_architecture(18, 7)
    with pytest.raises(SettingsError):
        capacity_architecture(0, 384)


@pytest.mark.parametrize(
    ("dimension", "architecture"), [(384, (4, 2)), (15, (3, 2)), (10, (2, 4)), (6, (3, 2)), (7, (1, 1))]
)
def test_the_default_takes_the_nearest_heads_that_fit(dimension: int, architecture: tuple[int, int]) -> None:
    assert default_architecture(18, dimension) == architecture


@given(st.integers(1, 100_000), st.sampled_from([8, 15, 24, 384]))
def test_candidates_hold_both_rules_once_and_fit(n: int, dimension: int) -> None:
    proposed = proposed_architectures(n, dimension)
    shapes = [(layers, heads) for heads, layers in proposed]
    assert shapes == sorted(set(shapes))
    assert all(dimension % heads == 0 for _, heads in shapes)
    by_rule = {rule: shape for shape, rules in proposed.items() for rule in rules}
    assert by_rule == {
        "book": default_architecture(n, dimension),
        "capacity": capacity_architecture(n, dimension),
    }


def test_candidates_for_the_published_case() -> None:
    candidates = EncoderConfig().candidates(384, 18)
    shapes = [candidate.settings.flat_heads() or (0, 0) for candidate in candidates]
    one_layer = [heads for heads, layers in shapes if layers == 1]
    assert one_layer == [6, 8, 12, 16]  # H is nearer to 18 than H squared
    book = next(candidate for candidate in candidates if "book" in candidate.rules)
    assert (book.settings.flat_heads(), book.cost.parameters) == ((4, 2), 2_269_696)


def test_a_dimension_that_nothing_divides_has_one_candidate() -> None:
    (only,) = EncoderConfig().candidates(7, 18)
    assert (only.settings.flat_heads(), only.rules) == ((1, 1), ("book",))


def test_the_published_parameter_count() -> None:
    assert encoder_cost(384, 2, 512).parameters == 2_269_696
    assert lda_cost(18, 384).parameters == 13_824


@settings(max_examples=40)
@given(st.integers(1, 24), st.integers(1, 4), st.integers(1, 40))
def test_parameters_are_those_of_the_module(dimension: int, layers: int, ff_dim: int) -> None:
    module = ProjectionTransformer(dimension, 1, layers, ff_dim)
    stored = sum(weight.numel() for weight in module.state_dict().values())
    assert encoder_cost(dimension, layers, ff_dim).parameters == stored
    assert module.num_parameters == stored


def test_flops_of_the_published_models() -> None:
    # products: 2 * 384^2 + 2 * (4 * 384^2 + 2 * 384 * 512) = 2,260,992; layer norms: 2 * 16 * 384 = 12,288
    assert encoder_cost(384, 2, 512).flops == 2 * 2_260_992 + 12_288
    # 2 products of 18 x 384, the norm of a query 3 * 384, a softmax over 18
    assert lda_cost(18, 384).flops == 2 * 2 * 18 * 384 + 1_152 + 72


def test_flops_agree_with_the_counter_of_torch() -> None:
    module = ProjectionTransformer(32, 4, 3, 64, dropout=0.0).train()
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 32))
    layer_norms = 3 * 16 * 32
    attention_of_one_key = 3 * 4 * 32
    counted = counter.get_total_flops()
    assert counted - attention_of_one_key <= encoder_cost(32, 3, 64).flops - layer_norms <= counted
