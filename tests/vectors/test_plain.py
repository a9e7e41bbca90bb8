"""The files of known answers against a second reading of PROTOCOL.md, which shares no code with the first."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from tests.common.match.test_curve import elligator
from tests.vectors import plain, plain_hessian, plain_rows
from tests.vectors.form import array, integers, load
from tests.vectors.plain import BANK, GRID, Side
from tests.vectors.plain_joint import joint_matrix, setup_dealt
from tests.vectors.plain_steps import Corrected, Known, beside, link_dealt, measure, one_by_one, ridge_lacks, truncations_dealt

OTHER = {GRID: BANK, BANK: GRID}


def seeds(file: dict[str, Any]) -> dict[str, bytes]:
    return {party: bytes.fromhex(text) for party, text in file["seeds"].items()}


def both(case: dict[str, Any], name: str) -> dict[str, list[int]]:
    return {party: integers(case[name][party]) for party in (GRID, BANK)}


def rows(value: dict[str, Any]) -> list[list[int]]:
    found: list[list[int]] = array(value).tolist()
    return found


def test_streams() -> None:
    file = load("streams.json")
    for case in file["made"]:
        made = plain.own_seed(bytes.fromhex(case["dealt"]), bytes.fromhex(case["nonce"]))
        assert (made.hex(), plain.fingerprint(made).hex()) == (case["seed"], case["fingerprint"])
    seed = bytes.fromhex(file["seed"])
    for case in file["streams"]:
        assert plain.stream(seed, case["purpose"], case["counter"], 48).hex() == case["bytes"], case["name"]
    assert len({case["bytes"] for case in file["streams"]}) == len(file["streams"])
    far = file["far"]
    assert plain.stream(seed, far["purpose"], far["counter"], far["skip"] + 32)[-32:].hex() == far["bytes"]
    for name in ("elements", "elements_but_the_last"):
        case = file[name]
        assert plain.elements(seed, case["purpose"], case["counter"], 6, case["below"]) == case["values"]


@pytest.mark.parametrize("case", load("links.json")["cases"], ids=lambda case: f"{case['link']}-{case['period']}")
def test_links_within_a_unit_of_rounding(case: dict[str, Any]) -> None:
    link, period, terms = case["link"], case["period"], case.get("terms", 0)
    odd = case.get("odd", False)
    off = 0 if link == "taylor" else 1
    for at, a in enumerate(case["a"]):
        stored = array(case["tables"])[:, at].view(np.int64).tolist()
        made = plain.tables(link, period, terms, a, case["table_scale"], odd)
        assert max(abs(x - y) for x, y in zip(made, stored, strict=True)) <= off
    for at, c in enumerate(case["c"]):
        stored = array(case["factors"])[:, at].view(np.int64).tolist()
        summed = case["table_scale"] + case["factor_scale"]
        step_over_n = case["step"] / case["rows"]
        if summed < 46:
            step_over_n = plain.even(step_over_n, summed)
        coarse = summed < 46 and step_over_n * 2**summed < 2**16
        waves, dithered = case.get("coefficients", []), case.get("dithered", False) or coarse
        sizes, amplitude = (step_over_n, case["factor_scale"], summed), plain.amplitude(case["table_scale"]) if coarse else 1.0
        made, public = plain.factors(link, period, waves, c, *sizes, dithered, odd, amplitude)
        assert max(abs(x - y) for x, y in zip(made, stored, strict=True)) <= off
        assert public % plain.RING == integers(case["public"])[at]


@pytest.mark.parametrize("case", load("truncations.json")["cases"], ids=lambda case: f"by-{case['shift']}")
def test_truncations(case: dict[str, Any]) -> None:
    known, number, shift = seeds(load("truncations.json")), case["number"], case["shift"]
    words, sent = both(case, "words"), both(case, "sent")
    delta = integers(case["delta"])
    assert plain.plus(words[GRID], words[BANK]) == plain.plus([x % plain.RING for x in case["x"]], delta)
    dealt = plain.truncation_dealt(known, number, delta, shift)
    assert dealt == both(case, "dealt")
    assert {p: plain.truncation_sent(p, known[p], number, words[p]) for p in dealt} == sent
    c = plain.plus(sent[GRID], sent[BANK])
    result = {p: plain.truncated(p, known[p], number, dealt[p], c, shift) for p in dealt}
    assert result == both(case, "result")
    opened = [plain.signed(word) for word in plain.plus(result[GRID], result[BANK])]
    assert {value - (x >> shift) for value, x in zip(opened, case["x"], strict=True)} <= {0, 1}


@pytest.mark.parametrize("place", [0, 2, 3], ids=["alone", "with the joint matrix", "corrected by all rows"])
def test_a_training_message_by_message(place: int) -> None:
    file = load("trainings.json")
    case, known = file["cases"][place], seeds(file)
    assert case["link"] == "taylor" and (case["gain"] is None) == (place == 0)
    label = integers(case["label"])
    sides = {
        p: Side(
            p, known[p], rows(case["x"][p]), rows(case["ridge"][p]), integers(case["start"][p]), label if p == BANK else None
        )
        for p in (GRID, BANK)
    }
    whole, bits = len(label), 38 + case["period"].bit_length() - 1
    sent = {p: sides[p].matrices() for p in sides}
    for p, side in sides.items():
        side.take(*sent[OTHER[p]])
    together = case["gain"] is not None
    dealings = {p: iter(one_by_one(case["dealt"][p]) if together else case["dealt"][p]) for p in sides}
    columns, mask_of_m, m = {p: len(sides[p].own) for p in sides}, None, {}
    if case["gain"] is not None:
        setup, mask_of_m = setup_dealt(known, whole, columns[GRID], columns[BANK])
        for dealt in setup:
            assert {p: integers(next(dealings[p])) for p in sides} == dealt
        m = joint_matrix(sides, setup, case["gain"])
    kept, known_shares = {who: Corrected(case["rows"], case["corrected"]) for who in ("dealer", *sides)}, Known(columns)
    joint = mask_of_m is not None
    steps = zip(case["steps"], case["rows"], case["over"], case["table_scales"], strict=True)
    for t, ((size, momentum), (low, high), averaged, scale) in enumerate(steps):
        over = plain.even(size / averaged, 30)
        unit = max(1, round(over / 4 * 2 ** (30 - scale)))
        sizes = {"period": case["period"], "step_over_n": over, "factor_scale": 30 - scale}
        sizes["real_step_over_n"] = 4 * unit / 2 ** (30 - scale)
        longer = t in case["longer"]
        if case["measures"][t]:
            spans = list(enumerate(case["measures"][t], t << 24))
            made = [
                link_dealt(known, k, part, whole, known_shares.ahead, case["period"], scale, ridge=False) for k, part in spans
            ]
            for (_, part), (_, delta) in zip(spans, made, strict=True):
                kept["dealer"].keep(part, delta)
            links, delta = [link for link, _ in made], kept["dealer"].all(ridge_lacks(known, t, columns))
        else:
            shares = (
                known_shares.ahead
                if joint
                else {p: plain.words(known[OTHER[p]], plain.WEIGHTS, t, m) for p, m in columns.items()}
            )
            link, delta = link_dealt(known, t << 24, (low, high), whole, shares, case["period"], scale, ridge=True)
            links, delta = [link], kept["dealer"].of(t, delta)
        truncations = truncations_dealt(known, t, delta, mask_of_m, longer=longer)
        for dealt in (*links, *truncations):
            assert {p: integers(next(dealings[p])) for p in sides} == dealt
        for side in sides.values():
            side.over(low, high, t << 24)
        v = {p: sides[p].weights(t) for p in sides}
        for p, side in sides.items():
            side.hear(v[OTHER[p]])
        if case["measures"][t]:
            measure(sides, kept, [(k, part, link) for (k, part), link in zip(spans, links, strict=True)], bits, sizes)
            pulled = {p: kept[p].all(side.ridge_pull()) for p, side in sides.items()}
        else:
            u = {p: sides[p].u(bits, known=joint) for p in sides}
            r = {p: sides[p].residual(u[OTHER[p]], links[0][p], sizes) for p in sides}
            pulled = {p: kept[p].of(t, sides[p].pulled(r[OTHER[p]])) for p in sides}
        if mask_of_m is None:
            c, shift = {p: sides[p].update(t, pulled[p]) for p in sides}, 36
        else:
            g = {p: sides[p].gradient(t, pulled[p]) for p in sides}
            first = {p: (truncations[0][p], truncations[1][p]) for p in sides}
            shift = 16 if longer else 14
            c = {p: sides[p].joint_update(t, g[OTHER[p]], first[p], m[p], longer=longer) for p in sides}
            known_shares.step(known, t, truncations[-1], momentum, shift)
        for p, side in sides.items():
            side.step(t, c[OTHER[p]], truncations[-1][p], momentum, shift)
    for p, side in sides.items():
        said = beside(side.sent) if together else side.sent
        assert said == [(message["kind"], integers(message)) for message in case["sent"][p]]
        assert (side.own, side.other) == (integers(case["own"][p]), integers(case["other"][p]))


def test_tags_for_the_neutral_process() -> None:
    file = load("matches.json")
    key = bytes.fromhex(file["neutral"]["key"])
    for party, ids in file["ids"].items():
        tags = sorted((plain.tag(key, text), at) for at, text in enumerate(ids))
        assert [list(tag) for tag, _ in tags] == rows(file["neutral"]["tags"][party])
        assert [at for _, at in tags] == file["neutral"]["of"][party]


def test_points_by_diffie_hellman() -> None:
    file = load("matches.json")
    case = file["ecdh"]

    def product(party: str, point: bytes) -> bytes:
        scalar = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["scalars"][party]))
        return scalar.exchange(X25519PublicKey.from_public_bytes(point))

    for party, ids in file["ids"].items():
        hashed = [plain_rows.hashed(text, file["job"].encode(), elligator) for text in ids]
        assert [row.tobytes() for row in array(case["hashed"][party])] == hashed
        points = [product(party, point) for point in hashed]
        assert [row.tobytes() for row in array(case["points"][party])] == points
        replies = [product(OTHER[party], point) for point in points]
        assert [row.tobytes() for row in array(case["replies"][OTHER[party]])] == replies


def test_splits() -> None:
    file = load("splits.json")
    table = list(zip(file["ids"], file["periods"], file["labels"], strict=True))
    for case in file["cases"]:
        assert plain_rows.held_out(table, json.loads(case["options"]), case["options"]) == case["held_out"], case["options"]


def test_a_training_on_a_shared_hessian_message_by_message() -> None:
    file = load("trainings.json")
    case, known, label = file["hessian"], seeds(file), integers(file["hessian"]["label"])
    sides = {
        p: Side(p, known[p], rows(case["x"][p]), rows(case["ridge"][p]), integers(case["start"][p]), None) for p in (GRID, BANK)
    }
    training = plain_hessian.Whole(known, sides, label, case)
    dealt = training.dealt()
    for p in sides:
        assert [one[p] for one in dealt] == [integers(array) for array in case["dealt"][p]]
    training.run(dealt)
    for p, side in sides.items():
        assert side.sent == [(message["kind"], integers(message)) for message in case["sent"][p]]
        assert (side.own, side.other) == (integers(case["own"][p]), integers(case["other"][p]))


@pytest.mark.parametrize("case", load("banks.json")["cases"], ids=lambda case: case["section"].get("activation", "linear"))
def test_sums_over_two_banks(case: dict[str, Any]) -> None:
    """Section 16: what the grid is dealt takes the banks' masks back; first is sent what each bank brings to the start."""
    file = load("banks.json")
    lines, hub = (
        [{party: bytes.fromhex(s) for party, s in one.items()} for one in many] for many in (file["lines"], [file["hub"]])
    )
    dealt = [one for one in case["lines"][0]["dealt"][GRID] if one["kind"] == "dealt_sum"]
    addends = [[one for one in line["sent"][BANK] if one["kind"] == "masked_addend"] for line in case["lines"]]
    assert len(dealt) == len(addends[0]) == len(addends[1]) > 3
    for one in dealt:
        count = one["shape"][0]
        masks = [plain.words(seeds[BANK], plain.SUM, one["number"], count) for seeds in lines]
        kept = plain.words(hub[0][BANK], plain.SUM_OUT, one["number"], count)
        assert integers(one) == [(a + b - c) % plain.RING for a, b, c in zip(*masks, kept, strict=True)]
    for line, seeds, sent in zip(case["lines"], lines, addends, strict=True):
        brought = integers(line["start"])
        mask = plain.words(seeds[BANK], plain.SUM, dealt[0]["number"], len(brought))
        assert integers(sent[0]) == [(x + m) % plain.RING for x, m in zip(brought, mask, strict=True)]


@pytest.mark.parametrize("case", load("banks.json")["cases"], ids=lambda case: case["section"].get("activation", "linear"))
def test_the_first_bank_alone_speaks_for_both_of_what_all_hold(case: dict[str, Any]) -> None:
    """Section 16: the last truncation of the weights is between the grid and all banks as one."""
    first, other = [[one for one in line["sent"][BANK] if one["kind"] == "masked_update"] for line in case["lines"]]
    heard = [[one for one in line["sent"][GRID] if one["kind"] == "masked_update"][-1] for line in case["lines"]]
    assert not other and heard[0] == heard[1] and first[-1]["shape"] == case["weights"][GRID]["shape"]


@pytest.mark.parametrize("place", range(2), ids=["one after the other", "side by side"])
def test_sums_of_trees_of_two_banks(place: int) -> None:
    """Section 16: a level's sum has a number of its own, of trees side by side the first one's; what the grid is dealt takes
    the banks' masks back."""
    file = load("banks.json")
    case, hub = file["trees"][place], bytes.fromhex(file["hub"][BANK])
    dealt = [one for one in case["lines"][0]["dealt"][GRID] if one["kind"] == "dealt_sum"]
    first, beside = ((0, 16), (1, 1)) if place == 0 else ((0, 32), (2, 1))
    assert [one["number"] - (1 << 40) for one in dealt] == [low + level for low in first for level in range(3)]
    assert [one["shape"] for one in dealt] == [[k * words] for k in beside for words in (2 * 5 + 2, 2 * 5 + 4, 8)]
    for one in dealt:
        count = one["shape"][0]
        masks = [plain.words(bytes.fromhex(seeds[BANK]), plain.SUM, one["number"], count) for seeds in file["lines"]]
        kept = plain.words(hub, plain.SUM_OUT, one["number"], count)
        assert integers(one) == [(a + b - c) % plain.RING for a, b, c in zip(*masks, kept, strict=True)]


@pytest.mark.parametrize("place", range(2), ids=["one after the other", "side by side"])
def test_the_first_bank_alone_says_what_splits_a_level_and_both_hear_the_same(place: int) -> None:
    """Section 16: gains, the largest and the leaves' sums are between the grid and all banks as one."""
    lines = load("banks.json")["trees"][place]["lines"]
    for party in (GRID, BANK):
        for kind in ("masked_sums", "masked_compared", "masked_carries", "split_tests"):
            said = [[one for one in line["sent"][party] if one["kind"] == kind] for line in lines]
            assert said[1] == (said[0] if party == GRID else []) and len(said[0]) == (6 if kind == "masked_sums" else 4)
        own = [[integers(one) for one in line["sent"][party] if one["kind"] == "masked_u"] for line in lines]
        assert own[0] != own[1]
    groups = [[0], [1]] if place == 0 else [[0, 1], [2]]
    dealt = [tree for beside in groups for tree in (*beside, *(1 << 40 | tree for tree in beside))]
    assert [one["number"] for one in lines[0]["dealt"][GRID] if one["kind"] == "dealt_trees"] == dealt
    assert [one["number"] for one in lines[1]["dealt"][BANK]] == [tree for beside in groups for tree in beside]
