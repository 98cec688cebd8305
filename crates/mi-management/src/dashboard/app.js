'use strict';
// The dashboard: lists what the management API tells, and what runs at the moment every two seconds. Everything that comes
// from the server is put into the page as text.

const $ = id => document.getElementById(id);
const api = '/management';
let token = sessionStorage.getItem('token') || '';
let view = 'Overview';
let timer = 0;
// What the open picture is drawn of: kind, name, source, and the parts with numbers that change.
let drawn = null;

// Views that list artifacts: path, query parameter of one artifact, columns, and what can be switched by `status`.
const kinds = {
  'APIs': ['/apis', 'apiName', ['name', 'url', 'tracing'], null],
  'Proxy services': ['/proxy-services', 'proxyServiceName', ['name', 'wsdl1_1'], ['active', 'inactive']],
  'Endpoints': ['/endpoints', 'endpointName', ['name', 'type', 'isActive'], ['active', 'inactive']],
  'Inbound endpoints': ['/inbound-endpoints', 'inboundEndpointName', ['name', 'protocol', 'status'], ['active', 'inactive']],
  'Sequences': ['/sequences', 'sequenceName', ['name', 'container', 'tracing'], null],
  'Tasks': ['/tasks', 'taskName', ['name'], ['active', 'inactive', 'trigger']],
  'Stores': ['/message-stores', 'name', ['name', 'type', 'size'], null],
  'Processors': ['/message-processors', 'name', ['name', 'type', 'status'], ['active', 'inactive']],
  'Local entries': ['/local-entries', 'name', ['name', 'type'], null],
};
const traced = ['APIs', 'Proxy services', 'Endpoints', 'Inbound endpoints', 'Sequences'];
const views = ['Overview', ...Object.keys(kinds), 'Faults', 'Log'];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === 'click') made.addEventListener('click', value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.map(child => (child instanceof Node ? child : String(child ?? ''))));
  return made;
}

async function ask(path, options = {}) {
  const headers = { Accept: 'application/json', ...options.headers };
  if (token) headers.Authorization = 'Bearer ' + token;
  const answer = await fetch(api + path, { ...options, headers });
  if (answer.status === 401) {
    showLogin();
    throw new Error('not logged in');
  }
  const text = await answer.text();
  if (options.text) return answer.ok ? text : '';
  let value = {};
  try { value = JSON.parse(text || '{}'); } catch { value = { Error: text }; }
  if (!answer.ok) throw new Error(value.Error || 'status ' + answer.status);
  return value;
}

function showLogin() {
  clearTimeout(timer);
  token = '';
  sessionStorage.removeItem('token');
  for (const id of ['tabs', 'main', 'logout']) $(id).hidden = true;
  $('login').hidden = false;
  $('user').focus();
}

$('login').addEventListener('submit', async event => {
  event.preventDefault();
  const bytes = new TextEncoder().encode($('user').value + ':' + $('password').value);
  const credentials = btoa(String.fromCharCode(...bytes));
  const answer = await fetch(api + '/login', { headers: { Authorization: 'Basic ' + credentials } });
  $('password').value = '';
  if (!answer.ok) {
    $('refused').textContent = answer.status === 429 ? 'Too many attempts; wait a moment.' : 'The user or the password is not right.';
    return;
  }
  token = (await answer.json()).AccessToken;
  sessionStorage.setItem('token', token);
  $('refused').textContent = '';
  start();
});

$('logout').addEventListener('click', async () => {
  await ask('/logout').catch(() => {});
  showLogin();
});

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('theme', theme);
}
setTheme(localStorage.getItem('theme') || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
$('theme').addEventListener('click', () => setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'));

function tabs() {
  $('tabs').replaceChildren(...views.map(name => element('button', {
    type: 'button', role: 'tab', id: 'tab-' + views.indexOf(name), 'aria-selected': String(name === view),
    'aria-controls': 'panel', tabindex: name === view ? 0 : -1, click: () => select(name),
  }, name)));
  $('panel').setAttribute('aria-labelledby', 'tab-' + views.indexOf(view));
}

$('tabs').addEventListener('keydown', event => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const end = { Home: 0, End: views.length - 1 }[event.key];
  if (step === undefined && end === undefined) return;
  event.preventDefault();
  const next = end ?? (views.indexOf(view) + step + views.length) % views.length;
  select(views[next]);
  $('tab-' + next).focus();
});

function select(name) {
  const focused = document.activeElement?.getAttribute('role') === 'tab';
  view = name;
  tabs();
  if (focused) $('tab-' + views.indexOf(name)).focus();
  $('panel').replaceChildren(element('p', { class: 'soft' }, 'Loading'));
  refresh();
}

async function refresh() {
  clearTimeout(timer);
  const shown = view;
  try {
    const live = await ask('/live');
    $('summary').textContent = live.product + ' ' + live.version + ' · up ' + duration(live.uptimeSeconds) + ' · ' +
      (live.faulty.length ? live.faulty.length + ' faulty' : 'ready');
    if (drawn) numbers(live);
    const special = { Overview: () => overview(live), Log: logTail, Faults: faults };
    const parts = await (special[shown] ? special[shown]() : listing(shown, live));
    if (shown === view) update(parts);
  } catch (error) {
    if (token || $('login').hidden) $('summary').textContent = 'No answer: ' + error.message;
  }
  if ($('login').hidden) timer = setTimeout(refresh, 2000);
}

// Only what has changed is put anew, so that focus and selection stay.
function update(parts) {
  const fresh = element('div', {}, ...parts);
  if ($('panel').firstElementChild?.isEqualNode(fresh)) return;
  const focused = $('panel').contains(document.activeElement) ? document.activeElement.dataset?.key : null;
  $('panel').replaceChildren(fresh);
  if (focused) [...$('panel').querySelectorAll('[data-key]')].find(it => it.dataset.key === focused)?.focus();
}

function table(caption, columns, rows) {
  const numeric = rows.length ? rows[0].map(cell => typeof cell === 'number') : [];
  const head = columns.map((name, at) => element('th', { scope: 'col', class: numeric[at] ? 'number' : null }, name));
  const body = rows.map(row => element('tr', {}, ...row.map((cell, at) => element('td', { class: numeric[at] ? 'number' : null }, cell))));
  const whole = element('table', {}, element('caption', {}, caption), element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...body));
  return element('div', { class: 'scroll' }, whole, rows.length ? '' : element('p', { class: 'soft' }, 'None'));
}

function duration(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const at = parts.findIndex(([length]) => seconds >= length);
  return at < 0 ? '0 s' : Math.floor(seconds / parts[at][0]) + ' ' + parts[at][1];
}

const states = { ACTIVE: 'good', TIMEOUT: 'warn', SUSPENDED: 'bad', SWITCHED_OFF: 'warn' };
const state = name => element('span', { class: states[name] || '' }, name);
const round = number => Math.round(number * 100) / 100;

function overview(live) {
  const requests = live.services.reduce((sum, it) => sum + it.requests, 0);
  const errors = live.services.reduce((sum, it) => sum + it.errors, 0);
  const cards = [['Messages in flight', live.inFlight], ['Requests', requests], ['Errors', errors],
    ['Applications', live.applications.length], ['Faulty applications', live.faulty.length],
    ['Endpoints not active', live.endpoints.filter(it => it.state !== 'ACTIVE').length]];
  const list = element('ul', { class: 'cards' }, ...cards.map(([name, value]) => element('li', {}, element('b', {}, value), element('span', {}, name))));
  const services = live.services.map(it => [it.name, it.kind, it.url, it.requests, it.errors, it.requests ? round(it.seconds / it.requests * 1000) : 0]);
  const parts = [list];
  if (live.faulty.length) {
    parts.push(table('Faulty applications', ['Application', 'Reason'], live.faulty.map(it =>
      [element('span', { class: 'bad' }, it.name), element('span', {}, it.reasons.join('\n'))])));
  }
  parts.push(table('Services', ['Name', 'Kind', 'Address', 'Requests', 'Errors', 'Mean ms'], services));
  parts.push(table('Endpoints', ['Name', 'State'], live.endpoints.map(it => [it.name, state(it.state)])));
  parts.push(table('Stores', ['Name', 'Messages'], live.stores.map(it => [it.name, it.size])));
  parts.push(table('Applications', ['Name', 'Version'], live.applications.map(it => [it.name, it.version || ''])));
  return parts;
}

async function listing(name, live) {
  const [path, , columns] = kinds[name];
  let items = [];
  if (name === 'Local entries' || name === 'Stores' || kinds[name]) items = (await ask(path)).list || [];
  const cell = (item, column) => {
    if (column === 'name') {
      return element('button', { type: 'button', 'data-key': item.name, click: () => detail(name, item.name) }, item.name);
    }
    if (name === 'Endpoints' && column === 'isActive') {
      const known = live.endpoints.find(it => it.name === item.name);
      return known ? state(known.state) : String(item.isActive);
    }
    return item[column] ?? '';
  };
  const titles = columns.map(it => (it === 'isActive' ? 'state' : it));
  return [table(name, titles, items.map(item => columns.map(column => cell(item, column))))];
}

async function logTail() {
  const text = await ask('/logs?file=wso2carbon.log', { text: true });
  const lines = text.split('\n').slice(-300).join('\n');
  return [element('pre', { tabindex: 0, 'aria-label': 'Last lines of the log' }, lines || 'This server writes its log to standard output only.')];
}

// Warnings and errors, the last one first, each with the lines that belong to it.
async function faults() {
  const text = await ask('/logs?file=wso2error.log', { text: true });
  const entries = [];
  for (const line of text.split('\n')) {
    const head = line.match(/^\[([^\]]+)\]\s+(\w+)\s+\{([^}]*)\} - (.*)$/);
    if (head) entries.push(head.slice(1));
    else if (entries.length && line) entries[entries.length - 1][3] += '\n' + line;
  }
  const rows = entries.slice(-100).reverse().map(([time, level, logger, what]) =>
    [time, element('span', { class: level === 'WARN' ? 'warn' : 'bad' }, level), logger, element('span', { class: 'lines' }, what)]);
  return [table('Recent faults', ['Time', 'Level', 'From', 'What'], rows)];
}

// Elements of a source that hold steps; what is in others belongs to the step.
const holders = new Set(('api resource proxy target sequence inSequence outSequence faultSequence filter then else switch case default clone ' +
  'iterate foreach aggregate onComplete call send callout endpoint failover loadbalance recipientlist scatter-gather validate on-fail cache ' +
  'onCacheHit throttle onAccept onReject transaction template inboundEndpoint in out cloneTarget').split(' '));
// Those of them that are one way of several, with nothing that leads from one to the next.
const ways = new Set(('resource target inSequence outSequence faultSequence then else case default onComplete on-fail onCacheHit onAccept onReject ' +
  'cloneTarget in out').split(' '));
const places = ['inSequence', 'outSequence', 'faultSequence', 'onError'];

// The flow of an artifact as nested lists, so that it reads well without being seen.
function picture(kind, name, source) {
  const root = new DOMParser().parseFromString(source, 'text/xml').documentElement;
  if (!root || root.getElementsByTagName('parsererror').length || root.localName === 'parsererror') return null;
  const parts = [];
  const count = (what, of) => {
    const part = element('span', { class: 'live' });
    parts.push([part, what, of]);
    return part;
  };
  const link = (view, of) => element('button', { type: 'button', click: () => detail(view, of) }, of);
  const step = node => {
    const get = key => node.getAttribute(key);
    const said = ['methods', 'uri-template', 'url-mapping', 'name', 'context', 'value', 'expression', 'xpath', 'source', 'regex', 'category'];
    const facts = said.filter(key => get(key)).map(key => (key === 'name' ? get(key) : key + ' ' + get(key)));
    const shown = [element('b', {}, node.localName)];
    if (facts.length) shown.push(element('span', { class: 'soft' }, facts.join(' · ')));
    const plain = key => get(key) && !/[{$]/.test(get(key));
    if (node.localName === 'endpoint' && (plain('key') || plain('name'))) {
      const of = get('key') || get('name');
      if (get('key')) shown.push(link('Endpoints', of));
      shown.push(count('endpoint', of));
    }
    if (node.localName === 'target' && plain('endpoint')) shown.push('endpoint', link('Endpoints', get('endpoint')), count('endpoint', get('endpoint')));
    if (node.localName === 'sequence' && plain('key')) shown.push(link('Sequences', get('key')));
    for (const place of [...places, 'sequence']) if (plain(place)) shown.push(place, link('Sequences', get(place)));
    if (node.localName === 'store' && plain('messageStore')) shown.push(link('Stores', get('messageStore')), count('store', get('messageStore')));
    const inside = holders.has(node.localName) ? [...node.children].map(step) : [];
    const classes = [inside.length && 'holds', ways.has(node.localName) && 'way'].filter(Boolean).join(' ');
    return element('li', { class: classes || null }, element('div', { class: 'step' }, ...shown), inside.length ? element('ol', {}, ...inside) : '');
  };
  const top = step(root);
  top.firstElementChild.append(count('service', name));
  return { parts, whole: element('ol', { class: 'flow', 'aria-label': 'Flow of ' + name }, top) };
}

// Puts the numbers of this moment into the picture.
function numbers(live) {
  const kindOf = { 'APIs': 'API', 'Proxy services': 'Proxy service', 'Inbound endpoints': 'Inbound endpoint' }[drawn.kind];
  for (const [part, what, of] of drawn.parts) {
    let text = '';
    let mood = '';
    if (what === 'endpoint') {
      text = live.endpoints.find(it => it.name === of)?.state || '';
      mood = states[text] || '';
    } else if (what === 'store') {
      const size = live.stores.find(it => it.name === of)?.size;
      text = size == null ? '' : size + ' messages';
    } else {
      const all = live.services.filter(it => it.name === of && it.kind === kindOf);
      const sum = key => all.reduce((total, it) => total + it[key], 0);
      if (all.length) text = sum('requests') + ' requests · ' + sum('errors') + ' errors · mean ' + (sum('requests') ? round(sum('seconds') / sum('requests') * 1000) : 0) + ' ms';
      mood = sum('errors') ? 'warn' : '';
    }
    part.textContent = text;
    part.className = 'live ' + mood;
  }
}

async function detail(kind, name) {
  const [path, parameter, , statuses] = kinds[kind];
  $('detail-name').textContent = kind + ': ' + name;
  $('detail-said').textContent = '';
  const act = body => async () => {
    try {
      const said = await ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name, ...body }) });
      $('detail-said').textContent = said.Message || said.message || 'Done';
    } catch (error) {
      $('detail-said').textContent = error.message;
    }
    fill();
  };
  const fill = async () => {
    const { configuration, ...facts } = await ask(path + '?' + parameter + '=' + encodeURIComponent(name));
    const entries = Object.entries(facts).filter(([, value]) => value !== '' && value != null);
    $('detail-facts').replaceChildren(...entries.flatMap(([key, value]) =>
      [element('dt', {}, key), element('dd', {}, typeof value === 'object' ? JSON.stringify(value) : String(value))]));
    $('detail-source').textContent = configuration || '';
    $('detail-source').hidden = !configuration;
    const flow = configuration ? picture(kind, name, configuration) : null;
    drawn = flow && { kind, parts: flow.parts };
    $('detail-flow').replaceChildren(...(flow ? [flow.whole] : []));
    if (drawn) numbers(await ask('/live'));
    const switches = (statuses || []).map(status => ['Set ' + status, { status }]);
    if (traced.includes(kind)) switches.push(facts.tracing === 'enabled' ? ['Stop tracing', { trace: 'disable' }] : ['Trace', { trace: 'enable' }]);
    $('detail-actions').replaceChildren(...switches.map(([text, body]) => element('button', { type: 'button', click: act(body) }, text)));
  };
  await fill();
  if (!$('detail').open) $('detail').showModal();
}
$('detail').addEventListener('close', () => { drawn = null; });

function start() {
  $('login').hidden = true;
  for (const id of ['tabs', 'main']) $(id).hidden = false;
  $('logout').hidden = !token;
  tabs();
  refresh();
}
start();
