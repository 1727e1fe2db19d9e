#include "base/report/page.h"

namespace ds::report {

// Colours: Okabe and Ito (2008), told apart by all forms of colour vision; lighter ones on a dark ground.
const char* style() {
  return R"css(
:root{color-scheme:light dark;--bg:#fff;--panel:#f7f8fa;--line:#e3e6eb;--strong:#c3c9d2;--fg:#16202c;--muted:#5b6776;--rail:#eef0f3;--over:#fff;
--right:#0072b2;--wrong:#d55e00;--grey:#9aa3ae;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b5579a;--c4:#c98a00;--c5:#3b9fd6;--c6:#4c5866;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;
--mono:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){:root{--bg:#10151c;--panel:#171d26;--line:#262e3a;--strong:#3d4756;--fg:#e6eaf0;--muted:#97a3b3;--rail:#1c232d;
--over:#08121b;
--right:#56b4e9;--wrong:#f0883e;--grey:#6b7684;
--c0:#56b4e9;--c1:#f0883e;--c2:#2fc497;--c3:#d98bc0;--c4:#e6b422;--c5:#8ccdf5;--c6:#aab4c2}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.55 var(--sans);font-variant-numeric:tabular-nums}
main{max-width:1104px;margin:0 auto;padding:44px 32px 64px}
h1{font-size:30px;line-height:1.2;letter-spacing:-.02em;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:20px;letter-spacing:-.01em;margin:52px 0 4px}
h3{font-size:15px;margin:0 0 10px;overflow-wrap:anywhere}
h3 small{font-weight:400;color:var(--muted);margin-left:6px}
p{margin:0 0 14px;max-width:76ch}
.sub{color:var(--muted)}
nav{margin:18px 0 0;display:flex;flex-wrap:wrap;gap:4px 20px}
nav a{color:var(--muted);text-decoration:none;border-bottom:1px solid var(--strong)}
nav a:hover{color:var(--fg)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:14px;margin:28px 0 0}
.tile{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:16px 18px}
.tile b{display:block;font-size:25px;white-space:nowrap;line-height:1.2;letter-spacing:-.02em;font-weight:650}
.tile span{display:block;color:var(--muted);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:6px 0 4px}
.side{display:flex;flex-wrap:wrap;gap:14px 28px}
.small{display:none}
th{font-weight:600;color:var(--muted);font-size:12.5px;text-align:right;padding:8px 10px;border-bottom:1px solid var(--strong);white-space:nowrap;
vertical-align:bottom}
td{text-align:right;padding:9px 10px;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{padding-left:2px}
th.l,td.l{text-align:left}
td small{display:block;color:var(--muted);font-size:12px;line-height:1.35}
td.l b{font-weight:600}
td .mark{display:inline-block;width:20px;vertical-align:-2px}
td.plot{padding-top:11px}
.note{color:var(--muted);font-size:13px;margin-top:8px}
.curves{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:20px 10px;margin-top:16px}
figure{margin:0;min-width:0}
figcaption{font-weight:600;font-size:13.5px;margin:0 0 6px}
figcaption small{font-weight:400;color:var(--muted)}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 0;padding:0;list-style:none;font-size:13.5px}
.legend svg{vertical-align:-2px;margin-right:5px}
.legend .sub{margin-left:4px}
.card{border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin-top:18px;background:var(--bg)}
.wrongs{display:grid;grid-template-columns:repeat(auto-fill,minmax(92px,1fr));gap:10px;margin-top:8px}
.wrongs figure{border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--panel)}
.wrongs img,.wrongs .blank{display:block;width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;background:#000}
.wrongs .blank{background:var(--rail)}
.wrongs div{padding:5px 7px 6px;font-size:12px;line-height:1.35;overflow-wrap:anywhere}
.wrongs em{font-style:normal;color:var(--wrong);font-weight:650}
.wrongs small{color:var(--muted)}
.mistakes{flex:1 1 400px;min-width:0}
h4{font-size:13.5px;margin:0 0 4px}
h4 small{font-weight:400;color:var(--muted)}
.share{display:inline-block;height:8px;border-radius:2px;background:var(--right);vertical-align:1px}
td.share-cell{width:150px;text-align:left}
code{font-family:var(--mono);font-size:12.5px}
details{border:1px solid var(--line);border-radius:10px;padding:0 18px;margin-top:14px}
summary{cursor:pointer;padding:12px 0;font-weight:600}
summary span{font-weight:400;color:var(--muted);margin-left:8px}
details[open]{padding-bottom:12px}
details td{padding-top:5px;padding-bottom:5px}
.commands{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:13px 18px;margin:12px 0 0}
.commands .words{padding-top:3px;padding-bottom:3px}
footer{margin-top:56px;padding-top:16px;border-top:1px solid var(--line);color:var(--muted);font-size:13px}
svg{max-width:100%;height:auto;display:block;overflow:visible}
.legend svg,td svg{display:inline-block}
svg text{font-family:var(--sans);fill:var(--fg);font-size:13px}
svg .tick{fill:var(--muted);font-size:12px}
svg .label{fill:var(--muted);font-size:12.5px}
svg .name{font-weight:600;font-size:13px}
svg .count{font-size:11.5px}
svg .over{fill:var(--over)}
.grid{stroke:var(--line);stroke-width:1}
.axis{stroke:var(--strong);stroke-width:1}
.k0{--k:var(--c0)}.k1{--k:var(--c1)}.k2{--k:var(--c2)}.k3{--k:var(--c3)}.k4{--k:var(--c4)}.k5{--k:var(--c5)}.k6{--k:var(--c6)}.grey{--k:var(--grey)}
.curve{fill:none;stroke:var(--k);stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
.faint{fill:none;stroke:var(--k);stroke-width:1.3;stroke-dasharray:4 4;opacity:.75}
.dot{fill:var(--k);stroke:var(--bg);stroke-width:1}
.hollow{fill:var(--bg);stroke:var(--k);stroke-width:1.2}
.bubble{fill:var(--k);fill-opacity:.2;stroke:var(--k);stroke-width:1.2}
.dominated{fill-opacity:.06;stroke-dasharray:3 3}
.whisker{stroke:var(--grey);stroke-width:1.4}
.span{stroke:var(--k);stroke-width:3;stroke-linecap:round;opacity:.45}
.rail{fill:var(--rail)}.bar,.right{fill:var(--right)}.wrong{fill:var(--wrong)}
.steps{list-style:none;margin:16px 0 0;padding:0}
.steps li{display:flex}
.lanes{position:relative;flex:none}
.lanes svg{max-width:none}
.lanes i{position:absolute;top:44px;bottom:0;border-left:2px solid var(--strong);margin-left:-1px}
.lanes i.other{border-left-style:dashed}
.step{flex:1;min-width:0;background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:10px 16px 12px;margin-bottom:14px}
.step header{display:flex;flex-wrap:wrap;align-items:baseline;gap:2px 12px}
.step header b{font-size:15.5px}
.step header small,.step header code,.step footer{color:var(--muted);font-size:12.5px}
.step header .pill{margin-left:auto;border:1px solid var(--k);border-radius:11px;padding:0 11px 0 8px;font-size:13px;font-weight:600;line-height:21px}
.step header .pill svg{display:inline-block;vertical-align:-2px;margin-right:5px}
.words{display:block;overflow-wrap:anywhere;line-height:1.5;padding-left:2ch;text-indent:-2ch}
.words span{display:inline-block;max-width:100%;text-indent:0}
.step .words{margin:5px 0 0}
.step p{margin:6px 0 0;font-weight:600;font-size:13.5px;max-width:none}
.step footer{margin:3px 0 0;padding:0;border:0}
.edge{fill:none;stroke:var(--strong);stroke-width:2.2}
.other{stroke-dasharray:5 5}
@media (max-width:640px){main{padding:26px 16px 48px}h1{font-size:25px}h2{margin-top:40px}
.tiles{grid-template-columns:1fr 1fr;gap:10px}
.tile{padding:12px 14px}.tile b{font-size:21px}.wide{display:none}.small{display:block}.card{padding:14px 14px 16px}.step{padding:8px 12px 10px}
.scroll th:first-child,.scroll td:first-child{position:sticky;left:0;background:var(--bg)}
.wrongs{grid-template-columns:repeat(auto-fill,minmax(88px,1fr))}}
@media print{:root{color-scheme:light}body{font-size:11.5px}main{max-width:none;padding:0}h2{margin-top:26px;break-after:avoid}nav{display:none}
.card,figure,.tile,tr,.step{break-inside:avoid}
.tile,.step,.bar,.right,.wrong,.rail,.share,.commands,.wrongs figure{-webkit-print-color-adjust:exact;print-color-adjust:exact}
td,th{padding:4px 6px}.scroll{overflow:visible}}
)css";
}

const char* page_template() {
  return R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="generator" content="ds-report {{version}}"/>
<title>{{title}}</title>
<style>{{{style}}}</style>
</head>
<body>
<main>
<header>
<h1>{{title}}</h1>
<p class="sub">{{subtitle}}</p>
<nav>{{#sections}}<a href="#{{id}}">{{name}}</a>{{/sections}}</nav>
{{#has_tiles}}<div class="tiles">{{#tiles}}<div class="tile"><b>{{value}}</b><span>{{what}}</span></div>{{/tiles}}</div>{{/has_tiles}}
</header>
<section id="models">
<h2>Models</h2>
<div class="scroll"><table>
<thead><tr><th class="l">model</th><th>top-1, %</th>{{#intervals}}<th class="l">95 % interval</th>{{/intervals}}<th>parameters</th><th>MACs</th>
<th>tensors</th>
<th>file</th>{{#timed}}<th>latency, p50</th>{{/timed}}</tr></thead>
<tbody>{{#models}}<tr><td class="l"><span class="mark">{{{mark}}}</span><b title="{{path}}">{{name}}</b><small>
{{kind}}</small></td>
<td>{{top1}}<small>{{split}}</small></td>{{#intervals}}<td class="l plot">{{{interval}}}<small>{{interval_text}}</small></td>{{/intervals}}
{{#cells}}<td>{{value}}<small>{{ratio}}</small></td>{{/cells}}</tr>
{{/models}}</tbody></table></div>
<p class="note">{{table_note}}</p>
</section>
{{#has_speed}}<section id="speed">
<h2>Speed and memory</h2>
<div class="scroll"><table>
<thead><tr><th class="l">model</th><th>batch</th><th>threads</th><th>latency, p50</th><th>p99</th><th>samples/s</th><th>peak memory</th></tr></thead>
<tbody>{{#speed}}<tr><td class="l"><span class="mark">{{{mark}}}</span><b>{{name}}</b></td><td>{{batch}}</td><td>{{threads}}</td>
{{#p50}}<td>{{value}}<small>{{ratio}}</small></td>{{/p50}}<td>{{p99}}</td>{{#throughput}}<td>{{value}}<small>{{ratio}}</small></td>{{/throughput}}
{{#memory}}<td>{{value}}<small>{{ratio}}</small></td>{{/memory}}</tr>
{{/speed}}</tbody></table></div>
<p class="note">{{speed_note}}</p>
</section>{{/has_speed}}
{{#has_scatter}}<section id="trade">
<h2>Accuracy, speed and size</h2>
<p class="sub">{{scatter_note}}</p>
<figure class="wide">{{{scatter}}}</figure>
<figure class="small">{{{scatter_small}}}</figure>
</section>{{/has_scatter}}
{{#has_curves}}<section id="training">
<h2>Training</h2>
<p class="sub">{{curves_note}}</p>
<ul class="legend">{{#runs}}<li>{{{mark}}}{{name}}<span class="sub">{{what}}</span></li>{{/runs}}</ul>
<div class="curves">{{#curves}}<figure><figcaption>{{name}} <small>{{unit}}</small></figcaption>{{{chart}}}</figure>{{/curves}}</div>
</section>{{/has_curves}}
{{#has_classes}}<section id="classes">
<h2>Classes and mistakes</h2>
<p class="sub">Rows are labels, columns predictions: blue is right, orange is wrong. The pictures are the mistakes that it was most sure of.</p>
{{#classes}}<article class="card"><h3>{{name}} <small>{{what}}</small></h3>
<div class="side">{{#has_matrix}}<figure>{{{matrix}}}</figure><figure>{{{bars}}}</figure>{{/has_matrix}}
{{#has_wrongs}}<div class="mistakes"><h4>Wrong and sure of it <small>{{wrong_split}}</small></h4>
<div class="wrongs">{{#wrongs}}<figure>{{#uri}}<img alt="{{alt}}" src="{{{uri}}}"/>{{/uri}}{{^uri}}<span class="blank"></span>{{/uri}}
<div>{{label}} taken for <em>{{prediction}}</em><br/><small>{{sure}}, no. {{id}}</small></div></figure>{{/wrongs}}</div></div>{{/has_wrongs}}</div>
</article>{{/classes}}
</section>{{/has_classes}}
{{#has_layers}}<section id="layers">
<h2>Layers</h2>
<p class="sub">What pruning and quantization did to each layer. SQNR is the signal of the weights over the noise that their quantization made.</p>
{{#layers}}<details{{#open}} open="open"{{/open}}><summary>{{name}}<span>{{what}}</span></summary>
<div class="scroll"><table><thead><tr><th class="l">layer</th><th class="l">op</th><th class="l">weight</th><th>parameters</th><th>bytes</th><th></th>
{{#noisy}}<th>SQNR, dB</th>{{/noisy}}</tr></thead>
<tbody>{{#rows}}<tr><td class="l"><b>{{name}}</b></td><td class="l">{{op}}</td><td class="l"><code>{{weight}}</code></td><td>{{parameters}}</td><td>
{{bytes}}</td>
<td class="share-cell"><span class="share" style="width:{{width}}px"></span></td>{{#noisy}}<td>{{sqnr}}</td>{{/noisy}}</tr>
{{/rows}}</tbody></table></div></details>{{/layers}}
</section>{{/has_layers}}
{{#has_steps}}<section id="provenance">
<h2>How they came to be</h2>
<p class="sub">Each box is a run of a tool, with the digest of what it made. Solid lines lead from what was changed, dashed ones from teachers.</p>
<ol class="steps">{{#steps}}<li><div class="lanes" style="width:{{width}}px">{{{picture}}}{{#down}}<i class="{{kind}}" style="left:{{x}}px"></i>
{{/down}}</div>
<div class="step"><header><b>{{tool}}</b>{{#version}}<small>{{version}}</small>{{/version}}<code>{{digest}}</code>
{{#has_model}}<span class="pill {{colour}}">{{{mark}}}{{model}}</span>{{/has_model}}</header>
{{#has_words}}<code class="words">{{#words}}<span>{{word}}</span> {{/words}}</code>{{/has_words}}
{{#change}}<p>{{change}}</p>{{/change}}
<footer>{{circumstances}}{{#unknown}}<br/>also from {{digest}}, which no file here tells about{{/unknown}}</footer></div></li>
{{/steps}}</ol>
</section>{{/has_steps}}
{{#has_commands}}<section id="commands">
<h2>Do it again</h2>
<p class="sub">The command lines that the files tell of, in order.</p>
<div class="commands">{{#commands}}<code class="words">{{#words}}<span>{{word}}</span> {{/words}}</code>
{{/commands}}</div>
</section>{{/has_commands}}
<footer>{{footer}}</footer>
</main>
</body>
</html>
)html";
}

}  // namespace ds::report
