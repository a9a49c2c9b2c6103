"""How the report's page looks, in light and in dark."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1c1d1f;--soft:#66696e;
--line:#e3e3de;--fill:#f0f0ec;
--bad:#c8322b;
--c0:#2a78d6;--c1:#eb6834;--c2:#1b9f78;--c3:#c98a00;--c4:#d0528d;--c5:#3f8a2c;--c6:#5b4bc0;
--c7:#7a6a5a}
@media(prefers-color-scheme:dark){:root{--paper:#16171a;--card:#1e2024;--ink:#e9e9e6;
--soft:#9b9ea5;--line:#33363c;--fill:#26282d;
--bad:#ef6a60;--c0:#5a9df0;--c1:#f08a5b;--c2:#3cc09a;--c3:#dfae3e;--c4:#e681b1;--c5:#7cc05f;
--c6:#9d90ee;--c7:#b9a48e}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:32px 24px 48px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:26px;font-weight:650;letter-spacing:-.01em;margin:0 0 20px;overflow-wrap:anywhere}
h2{font-size:17px;font-weight:650;margin:0 0 10px}
h3{font-size:14px;font-weight:600;margin:18px 0 8px}
h3 small{font-weight:400;color:var(--soft);font-size:13px;margin-left:6px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:18px 20px;margin-top:16px}
.note,footer,figcaption{color:var(--soft);font-size:13px;margin:0 0 12px}
footer{margin-top:20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(124px,1fr));gap:12px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.tile b{display:block;font-size:24px;font-weight:650;font-variant-numeric:tabular-nums;
letter-spacing:-.01em}
.tile span{display:block}.tile small{color:var(--soft)}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(112px,1fr));gap:12px 10px}
figure{margin:0}
figcaption{margin:4px 0 0;line-height:1.35;font-size:12px;overflow-wrap:anywhere}
.strip b{display:block;font-weight:600;color:var(--ink)}
img{display:block;width:100%;max-width:112px;height:auto;aspect-ratio:1;border-radius:6px;
background:var(--fill)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(290px,1fr));gap:20px}
.plots h3{margin:0 0 4px}
svg{display:block;max-width:100%;height:auto;overflow:visible}
.beside{display:flex;flex-wrap:wrap;gap:24px 40px;align-items:center}
.four{display:grid;grid-template-columns:112px 112px;gap:14px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:500;color:var(--soft);font-size:13px}
td.faces{display:flex;gap:4px}td.faces img{width:56px}
th:nth-child(n+3),td.number{text-align:right}
.swatch{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:8px;
background:var(--c)}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{
--c:var(--c5)}.c6{--c:var(--c6)}
.c7{--c:var(--c7)}.none{--c:var(--soft)}
svg g{fill:var(--c)}svg .soft{fill-opacity:.28}svg .bad{fill:var(--bad)}
svg .line path{fill:none;stroke:var(--c);stroke-width:1.6}
svg .track{fill:var(--fill)}
svg .axis{stroke:var(--line);fill:none}svg .middle{stroke:var(--ink);stroke-dasharray:3 3;fill:none}
svg .tick{fill:var(--soft);font:12px system-ui,sans-serif}
@media print{section{break-inside:avoid}body{max-width:none}}
"""
