"""The page of a stress test: a browser draws all of it and complains of nothing, and it tells the truth."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from chromium import opened
from fastadl.errors import InputError
from fastadl.report.columns import Column
from fastadl.report.measures import TOTALS
from fastadl.report.page import drawing, html, skeleton, write
from fastadl.report.page.drawing import Clock
from fastadl.report.page.headline import _between, below, counted, headline, numbers
from fastadl.report.page.measured import metrics
from fastadl.report.page.skeleton import Key
from fastadl.report.stress_words import money, signed
from fastadl.stress import Experiment, StressResult

SMALL = {"positions": 3000, "instruments": 5}
THREE = ("bitmex", "hyperliquid_2025", "vega")
EVIL = (
    "</script><script>document.title='taken'</script>",
    "a\"b'c\\",
    'two\nlines & <b onclick="1">bold</b>',
)


@pytest.fixture(scope="module")
def three() -> StressResult:
    return Experiment(book=SMALL, scenario="flash-crash", policies=THREE).run()


@pytest.fixture(scope="module")
def page(three: StressResult) -> str:
    return html(three)


def interrupted(at: int) -> StressResult:
    """A result of which so many steps are whole."""
    seen = 0

    def tell(what: str, *_: int) -> None:
        nonlocal seen
        seen += what.endswith("marking")
        if what.endswith("marking") and seen == at + 1:
            raise KeyboardInterrupt

    return Experiment(book=SMALL, scenario="flash-crash", policies=THREE).run(progress=tell)


def specs(page: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a chart's first data."""
    layers = [spec, *spec.get("layer", [])]
    data = next(each["data"] for each in layers if "data" in each)
    return data.get("values") or spec["datasets"][data["name"]]


def titled(page: str, title: str) -> dict[str, Any]:
    return next(spec for spec in specs(page) if spec["description"].startswith(title))


def visible(page: str) -> str:
    """The words of a page, without scripts and tags."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())


# ---------------------------------------------------------------------- in a browser


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (390, False)])
def test_a_browser_draws_every_chart_and_has_nothing_to_complain_of(
    page: str, tmp_path: Path, width: int, dark: bool
) -> None:
    seen = opened(page, tmp_path, width=width, dark=dark)
    assert seen["console"] == []
    assert seen["requests"] == []
    assert len(seen["figures"]) == len(specs(page)) > 15
    assert [figure for figure in seen["figures"] if not figure["marks"]] == []
    assert seen["window"] == width
    assert seen["width"] <= width
    assert seen["page"] == ("rgb(19, 22, 26)" if dark else "rgb(251, 251, 249)")
    assert seen["line"] == ("rgb(117, 126, 136)" if dark else "rgb(139, 147, 156)")
    assert seen["faint"][:2] == [0, 0]
    assert min(seen["faint"][2:]) > 20
    tips = [figure["tip"] for figure in seen["figures"]]
    if width == 390:
        assert min(seen["copy"]) > 0
    assert re.match(r"time\s+\d+ minutes\s+the scenario alone\s+−\d+(\.\d)?%\s+bitmex\s+−\d", tips[0])
    assert "undefined" not in "".join(tips)


RESULTS: dict[str, Callable[[], StressResult]] = {
    "nobody falls": lambda: Experiment(
        book=SMALL, scenario={"name": "flash-crash", "depth": 0.001, "noise": 0.0001}, policies=THREE
    ).run(),
    "the fund holds": lambda: Experiment(
        book=SMALL, scenario="flash-crash", policies=THREE, fund="1000000000"
    ).run(),
    "no fund": lambda: Experiment(
        book=SMALL, scenario="flash-crash", policies={"nothing": {"trigger": "none"}}, fund="0"
    ).run(),
    "seeds, feedbacks, dates": lambda: Experiment(
        book=SMALL,
        scenario="2025-10-10",
        policies=("bitmex", "okx_2025", "vega"),
        seeds=(1, 2),
        feedback=("off", "liquidations", "all"),
    ).run(),
    "one step": lambda: interrupted(1),
    "two steps": lambda: interrupted(2),
    "interrupted": lambda: interrupted(60),
}


@cache
def result_of(name: str) -> StressResult:
    """One of those, run once."""
    return RESULTS[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", RESULTS)
def test_whatever_happened_every_chart_that_is_there_has_marks(name: str, tmp_path: Path) -> None:
    page = html(result_of(name))
    seen = opened(page, tmp_path, width=390)
    assert seen["console"] == []
    assert seen["figures"]
    assert [figure for figure in seen["figures"] if not figure["marks"]] == []
    assert seen["width"] <= 390


@pytest.mark.slow
def test_names_of_policies_are_words_and_nothing_else(tmp_path: Path) -> None:
    result = Experiment(
        book=SMALL,
        scenario="flash-crash",
        policies=dict(zip(EVIL, ("bitmex", "vega", "pro_rata"), strict=True)),
    ).run()
    page = html(result)
    seen = opened(page, tmp_path)
    assert seen["console"] == []
    assert [figure for figure in seen["figures"] if not figure["marks"]] == []
    assert seen["title"].startswith("Markets fall by")
    assert all(" ".join(name.split()) in " ".join(seen["text"].split()) for name in EVIL)
    assert "onclick" not in re.sub(r"&lt;.*?&gt;", "", page.partition("<script")[0])


@pytest.mark.slow
def test_long_names_stay_in_their_places_and_leave_charts_level(tmp_path: Path) -> None:
    names = ("x" * 60, "many words " * 6, "plain")
    policies = dict(zip(names, THREE, strict=True))
    page = html(Experiment(book=SMALL, scenario="flash-crash", policies=policies).run())
    seen = opened(page, tmp_path, width=390)
    assert seen["width"] <= 390
    for part in ("figcaption", "summary", ".points b", "thead th"):
        assert part in seen["fits"]
    assert all(seen["fits"].values())
    assert seen["tallest"] < 40
    beside = [plots for plots in opened(page, tmp_path)["several"] if len(plots) == len(names)]
    assert len(beside) > 3
    for plots in beside:
        assert len({top for _, top in plots}) == 1
        assert len({left for left, _ in plots}) == len(names)


# ---------------------------------------------------------------------- what it says


def test_what_stands_under_the_pointer_is_in_the_rows(page: str) -> None:
    for spec in specs(page):
        told = [layer for layer in spec.get("layer", [spec]) if "tooltip" in layer["encoding"]]
        assert told
        for layer in told:
            for tip in layer["encoding"]["tooltip"]:
                assert all(tip["field"] in row for row in rows({**spec, **layer}))


def test_charts_show_what_the_frames_say(three: StressResult, page: str) -> None:
    steps = three.steps.filter(policy="hyperliquid_2025")
    bars = rows(titled(page, "hyperliquid_2025"))
    deleveraged = float(steps["adl_value"].sum() + steps["socialized"].sum()) / 10**6
    assert sum(bar["others"] for bar in bars) == pytest.approx(deleveraged, rel=1e-3)
    taken = rows(titled(page, "Taken from traders"))
    last = {row["of"]: row["y"] for row in taken}
    seized = three.policies["seized"].to_numpy() / 10**6
    assert [last[f"c{at}"] for at in range(3)] == pytest.approx(seized.tolist(), rel=1e-3)
    borne = rows(titled(page, "Who bore the loss"))
    assert [row["shortfall"] for row in borne] == pytest.approx(
        (three.policies["shortfall"] / 10**6).to_list(), rel=1e-4
    )
    cells = [row for side in ("Long", "Short") for row in rows(titled(page, f"{side} positions"))]
    assert sum(cell["positions"] for cell in cells) == three.facts[0].positions
    curve = rows(titled(page, "Positions, USD"))
    assert len(curve) == len(three.pressure.frame)


def test_haircuts_leave_out_those_who_paid_nothing_and_say_how_many(three: StressResult, page: str) -> None:
    mine = three.haircuts.filter(policy="bitmex")
    charts = [
        spec for spec in specs(page) if spec["description"].startswith("bitmex") and "accounts" in str(spec)
    ]
    assert len(charts) == 1
    paying = mine.filter((pl.col("to") > 0) | pl.col("to").is_null())["accounts"].sum()
    assert sum(row["accounts"] for row in rows(charts[0])) == paying
    asked = mine["accounts"].sum()
    said = f"{(asked - paying) / asked:.0%} of {asked:,} accounts that might have been asked paid nothing"
    assert said in visible(page)


def test_headline_and_cards_hold_the_least_and_the_most(three: StressResult, page: str) -> None:
    said = headline(three, Column.all(three))
    counts = three.policies["deleveraged"]
    assert re.match(
        r"Markets fall by \d\d% in 1\d minutes: [\d.k]+–[\d.k]+ traders are deleveraged and lose ", said
    )
    assert (str(counts.min()) in said) or (counts.min() or 0) >= 1000
    assert said in visible(page)


def test_colours_are_no_grey_come_once_and_are_broken_where_there_are_many() -> None:
    keys = [Key.at(place, "") for place in range(skeleton.COLORS)]
    for look in skeleton._own("look.css").split("prefers-color-scheme: dark"):
        found = {f"var({name})": of for name, of in re.findall(r"(--c\d+): #(\w{6})", look)}
        assert len({found[key.color] for key in keys}) == len(keys) == 12
        for of in found.values():
            red, green, blue = (int(of[at : at + 2], 16) for at in (0, 2, 4))
            assert max(red, green, blue) - min(red, green, blue) > 60
    assert [key.broken for key in keys] == [False] * 8 + [True] * 4
    assert skeleton.key(keys).count("dot hollow") == 4
    dashes = drawing.dashes(keys).to_dict()["scale"]
    assert dict(zip(dashes["domain"], dashes["range"], strict=True))["c8"] == [6, 3]
    assert dashes["range"][:8] == [[1, 0]] * 8


def test_bars_of_nobody_are_not_drawn(page: str) -> None:
    bars = [rows(spec) for spec in specs(page) if "share of profit taken" in str(spec)]
    assert len(bars) == len(THREE)
    assert all(bar["accounts"] > 0 for some in bars for bar in some)


@pytest.mark.parametrize(
    ("values", "shown"),
    [([663, 5_500], "663–5.5k"), ([26_000, 325_000], "26.0k–325k"), ([7, 7], "7"), ([-9, 5], "-9 to 5")],
)
def test_both_ends_of_a_range_keep_their_letter(values: list[float], shown: str) -> None:
    assert _between(values, counted) == shown


def cards(result: StressResult) -> dict[str, str]:
    """Words of each card → its number."""
    return {words: number for number, words in numbers(result, Column.all(result))}


def test_the_card_of_the_fund_counts_what_it_lost_on_positions_that_it_took_over(three: StressResult) -> None:
    lowest = three.policies["fund_lowest"]
    between = f"{money(lowest.min())} to {money(lowest.max())}"
    assert lowest.min() < -three.policies["fund_paid"].max()
    assert cards(three)[
        f"USD in the fund at first; {between} at its lowest, with the positions it took over"
    ] == money(three.facts[0].fund)


def test_of_several_seeds_cards_show_the_mean_fund_and_the_one_that_is_enough_with_each() -> None:
    result = Experiment(book=SMALL, scenario="flash-crash", policies=THREE, seeds=(1, 2, 3)).run()
    funds = [facts.fund for facts in result.facts]
    shown = {words: number for words, number in cards(result).items() if "USD in the fund" in words}
    assert len(set(funds)) == 3
    assert list(shown.values()) == [money(sum(funds) / 3), money(max(result.needed.values()))]
    assert "would have spared everybody with each of 3 seeds: to take over, and hold" in list(shown)[1]
    assert "In each seed every policy meets the same book (of seed 1: 1,200 accounts in" in below(result)


def test_no_money_in_a_card_is_a_zero() -> None:
    shown = cards(Experiment(book=SMALL, scenario="flash-crash", fund="0").run())
    assert next(number for words, number in shown.items() if "in the fund at first" in words) == "0"
    assert "–" not in cards(result_of("nobody falls")).values()


def test_what_is_still_owed_is_not_covered(three: StressResult) -> None:
    """The same share as on a terminal, and never all of it beside a debt."""
    first, *others = three.outcomes
    owing = {**first.totals, "uncovered": 1_400 * 10**6, "deficit": 10**13, "coverage": 1.0}
    page = html(replace(three, outcomes=(replace(first, totals=owing), *others)))
    row = page.partition('<th scope="row">Covered')[2].partition("</tr>")[0]
    assert re.findall(r"[<>]?\d[\d.]*%", unescape(re.sub(r"<[^>]+>", " ", row)))[0] == ">99%"


def test_one_of_a_thing_is_one_thing_and_a_flat_market_does_not_rise(tmp_path: Path) -> None:
    file = tmp_path / "flat.csv"
    file.write_text("time,BTC\n0,100\n60,100\n")
    result = Experiment(book={"positions": 1, "instruments": 1}, scenario={"prices": str(file)}).run()
    text = visible(html(result))
    assert text.startswith("Markets hardly move, and nobody falls below the margin")
    assert "1 account in 1 market" in text
    assert "· 1 policy " in text
    assert not re.search(r"\b1 (traders|accounts|markets|minutes|positions|policies)\b", text)
    assert not re.search(r"[+−]0\.0+%", text)
    assert signed(-1e-16) == "0%"
    assert "same" not in below(result)


def test_the_headline_is_about_the_furthest_of_all_markets(three: StressResult) -> None:
    first, *others = three.outcomes
    far = replace(three, outcomes=(replace(first, totals={**first.totals, "furthest": 0.4}), *others))
    assert headline(far, Column.all(far)).startswith("Markets fall by 60%")
    far = replace(three, outcomes=(replace(first, totals={**first.totals, "furthest": 3.0}), *others))
    assert headline(far, Column.all(far)).startswith("Markets rise by 200%")


def test_policies_that_took_nothing_or_met_nobody_have_words_for_charts() -> None:
    policies = {"at mark": "okx_2025", "nothing": {"trigger": "none"}, "bitmex": "bitmex"}
    page = html(Experiment(book=SMALL, scenario="flash-crash", policies=policies).run())
    assert re.search(
        r"at mark None of [\d,]+ accounts that might have been asked paid anything\.", visible(page)
    )
    assert "nothing Nobody was deleveraged." in visible(page)


def test_a_quiet_market_and_a_rich_fund_are_said_in_words() -> None:
    quiet = html(result_of("nobody falls"))
    assert "nobody falls below the margin" in visible(quiet)
    assert "Nobody fell below the maintenance margin at any step." in visible(quiet)
    rich = html(result_of("the fund holds"))
    assert "the insurance fund holds, and nobody is deleveraged" in visible(rich)
    assert visible(rich).count("Nobody was deleveraged.") == 2


def test_an_interrupted_result_says_so_and_shows_policies_that_were_run() -> None:
    page = html(result_of("interrupted"))
    assert "Interrupted: 1 of 3 runs is whole. Not run: vega." in visible(page)
    assert re.search(r"<h1>Stopped after \d+ of 48 steps of run 2 of 3: markets fall by", page)
    assert re.search(r"<h1>Stopped after \d of 48 steps: markets fall by", html(interrupted(7)))
    assert re.findall(r'<button type="button" aria-pressed="false" data-of="(c\d)">', page) == ["c0", "c1"]


def test_a_broken_law_is_said_first(three: StressResult) -> None:
    broken = replace(three.outcomes[0], checks={**three.outcomes[0].checks, "money": False})
    page = html(replace(three, outcomes=(broken, *three.outcomes[1:])))
    assert "A conservation law does not hold (money): do not trust these numbers." in visible(page)


def test_every_metric_is_explained_and_the_ends_are_marked(three: StressResult, page: str) -> None:
    text = visible(page)
    for measure in itertools.chain(*TOTALS.values()):
        assert f"{measure.words} {measure.told}" in text
    columns = Column.all(three)
    table = metrics(columns, [Key(f"c{at}", column.name, "") for at, column in enumerate(columns)])
    line = next(line for line in table.split("<tr>") if line.startswith('<th scope="row">Taken from traders'))
    cells = re.findall(r"<td.*?</td>", line)
    seized = three.policies["seized"].to_list()
    assert 'class="best"' in cells[seized.index(min(seized))]
    assert 'class="worst"' in cells[seized.index(max(seized))]
    assert "best" not in "".join(
        re.findall(r"<td.*?</td>", table.partition("The scenario alone")[2].partition("</tr>")[0])
    )


def test_one_policy_alone_is_neither_best_nor_worst() -> None:
    page = html(result_of("no fund"))
    assert "<i class=" not in page


def test_the_parameters_make_the_same_experiment_again(
    three: StressResult, page: str, tmp_path: Path
) -> None:
    toml = unescape(
        re.findall(r"<pre>(.*?)</pre>", page.partition('<script type="module">')[0], re.DOTALL)[-1]
    )
    (tmp_path / "experiment.toml").write_text(toml)
    assert Experiment.load(tmp_path / "experiment.toml").to_dict() == three.experiment.to_dict()


# ---------------------------------------------------------------------- the file


def test_a_page_needs_nothing_from_anywhere(page: str) -> None:
    own = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(src|href|action)\s*=|url\(|@import|https?://", own)
    allowed = re.findall(r'Security-Policy" content="(.*?)"', own)
    inline = "script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'"
    assert allowed == [f"default-src 'none'; {inline}; img-src data:"]
    assert "<noscript>" in own
    for script in re.findall(r"<script\b.*?>(.*?)</script>", page, re.DOTALL):
        assert "<!--" not in script


def test_a_page_stays_small_however_long_the_path(three: StressResult) -> None:
    def longer(steps: pl.DataFrame) -> pl.DataFrame:
        many = pl.concat([steps] * 200)
        return many.with_columns(time=pl.Series(range(len(many))) * 60)

    long = replace(three, outcomes=tuple(replace(each, steps=longer(each.steps)) for each in three.outcomes))
    page = html(long)
    assert len(page) < 2_000_000
    assert sum(map(len, re.findall(r'<script type="application/json">(.*?)</script>', page))) < 600_000


def test_a_thinned_line_keeps_its_extremes_and_its_ends() -> None:
    line = pl.DataFrame({"t": range(10_000), "y": [(at * 7919) % 1009 for at in range(10_000)]})
    line[6543, "y"], line[123, "y"] = 5000, -5000
    short = drawing.thinned(line)
    assert len(short) <= 302
    assert short["t"].is_sorted()
    assert (short["y"].min(), short["y"].max()) == (-5000, 5000)
    assert short["t"].to_list()[:: len(short) - 1] == [0, 9999]
    assert drawing.thinned(line.head(300)).equals(line.head(300))


def test_summed_bars_keep_the_sum() -> None:
    bars = pl.DataFrame({"t": range(1000), "a": range(1000)})
    short = drawing.summed(bars, ["a"])
    assert len(short) == 150
    assert short["a"].sum() == bars["a"].sum()


def test_numbers_in_charts_are_short_times_exact_and_what_is_not_finite_is_null() -> None:
    frame = pl.DataFrame({"t": [1760129400123.0], "y": [1.23456789], "z": [float("inf")], "of": ["c0"]})
    assert drawing.data(frame).to_dict()["values"] == [
        {"t": 1760129400123, "y": 1.2346, "z": None, "of": "c0"}
    ]


@pytest.mark.parametrize(
    ("lasts", "unit"), [(47 * 60, "minutes"), (48 * 3600, "hours"), (30 * 86400, "days")]
)
def test_time_is_counted_from_the_start_or_told_as_dates(lasts: int, unit: str) -> None:
    times = pl.Series("time", [1_760_000_000, 1_760_000_000 + lasts])
    clock = Clock.of(times, calendar=False)
    assert clock.unit == unit
    shown = times.to_frame().select(clock.placed()).with_columns(clock.words())
    assert shown["when"][0] == f"0 {unit}"
    dates = Clock.of(times, calendar=True)
    shown = times.to_frame().select(dates.placed()).with_columns(dates.words())
    assert shown["t"][0] == 1_760_000_000_000
    assert shown["when"][0] == "2025-10-09 08:53"


def test_writing_replaces_a_file_whole_or_leaves_it(three: StressResult, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("before")
    (tmp_path / "other.html").hardlink_to(file)
    write(three, file)
    assert (tmp_path / "other.html").read_text() == "before"
    (tmp_path / "other.html").unlink()
    assert file.read_text("utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["gone/report.html", "folder", "x" * 300])
def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as caught:
        skeleton.save("page", tmp_path / name)
    assert caught.value.file == str(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
