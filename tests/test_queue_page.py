"""The page of a place in a queue: a browser draws it, and it shows what is true (R123)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from chromium import opened
from engines import book
from fastadl import Engine, synth
from fastadl.cli import main
from fastadl.report.page import queue_chart
from fastadl.report.page.queue import html, write
from fastadl.report.queue import Place, places
from fastadl.report.queue_words import far, reach_line


def crowd(positions: int) -> Engine:
    engine = Engine(synth.book("retail", positions=positions, accounts=positions // 3, instruments=4, seed=3))
    engine.mark({"ETH-PERP": 2700})
    return engine


def middle(engine: Engine, part: float = 0.4) -> Place:
    ranked = engine.rank("ETH-PERP", "short")
    (place,) = places(engine, ranked["account"][int(part * len(ranked))], "ETH-PERP", "short")
    return place


@pytest.fixture(scope="module")
def place() -> Place:
    return middle(crowd(900))


@pytest.fixture(scope="module")
def page(place: Place) -> str:
    return html([place], "a book")


def layers(place: Place) -> list[dict[str, Any]]:
    return queue_chart.picture(place).to_dict()["layer"]


def rows(place: Place, layer: int) -> list[dict[str, Any]]:
    spec = queue_chart.picture(place).to_dict()
    data = spec["layer"][layer]["data"]
    return data.get("values") or spec["datasets"][data["name"]]


def visible(page: str) -> str:
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (1100, True), (390, False)])
def test_a_browser_draws_the_queue_and_has_nothing_to_complain_of(
    place: Place, page: str, tmp_path: Path, width: int, dark: bool
) -> None:
    seen = opened(page, tmp_path, width=width, dark=dark)
    assert seen["console"] == []
    assert seen["requests"] == []
    (figure,) = seen["figures"]
    assert figure["marks"] > len(place.queue) + 8
    assert seen["width"] <= width
    assert seen["fits"] == dict.fromkeys(seen["fits"], True)
    assert seen["page"] == ("rgb(19, 22, 26)" if dark else "rgb(251, 251, 249)")


# ---------------------------------------------------------------- the picture


def test_every_position_is_a_bar_from_the_lots_before_it_to_its_own(place: Place) -> None:
    bars, total = rows(place, 0), place.told.lots_of
    assert len(bars) == len(place.queue)
    assert [bar["lots"] for bar in bars] == place.queue["lots"].to_list()
    for bar, ahead in zip(bars, place.queue["ahead"], strict=True):
        assert bar["x"] == pytest.approx(ahead / total, rel=1e-4)
        assert bar["end"] == pytest.approx((ahead + bar["lots"]) / total, rel=1e-4)
    assert [bar["fill"] for bar in bars] == [f"var(--light-{light})" for light in place.queue["light"]]
    high = [bar["base"] - bar["y"] for bar in bars]
    assert high == sorted(high, reverse=True)
    assert (high[0], high[-1]) == (130, 7)
    assert [bar["at"] for bar in bars] == [far(adl) for adl in place.queue["adl"]]


def test_a_crowd_is_drawn_by_few_bars_that_keep_every_lot(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.setattr(queue_chart, "_PARTS", 20)
    bars = rows(place, 0)
    assert 20 <= len(bars) <= 20 + 5 + 2
    assert sum(bar["lots"] for bar in bars) == place.told.lots_of
    assert [bar["end"] for bar in bars[:-1]] == pytest.approx([bar["x"] for bar in bars[1:]], rel=1e-4)
    ranks = [bar["ranks"].split("–") for bar in bars]
    assert (ranks[0][0], ranks[-1][-1]) == ("1", str(len(place.queue)))
    assert str(place.told.rank) in {bar["ranks"] for bar in bars}
    reached = pl.DataFrame(rows(place, 2)).filter(pl.col("base") == pl.col("base").max())
    lots = (reached["part"] * (reached["end"] - reached["x"])).sum() * place.told.lots_of
    assert lots == pytest.approx(list(place.reach())[-1].lots, rel=1e-3)


def test_what_a_shock_reaches_is_red_where_one_is_among_them(place: Place) -> None:
    drawn = pl.DataFrame(rows(place, 2)).group_by("base", maintain_order=True).agg("fill", "x", "end", "part")
    seen = [reach for reach in place.reach() if reach.positions]
    assert {reach.you for reach in seen} == {False, True}
    for line, reach in zip(drawn.iter_rows(named=True), seen, strict=True):
        assert set(line["fill"]) == {"var(--hot)" if reach.you else "var(--stage-2)"}
        assert set(line["part"]) == {1}
        wide = sum(end - x for x, end in zip(line["x"], line["end"], strict=True))
        assert wide == pytest.approx(reach.lots / place.told.lots_of, rel=1e-3)


def test_the_line_is_at_the_position_and_dots_where_choices_would_put_it(place: Place) -> None:
    (here,) = {row["x"] for row in rows(place, 3)}
    assert here == pytest.approx(place.middle, rel=1e-4)
    dots = [row["x"] for row in rows(place, 6)]
    expected = [
        (row["lots_ahead"] + row["lots"] / 2) / place.told.lots_of
        for row in place.told.choices[1:].iter_rows(named=True)
    ]
    assert dots == pytest.approx(expected, rel=1e-4)
    words = [row["words"] for row in rows(place, 7)]
    assert words[:4] == [reach_line(place, reach) for reach in place.reach()]
    assert [word.partition(":")[0] for word in words[4:]] == [
        "Close 25%", "Close 50%", "Leverage / 2", "Leverage / 4",
    ]  # fmt: skip


@pytest.mark.parametrize(("part", "align"), [(0.0, "left"), (0.4, "center"), (1.0 - 1e-9, "right")])
def test_the_word_above_it_stays_in_the_picture(part: float, align: str) -> None:
    layer = layers(middle(crowd(900), part))[4]
    assert (layer["mark"]["text"], layer["mark"]["align"]) == ("you", align)


def test_scores_without_profit_or_bound_have_a_height() -> None:
    assert queue_chart._height(pl.Series([-2.0, -3.0])).to_list() == [7.0, 7.0]
    assert queue_chart._height(pl.Series([float("inf"), 4.0, 1.0])).to_list() == [130.0, 130.0, 68.5]


# ---------------------------------------------------------------- words, and who is named


def test_a_page_says_what_the_explanation_says(place: Place, page: str) -> None:
    told, text = place.told, visible(page)
    assert text.count(told.account) == 3  # title, headline, and the sentence below
    others = set(crowd(900).accounts.to_list()) - {told.account}
    assert not [each for each in others if each in page]
    assert f"light {told.light} of 5" in text
    assert f"{len(place.queue)} positions, {told.lots_of:,} lots." in text
    assert f"Ranked by bitmex: {place.meaning}." in text
    assert f"you {told.parts['score']:.6g} the one after you {place.neighbours()[1]:.6g}" in text


def test_a_page_of_several_positions_and_one_of_none() -> None:
    engine = crowd(900)
    counted = engine.book.to_frames()[2]["account"].value_counts().sort("count", "account")
    held = places(engine, counted["account"][-1])
    text = visible(html(held, "a book"))
    assert f"Why me, and how close am I? · {len(held)} positions · a book" in text
    assert text.count("The queue: ") == len(held) > 2
    owing = Engine(
        book("ann X 1 100\ncy X -1 100", cash={"ann": "-1", "cy": "9"}, listed={"X": {"mark": "100"}})
    )
    text = visible(html(places(owing, "ann"), "a book"))
    assert "ann cannot be deleveraged in X now: its equity is below zero" in text
    assert "Nobody on this side can be deleveraged." in text


def test_nothing_in_a_name_becomes_part_of_the_page(place: Place) -> None:
    evil = "</script><script>document.title='taken'</script>"
    named = replace(place, told=replace(place.told, account=evil, symbol=evil))
    text = html([named], evil)
    assert "<script>document" not in text
    assert "&lt;script&gt;document" in text


# ---------------------------------------------------------------- the file


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = synth.book("retail", positions=300, accounts=120, instruments=3, seed=3).write(tmp_path / "book")
    file = tmp_path / "place.html"
    assert main(["explain", str(folder), "a0000005", "--html", str(file), "--json"]) == 0
    json.loads(capsys.readouterr().out)
    assert "a0000005" in visible(file.read_text("utf-8"))
    assert main(["explain", str(folder), "a0000005", "--html", str(tmp_path / "gone" / "x.html")]) == 2


def test_writing_replaces_a_file_whole(place: Place, page: str, tmp_path: Path) -> None:
    write([place], "a book", tmp_path / "x.html")
    assert (tmp_path / "x.html").read_text("utf-8") == page
