"""Tell people how a night went: messages are recorded first, then sent once, by mail, webhook or ntfy."""
