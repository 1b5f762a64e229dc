"""Rows stay on disk; the index gives the same splits and order everywhere."""

from __future__ import annotations

import json
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.plan.columns import Columns
from harness.plan.row_faults import EveryRowError
from harness.plan.rows import RowSource, Selection, open_rows

IDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    min_size=60,
    max_size=120,
    unique=True,
)


def rows(tmp_path, records, *, columns=None, seed=0, confirm=0.4, limit=None, stratify=None):
    """The records, written and opened."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    source = RowSource(path=path, shown="rows.jsonl", name="r", sha256="0", columns=columns or Columns())
    return open_rows(source, Selection(confirm=confirm, seed=seed, limit=limit, stratify=stratify))


def records(ids):
    """Rows with these ids and nothing of interest."""
    return [{"id": one, "text": "x", "target": "y"} for one in ids]


def both(found):
    """Ids of both splits."""
    return set(found.ids("search")) | set(found.ids("confirm"))


@settings(max_examples=15, deadline=None)
@given(ids=IDS, data=st.data())
def test_an_id_stays_on_its_side_whatever_stands_around_it(tmp_path_factory, ids, data):
    """Rows may be reordered, added or removed: the others keep their split."""
    folder = tmp_path_factory.mktemp("rows")
    whole = rows(folder, records(ids))
    part = data.draw(st.permutations(ids))[: max(40, len(ids) - 10)]
    fewer = rows(folder, records(part))
    assert set(fewer.ids("confirm")) == set(whole.ids("confirm")) & set(part)
    assert set(fewer.ids("search")) == set(whole.ids("search")) & set(part)


@settings(max_examples=15, deadline=None)
@given(ids=IDS, seed=st.integers(0, 2**32), limits=st.tuples(st.integers(8, 50), st.integers(8, 50)))
def test_limits_nest_and_seeds_only_reorder(tmp_path_factory, ids, seed, limits):
    """A smaller limit takes a part of a larger one; a seed changes the order and nothing else."""
    folder = tmp_path_factory.mktemp("rows")
    smaller, larger = sorted(limits)
    small, large = (rows(folder, records(ids), limit=limit) for limit in (smaller, larger))
    assert both(small) <= both(large)
    assert len(small) == smaller
    assert small.card.n_search >= 2
    assert small.card.n_confirm >= 2
    reordered = rows(folder, records(ids), seed=seed)
    again = rows(folder, list(reversed(records(ids))), seed=seed)
    assert reordered.ids("search") == again.ids("search")
    assert both(reordered) == set(ids)


@pytest.mark.parametrize("stratify", ["target", "source"])
def test_strata_have_equal_shares_in_both_splits(tmp_path, stratify):
    """Of each value, the confirm split has its share to the nearest row, however rare the value."""
    found = rows(
        tmp_path,
        [
            {
                "id": f"r{n}",
                "text": "x",
                "target": "rare" if n % 10 == 0 else "usual",
                "metadata": {"source": "abc"[n % 3]},
            }
            for n in range(200)
        ],
        confirm=0.3,
        stratify=stratify,
    )
    values = [found.sample(one) for one in found.ids("confirm")]
    counts = Counter(one.target if stratify == "target" else one.metadata["source"] for one in values)
    expected = {"rare": 6, "usual": 54} if stratify == "target" else {"a": 20, "b": 20, "c": 20}
    assert counts == expected


def test_copies_of_a_row_stay_on_one_side_of_a_stratified_split(tmp_path):
    """Equal content is one row that was written twice."""
    found = rows(tmp_path, [{"text": f"x{n % 20}", "target": "y"} for n in range(60)], stratify="target")
    sides = {
        split: {found.sample(one).inputs["text"] for one in found.ids(split)}
        for split in ("search", "confirm")
    }
    assert not sides["search"] & sides["confirm"]


def in_groups(sizes, target=lambda n: "y"):
    """Rows in groups of these sizes."""
    names = [f"g{place}" for place, size in enumerate(sizes) for _ in range(size)]
    return [
        {"id": f"r{n}", "text": f"x{n}", "target": target(n), "group": name} for n, name in enumerate(names)
    ]


def sides_of(found):
    """By group, the splits that its rows are in."""
    sides = {}
    for split in ("search", "confirm"):
        for one in found.ids(split):
            sides.setdefault(found.sample(one).group, set()).add(split)
    return sides


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=25, max_size=40),
    confirm=st.sampled_from([0.2, 0.3, 0.5, 0.7]),
    stratify=st.sampled_from([None, "target"]),
    order=st.randoms(),
)
def test_a_group_is_on_one_side_in_any_order_of_rows(tmp_path_factory, sizes, confirm, stratify, order):
    """With strata and without, the names of groups and their rows alone decide who confirms."""
    folder, made = tmp_path_factory.mktemp("rows"), in_groups(sizes, lambda n: "ab"[n % 3 == 0])
    found = rows(folder, made, confirm=confirm, stratify=stratify)
    assert all(len(splits) == 1 for splits in sides_of(found).values())
    order.shuffle(made)
    again = rows(folder, made, confirm=confirm, stratify=stratify)
    assert again.ids("confirm") == found.ids("confirm")


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=12, max_size=40), confirm=st.floats(0.2, 0.8))
def test_groups_leave_the_confirm_split_near_its_share(tmp_path_factory, sizes, confirm):
    """It is off by less than half of the largest group."""
    found = rows(tmp_path_factory.mktemp("rows"), in_groups(sizes), confirm=confirm)
    assert abs(found.card.n_confirm - confirm * sum(sizes)) <= max(sizes) / 2 + 1


def test_groups_and_strata_together(tmp_path):
    """Where groups are of mixed targets, both splits have the share of each, but for few rows."""
    made = in_groups([3, 4, 5] * 20, lambda n: "rare" if n % 8 == 0 else "usual")
    found = rows(tmp_path, made, confirm=0.3, stratify="target")
    assert all(len(splits) == 1 for splits in sides_of(found).values())
    counts = Counter(found.sample(one).target for one in found.ids("confirm"))
    assert abs(counts["rare"] - 0.3 * 30) <= 1
    assert abs(counts["usual"] - 0.3 * 210) <= 4


def test_a_large_group_leaves_the_rest_to_the_other_side(tmp_path):
    """Half of the rows in one group, and four tenths asked to confirm: it chooses, with one other."""
    found = rows(tmp_path, in_groups([50, 10, 10, 10, 10, 10]), confirm=0.4)
    assert sides_of(found)["g0"] == {"search"}
    assert found.card.n_confirm == 40


@pytest.mark.parametrize("sizes", [[50], [48, 1], [40, 10]])
def test_a_split_without_two_groups_is_refused(tmp_path, sizes):
    """One group can neither choose nor confirm: it has no standard error."""
    with pytest.raises(
        DataError, match=rf"rows of a group stay together, and the largest, 'g0', has {sizes[0]}"
    ):
        rows(tmp_path, in_groups(sizes))


def test_groups_too_large_for_the_share_are_noted(tmp_path):
    """A third of the rows is nearer to a fifth than almost none, and still far."""
    (note,) = rows(tmp_path, in_groups([28, 28, 28, 1, 1]), confirm=0.2).notes
    assert note.startswith("the confirm split has 35% of the rows, not 20%: rows of a group stay together")


def test_a_row_without_a_group_is_one_of_its_own(tmp_path):
    """Among rows with groups; copies of one content stay together as ever."""
    made = [{"text": f"x{n % 30}", "target": "y", "group": "g" if n < 5 else None} for n in range(60)]
    found = rows(tmp_path, made)
    assert found.card.n_confirm == pytest.approx(24, abs=1)
    by_text = {}
    for one in both(found):
        sample = found.sample(one)
        if sample.group is None:
            by_text.setdefault(sample.inputs["text"], set()).add(sample.split)
    assert all(len(splits) == 1 for splits in by_text.values())


def test_rows_that_share_a_text_in_any_of_several_columns_are_a_group(tmp_path):
    """Through others as well, in any case and with any space around it; both columns stay inputs."""
    pairs = [(f"t{n // 4}", f" T{n // 4 + 100 * (n % 4)}") for n in range(80)]
    pairs[3] = ("T1", "t100")  # joins the texts of pair 0 and of pair 4
    made = [{"id": f"p{n:02}", "a": a, "b": b, "target": "y"} for n, (a, b) in enumerate(pairs)]
    found = rows(tmp_path, made, columns=Columns(group=("a", "b")))
    groups = {one: found.sample(one).group for one in both(found)}
    assert groups["p00"] == groups["p03"] == groups["p04"] != groups["p08"]
    assert all(len(splits) == 1 for splits in sides_of(found).values())
    assert set(found.sample("p00").inputs) == {"a", "b"}


def test_rows_without_groups_are_split_as_before_there_were_any(tmp_path):
    """A frozen split: a change here would begin every search of such data anew."""
    found = rows(tmp_path, records([f"r{n}" for n in range(40)]), seed=7, confirm=0.3)
    assert found.fingerprint()[:12] == "bce5e5183b63"
    made = [
        record | {"target": "ab"[n % 2]} for n, record in enumerate(records([f"r{n}" for n in range(40)]))
    ]
    assert rows(tmp_path, made, confirm=0.3, stratify="target").fingerprint()[:12] == "1798d5472019"


def test_a_stratum_that_rows_do_not_have_is_told(tmp_path):
    """Once when it is all of them, else with the line of each."""
    made = records("abcdefgh")
    with pytest.raises(
        EveryRowError, match=r"rows\.jsonl:1: has no metadata 'tone'.*so it is with all 8 rows"
    ):
        rows(tmp_path, made, stratify="tone")
    for record in made[2:]:
        record["metadata"] = {"tone": "dry"}
    with pytest.raises(DataError) as caught:
        rows(tmp_path, made, stratify="tone")
    assert [one.line for one in caught.value.problems] == [1, 2]


def test_a_seed_gives_a_permutation_of_its_own(tmp_path):
    """Two seeds give two orders of the same samples."""
    ids = [str(n) for n in range(50)]
    one, two = (rows(tmp_path, records(ids), seed=seed) for seed in (1, 2))
    assert one.ids("search") != two.ids("search")
    assert sorted(one.ids("search")) == sorted(two.ids("search"))
    assert one.fingerprint() != two.fingerprint()


def test_samples_are_read_back_as_written(tmp_path, jsonl, rows_of):
    """Each id gives its own row, with its split; the card counts both."""
    made = rows_of(40)
    found = rows(tmp_path, made)
    for record in made:
        sample = found.sample(record["id"])
        assert (dict(sample.inputs), sample.target) == ({"text": record["text"]}, record["target"])
        assert sample.id in found.ids(sample.split)
    assert found.card.n_search + found.card.n_confirm == len(found) == 40


def test_columns_sort_a_row_into_its_parts(tmp_path):
    """Group, metadata and inputs by default and by name."""
    record = {"q": "?", "metadata": {"source": "s"}}
    more = [record | {"id": n, "group": n // 2, "target": n // 2 + 0.5} for n in range(12)]
    sample = rows(tmp_path, more).sample("3")
    assert (sample.group, dict(sample.metadata), dict(sample.inputs)) == ("1", {"source": "s"}, {"q": "?"})
    named = Columns(id="id", target="q", group="target", inputs=("id",), metadata=("group",))
    sample = rows(tmp_path, more, columns=named).sample("3")
    assert (sample.target, sample.group, dict(sample.inputs)) == ("?", "1.5", {"id": 3})
    assert dict(sample.metadata) == {"group": 1}


def test_named_inputs_leave_the_default_metadata_alone(tmp_path):
    """Naming the inputs does not lose the metadata, unless it is one of them."""
    more = [{"id": n, "q": "?", "target": 1, "metadata": {"s": n}} for n in range(10)]
    assert dict(rows(tmp_path, more, columns=Columns(inputs=("q",))).sample("1").metadata) == {"s": 1}
    sample = rows(tmp_path, more, columns=Columns(inputs=("metadata",))).sample("1")
    assert (dict(sample.metadata), dict(sample.inputs)) == ({}, {"metadata": {"s": 1}})


def test_a_named_column_that_is_missing_is_told(tmp_path):
    """The message lists what is there."""
    columns = Columns(group="team", inputs=("question",))
    with pytest.raises(
        DataError, match=r"rows.jsonl:1: has no 'question', 'team'; its columns are 'id', 'text'"
    ):
        rows(tmp_path, records("abcd"), columns=columns)


def test_rows_without_ids_get_them_from_their_content(tmp_path):
    """Such an id depends on the row, not on its position."""
    made = [{"text": f"t{n}", "target": "y"} for n in range(30)]
    one, two = rows(tmp_path, made), None
    texts = {one.sample(i).inputs["text"]: i for i in both(one)}
    two = rows(tmp_path, made[::-1])
    assert {two.sample(i).inputs["text"]: i for i in both(two)} == texts


def test_rows_of_equal_content_are_counted_and_stay_together(tmp_path):
    """A copy never confirms what its twin chose."""
    made = [{"text": f"t{n % 20}", "target": "y"} for n in range(60)]
    found = rows(tmp_path, made)
    assert len(both(found)) == 60
    sides = {}
    for one in both(found):
        sample = found.sample(one)
        sides.setdefault(sample.inputs["text"], set()).add(sample.split)
    assert all(len(splits) == 1 for splits in sides.values())


def test_the_index_does_not_grow_with_the_size_of_rows(tmp_path):
    """Rows of 20 kB take no more memory than rows of 2 bytes."""

    def size(text):
        found = rows(tmp_path, [{"id": str(n), "text": text, "target": "y"} for n in range(50)])
        seen, total, todo = set(), 0, [found]
        while todo:
            one = todo.pop()
            if id(one) in seen or isinstance(one, type):
                continue
            seen.add(id(one))
            total += sys.getsizeof(one)
            if isinstance(one, dict):
                todo += [*one.keys(), *one.values()]
            elif isinstance(one, list | tuple | set | frozenset):
                todo += one
            todo += list(getattr(one, "__dict__", {}).values())
        return total

    assert size("x" * 20_000) - size("xx") < 1000


def test_byte_order_mark_blank_lines_and_windows_line_ends_are_fine(tmp_path):
    """Offsets count what is skipped."""
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(record).encode() for record in records("abcdefgh")]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join(lines))
    found = open_rows(RowSource(path=path, shown="r", name="r", sha256="0"), Selection(confirm=0.5))
    assert {found.sample(one).id for one in both(found)} == set("abcdefgh")


def test_an_unknown_id_is_refused(tmp_path):
    """Also one of the file that the limit left out."""
    with pytest.raises(DataError, match="no sample has the id 'z'"):
        rows(tmp_path, records("abcdefgh")).sample("z")


@pytest.mark.parametrize(
    "change", ["", "nonsense", json.dumps({"id": "b", "text": "x", "target": "y"}) + "\n"]
)
def test_a_file_that_changes_during_a_run_is_noticed(tmp_path, change):
    """Another row at the place of this one is never mistaken for it."""
    found = rows(tmp_path, records("abcdefgh"))
    (tmp_path / "rows.jsonl").write_text(change)
    with pytest.raises(DataError, match=r"rows.jsonl:1: changed while the run was going on"):
        found.sample("a")


def test_a_file_that_disappears_during_a_run_is_told(tmp_path):
    """What the system says is passed on."""
    found = rows(tmp_path, records("abcdefgh"))
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(DataError, match="cannot be read again"):
        found.sample("a")


def test_lines_that_are_not_utf_8_are_told(tmp_path):
    """The byte is counted within the line."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "a", "text": "\xff", "target": 1}\n')
    with pytest.raises(DataError, match=r"r:1: is not UTF-8 text .byte 22"):
        open_rows(RowSource(path=path, shown="r", name="r", sha256="0"), Selection(confirm=0.5))
