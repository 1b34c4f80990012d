from __future__ import annotations

import platform
from importlib.metadata import version

import pytest

from pm.errors import EngineError
from pm.parallel.versions import check_versions, installed_versions


def test_versions_have_python_and_pm_and_the_named_distributions() -> None:
    assert installed_versions(["numpy", "no-such-distribution"]) == {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "portfolio-maximizer": version("portfolio-maximizer"),
        "numpy": version("numpy"),
        "no-such-distribution": None,
    }


def test_workers_with_our_versions_pass() -> None:
    check_versions({"w1": installed_versions(["numpy"]), "w2": installed_versions(["numpy"])}, ["numpy"])


@pytest.mark.parametrize(
    ("name", "there", "message"),
    [
        ("numpy", "1.0", rf"Worker w2 has numpy 1\.0, but pm runs here with {version('numpy')}"),
        ("numpy", None, rf"Worker w2 has no numpy, but pm runs here with {version('numpy')}"),
        ("Python", "2.7", r"Worker w2 has Python 2\.7, but pm runs here with 3"),
        ("portfolio-maximizer", None, "Worker w2 has no portfolio-maximizer"),
    ],
)
def test_another_or_a_missing_version_is_refused_with_the_workers_name(
    name: str, there: str | None, message: str
) -> None:
    here = installed_versions(["numpy"])
    with pytest.raises(EngineError, match=message) as caught:
        check_versions({"w1": here, "w2": here | {name: there}}, ["numpy"])
    assert "constraints.txt" in caught.value.hint
