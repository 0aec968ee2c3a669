#!/usr/bin/env python3
"""Draws the file of `phantom-gpu simulate --timeline` as an SVG: kernels, activity of the chip, CTAs on SMs.

    phantom-gpu simulate INPUT... --gpu v100 --timeline run.json
    python3 scripts/timeline_svg.py run.json -o run.svg [--sms 6] [--title TEXT]

Perfetto (ui.perfetto.dev) shows the same file with every CTA and every number. Needs nothing but Python 3.8.
"""

import argparse
import json
from html import escape

LEFT, RIGHT, WIDTH = 118, 14, 980
PLOT = WIDTH - LEFT - RIGHT
COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#9c755f", "#edc948"]
KERNELS, SMS = 1, 3
# Label, unit, and the counter of the file with its parts.
CURVES = [
    ("issue slots", "used, %", "issue utilisation %", ["issued"]),
    ("warps", "resident", "resident warps", ["warps"]),
    ("DRAM", "GB/s; writes red", "DRAM GB/s", ["read", "write"]),
    ("L2 reads", "hit, %", "L2 read hit %", ["hit"]),
]
# Below this width neighbouring CTAs of a kernel are drawn as one bar, so that the file stays small.
BAR_MIN = 1.5


def read(path):
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    kernels = sorted((e for e in spans if e["pid"] == KERNELS), key=lambda e: e["ts"])
    ctas = [e for e in spans if e["pid"] == SMS]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name" and e["pid"] == SMS}
    curves = {}
    for event in events:
        if event["ph"] == "C":
            for part, value in event["args"].items():
                curves.setdefault((event["name"], part), []).append((event["ts"], value))
    return kernels, ctas, names, curves


class Drawing:
    """The SVG, top to bottom; `x` maps microseconds."""

    def __init__(self, end):
        self.end, self.y, self.out = end, 8.0, []

    def x(self, time):
        return LEFT + PLOT * time / self.end

    def text(self, x, y, text, anchor="start", size=12, colour="#333"):
        self.out.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
            f"{escape(text)}</text>"
        )

    def bar(self, start, end, y, height, colour, opacity=1.0):
        x, width = self.x(start), max(PLOT * (end - start) / self.end, 0.4)
        fade = f' fill-opacity="{opacity}"' if opacity != 1.0 else ""
        self.out.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"{fade}/>'
        )

    def kernels(self, kernels):
        self.text(LEFT - 8, self.y + 15, "kernel", "end")
        for kernel in kernels:
            start, length = kernel["ts"], kernel["dur"]
            self.bar(start, start + length, self.y, 22, colour_of(kernel["args"]["index"]))
            name = kernel["name"]
            if PLOT * length / self.end > 7 * len(name):
                self.text(self.x(start + length / 2), self.y + 15, name, "middle", 12, "#fff")
        self.y += 32

    def curve(self, label, unit, lines):
        height = 52
        top = max((value for points in lines for _, value in points), default=0) or 1
        self.out.append(
            f'<rect x="{LEFT}" y="{self.y:.1f}" width="{PLOT}" height="{height}" fill="#f4f4f4"/>'
        )
        for points, colour in zip(lines, ("#333", "#c33")):
            path = []
            for (start, value), (end, _) in zip(points, points[1:] + [(self.end, 0)]):
                level = self.y + height * (1 - value / top)
                path.append(f"{self.x(start):.1f},{level:.1f} {self.x(end):.1f},{level:.1f}")
            self.out.append(
                f'<polyline points="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="1.2"/>'
            )
        self.text(LEFT - 8, self.y + 15, label, "end")
        self.text(LEFT - 8, self.y + 30, unit, "end", 10, "#777")
        self.text(LEFT - 8, self.y + 44, f"peak {top:,.0f}", "end", 10, "#777")
        self.y += height + 8

    def sms(self, ctas, names, count):
        tracks = {}
        for cta in ctas:
            tracks.setdefault(cta["tid"], []).append(cta)
        shown = sorted({names[tid].split(" slot ")[0] for tid in tracks})[:count]
        for sm in shown:
            mine = sorted(tid for tid in tracks if names[tid].startswith(sm + " "))
            row = 30 / len(mine)
            for place, tid in enumerate(mine):
                self.track(sorted(tracks[tid], key=lambda e: e["ts"]), self.y + row * place, row)
            self.text(LEFT - 8, self.y + 19, f"{sm[:2]} {int(sm[2:])}", "end")
            self.y += 35

    def track(self, ctas, y, row):
        """One CTA slot. Bars of CTAs alternate in strength, so that neighbours can be told apart."""
        bars = []
        for cta in ctas:
            start, end, kernel = cta["ts"], cta["ts"] + cta["dur"], cta["args"]["kernel"]
            same = bars and bars[-1][2] == kernel
            if same and PLOT * (end - bars[-1][0]) / self.end < BAR_MIN:
                bars[-1][1] = end
            else:
                bars.append([start, end, kernel, 1.7 - bars[-1][3] if same else 1.0])
        for start, end, kernel, opacity in bars:
            self.bar(start, end, y, row - 0.5, colour_of(kernel), round(opacity, 1))

    def axis(self):
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**3, 10**4, 10**6) if self.end / s <= 12)
        for tick in range(0, int(self.end) + 1, step):
            x = self.x(tick)
            self.out.append(f'<line x1="{x:.1f}" y1="{self.y:.1f}" x2="{x:.1f}" y2="{self.y + 4:.1f}" stroke="#777"/>')
            self.text(x, self.y + 16, str(tick), "middle", 10, "#777")
        self.text(LEFT - 8, self.y + 16, "time, µs", "end", 10, "#777")
        self.y += 24

    def svg(self):
        body = "\n".join(self.out)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y:.0f}" '
            f'viewBox="0 0 {WIDTH} {self.y:.0f}" font-family="Helvetica, Arial, DejaVu Sans, sans-serif">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
        )


def colour_of(kernel):
    return COLOURS[kernel % len(COLOURS)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("timeline", help="the file of --timeline")
    parser.add_argument("-o", "--output", required=True, help="the SVG to write")
    parser.add_argument("--sms", type=int, default=6, help="SMs to show (default 6)")
    parser.add_argument("--title", help="a line above the picture")
    args = parser.parse_args()

    kernels, ctas, names, curves = read(args.timeline)
    if not kernels:
        raise SystemExit(f"{args.timeline}: no kernel in it; write it with: phantom-gpu simulate ... --timeline FILE")
    drawing = Drawing(max(k["ts"] + k["dur"] for k in kernels))
    if args.title:
        drawing.text(LEFT, drawing.y + 10, args.title, size=13)
        drawing.y += 22
    drawing.kernels(kernels)
    for label, unit, name, parts in CURVES:
        drawing.curve(label, unit, [curves.get((name, part), []) for part in parts])
    drawing.sms(ctas, names, args.sms)
    drawing.axis()
    with open(args.output, "w", encoding="utf-8") as file:
        file.write(drawing.svg())


if __name__ == "__main__":
    main()
