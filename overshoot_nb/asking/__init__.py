"""The wire: chat completions for any OpenAI-compatible server."""
