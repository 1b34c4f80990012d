"""The language model in this process's own child: the only code that knows llama.cpp."""
