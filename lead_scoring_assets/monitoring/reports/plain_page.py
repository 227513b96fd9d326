"""A light HTML page of ours: no script, no library, a few kilobytes, readable on a phone and on paper."""

import html
from collections.abc import Sequence

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#22262c;background:#f4f5f7;margin:0}
main{max-width:820px;margin:0 auto;padding:28px 36px;background:#fff}
h1{font-size:28px;margin:0}h2{font-size:18px;margin:30px 0 8px;border-bottom:1px solid #e3e5e8;padding-bottom:4px}
.about,.small,small{color:#666c75;font-size:13px}.about{margin:2px 0 14px}.lead{font-size:18px;margin:14px 0}
.mark{background:#fff4d6;border-left:4px solid #d99a00;padding:6px 12px;margin:10px 0}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:12px}
.tiles div{background:#f4f6f9;border-radius:6px;padding:10px 12px}.tiles span{font-size:13px;color:#666c75;display:block}
.tiles b{font-size:24px;display:block}table{border-collapse:collapse;width:100%;margin:6px 0}
th,td{text-align:right;padding:5px 8px;border-bottom:1px solid #eceef0}th{font-size:13px;color:#666c75;font-weight:600}
th:first-child,td:first-child{text-align:left}td{white-space:nowrap}.wrap td,.wrap th{white-space:normal;text-align:left}
ul{padding-left:20px;margin:6px 0}li{margin:4px 0}.todo{list-style:"☐  "}svg{width:100%;height:auto}
code{background:#f0f2f4;padding:1px 4px;border-radius:3px}
@media(max-width:640px){main{padding:16px}.tiles{grid-template-columns:repeat(2,1fr)}section{overflow-x:auto}}
@media print{body{background:#fff}main{padding:0}}
"""


def plain_page(title: str, about: str, mark: str, body: str) -> str:
    """A whole page. `mark` says what of the data is simulated (empty: nothing); `body` is HTML, the rest is text."""
    marked = f'<p class="mark">{html.escape(mark)}</p>' if mark else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{html.escape(title)}</h1>"
        f'<p class="about">{html.escape(about)}</p>{marked}{body}</main></body></html>'
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table; cells are HTML already (see `cell`)."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{value}</td>" for value in row) + "</tr>" for row in rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def cell(text: str) -> str:
    """Text of the data as a cell shows it."""
    return html.escape(text)
