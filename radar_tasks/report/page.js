"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;

  // Elements are made here and text is set as text: nothing from data is ever read as HTML.
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const makeSvg = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  // ---- theme -------------------------------------------------------------------------------------------------------
  const system = matchMedia("(prefers-color-scheme: dark)");
  // A page that is renewed remembers the theme; where a browser forbids storage for files, it starts as the system does.
  const remembered = (name, value) => {
    try {
      if (value === undefined) return sessionStorage.getItem(name);
      sessionStorage.setItem(name, value);
    } catch { /* forbidden */ }
    return null;
  };
  let chosen = remembered("radar-theme");
  const theme = () => chosen || (system.matches ? "dark" : "light");
  const applyTheme = () => { root.dataset.theme = theme(); drawCharts(); };
  document.getElementById("theme").addEventListener("click", () => {
    chosen = theme() === "dark" ? "light" : "dark";
    remembered("radar-theme", chosen);
    applyTheme();
  });
  system.addEventListener("change", applyTheme);

  // ---- charts ------------------------------------------------------------------------------------------------------
  const places = [];
  for (const panels of document.querySelectorAll("[data-figure]")) {
    const specs = data.figures[panels.dataset.figure];
    panels.querySelectorAll(".chart").forEach((place, k) => places.push([place, specs[k]]));
    addTable(panels.parentElement.querySelector(".as-table"), specs);
  }
  let drawing = 0;
  // Names beside an axis may take a third of a narrow place, not more: the plot is what a chart is for.
  const themeFor = (place) => {
    const config = data.themes[theme()];
    const labelLimit = Math.min(config.axisY.labelLimit, Math.round(place.clientWidth / 3));
    return { ...config, axisY: { ...config.axisY, labelLimit } };
  };
  async function drawCharts() {
    const mine = ++drawing;
    for (const [place, panel] of places) {
      if (mine !== drawing) return;
      // `ast`: expressions are interpreted, so that the page's policy can forbid eval.
      await vegaEmbed(place, panel.spec, {
        renderer: "svg", ast: true, config: themeFor(place),
        actions: { export: true, source: false, compiled: false, editor: false },
      });
      place.style.minHeight = "";
      await new Promise((resolve) => setTimeout(resolve));
    }
    root.dataset.ready = theme();
  }

  function addTable(details, specs) {
    if (!details || !specs.some((panel) => panel.columns.length)) return;
    details.hidden = false;
    details.addEventListener("toggle", () => {
      const into = details.querySelector("div");
      if (!details.open || into.firstChild) return;
      for (const panel of specs) if (panel.columns.length) into.append(tableOf(panel));
    });
  }

  function tableOf(panel) {
    const datasets = Object.values(panel.spec.datasets || {});
    const fits = (rows) => rows.length && panel.columns.every((name) => name in rows[0]);
    const rows = datasets.filter(fits).sort((a, b) => b.length - a.length)[0] || [];
    const scroll = make("div", "scroll"), table = make("table");
    scroll.tabIndex = 0;
    if (panel.title) table.append(make("caption", "", panel.title));
    const line = (cells, tag) => {
      const tr = make("tr");
      for (const cell of cells) tr.append(make(tag, "", cell === null ? "–" : String(cell)));
      return tr;
    };
    const head = make("thead"), body = make("tbody");
    head.append(line(panel.columns, "th"));
    for (const row of rows) body.append(line(panel.columns.map((name) => row[name]), "td"));
    table.append(head, body);
    makeSortable(table);
    scroll.append(table);
    return scroll;
  }

  // ---- tables ------------------------------------------------------------------------------------------------------
  // A cell's first number; words ("not yet", "growing", a dash) have none and stand last whichever way is sorted.
  const numberIn = (text) => {
    const found = text.replaceAll(",", "").match(/[+-]?\d+(\.\d+)?/);
    return found ? parseFloat(found[0]) : null;
  };
  function compareCells(a, b, sign) {
    const [x, y] = [numberIn(a), numberIn(b)];
    if (x !== null && y !== null) return sign * (x - y);
    if (x !== null || y !== null) return x !== null ? -1 : 1;
    return sign * a.localeCompare(b);
  }
  function makeSortable(table) {
    const heads = [...table.querySelectorAll("thead th")];
    heads.forEach((head, k) => {
      const button = make("button", "", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
        const body = table.tBodies[0], rows = [...body.rows];
        const isText = k === 0 || rows.every((row) => !/^[\s+\-≥–\d]/.test(row.cells[k].textContent));
        const text = (row) => row.cells[k].textContent;
        rows.sort((a, b) => (isText ? sign * text(a).localeCompare(text(b), "en", { numeric: true }) : compareCells(text(a), text(b), sign)));
        body.append(...rows);
      });
    });
  }
  document.querySelectorAll("table").forEach(makeSortable);

  // ---- questions ---------------------------------------------------------------------------------------------------
  const { runs, sources, images, questions } = data.gallery;
  const PAGE = 24;
  const form = document.getElementById("filters");
  const [SOURCE, ID, CATEGORY, TEXT, PICTURES, OPTIONS, ANSWER, PROBABILITIES, PROMPT] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  let found = [], first = 0, names = [];

  const isRight = (question, run) => {
    const p = question[PROBABILITIES][run];
    return p && p.every((value, k) => k === question[ANSWER] || value < p[question[ANSWER]]);
  };

  function fill(select, entries) {
    select.replaceChildren(...entries.map(([value, label]) => {
      const option = make("option", "", label);
      option.value = value;
      return option;
    }));
  }

  function fillCategories() {
    const chosen = form.source.value;
    const names = new Set(questions.filter((q) => chosen === "" || q[SOURCE] === +chosen).map((q) => q[CATEGORY]));
    names.delete("");
    fill(form.category, [["", "all"], ...[...names].sort().map((name) => [name, name])]);
    form.category.disabled = names.size === 0;
  }

  function setUp() {
    const many = new Set(runs.map((run) => run.experiment)).size > 1;
    names = runs.map((run) => (many ? `${run.training} · ${run.label}` : run.label));
    const entries = names.map((name, k) => [String(k), name]);
    for (const select of [form.run, form.from, form.to]) fill(select, entries);
    fill(form.source, [["", "all"], ...sources.map((source, k) => [String(k), `${source.name} (${source.ability})`])]);
    reset();
    form.addEventListener("input", (event) => {
      if (event.target === form.source) fillCategories();
      if (event.target === form.view) form.order.value = form.view.value ? "gain" : "";
      select();
      writeAddress();
    });
    form.addEventListener("reset", () => setTimeout(() => { reset(); select(); writeAddress(); }));
    addEventListener("hashchange", () => { if (readAddress()) select(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("before").addEventListener("click", () => turn(-PAGE));
    document.getElementById("after").addEventListener("click", () => turn(PAGE));
    const asked = readAddress();
    select();
    if (asked) document.getElementById("questions").scrollIntoView();
  }

  // ---- the address: a view of the questions that can be sent to somebody who has the file ---------------------------
  // Checkpoints and sources go by their names, so that an address holds when the page is made again with more of them.
  const BY_PLACE = { run: () => names, from: () => names, to: () => names, source: () => sources.map((source) => source.name) };

  function writeAddress() {
    const said = new URLSearchParams();
    for (const field of form.elements) {
      if (!field.name || field.value === "" || field.value === defaults[field.name]) continue;
      said.set(field.name, field.name in BY_PLACE ? BY_PLACE[field.name]()[+field.value] : field.value);
    }
    const query = said.toString();
    window.history.replaceState(null, "", location.href.split("#")[0] + (query ? `#questions?${query}` : ""));
  }

  function readAddress() {
    const mark = location.hash.indexOf("?");
    if (!location.hash.startsWith("#questions") || mark < 0) return false;
    const said = new URLSearchParams(location.hash.slice(mark + 1));
    reset();
    const set = (name) => {
      if (!said.has(name)) return;
      const value = name in BY_PLACE ? String(BY_PLACE[name]().indexOf(said.get(name))) : said.get(name);
      const field = form.elements[name];
      if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value)) field.value = value;
    };
    set("source");
    fillCategories();
    for (const field of form.elements) if (field.name && field.name !== "source") set(field.name);
    return true;
  }

  let defaults = {};
  function reset() {
    const last = runs.length - 1;
    const start = runs.findIndex((run) => run.experiment === runs[last].experiment);
    form.run.value = form.to.value = String(last);
    form.from.value = String(start);
    for (const field of [form.source, form.view, form.outcome, form.change, form.order, form.search]) field.value = "";
    fillCategories();
    defaults = Object.fromEntries([...form.elements].filter((field) => field.name).map((field) => [field.name, field.value]));
  }

  // What the right option gained from one checkpoint to another, in thousandths; null where one lacks the question.
  const change = (question, from, to) => {
    const [before, after] = [question[PROBABILITIES][from], question[PROBABILITIES][to]];
    return before && after ? after[question[ANSWER]] - before[question[ANSWER]] : null;
  };

  function select() {
    const run = +form.run.value, from = +form.from.value, to = +form.to.value;
    const wanted = form.search.value.trim().toLowerCase();
    const moves = form.view.value === "both" || ["gain", "loss"].includes(form.order.value);
    const tests = [
      (q) => !moves || change(q, from, to) !== null,
      (q) => form.source.value === "" || q[SOURCE] === +form.source.value,
      (q) => form.category.value === "" || q[CATEGORY] === form.category.value,
      (q) => form.outcome.value === "" || (q[PROBABILITIES][run] && (form.outcome.value === "right") === !!isRight(q, run)),
      (q) => {
        if (form.change.value === "") return true;
        if (!q[PROBABILITIES][from] || !q[PROBABILITIES][to]) return false;
        const before = !!isRight(q, from), after = !!isRight(q, to);
        return form.change.value === "gained" ? !before && after : before && !after;
      },
      (q) => !wanted || [q[ID], ...q[TEXT], ...q[OPTIONS]].some((text) => text.toLowerCase().includes(wanted)),
    ];
    found = questions.filter((q) => tests.every((test) => test(q)));
    if (form.order.value === "gain" || form.order.value === "loss") {
      const sign = form.order.value === "gain" ? -1 : 1;
      found = [...found].sort((a, b) => sign * (change(a, from, to) - change(b, from, to)));
    } else if (form.order.value) {
      const sure = (q) => (q[PROBABILITIES][run] ? q[PROBABILITIES][run][q[ANSWER]] : -1);
      const sign = form.order.value === "low" ? 1 : -1;
      found = [...found].sort((a, b) => sign * (sure(a) - sure(b)));
    }
    first = 0;
    show();
  }

  function turn(by) {
    first = Math.max(0, Math.min(first + by, found.length - 1));
    show();
    document.getElementById("questions").scrollIntoView();
  }

  function show() {
    const run = +form.run.value, from = +form.from.value, to = +form.to.value;
    const both = form.view.value === "both";
    const right = found.filter((q) => isRight(q, run)).length;
    const share = found.length ? `, ${right.toLocaleString("en")} right (${Math.round((100 * right) / found.length)} %)` : "";
    const count = `${found.length.toLocaleString("en")} of ${questions.length.toLocaleString("en")} questions`;
    const changes = both ? found.map((q) => change(q, from, to)) : [];
    const mean = changes.reduce((sum, value) => sum + value, 0) / (changes.length || 1);
    document.getElementById("count").textContent = both
      ? `${count}, ${names[from]} → ${names[to]}: ${changes.filter((c) => c > 0).length} gained, ${changes.filter((c) => c < 0).length} lost, ${signed(mean)} on average`
      : `${count}${share} at ${names[run]}`;
    const shown = found.slice(first, first + PAGE);
    document.getElementById("cards").replaceChildren(...shown.map((q) => (both ? pairCard(q, from, to) : card(q, run))));
    document.getElementById("before").disabled = first === 0;
    document.getElementById("after").disabled = first + PAGE >= found.length;
    document.getElementById("page").textContent =
      found.length ? `${first + 1}–${Math.min(first + PAGE, found.length)}` : "none";
  }

  const signed = (thousandths) => `${thousandths < 0 ? "−" : "+"}${(Math.abs(thousandths) / 1000).toFixed(3)}`;

  function card(question, run) {
    const right = isRight(question, run), p = question[PROBABILITIES][run];
    const badge = p ? make("span", right ? "badge right" : "badge", right ? "✓ right" : "✗ wrong") : make("span", "badge", "not asked");
    return cardOf(question, badge, [options(question, [run]), history(question, run)]);
  }

  // One question at two checkpoints, with what its right option gained or lost.
  function pairCard(question, from, to) {
    const moved = change(question, from, to);
    const badge = make("span", `change ${moved > 0 ? "gained" : "lost"}`, signed(moved));
    const box = cardOf(question, badge, [options(question, [from, to]), history(question, to)]);
    box.classList.add("both");
    return box;
  }

  function cardOf(question, badge, parts) {
    const box = make("article", "card");
    const about = make("p", "about");
    about.append(make("span", "", [sources[question[SOURCE]].name, question[CATEGORY], question[ID]].filter(Boolean).join(" · ")), badge);
    box.append(about);
    if (question[PICTURES].length) box.append(pictures(question));
    const text = make("p", "text");
    text.dir = "auto";
    text.tabIndex = 0;
    question[TEXT].forEach((piece, k) => {
      if (k > 0) text.append(make("b", "", ` [picture ${k}] `));
      text.append(piece);
    });
    box.append(text, ...parts, prompt(question));
    return box;
  }

  function prompt(question) {
    const details = make("details", "prompt"), pre = make("pre", "", question[PROMPT] ?? question[TEXT].join("<image>"));
    pre.dir = "auto";
    const form = data.gallery.prompt_formats.join(", ");
    details.append(make("summary", "", form ? `Exact prompt (${form})` : "Exact prompt"), pre);
    return details;
  }

  function pictures(question) {
    const box = make("div", "pictures");
    question[PICTURES].forEach((place, k) => {
      const image = make("img");
      image.alt = `Picture ${k + 1} of question ${question[ID]}`;
      image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth <= 96));
      image.src = images[place];
      box.append(image);
    });
    return box;
  }

  function options(question, shown) {
    const list = make("ul", "options"), ps = shown.map((run) => question[PROBABILITIES][run]);
    if (shown.length === 2) {
      const head = make("li", "head");
      head.append(make("span", "name", ""), ...shown.map((run) => make("span", "p", runs[run].label)), make("span", "p", "change"));
      list.append(head);
    }
    question[OPTIONS].forEach((option, k) => {
      const item = make("li", k === question[ANSWER] ? "answer" : "");
      const name = make("span", "name", option);
      name.dir = "auto";
      if (k === question[ANSWER]) name.prepend(make("span", "", "✓ "));
      item.append(name, ...ps.map((p) => make("span", "p", p ? (p[k] / 1000).toFixed(2) : "–")));
      if (ps.length === 2) item.append(make("span", "p", signed(ps[1][k] - ps[0][k])));
      for (const p of ps) {
        const track = make("div", "track"), bar = make("div", "fill");
        bar.style.width = `${p ? p[k] / 10 : 0}%`;
        track.append(bar);
        item.append(track);
      }
      list.append(item);
    });
    return list;
  }

  // The options' probabilities over the checkpoints of one experiment: right answer in colour, distractors grey.
  function history(question, run) {
    const mine = runs.map((other, k) => [other, k]).filter(([other, k]) => other.experiment === runs[run].experiment && question[PROBABILITIES][k]);
    const svg = makeSvg("svg", { viewBox: "0 0 320 74", role: "img", preserveAspectRatio: "none" });
    const values = mine.map(([, k]) => question[PROBABILITIES][k]);
    const name = values.map((p, i) => `${mine[i][0].label}: ${(p[question[ANSWER]] / 1000).toFixed(2)}`).join(", ");
    svg.append(Object.assign(makeSvg("title", {}), { textContent: `Probability of the right answer. ${name}` }));
    const x = (i) => (mine.length > 1 ? 6 + (308 * i) / (mine.length - 1) : 160);
    const y = (p) => 56 - (52 * p) / 1000;
    const chance = y(1000 / question[OPTIONS].length);
    const style = "vector-effect:non-scaling-stroke;fill:none;";
    svg.append(makeSvg("line", { x1: 6, x2: 314, y1: chance, y2: chance, style: `${style}stroke:var(--muted);stroke-dasharray:4 4;opacity:.6` }));
    question[OPTIONS].forEach((_, k) => {
      const isAnswer = k === question[ANSWER];
      const points = values.map((p, i) => `${x(i)},${y(p[k])}`).join(" ");
      const stroke = isAnswer ? "stroke:var(--right);stroke-width:2.5" : "stroke:var(--wrong);stroke-width:1.2";
      if (values.length > 1) svg.append(makeSvg("polyline", { points, style: `${style}${stroke}` }));
    });
    values.forEach((p, i) => {
      const here = mine[i][1] === run;
      if (here || values.length === 1) svg.append(makeSvg("circle", { cx: x(i), cy: y(p[question[ANSWER]]), r: 4, style: "fill:var(--right)" }));
    });
    if (mine.length > 1) {
      const label = (i, anchor) => svg.append(Object.assign(makeSvg("text", { x: x(i), y: 71, "text-anchor": anchor }), { textContent: mine[i][0].label }));
      label(0, "start");
      label(mine.length - 1, "end");
    }
    return svg;
  }

  // ---- live: read the page again while the run goes on; what is chosen stands in the address ------------------------
  const live = document.getElementById("live");
  if (live) {
    live.addEventListener("click", () => {
      const on = live.getAttribute("aria-pressed") !== "true";
      live.setAttribute("aria-pressed", String(on));
      live.textContent = on ? "● live" : "○ paused";
    });
    setInterval(() => {
      // Not under somebody's hands: while a field is being typed in or text is marked, the page waits for the next turn.
      const busy = ["INPUT", "SELECT"].includes(document.activeElement?.tagName) || !getSelection().isCollapsed;
      if (live.getAttribute("aria-pressed") === "true" && !document.hidden && !busy) location.reload();
    }, 1000 * Number(document.body.dataset.live));
  }

  if (form) setUp();
  applyTheme();
})();
