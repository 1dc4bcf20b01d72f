"""Ask a vision-language model about video from a notebook; watch answers land in a DataFrame.

::

    import overshoot_nb

    client = overshoot_nb.Overshoot()
    stream = await client.streams.create(
        source=overshoot_nb.FileSource("clip.mp4"),
        prompt="Read any visible text",
        model="local/read",
    )
    stream.df

or, in one line of a notebook: ``%load_ext overshoot_nb``, then
``%overshoot clip.mp4 "Read any visible text"``.

Values and errors are imported at once, the parts that need pandas, PyAV or httpx when they are
first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import (
    ApiError,
    AuthenticationError,
    IncompleteRunWarning,
    InsufficientCreditsError,
    MissingDependencyError,
    NetworkError,
    NotFoundError,
    OvershootError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    SampleNotKeptError,
    ServerError,
    SourceEndedError,
    SourceError,
    StreamClosedError,
    UnknownParameterError,
    ValidationError,
    WebSocketError,
)
from .support.accessor_registration import register_accessor
from .support.registry import register
from .types import (
    ClipProcessingConfig,
    EncodedFrame,
    FrameProcessingConfig,
    InferenceConfig,
    KeepaliveResponse,
    Lease,
    LiveKitConnection,
    ModelInfo,
    ReinferResult,
    Sample,
    SpectateResponse,
    StatusResponse,
    StreamConfigResponse,
    StreamCreateResponse,
    StreamInferenceResult,
    StreamInfo,
    Usage,
)

if TYPE_CHECKING:
    from .analysis.alerts import Alert
    from .analysis.live import Live
    from .asking.chat import ChatClient
    from .client import Overshoot, get_models
    from .gateway.api_client import ApiClient
    from .interactive import analyze, analyze_async, watch
    from .recording.recorder import Recorder
    from .recordings import Recording, load, replay
    from .sources.kinds import (
        ArraySource,
        CameraSource,
        FileSource,
        HLSSource,
        LiveKitSource,
        RTMPSource,
        RTSPSource,
        SourceConfig,
        as_source,
    )
    from .sources.pushed_source import FrameSource
    from .sources.replay import Replay
    from .store.answer_cache import AnswerCache, answer_cache
    from .store.budget import Budget
    from .store.labels import Label, Labels
    from .store.prompt_diff import PromptDiff
    from .store.prompts import PromptHistory, PromptVersion
    from .store.sample_log import SampleLog
    from .store.stats import StreamStats
    from .stream import Stream
    from .tuning import judges
    from .tuning.backfill import Backfill
    from .tuning.comparison import compare
    from .tuning.comparison_plan import Candidate
    from .tuning.comparison_result import Comparison
    from .tuning.score import Score
    from .tuning.statistics import PairedTest
    from .tuning.suggestions import ScoredPrompt, Suggestions

#: Where the names live that are imported when first used.
_LAZY = {
    "Alert": "analysis.alerts",
    "AnswerCache": "store.answer_cache",
    "ApiClient": "gateway.api_client",
    "ArraySource": "sources.kinds",
    "Backfill": "tuning.backfill",
    "Budget": "store.budget",
    "CameraSource": "sources.kinds",
    "Candidate": "tuning.comparison_plan",
    "ChatClient": "asking.chat",
    "Comparison": "tuning.comparison_result",
    "FileSource": "sources.kinds",
    "FrameSource": "sources.pushed_source",
    "HLSSource": "sources.kinds",
    "Label": "store.labels",
    "Labels": "store.labels",
    "Live": "analysis.live",
    "LiveKitSource": "sources.kinds",
    "Overshoot": "client",
    "PairedTest": "tuning.statistics",
    "PromptDiff": "store.prompt_diff",
    "PromptHistory": "store.prompts",
    "PromptVersion": "store.prompts",
    "RTMPSource": "sources.kinds",
    "RTSPSource": "sources.kinds",
    "Recorder": "recording.recorder",
    "Recording": "recordings",
    "Replay": "sources.replay",
    "SampleLog": "store.sample_log",
    "Score": "tuning.score",
    "ScoredPrompt": "tuning.suggestions",
    "SourceConfig": "sources.kinds",
    "Stream": "stream",
    "StreamStats": "store.stats",
    "Suggestions": "tuning.suggestions",
    "analyze": "interactive",
    "analyze_async": "interactive",
    "answer_cache": "store.answer_cache",
    "as_source": "sources.kinds",
    "compare": "tuning.comparison",
    "get_models": "client",
    "load": "recordings",
    "replay": "recordings",
    "watch": "interactive",
    "judges": "tuning",
}

#: What lower rooms open by name, and where it is.
_OPENERS = {
    "accessor": "analysis.of",
    "client": "client.Overshoot",
    "engine_socket": "local.open_socket",
    "engine_transport": "local.open_transport",
    "load_run": "recording.loading.load_run",
    "recorded_capture": "recording.recorded_capture.RecordedCapture",
    "replay_service": "recording.replay_service.ReplayService",
    "replay_start": "recordings.start",
    "suggest": "tuning.suggesting.suggest",
}

__all__ = [
    "Alert",
    "AnswerCache",
    "ApiClient",
    "ApiError",
    "ArraySource",
    "AuthenticationError",
    "Backfill",
    "Budget",
    "CameraSource",
    "Candidate",
    "ChatClient",
    "ClipProcessingConfig",
    "Comparison",
    "EncodedFrame",
    "FileSource",
    "FrameProcessingConfig",
    "FrameSource",
    "HLSSource",
    "IncompleteRunWarning",
    "InferenceConfig",
    "InsufficientCreditsError",
    "KeepaliveResponse",
    "Label",
    "Labels",
    "Lease",
    "Live",
    "LiveKitConnection",
    "LiveKitSource",
    "MissingDependencyError",
    "ModelInfo",
    "NetworkError",
    "NotFoundError",
    "Overshoot",
    "OvershootError",
    "PairedTest",
    "PermissionDeniedError",
    "PromptDiff",
    "PromptHistory",
    "PromptVersion",
    "RTMPSource",
    "RTSPSource",
    "RateLimitError",
    "Recorder",
    "Recording",
    "ReinferResult",
    "Replay",
    "RequestTimeoutError",
    "Sample",
    "SampleLog",
    "SampleNotKeptError",
    "Score",
    "ScoredPrompt",
    "ServerError",
    "SourceConfig",
    "SourceEndedError",
    "SourceError",
    "SpectateResponse",
    "StatusResponse",
    "Stream",
    "StreamClosedError",
    "StreamConfigResponse",
    "StreamCreateResponse",
    "StreamInferenceResult",
    "StreamInfo",
    "StreamStats",
    "Suggestions",
    "UnknownParameterError",
    "Usage",
    "ValidationError",
    "WebSocketError",
    "__version__",
    "analyze",
    "analyze_async",
    "answer_cache",
    "as_source",
    "compare",
    "get_models",
    "judges",
    "load",
    "replay",
    "watch",
]


def _imported(where: str) -> Any:
    module, _, name = where.rpartition(".")
    return getattr(import_module(f".{module}", __name__), name)


register({name: partial(_imported, where) for name, where in _OPENERS.items()})
register_accessor()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        register_accessor()  # pandas may have come since
        value = _imported(f"{_LAZY[name]}.{name}")
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext overshoot_nb``: make the ``%overshoot`` magic known."""
    _imported(_OPENERS["accessor"])  # gives DataFrames their accessor
    from .magic import OvershootMagics

    ipython.register_magics(OvershootMagics)


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext overshoot_nb``: forget the magic; running streams go on."""
    for kind in ("line", "cell"):
        ipython.magics_manager.magics[kind].pop("overshoot", None)
