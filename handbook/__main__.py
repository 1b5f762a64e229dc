"""`python -m handbook` writes the generated pages of docs/reference/ anew, and says which changed."""

from __future__ import annotations

from pathlib import Path

from handbook.pages import PAGES, REFERENCE

if __name__ == "__main__":
    for name, page in PAGES.items():
        path: Path = REFERENCE / name
        text = page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
