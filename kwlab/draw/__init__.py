"""Pictures: state in, SVG out. Pure, deterministic, no JavaScript, nothing that knows a widget."""
