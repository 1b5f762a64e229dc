"""Texts that break pages, tables and spreadsheets, as a hostile model or user would write them.

In: nothing. Out: some 500 different texts, by family. Whoever shows what others wrote tests with them: each
is to be shown as it is, and nothing of it is to happen. What runs in a page counts itself in `window.ran`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

RUN = "window.ran=(window.ran||0)+1"
TAGS = (
    "img",
    "svg",
    "body",
    "iframe",
    "video",
    "audio",
    "input",
    "details",
    "object",
    "marquee",
    "a",
    "form",
)
HANDLERS = (
    "onerror",
    "onload",
    "onfocus",
    "onmouseover",
    "ontoggle",
    "onanimationstart",
    "onclick",
    "onbegin",
)
ENDS = (
    *("script", "style", "title", "textarea", "template", "noscript", "svg", "math", "pre", "td", "table"),
    *("option", "select", "details", "main", "body", "html", "head"),
)
CALLS = (
    'cmd|" /C calc"!A0',
    "SUM(1+1)",
    'HYPERLINK("http://x.invalid","see")',
    "1+1",
    'WEBSERVICE("http://x")',
)
SIGNS = ("=", "+", "-", "@", "\t=", "\r=", " =", "\n=", "=-", "\uff1d")
UNSEEN = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u061c\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069"
)
SCHEMES = ("javascript:", "JaVaScRiPt:", "java\tscript:", "\x01javascript:", "data:text/html,", "vbscript:")


def _scripts() -> list[str]:
    begins = (
        "<script>",
        "<SCRIPT>",
        "<script >",
        "<script\n>",
        "<script/x>",
        "<script type=module>",
        "<scr\0ipt>",
    )
    plain = [f"{begin}{RUN}</script>" for begin in begins]
    nested = [
        f"<scr<script>ipt>{RUN}</scr</script>ipt>",
        f"<<script>{RUN}//<</script>",
        f"<script>{RUN}",
        f"//{RUN}",
    ]
    sources = [
        f"<script src={place}></script>" for place in ("//x.invalid/a.js", "data:,window.ran=1", "/a.js")
    ]
    return [*plain, *nested, *sources]


def _handlers() -> list[str]:
    plain = [f"<{tag} src=x {handler}={RUN}>" for tag, handler in product(TAGS, HANDLERS)]
    quotes = ('"', "'", "`", '">', "'>", '"/>', "&quot;>", "\\x3e", "\\u003e")
    return plain + [
        f"{quote} {handler}={RUN} autofocus x={quote}" for quote, handler in product(quotes, HANDLERS[:5])
    ]


def _ends() -> list[str]:
    closed = [
        f"</{end}>{begin}{RUN}</script>" for end, begin in product(ENDS, ("<script>", "</script><script>"))
    ]
    marks = (
        "-->",
        "]]>",
        "*/",
        "?>",
        "%>",
        "}}",
        "%}",
        "\\'",
        '\\"',
        "//",
        "<!--",
        "<!--<script>",
        "<![CDATA[",
    )
    return closed + [f"{mark}<img src=x onerror={RUN}>" for mark in marks]


def _mutations() -> list[str]:
    image = f"<img src=x onerror={RUN}>"
    return [
        f'<noscript><p title="</noscript>{image}">',
        f'<svg><style><img title="</style>{image}">',
        f'<math><mtext><table><mglyph><style><img title="</style>{image}">',
        f"<svg><foreignObject>{image}</foreignObject></svg>",
        f"<form><math><mtext></form><form><mglyph><style></math>{image}",
        f'<select><template><style><a title="</style>{image}">',
        f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
        f"<svg><a xlink:href=javascript:{RUN}><text>x</text></a></svg>",
        f"<xmp><p title='</xmp>{image}'>",
        f"<plaintext>{image}",
    ]


def _addresses() -> list[str]:
    pages = [f"<a href='{scheme}{RUN}'>x</a>" for scheme in SCHEMES]
    marked = [f"[x]({scheme}{RUN})" for scheme in SCHEMES] + [f"![x]({scheme}x)" for scheme in SCHEMES]
    bare = [
        "http://x.invalid/?q=1",
        "www.x.invalid",
        "//x.invalid",
        "mailto:a@x.invalid",
        "a@x.invalid",
        "@everyone",
    ]
    base = [
        f"<base href={RUN}>",
        "<meta http-equiv=refresh content=0;url=//x.invalid>",
        "<link rel=stylesheet href=//x>",
    ]
    return pages + marked + bare + base


def _markdown() -> list[str]:
    lines = (
        "# x",
        "> x",
        "- x",
        "1. x",
        "---",
        "===",
        "```",
        "~~~",
        "    x",
        "| a | b |",
        "|---|",
        ":---:",
        "\\",
        "***",
    )
    marks = (
        "*",
        "_",
        "`",
        "~~",
        "**",
        "``",
        "[",
        "]",
        "![",
        "](",
        "<",
        "&",
        "&lt;",
        "\\|",
        "|",
        "$$",
        ":x:",
        "[^1]",
    )
    return [
        *(f"a\n{line}" for line in lines),
        *(f"a\n\n{line}\n\nb" for line in lines),
        *(f"{mark}b{mark}" for mark in marks),
        "[x]: http://x.invalid",
        "<details><summary>x</summary>",
        "<!-- x -->",
        "GH-1, #1, @someone/team, owner/name#1",
    ]


def _formulas() -> list[str]:
    quoted = [f'"{sign}{CALLS[0]}' for sign in SIGNS]
    return (
        [f"{sign}{call}" for sign, call in product(SIGNS, CALLS)] + quoted + ['a","=1+1', "a,=1+1", "a;=1+1"]
    )


def _templates() -> list[str]:
    marks = (
        "{{%s}}",
        "{%% %s %%}",
        "${%s}",
        "#{%s}",
        "<%%= %s %%>",
        "[[%s]]",
        "@(%s)",
        "{%s}",
        "%%(%s)s",
        "$(%s)",
    )
    return [mark % body for mark, body in product(marks, ("7*7", "config", "''.__class__", "it.run"))]


def _letters() -> list[str]:
    odd = [f"a{mark}b" for mark in UNSEEN] + [f"a{chr(code)}b" for code in range(32)]
    return [
        *odd,
        *(f"a{mark}b" for mark in "\u2028\u2029\u0085\u00a0\u3000\x7f\ufffd\uffff"),
        "\ud800",
        "a\udfffb",
        "\u202egnp.exe",
        "a" + "\u0301" * 60,
        "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
        "<\u0338script>",
        f"\uff1cscript\uff1e{RUN}\uff1c/script\uff1e",
        "مرحبا <b>x</b>",
        "שלום",
        "x" * 3000,
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",
        "\u03a9\u2248\u00e7\u221a\u222b\u02dc\u00b5",
        "\u0130\u0131\u017fK",
    ]


def _values() -> list[str]:
    nothing = (
        "",
        " ",
        "null",
        "undefined",
        "None",
        "NaN",
        "Infinity",
        "-0",
        "1e309",
        "0x1f",
        "true",
        "[]",
        "{}",
    )
    names = (
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "prototype",
        "length",
        "valueOf",
        "then",
    )
    shell = (
        "'; DROP TABLE answers; --",
        "../../etc/passwd",
        "$(id)",
        "`id`",
        "%00",
        "%s%n",
        "; ls",
        "| ls",
        "\\\\x\\y",
    )
    quotes = (
        '"',
        "'",
        '"""',
        "\\",
        "\\n",
        "&amp;amp;",
        "&#60;b&#62;",
        "&lt;script&gt;",
        "%3Cscript%3E",
        "\\u003cb\\u003e",
    )
    styles = (
        "<style>*{display:none}</style>",
        "x:expression(1)",
        "url(//x.invalid)",
        "}body{display:none",
        "@import '//x'",
    )
    return [*nothing, *names, *shell, *quotes, *styles]


def naughty_by_family() -> Mapping[str, list[str]]:
    """The texts by what they attack."""
    return {
        "scripts": _scripts(),
        "handlers": _handlers(),
        "ends": _ends(),
        "mutations": _mutations(),
        "addresses": _addresses(),
        "markdown": _markdown(),
        "formulas": _formulas(),
        "templates": _templates(),
        "letters": _letters(),
        "values": _values(),
    }


def naughty_texts() -> list[str]:
    """All of them, each once, families in turns: any few dozen in a row hold some of every kind."""
    families = list(naughty_by_family().values())
    longest = max(map(len, families))
    mixed = [family[place] for place in range(longest) for family in families if place < len(family)]
    return list(dict.fromkeys(mixed))
