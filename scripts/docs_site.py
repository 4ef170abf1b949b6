"""The documentation as a site, with every link held: `just docs-site`.

python scripts/docs_site.py [FOLDER]   builds it (build/site) with mkdocs-material, which uv fetches; a dead link fails

mkdocs reads this file as a hook, too: pages link to examples that lie outside ``docs``, and these become pages and
files of the site, below ``repository``.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MKDOCS, MATERIAL = "mkdocs==1.6.1", "mkdocs-material==9.8.1"
OUTSIDE = "repository"
"""Where files from outside ``docs`` stand in the site."""
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_BLOCK = re.compile(r"(^ *```.*?^ *```|`[^`\n]*`)", re.MULTILINE | re.DOTALL)


def place(uri: str) -> str:
    """Where a file of the site lies in the repository."""
    inside = uri.startswith(f"{OUTSIDE}/")
    return uri.removeprefix(f"{OUTSIDE}/") if inside else f"docs/{uri}"


def address(path: str) -> str:
    """Where a file of the repository lies in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{OUTSIDE}/{path}"


def _outside_code(text: str) -> list[tuple[str, bool]]:
    """A page's parts, and whether each is code, in which nothing is a link."""
    return [(part, part.startswith("`") or part.lstrip().startswith("```")) for part in _BLOCK.split(text)]


def targets(text: str, path: str) -> list[str]:
    """The files of the repository that a page at ``path`` links to; other people's addresses are left out."""
    prose = "".join(part for part, is_code in _outside_code(text) if not is_code)
    folder = posixpath.dirname(path)
    return [posixpath.normpath(posixpath.join(folder, link)) for _, link, _ in _LINK.findall(prose) if _is_ours(link)]


def _is_ours(link: str) -> bool:
    return not re.match(r"[a-z]+:|/", link)


def rewritten(text: str, uri: str) -> str:
    """A page of the site whose links lead to where their targets lie in it."""

    def turned(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        if not _is_ours(link):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place(uri)), link))
        return f"{before}{posixpath.relpath(address(target), posixpath.dirname(uri) or '.')}{after}"

    return "".join(part if is_code else _LINK.sub(turned, part) for part, is_code in _outside_code(text))


def linked(root: Path) -> list[str]:
    """Files outside ``docs`` that its pages lead to, and those that these lead to, and so on."""
    waiting = [path.relative_to(root).as_posix() for path in sorted((root / "docs").rglob("*.md"))]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        for target in targets((root / path).read_text("utf-8"), path):
            if target not in seen and (root / target).is_file():
                seen.add(target)
                waiting += [target] if target.endswith(".md") else []
    return sorted(path for path in seen if not path.startswith("docs/"))


# --- what mkdocs calls -------------------------------------------------------------------


def on_files(files: Any, config: Any) -> Any:
    """Add what lies outside ``docs``."""
    from mkdocs.structure.files import File

    for path in linked(ROOT):
        files.append(File.generated(config, address(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn its links."""
    return rewritten(markdown, page.file.src_uri)


def main() -> int:
    """Build; returns mkdocs' exit code."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/site").absolute()
    words = ["uv", "tool", "run", "--quiet", "--from", MKDOCS, "--with", MATERIAL, "mkdocs", "build"]
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([*words, "--strict", "--site-dir", str(folder)], cwd=ROOT, env=variables, check=False)
    if not done.returncode:
        print(f"{folder}/index.html: {len(list(folder.rglob('*.html')))} pages")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
