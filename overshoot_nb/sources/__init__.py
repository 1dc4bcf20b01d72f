"""What to watch. Values only: nothing here opens a file, a device or a connection."""

from .kinds import (
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
from .pushed_source import FrameSource
from .replay import Replay

__all__ = [
    "ArraySource",
    "CameraSource",
    "FileSource",
    "FrameSource",
    "HLSSource",
    "LiveKitSource",
    "RTMPSource",
    "RTSPSource",
    "Replay",
    "SourceConfig",
    "as_source",
]
