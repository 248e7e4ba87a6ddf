"""Draws docs/architecture.svg: the folders of the package, each above the folders that it imports.

    python docs/draw_architecture.py

The imports are read from the source by `ast`, imports inside functions included. The package itself is not imported.
Where folders import each other, the direction with more imports is drawn downwards, the other one dashed and upwards.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
# The folders of the two packages; in a clone keras_se/export is a symbolic link to export/.
PACKAGES = {"keras_se": ROOT / "keras_se", "keras_se.export": ROOT / "export"}

# In pixels.
WIDTH, HEIGHT, GAP, FLOOR_GAP, MARGIN = 176, 44, 24, 40, 20
FILL = {"keras_se": "#dbe7f6", "export": "#f7e6cf"}
ARROW, UPWARD, TEXT, SMALL = "#9aa5b1", "#c0392b", "#1f2933", "#52606d"
HELPERS = "_*.py"

Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if package == "keras_se" and parts[0] == "export":
                continue
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def box_of(module: str) -> str | None:
    """The box that a module is drawn in: a folder, or a file that stands beside folders.

    The private helpers of keras_se share a box. The `__init__` files of both packages collect public names from
    everywhere; they are not drawn.
    """
    if module in PACKAGES:
        return None
    package = next(name for name in sorted(PACKAGES, key=len, reverse=True) if module.startswith(f"{name}."))
    name = module.removeprefix(f"{package}.").split(".")[0]
    if (PACKAGES[package] / name).is_dir():
        return f"export/{name}" if package == "keras_se.export" else name
    if package == "keras_se":
        return HELPERS if name.startswith("_") or name == "version" else f"{name}.py"
    return f"export/{name}.py"


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module)


def import_counts() -> Counter[tuple[str, str]]:
    """For each pair of boxes, the number of imports from the first to the second."""
    known = modules()
    counts: Counter[tuple[str, str]] = Counter()
    for module, path in known.items():
        here = box_of(module)
        there = {name: box_of(name) for name in imported(path, known)}
        counts.update((here, box) for box in there.values() if here and box and here != box)
    return counts


def boxes() -> list[str]:
    return sorted(set(filter(None, map(box_of, modules()))))


def import_graph() -> tuple[Graph, list[tuple[str, str]]]:
    """From each box to the boxes below it that it imports; and the imports that point upwards, in circles."""
    graph: Graph = {box: set() for box in boxes()}
    upward = []
    for (box, other), _ in sorted(import_counts().items(), key=lambda item: (-item[1], item[0])):
        if box in reachable(graph, other):
            upward.append((box, other))
        else:
            graph[box].add(other)
    return graph, sorted(upward)


def reachable(graph: Graph, start: str) -> set[str]:
    """All boxes that a box imports, directly or not."""
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        box = waiting.pop()
        if box not in seen:
            seen.add(box)
            waiting.extend(graph[box])
    return seen


def floors(graph: Graph) -> list[list[str]]:
    """Boxes from the ground up: each is one floor above the highest that it imports."""
    height: dict[str, int] = {}
    # A box reaches more boxes than any box that it imports, so imported boxes come first.
    for box in sorted(graph, key=lambda box: (len(reachable(graph, box)), box)):
        height[box] = max((height[other] + 1 for other in graph[box]), default=0)
    return [sorted(box for box in graph if height[box] == floor) for floor in range(max(height.values()) + 1)]


def arrows(graph: Graph) -> list[tuple[str, str]]:
    """Imports that do not follow from others: of a → b → c the arrow a → c is left out."""
    return [
        (box, other)
        for box in sorted(graph)
        for other in sorted(graph[box])
        if not any(other in reachable(graph, via) for via in graph[box])
    ]


def places(graph: Graph) -> tuple[dict[str, tuple[float, float]], float, float]:
    """The upper left corner of each box, and the width and height of the picture."""
    rows = floors(graph)
    width = max(map(len, rows)) * (WIDTH + GAP) - GAP + 2 * MARGIN
    height = len(rows) * (HEIGHT + FLOOR_GAP) - FLOOR_GAP + 2 * MARGIN
    found: dict[str, tuple[float, float]] = {}
    for floor, row in enumerate(rows):
        # Each above the middle of what it imports.
        middles = {box: [found[other][0] for other in graph[box] if other in found] for box in row}
        row = sorted(row, key=lambda box: (sum(middles[box]) / max(len(middles[box]), 1), box))
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        for number, box in enumerate(row):
            found[box] = (left + number * (WIDTH + GAP), height - MARGIN - HEIGHT - floor * (HEIGHT + FLOOR_GAP))
    return found, width, height


def folders_inside(box: str) -> str:
    """The folders of a folder that has some."""
    folder = ROOT / box if box.startswith("export/") else ROOT / "keras_se" / box
    paths = [path for module, path in modules().items() if box_of(module) == box and folder.is_dir()]
    return ", ".join(sorted({path.relative_to(folder).parts[0] for path in paths if path.parent != folder}))


def draw() -> str:
    """The picture, as SVG."""
    graph, upward = import_graph()
    corners, width, height = places(graph)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'font-family="Helvetica, Arial, sans-serif">',
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{ARROW}"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    for box, other in [*arrows(graph), *upward]:
        (x, y), (to_x, to_y) = corners[box], corners[other]
        x, to_x, bend = x + WIDTH / 2, to_x + WIDTH / 2, FLOOR_GAP
        if (box, other) in upward:
            to_y, bend, style = to_y + HEIGHT, -FLOOR_GAP, f'stroke="{UPWARD}" stroke-dasharray="4 3"'
        else:
            y, style = y + HEIGHT, f'stroke="{ARROW}"'
        curve = f"M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"
        lines.append(f'<path d="{curve}" fill="none" {style} marker-end="url(#tip)"/>')
    for box, (x, y) in sorted(corners.items()):
        fill = FILL["export" if box.startswith("export/") else "keras_se"]
        lines.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{fill}" stroke="{SMALL}"/>'
        )
        name, small = box if box.endswith(".py") else f"{box}/", folders_inside(box)
        lines.append(_text(x + WIDTH / 2, y + (19 if small else 27), 13, TEXT, name))
        if small:
            lines.append(_text(x + WIDTH / 2, y + 35, 8, SMALL, small))
    return "\n".join([*lines, "</svg>", ""])


def _text(x: float, y: float, size: int, colour: str, words: str) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="middle">{escape(words)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
    print(PICTURE)
