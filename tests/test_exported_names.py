"""The public names are listed, real, and cheap to import."""

import subprocess
import sys

import pytest

import overshoot_nb
from overshoot_nb import errors, types


def test_all_names_exist_and_are_sorted():
    names = overshoot_nb.__all__
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(overshoot_nb, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = overshoot_nb.Nothing


def test_every_error_and_every_lazy_name_is_exported():
    defined = {
        name
        for name, value in vars(errors).items()
        if getattr(value, "__module__", "") == errors.__name__ and not name.startswith("_")
    }
    assert defined <= set(overshoot_nb.__all__)
    assert set(overshoot_nb._LAZY) <= set(overshoot_nb.__all__)


def test_the_names_of_the_services_own_sdk_are_there():
    sdk = """Overshoot ApiClient Stream get_models CameraSource FileSource FrameSource HLSSource
    LiveKitSource RTMPSource RTSPSource ClipProcessingConfig FrameProcessingConfig InferenceConfig
    StreamCreateResponse Lease LiveKitConnection KeepaliveResponse StreamConfigResponse
    StatusResponse StreamInferenceResult ModelInfo ReinferResult OvershootError ApiError
    AuthenticationError InsufficientCreditsError NotFoundError ValidationError ServerError
    NetworkError StreamClosedError WebSocketError SourceEndedError"""
    assert set(sdk.split()) <= set(overshoot_nb.__all__)


def test_values_are_frozen_and_hide_secrets():
    connection = types.LiveKitConnection("wss://room", "secret-token")
    assert "secret-token" not in repr(connection)
    with pytest.raises(AttributeError):
        connection.url = "wss://other"  # type: ignore[misc]


HEAVY = ["av", "pandas", "cv2", "onnxruntime", "rapidocr", "PIL", "aiortc", "httpx", "IPython"]


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, overshoot_nb; print([m for m in sys.argv[1:] if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_client_needs_neither_plots_nor_models():
    code = (
        "import sys, overshoot_nb; overshoot_nb.Overshoot(base_url='http://127.0.0.1:9/v1');"
        "print([m for m in sys.argv[1:] if m in sys.modules])"
    )
    heavy = [
        "cv2",
        "onnxruntime",
        "rapidocr",
        "PIL",
        "aiortc",
        "matplotlib",
        "pandas.plotting._matplotlib",
        "IPython",
    ]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
