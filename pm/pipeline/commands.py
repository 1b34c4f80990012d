"""What a user can have done to a lake: a run, an import, an evaluation, a training, a change of the watch list.

Each is a run: a row in table `runs`, and a row in `stage_events` for each of its stages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pm.pipeline.cut_off import continued_run, request_of_run
from pm.pipeline.rehearsal import rehearsal
from pm.pipeline.request import Request
from pm.pipeline.request_check import check_request
from pm.pipeline.runner import Runner, RunResult, workers_of
from pm.pipeline.sample_end import delete_report_of_sample, end_sample
from pm.tables.vocabulary import RunKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    import polars as pl

    from pm.errors import InputError
    from pm.lake import Lake
    from pm.pipeline.events import Observer
    from pm.pipeline.origin_dates import ChosenDates
    from pm.pipeline.stage import Stage
    from pm.pipeline.stages.backtest import TrialRequest
    from pm.settings import Settings
    from pm.sources import Inspected
    from pm.sources.listings import Listing
    from pm.workspace import Workspace

__all__ = [
    "ImportResult",
    "add_actions",
    "add_to_universe",
    "backtest",
    "backtest_risk",
    "check_first_run",
    "evaluate_history",
    "import_bars",
    "import_observations",
    "import_texts",
    "judge_observation",
    "judge_trials",
    "move_in_universe",
    "refresh_bars",
    "remove_actions",
    "remove_from_universe",
    "run_pipeline",
    "snapshots_to_keep",
    "trade",
    "train_policy",
    "validate",
    "watch_folder",
]


def run_pipeline(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    resume: str | None = None,
) -> RunResult:
    """Run every stage once, from landing bars to the report.

    Parameters
    ----------
    lake
        Open for writing; see `open_lake`.
    request
        What the run is asked to do.
    resume
        A run that was cut off or failed, to be continued as it was asked; the request then says only what does the
        work. Without it, the newest run is continued if it was cut off and was asked the same.

    Raises
    ------
    PmError
        See docs/errors.md; what was committed before stays.
    """
    from pm.pipeline.run_stages import RUN_STAGES

    request = _checked(lake, request, resume)
    if end_sample(lake, workspace, settings, observer, request):
        check_request(lake, request)
    resume = resume or continued_run(lake, request)
    result = Runner(lake, settings, workspace, observer).run(RUN_STAGES, request, resume=resume)
    end_sample(lake, workspace, settings, observer, request)  # where the first bars of a vendor have landed
    return result


def refresh_bars(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, request: Request
) -> RunResult:
    """Land what the sources of the watch list have new, check it, and land news of the tickers.

    Parameters
    ----------
    request
        What the refresh is asked to do: it can be restricted to a source, or to tickers, which are asked for at once.

    Raises
    ------
    PmError
        See docs/errors.md; what was committed before stays. Tickers that failed are in table fetches.
    """
    from pm.pipeline.stages import check, land, texts

    check_request(lake, request)
    continued_run(lake, request, RunKind.REFRESH)
    request = replace(request, at_once=request.tickers is not None)
    stages = (land.STAGE, check.STAGE, texts.STAGE)
    result = Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.REFRESH)
    end_sample(lake, workspace, settings, observer, request)
    return result


def check_first_run(settings: Settings, request: Request, *, resume: str | None = None) -> None:
    """Check that a run or an evaluation in a new workspace could do what it is asked, before the workspace is made.

    Parameters
    ----------
    settings
        The settings that the workspace would have.
    request, resume
        See `run_pipeline`.

    Raises
    ------
    InputError
        There is no run to resume, or the day is in the future or before the first bar.
    SettingsError, EngineError
        There is no source, or no engine, of this name.
    SourceError, UnknownTickerError
        The source, or a ticker, has no bars.
    """
    if request.engine is not None or request.address is not None:
        workers_of(request, settings.run)  # starts nothing
    if request.scope == Request() and resume is None:
        return
    with rehearsal(None, settings, views=False) as (_, lake):
        _checked(lake, request, resume)


@dataclass(frozen=True)
class ImportResult:
    """Outcome of an import.

    Attributes
    ----------
    run_id
        The run that landed the files.
    refused
        An error for each file that did not land; none unless the import was told to keep going.
    """

    run_id: str
    refused: list[InputError]


def import_bars(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    files: Inspected,
    tickers: Sequence[str] | None = None,
    keep_going: bool = False,
) -> ImportResult:
    """Land the bars of files and check them: of all files, or of none. Usable bars end the sample.

    Parameters
    ----------
    files
        The files, as `pm.sources.inspect_files` returns them.
    tickers
        The only tickers that were asked for; None for all.
    keep_going
        Whether the other files land if one cannot be read.

    Raises
    ------
    InputError
        A file cannot be read as bars (if told to keep going: none can); the lake is as it was. The error names all
        such files.
    """
    from pm.pipeline.stages import check, land, sample
    from pm.sources.names import FILES

    refused: list[InputError] = []
    landing = land.importing(files, refused, keep_going=keep_going, tickers=tickers)
    has_sample = sample.has_sample(lake.known_rows)
    stages = (landing, *([sample.STAGE] if has_sample else []), check.STAGE)
    request = Request(FILES, tuple(tickers) if tickers else None)
    result = Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.IMPORT)
    if has_sample:
        delete_report_of_sample(lake, workspace, observer)
    return ImportResult(result.run_id, refused)


def evaluate_history(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    steps: Sequence[int],
    dates: ChosenDates | None = None,
) -> RunResult:
    """Forecast from past dates as runs on those days would have, and store the forecasts beside those of the runs.

    Parameters
    ----------
    request
        What the run is asked to do; its day is the last whose bars are read.
    steps
        Steps to keep, in sessions ahead.
    dates
        Dates to forecast from; None for the last 20 whose windows do not overlap.

    Raises
    ------
    InputError
        The history is too short, there is no date within the bounds, or the day is in the future.

    Notes
    -----
    The dates that are done are kept in the workspace until the whole evaluation is in the lake. If it is interrupted,
    the next one with the same arguments, of the same bars and by the same code, computes only the other dates.
    """
    from pm.pipeline.kept import discard_kept
    from pm.pipeline.origin_dates import ChosenDates
    from pm.pipeline.stages import check, land
    from pm.pipeline.stages.evaluate import evaluating

    check_request(lake, request)
    stages = (land.STAGE, check.STAGE, evaluating(steps, dates or ChosenDates()))
    result = Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.EVALUATE)
    discard_kept(workspace)
    return result


def backtest(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    trial: TrialRequest,
) -> RunResult:
    """Walk the decisions of a configuration over past dates, record it as a trial, and judge all trials.

    Parameters
    ----------
    request
        What the run is asked to do; its day is the last whose bars are read.
    trial
        The configuration of the trial.

    Raises
    ------
    InputError
        The history is too short, there is no date within the bounds, or the benchmark has no price. The trial counts
        from the moment at which its configuration is known.

    Notes
    -----
    Forecasts from past dates are committed as they are computed. If the command is interrupted, the next one computes
    only the others; what was interrupted stays a trial, which counts.
    """
    from pm.pipeline.known_then import former_tickers
    from pm.pipeline.stages import check, judge_trials, land
    from pm.pipeline.stages.backtest import backtesting, checking
    from pm.pipeline.stages.past_forecasts import PastReader, forecasting_past

    check_request(lake, request)
    request = replace(request, former=former_tickers(lake.rows))
    reader = PastReader(trial.first, trial.step or settings.validation.step)
    past_forecasts = forecasting_past(reader, checking(trial))
    stages = (land.STAGE, check.STAGE, past_forecasts, backtesting(trial, reader), judge_trials.STAGE)
    return Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.BACKTEST)


def judge_trials(lake: Lake, workspace: Workspace, settings: Settings, observer: Observer) -> RunResult:
    """Judge all trials again, as after a change of `validation.prior_trials`."""
    from pm.pipeline.stages.judge_trials import STAGE

    return Runner(lake, settings, workspace, observer).run((STAGE,), Request(), kind=RunKind.BACKTEST)


def backtest_risk(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    sessions: int,
) -> RunResult:
    """Compute the risk of equal weights as of past dates, and store it beside that of the runs.

    Parameters
    ----------
    request
        What the run is asked to do; its day is the last whose bars are read.
    sessions
        Number of newest sessions whose losses are forecast.

    Raises
    ------
    InputError
        The history is too short, or the day is in the future.
    """
    from pm.pipeline.stages import check, land
    from pm.pipeline.stages.risk_history import testing_risk

    check_request(lake, request)
    stages = (land.STAGE, check.STAGE, testing_risk(sessions))
    return Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.BACKTEST)


def train_policy(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    cutoff: date | None,
    seed: int,
) -> RunResult:
    """Train a policy of the mSSA-CP forecaster, judge it on later bars, and store it, whether accepted or not.

    Parameters
    ----------
    request
        What the run is asked to do.
    cutoff
        Last date of the training; None for the one that leaves the last 30% of the dates to judge by.
    seed
        Random seed.

    Raises
    ------
    SourceError, UnknownTickerError
        There are no bars, or none of a ticker.
    InputError
        The cutoff leaves too few bars before or after it.
    """
    from pm.pipeline.stages.policy import training

    check_request(lake, request)
    stages = (training(cutoff=cutoff, seed=seed),)
    return Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.POLICY)


def add_to_universe(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    tickers: Sequence[str | Listing],
    source: str | None = None,
) -> RunResult:
    """Add tickers to the watch list.

    Parameters
    ----------
    tickers
        Tickers, or what is told of them.
    source
        Source that their bars come from. None for the one that their bars in the lake come from, unless that is the
        sample, or else the first vendor of `refresh.vendors`, which the next refresh asks for them.

    Raises
    ------
    SettingsError
        There is no source of this name.
    """
    from pm.pipeline.stages.universe import adding
    from pm.sources.listings import Listing

    told = [Listing(ticker) if isinstance(ticker, str) else ticker for ticker in tickers]
    stages = (adding([replace(listing, source=source or listing.source) for listing in told]),)
    return Runner(lake, settings, workspace, observer).run(stages, Request(), kind=RunKind.UNIVERSE)


def move_in_universe(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, tickers: Sequence[str], source: str
) -> RunResult:
    """Take all bars of tickers from another source, once it has sent some.

    Raises
    ------
    UnknownTickerError
        A ticker is not on the watch list.
    SettingsError
        There is no source of this name.
    """
    from pm.pipeline.stages.universe import moving

    return Runner(lake, settings, workspace, observer).run((moving(tickers, source),), Request(), kind=RunKind.UNIVERSE)


def watch_folder(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, folder: Path, watch: bool
) -> RunResult:
    """Have each refresh land what is new or changed in a folder of files, or no longer.

    Raises
    ------
    InputError
        There is no such folder, or it is not watched.
    """
    from pm.pipeline.stages.universe import unwatching, watching
    from pm.sources.folders import require_folder_of_files, whole_path

    stage = watching(require_folder_of_files(folder)) if watch else unwatching(whole_path(folder))
    return Runner(lake, settings, workspace, observer).run((stage,), Request(), kind=RunKind.UNIVERSE)


def remove_from_universe(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, tickers: Sequence[str]
) -> RunResult:
    """Remove tickers from the watch list; their bars stay in the lake.

    Raises
    ------
    UnknownTickerError
        A ticker is not on it.
    """
    from pm.pipeline.stages.universe import removing

    return Runner(lake, settings, workspace, observer).run((removing(tickers),), Request(), kind=RunKind.UNIVERSE)


def add_actions(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    actions: pl.DataFrame,
    where: str,
) -> RunResult:
    """Land dividends and splits that the user tells, and adjust the bars by them: all, or none.

    Parameters
    ----------
    actions
        Columns of `ACTIONS_SCHEMA`.
    where
        Where they come from, for error messages.

    Raises
    ------
    UnknownTickerError
        There are no bars of a ticker.
    InputError
        A ratio or an amount is impossible, there is no bar on a day or none before it, or the action is known already.
    """
    from pm.pipeline.stages import check
    from pm.pipeline.stages.actions import adding

    stages = (adding(actions, where), check.STAGE)
    return Runner(lake, settings, workspace, observer).run(stages, Request(), kind=RunKind.ACTIONS)


def remove_actions(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    ticker: str,
    day: date,
    kind: str | None,
) -> RunResult:
    """Take back dividends and splits that the user told, and adjust the bars anew.

    Parameters
    ----------
    ticker, day
        Ticker and ex-date.
    kind
        'dividend' or 'split'; None for both.

    Raises
    ------
    InputError
        The user told none.
    """
    from pm.pipeline.stages import check
    from pm.pipeline.stages.actions import removing

    stages = (removing(ticker, day, kind), check.STAGE)
    return Runner(lake, settings, workspace, observer).run(stages, Request(), kind=RunKind.ACTIONS)


def trade(lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, stage: Stage) -> RunResult:
    """Run a stage that changes the ledger, or deals with a broker.

    They are in `account`, `send`, `fills` and `reconcile` of `pm.pipeline.stages`.

    Raises
    ------
    InputError, UnknownTickerError
        What was asked cannot be.
    HaltedError, BrokerError
        Trading is halted, or the broker cannot be used. What was committed before stays.
    """
    return Runner(lake, settings, workspace, observer).run((stage,), Request(), kind=RunKind.TRADE)


def import_texts(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, texts: pl.DataFrame
) -> RunResult:
    """Land texts about tickers, such as those of a file; a text that is in the lake already is left out.

    Parameters
    ----------
    texts
        Columns of `pm.sources.texts.TEXTS_SCHEMA`.
    """
    from pm.pipeline.stages.import_texts import importing

    stages = (importing(texts),)
    return Runner(lake, settings, workspace, observer).run(stages, Request(), kind=RunKind.TEXTS)


def import_observations(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, observations: pl.DataFrame, where: str
) -> RunResult:
    """Land observations about tickers, such as those of a file; those that are in the lake already are left out.

    Parameters
    ----------
    observations
        Columns of `pm.sources.observation_import.OBSERVATIONS_SCHEMA`.
    where
        Where they come from, for error messages.

    Raises
    ------
    InputError
        The lake has another value that was known at the same time.
    """
    from pm.pipeline.stages.import_observations import importing

    stages = (importing(observations, where),)
    return Runner(lake, settings, workspace, observer).run(stages, Request(), kind=RunKind.OBSERVATIONS)


def judge_observation(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, request: Request, name: str
) -> RunResult:
    """Test whether forecasts with an observation as regressor are better than no change, and store what was found.

    Raises
    ------
    NoResultsError
        There are no observations of this name.
    UnknownTickerError, InputError
        There are no bars of a ticker, or none up to the day.
    """
    from pm.pipeline.stages.edge_test import testing

    check_request(lake, request)
    return Runner(lake, settings, workspace, observer).run((testing(name),), request, kind=RunKind.EDGES)


def validate(lake: Lake, workspace: Workspace, settings: Settings, observer: Observer) -> RunResult:
    """Test what came of the nights that were really run, unless nothing has resolved since the last time.

    A run of the whole pipeline has this stage too.
    """
    from pm.pipeline.stages import validate as stage

    return Runner(lake, settings, workspace, observer).run((stage.STAGE,), Request(), kind=RunKind.VALIDATE)


def snapshots_to_keep(lake: Lake) -> list[int]:
    """Return the snapshots that derived rows can be traced to: those that stages have read."""
    rows = lake.rows(
        "SELECT snapshot_id FROM stage_events UNION SELECT snapshot_id FROM policies "
        "UNION SELECT snapshot_id FROM orders UNION SELECT forecast_snapshot_id FROM signals"
    )
    return [row["snapshot_id"] for row in rows]


def _checked(lake: Lake, request: Request, resume: str | None) -> Request:
    """Return the request of a run, that of the run to be resumed if there is one; refuse what no stage could do."""
    if resume is not None:
        request = request_of_run(lake, resume).with_workers_of(request)
    check_request(lake, request)
    return request
