//! The page's style sheet: light, dark and print.

/// The style sheet. Series colours are the eight of Okabe and Ito, which people with any kind of
/// colour vision tell apart; dashes and marks repeat what colours say.
pub(super) const CSS: &str = "
:root{--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d5dbe1;--soft:#f4f6f8;--ours:#e8f3ff;
--met:#116329;--missed:#a40e26;--unknown:#7a5200;
--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#cc79a7;
--s4:#b8860b;--s5:#56b4e9;--s6:#6b4fbb;--s7:#555}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ed;--dim:#9aa5b1;--line:#333a42;
--soft:#1c2127;--ours:#14283d;--met:#56d364;--missed:#ff7b72;--unknown:#e3b341;
--s0:#58a6ff;--s1:#ff9e64;--s2:#3ddbb0;--s3:#e8a5cb;
--s4:#f0c34e;--s5:#8fd0f7;--s6:#b39dff;--s7:#b0b8c0}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem clamp(1rem,4vw,3rem) 4rem;max-width:1080px;background:var(--bg);
color:var(--fg);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}
h1{font-size:1.7rem;margin:.2rem 0 .4rem}h2{font-size:1.3rem;margin:2.6rem 0 .5rem;
padding-top:.8rem;border-top:2px solid var(--line)}header h2{border:0;margin-top:1.2rem;padding:0}
h3{font-size:1rem;margin:1.5rem 0 .4rem}p{max-width:75ch;margin:.4rem 0}
p.protocol{color:var(--dim)}nav a{margin-right:.7rem}a{color:var(--s0)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.6rem 0}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
summary{cursor:pointer;margin:.6rem 0}
.scroll{overflow-x:auto;margin:.3rem 0 .8rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{padding:.22rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td.words,th.words{text-align:left}td.words{white-space:normal}
thead th{color:var(--dim);font-weight:500;border-bottom:2px solid var(--line)}
tbody th{font-weight:400}tr.ours{background:var(--ours)}tr.ours th{font-weight:600}
tr.published{background:var(--soft);font-style:italic}tr.ratio td,tr.ratio th{color:var(--dim)}
.dev{color:var(--dim);font-size:.85em}
td.met,td.missed,td.unknown{white-space:nowrap}
.met{color:var(--met);font-weight:600}.missed{color:var(--missed);font-weight:600}
.unknown{color:var(--unknown);font-weight:600}
figure{margin:1rem 0;max-width:760px;break-inside:avoid}figcaption{font-weight:600}
svg{width:100%;height:auto;display:block;color:var(--fg)}
svg text{font:11px system-ui,sans-serif;fill:var(--dim)}svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--dim);stroke-width:1}svg .curve{fill:none;stroke-width:2}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;margin:.2rem 0 0;padding:0;
font-size:.85rem}ul.legend svg{display:inline-block;width:26px;height:12px;vertical-align:middle}
.k0{stroke:var(--s0);fill:var(--s0)}.k1{stroke:var(--s1);fill:var(--s1)}
.k2{stroke:var(--s2);fill:var(--s2)}.k3{stroke:var(--s3);fill:var(--s3)}
.k4{stroke:var(--s4);fill:var(--s4)}.k5{stroke:var(--s5);fill:var(--s5)}
.k6{stroke:var(--s6);fill:var(--s6)}.k7{stroke:var(--s7);fill:var(--s7)}
@media print{body{max-width:none;font-size:11px}.scroll{overflow:visible}h2{break-before:page}
header h2{break-before:avoid}tr,figure{break-inside:avoid}nav{display:none}}
";
