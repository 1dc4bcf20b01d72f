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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .accessor_registration import register_accessor
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
    from . import judges
    from .analysis.alerts import Alert
    from .analysis.live import Live
    from .api.chat import ChatClient
    from .api.gateway import ApiClient
    from .batch import analyze, analyze_async
    from .client import Overshoot, get_models
    from .interactive import watch
    from .prompts import PromptHistory, PromptVersion
    from .recording.loading import load
    from .recording.recorder import Recorder
    from .recording.recording import Recording
    from .recording.replaying import replay
    from .sample_log import SampleLog
    from .sources import (
        ArraySource,
        CameraSource,
        FileSource,
        FrameSource,
        HLSSource,
        LiveKitSource,
        Replay,
        RTMPSource,
        RTSPSource,
        SourceConfig,
        as_source,
    )
    from .stats import StreamStats
    from .stream import Stream
    from .tuning.answer_cache import AnswerCache, answer_cache
    from .tuning.backfill import Backfill
    from .tuning.budget import Budget
    from .tuning.comparison import compare
    from .tuning.comparison_plan import Candidate
    from .tuning.comparison_result import Comparison
    from .tuning.labels import Label, Labels
    from .tuning.prompt_diff import PromptDiff
    from .tuning.score import Score
    from .tuning.statistics import PairedTest
    from .tuning.suggestions import ScoredPrompt, Suggestions

#: Where the names live that are imported when first used.
_LAZY = {
    "Alert": "analysis.alerts",
    "AnswerCache": "tuning.answer_cache",
    "ApiClient": "api.gateway",
    "ArraySource": "sources",
    "Backfill": "tuning.backfill",
    "Budget": "tuning.budget",
    "CameraSource": "sources",
    "Candidate": "tuning.comparison_plan",
    "ChatClient": "api.chat",
    "Comparison": "tuning.comparison_result",
    "FileSource": "sources",
    "FrameSource": "sources",
    "HLSSource": "sources",
    "Label": "tuning.labels",
    "Labels": "tuning.labels",
    "Live": "analysis.live",
    "LiveKitSource": "sources",
    "Overshoot": "client",
    "PairedTest": "tuning.statistics",
    "PromptDiff": "tuning.prompt_diff",
    "PromptHistory": "prompts",
    "PromptVersion": "prompts",
    "RTMPSource": "sources",
    "RTSPSource": "sources",
    "Recorder": "recording.recorder",
    "Recording": "recording.recording",
    "Replay": "sources",
    "SampleLog": "sample_log",
    "Score": "tuning.score",
    "ScoredPrompt": "tuning.suggestions",
    "SourceConfig": "sources",
    "Stream": "stream",
    "StreamStats": "stats",
    "Suggestions": "tuning.suggestions",
    "analyze": "batch",
    "analyze_async": "batch",
    "answer_cache": "tuning.answer_cache",
    "as_source": "sources",
    "compare": "tuning.comparison",
    "get_models": "client",
    "load": "recording.loading",
    "replay": "recording.replaying",
    "watch": "interactive",
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


register_accessor()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        register_accessor()  # pandas may have come since
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    if name == "judges":  # importing a module makes it a name of its package
        return import_module(".judges", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext overshoot_nb``: make the ``%overshoot`` magic known."""
    import_module(".analysis", __name__)  # gives DataFrames their accessor
    from .magic import OvershootMagics

    ipython.register_magics(OvershootMagics)


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext overshoot_nb``: forget the magic; running streams go on."""
    for kind in ("line", "cell"):
        ipython.magics_manager.magics[kind].pop("overshoot", None)
