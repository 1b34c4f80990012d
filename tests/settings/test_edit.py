from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pm.errors import SettingsError
from pm.resources import config_dir
from pm.settings.edit import write_list
from pm.settings.yaml_file import read_mapping

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "old",
    [
        "chain: [a, b]",
        "chain:\n  - a\n  - b",
        "chain:\n- a\n- b",
        "chain: [\n  a,\n  b\n]",
        "chain: null # none",
        "chain:",
        "chain:\n  - a\n\n  - b",
        "chain:\n  - a\n  ! another\n  - b".replace("!", "#  "),
        "chain: [\n  a,\n\n  b\n]",
        "chain: [\na,\nb\n]",
        '"chain": [a]',
        "'chain': [a]",
        "chain : [a]",
        "? chain\n: [a]",
        "chain: &one [a]",
        "chain: {a: [b]}",
        "chain:\n  a:\n    - b\n    - c",
        "chain: |\n  a\n  b",
        'chain: "a: [b"',
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_is_replaced_and_the_rest_stays(tmp_path: Path, old: str, end: str) -> None:
    file = tmp_path / "llm.yml"
    text = f"# First.\nenabled: true\n\n# The chain.\n{old}\n\n# Last.\nthreads: 2\n"
    file.write_bytes(text.replace("\n", end).encode())
    write_list(file, "chain", ["qwen2.5:14b", "default"])
    assert read_mapping(file) == {"enabled": True, "chain": ["qwen2.5:14b", "default"], "threads": 2}
    assert [line for line in file.read_text().splitlines() if line.startswith("# ") or line == "#"] == [
        "# First.", "# The chain.", "# Last.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("chain: [a, b]  # why", "chain: [c]  # why"),
        ("chain: [a,\n  b]  # why\n# Last.", "chain: [c]  # why\n# Last."),
        ("chain: # why\n  - a\n  - b # so\n# Last.", "chain: [c]  # why # so\n# Last."),
        ("chain:\n  # why\n  # so\n- a", "chain: [c]  # why\n  # so"),
        ("chain: null # why", "chain: [c] # why"),
        ("{chain: [a, b], threads: 2} # why", "{chain: [c], threads: 2} # why"),
        ("threads: 2\nchain: [a]", "threads: 2\nchain: [c]"),
    ],
)
def test_comments_beside_the_value_stay(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "llm.yml"
    file.write_text(f"{old}\n")
    write_list(file, "chain", ["c"])
    assert file.read_text() == f"{new}\n"
    assert read_mapping(file)["chain"] == ["c"]


def test_a_file_whose_other_settings_would_change_is_refused_and_left(tmp_path: Path) -> None:
    file = tmp_path / "llm.yml"
    for text in ("{threads: 2}\n", "threads: 2\n...\n"):
        file.write_text(text)
        with pytest.raises(SettingsError, match="cannot be changed"):
            write_list(file, "chain", ["b"])
        assert file.read_text() == text


def test_a_key_that_is_missing_is_added(tmp_path: Path) -> None:
    file = tmp_path / "llm.yml"
    for expected in ({"chain": ["a"]}, {"chain": ["b"]}):
        write_list(file, "chain", expected["chain"])
        assert read_mapping(file) == expected
    file.write_text("threads: 2")
    write_list(file, "chain", ["a"])
    assert read_mapping(file) == {"threads": 2, "chain": ["a"]}


def test_the_packaged_file_keeps_its_comments(tmp_path: Path) -> None:
    packaged = (config_dir() / "llm.yml").read_text(encoding="utf-8")
    file = tmp_path / "llm.yml"
    file.write_text(packaged, encoding="utf-8")
    write_list(file, "chain", ["one"])
    changed = file.read_text(encoding="utf-8").splitlines()
    differing = [pair for pair in zip(packaged.splitlines(), changed, strict=True) if pair[0] != pair[1]]
    assert [new for _, new in differing] == ["chain: [one]"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["null", "True", "🙂", "\x85", "\u2028", '"', "\\", "a: b", "#", "12:30", "hf.co/a/b:Q4_K_M"])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1), min_size=1))
def test_any_names_are_read_as_they_were_written(tmp_path: Path, names: list[str]) -> None:
    file = tmp_path / "llm.yml"
    file.write_text("chain: [default]\nthreads: 2\n")
    write_list(file, "chain", names)
    assert read_mapping(file) == {"chain": names, "threads": 2}


def test_a_file_that_is_no_settings_is_refused_and_left(tmp_path: Path) -> None:
    file = tmp_path / "llm.yml"
    file.write_text("chain: [a\n")
    with pytest.raises(SettingsError):
        write_list(file, "chain", ["b"])
    assert file.read_text() == "chain: [a\n"
