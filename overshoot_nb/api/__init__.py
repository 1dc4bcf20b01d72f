"""The wire: chat completions for any OpenAI-compatible server, and the v0.2 calls one to one."""

from .chat import ChatAnswer, ChatClient, ChatRequest
from .gateway import ApiClient
from .retry import RetryPolicy

__all__ = ["ApiClient", "ChatAnswer", "ChatClient", "ChatRequest", "RetryPolicy"]
