// The style sheet of the HTML page. Light and dark, and light on paper.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_HTML_STYLE_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_HTML_STYLE_H_

#include <string_view>

namespace parity {

// Classes of a heatmap's cell: z is zero; w0-w4 within the limit, o0-o3 over it, n0-n4 if there is no limit; inf.
inline constexpr std::string_view kHtmlStyle = R"(
:root { color-scheme: light; --bg: #fff; --card: #f7f8fa; --ink: #1b1f24; --dim: #5b6470; --line: #d9dee5;
  --pass: #1a7f37; --fail: #c62828; --skip: #9a6700; --none: #6b7480; --cand: #2563c9; --ref: #d97b06;
  --z: #e3e5e8; --inf: #111; --w0: #e3f1fb; --w1: #c3e0f5; --w2: #95c9ec; --w3: #5caade; --w4: #2b83c4;
  --o0: #fdc27a; --o1: #f58b3c; --o2: #dd4a1f; --o3: #96150f;
  --n0: #efe6f7; --n1: #d9c6ec; --n2: #bb9cdc; --n3: #986fc6; --n4: #6f43a6; }
@media screen and (prefers-color-scheme: dark) {
  :root { color-scheme: dark; --bg: #14171b; --card: #1c2026; --ink: #e6e9ed; --dim: #9aa4b0; --line: #343b45;
    --pass: #3fb950; --fail: #f4655c; --skip: #d9a520; --none: #8b95a1; --cand: #6ba4f5; --ref: #f0a040;
    --z: #3a4048; --inf: #fff; --w0: #16344a; --w1: #1b4a6b; --w2: #23658f; --w3: #3585b8; --w4: #55a9dd;
    --o0: #7a4a12; --o1: #b3601a; --o2: #e0622e; --o3: #ff5b4d;
    --n0: #33264a; --n1: #473266; --n2: #61448a; --n3: #8560b5; --n4: #b08be0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 1180px; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; overflow-wrap: anywhere;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
h1 { font-size: 1rem; font-weight: 600; color: var(--dim); margin: 0 0 .75rem; }
h2 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; padding: .5rem .9rem; border-left: .4rem solid var(--s);
  background: var(--card); color: var(--s); border-radius: .25rem; }
h3 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h4 { font-size: .95rem; margin: 1rem 0 .35rem; }
.card h4 { margin-top: 0; }
p { margin: .35rem 0; }
.climb + .climb { margin-top: 3.5rem; padding-top: 2rem; border-top: 2px solid var(--line); }
.pass { --s: var(--pass); } .fail { --s: var(--fail); } .skip { --s: var(--skip); } .none { --s: var(--none); }
.state { color: var(--s); font-weight: 600; white-space: nowrap; }
.dim { color: var(--dim); font-size: .85rem; }
.lines { white-space: pre-line; }
.what { border-left: .25rem solid var(--fail); padding-left: .75rem; font-weight: 500; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; }
.long { max-height: 9rem; overflow-y: auto; }
ul, ol { margin: .35rem 0; padding-left: 1.4rem; }
li { margin: .25rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-size: .8rem; font-weight: 600; color: var(--dim); }
.num { text-align: right; white-space: nowrap; }
.stages { table-layout: fixed; }
.stages th { width: 9%; }
.stages th:nth-child(-n+2) { width: 10.5%; } .stages th:nth-child(3) { width: auto; }
.stages th:last-child { width: 11.5%; }
.wide { overflow-x: auto; }
.wide td, .wide th, .narrow td, .narrow th { overflow-wrap: normal; }
.cases td:first-child { white-space: nowrap; }
.cards + h2, .said + h2 { margin-top: 2.5rem; }
a { color: var(--cand); }
.narrow { width: auto; }
.narrow th, .narrow td { padding-right: 1.4rem; }
.cards { display: grid; gap: 1rem; align-items: start; }
.tables { grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); }
.plots { grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .8rem;
  break-inside: avoid; min-width: 0; }
.card table { font-size: .8rem; table-layout: fixed; }
.card th, .card td { padding: .15rem .5rem .15rem 0; }
.card th:last-child, .card td:last-child { padding-right: 0; }
.card .text { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.card col.id { width: 8%; } .card col.rank { width: 5%; } .card col.logit { width: 12%; }
.card col.share { width: 12%; } .card col.gap { width: 15%; }
.said td { vertical-align: top; width: 50%; white-space: pre-wrap; overflow-wrap: anywhere; }
.said mark { background: color-mix(in srgb, var(--ref) 30%, transparent); color: inherit; }
.moved td { background: color-mix(in srgb, var(--ref) 12%, transparent); }
.card .dim { margin: 0 0 .35rem; }
.worst { border-color: var(--fail); }
.cand { color: var(--cand); } .ref { color: var(--ref); }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--ink); font: 10px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
svg text.dim { fill: var(--dim); font-size: 10px; }
.plot { width: 100%; max-width: 22rem; }
.plot text { font-size: 11px; }
svg rect.track { fill: var(--line); }
svg rect.cand { fill: var(--cand); } svg rect.ref { fill: var(--ref); }
.heat { display: flex; flex-wrap: wrap; align-items: flex-start; gap: .75rem 1.25rem; margin: .5rem 0 1rem; }
.heat svg { break-inside: avoid; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem; color: var(--dim); }
.key span { white-space: nowrap; }
.key i { display: inline-block; width: .9em; height: .9em; vertical-align: -.1em; background: var(--k); }
.key i.cand { background: var(--cand); } .key i.ref { background: var(--ref); }
.c { fill: var(--k); }
.z { --k: var(--z); } .inf { --k: var(--inf); }
.w0 { --k: var(--w0); } .w1 { --k: var(--w1); } .w2 { --k: var(--w2); } .w3 { --k: var(--w3); } .w4 { --k: var(--w4); }
.o0 { --k: var(--o0); } .o1 { --k: var(--o1); } .o2 { --k: var(--o2); } .o3 { --k: var(--o3); }
.n0 { --k: var(--n0); } .n1 { --k: var(--n1); } .n2 { --k: var(--n2); } .n3 { --k: var(--n3); } .n4 { --k: var(--n4); }
@media (max-width: 700px) {
  .key span { white-space: normal; }
  body { padding: 1rem .75rem 2rem; font-size: 14px; }
  h2 { font-size: 1.3rem; }
  .stages thead, .cases thead { display: none; }
  .narrow th, .narrow td { padding-right: .7rem; }
  .stages tr, .cases tr { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0 .75rem; padding: .4rem 0;
    border-bottom: 1px solid var(--line); }
  .stages td, .cases td { border: 0; padding: .1rem 0; text-align: left; }
  .stages td:empty, .cases td:empty { display: none; }
  .cases .num { white-space: normal; }
  .stages td[colspan], .stages td.what-compared, .cases td.line-of-its-own { grid-column: 1 / -1; }
  .stages td[data-label]::before, .cases td[data-label]::before { content: attr(data-label) " "; color: var(--dim); font-size: .8rem; }
  .card table { font-size: .7rem; table-layout: auto; } .card col { width: auto !important; }
  .card th, .card td { padding-right: .25rem; } .card .text { max-width: 4.5rem; }
  .card { padding: .6rem .5rem; overflow-x: auto; } }
@media print { html, body { font-size: 11px; } body { max-width: none; padding: 0; }
  .tables { grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)); }
  .long { max-height: none; } h3, h4, .key { break-after: avoid; } }
)";

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_HTML_STYLE_H_
