// XML as values of the language (ECMA-357), for rhinoJs. Sources are rewritten (e4x.rs): `x.@a` comes as x["@a"],
// `x..a` as x["..a"], `n::a` as a key of `name`, a literal as `literal`. `N.tree` parses, everything else is here.
(function (N) {
  'use strict';
  const node = (kind, name, value) => ({ kind, name, value, attributes: [], spaces: [], children: [], parent: null });
  const element = (name) => node('element', name);
  const textNode = (value) => node('text', null, value);

  function fromTree(tree, parent) {
    if (typeof tree === 'string') { const it = textNode(tree); it.parent = parent; return it; }
    const [prefix, uri, local, attributes, spaces, children] = tree;
    const it = element({ uri, local, prefix });
    it.parent = parent;
    it.spaces = spaces.map(([p, u]) => ({ prefix: p, uri: u }));
    for (const [p, u, l, value] of attributes) {
      const attribute = node('attribute', { uri: u, local: l, prefix: p }, value);
      attribute.parent = it;
      it.attributes.push(attribute);
    }
    for (const child of children) if (typeof child !== 'string' || child.trim() !== '') it.children.push(fromTree(child, it));
    return it;
  }
  const parse = (text) => fromTree(JSON.parse(N.tree(text)), null);
  function parseAny(text) {
    const trimmed = String(text).trim();
    if (trimmed === '') return [];
    if (!trimmed.startsWith('<')) return [textNode(String(text))];
    const root = parse('<r>' + trimmed.replace(/^<\?xml[^>]*\?>/, '') + '</r>');
    for (const child of root.children) child.parent = null;
    return root.children;
  }

  const escape = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const escapeAttribute = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')
    .replace(/\n/g, '&#xA;').replace(/\r/g, '&#xD;').replace(/\t/g, '&#x9;');
  const qualified = (name) => (name.prefix ? name.prefix + ':' + name.local : name.local);

  function write(it, indent, known) {
    const pad = indent === null ? '' : ' '.repeat(indent);
    if (it.kind === 'text') return pad + escape(indent === null ? it.value : it.value.trim());
    if (it.kind === 'attribute') return escape(it.value);
    const scope = Object.assign(Object.create(null), known);
    let start = '<' + qualified(it.name);
    const declare = (prefix, uri) => {
      if ((scope[prefix] || '') === uri || prefix === 'xml') return;
      scope[prefix] = uri;
      start += prefix ? ' xmlns:' + prefix + '="' + escapeAttribute(uri) + '"' : ' xmlns="' + escapeAttribute(uri) + '"';
    };
    for (const space of it.spaces) declare(space.prefix, space.uri);
    declare(it.name.prefix || '', it.name.uri);
    for (const one of it.attributes) if (one.name.uri) declare(one.name.prefix, one.name.uri);
    for (const one of it.attributes) start += ' ' + qualified(one.name) + '="' + escapeAttribute(one.value) + '"';
    if (it.children.length === 0) return pad + start + '/>';
    const inline = indent === null || (it.children.length === 1 && it.children[0].kind === 'text');
    const inner = it.children.map((child) => write(child, inline ? null : indent + 2, scope));
    if (inline) return pad + start + '>' + inner.join('') + '</' + qualified(it.name) + '>';
    return pad + start + '>\n' + inner.join('\n') + '\n' + pad + '</' + qualified(it.name) + '>';
  }
  const inherited = (it) => {
    const all = Object.create(null);
    for (let up = it.parent; up; up = up.parent) for (const s of up.spaces) if (!(s.prefix in all)) all[s.prefix] = s.uri;
    return all;
  };
  function toXMLString(items) {
    return items.map((it) => {
      if (it.kind !== 'element') return escape(it.value);
      const copy = Object.assign({}, it);
      const all = inherited(it);
      copy.spaces = it.spaces.concat(Object.keys(all).filter((p) => !it.spaces.some((s) => s.prefix === p)).map((p) => ({ prefix: p, uri: all[p] })));
      return write(copy, 0, Object.create(null));
    }).join('\n');
  }
  const simple = (it) => it.kind !== 'element' || !it.children.some((child) => child.kind === 'element');
  const textOf = (it) => (it.kind === 'element' ? it.children.filter((c) => c.kind === 'text').map((c) => c.value).join('') : it.value);
  function toText(items) {
    const single = items.length !== 1 ? items.every(simple) : simple(items[0]);
    return single ? items.map(textOf).join('') : toXMLString(items);
  }

  function copyOf(it, parent) {
    const copy = Object.assign({}, it, { parent });
    copy.attributes = it.attributes.map((one) => Object.assign({}, one, { parent: copy }));
    copy.spaces = it.spaces.slice();
    copy.children = it.children.map((child) => copyOf(child, copy));
    return copy;
  }

  // A key as it is written: `a`, `*`, `@a`, `..a`, and with a namespace `{uri}a`.
  function readKey(key) {
    let rest = key;
    const found = { descend: false, attribute: false, uri: undefined, local: '' };
    if (rest.startsWith('..')) { found.descend = true; rest = rest.slice(2); }
    if (rest.startsWith('@')) { found.attribute = true; rest = rest.slice(1); }
    if (rest.startsWith('{')) { const end = rest.indexOf('}'); found.uri = rest.slice(1, end); rest = rest.slice(end + 1); }
    found.local = rest;
    return found;
  }
  const state = { ns: '' };
  function matches(it, key) {
    if (!it.name) return key.local === '*' && key.uri === undefined;
    if (key.local !== '*' && it.name.local !== key.local) return false;
    if (key.uri === '*' || (key.local === '*' && key.uri === undefined)) return true;
    return it.name.uri === (key.uri === undefined ? (key.attribute ? '' : state.ns) : key.uri);
  }
  function select(items, key) {
    const found = [];
    const visit = (it) => {
      for (const one of key.attribute ? it.attributes : it.children) if (matches(one, key)) found.push(one);
      if (key.descend) it.children.forEach(visit);
    };
    items.forEach(visit);
    return found;
  }

  const inner = new WeakMap();
  const isXml = (it) => (typeof it === 'function' || (typeof it === 'object' && it !== null)) && inner.has(it);
  const itemsOf = (it) => inner.get(it).items;
  function toItems(value) { return isXml(value) ? itemsOf(value) : [textNode(String(value))]; }

  // New children for `owner` out of a value.
  const adopt = (value, owner) => (isXml(value) ? itemsOf(value).map((it) => (it.kind === 'attribute' ? textNode(it.value) : copyOf(it, owner))) : [textNode(String(value))])
    .map((it) => { it.parent = owner; return it; });

  function assign(record, key, value) {
    if (record.items.length !== 1) {
      if (record.items.length === 0 && record.owner) {
        // `x.a.b = 1` makes the missing `a`.
        const made = assign(record.owner, record.key, '');
        made.children = [];
        record.items = [made];
      } else throw new TypeError('a value can only be assigned to one element, not to ' + record.items.length);
    }
    const target = record.items[0];
    const wanted = readKey(key);
    if (wanted.attribute) {
      const known = target.attributes.find((one) => matches(one, wanted));
      const text = isXml(value) ? toText(itemsOf(value)) : String(value);
      if (known) { known.value = text; return known; }
      const made = node('attribute', { uri: wanted.uri || '', local: wanted.local, prefix: '' }, text);
      made.parent = target;
      target.attributes.push(made);
      return made;
    }
    const old = target.children.filter((child) => matches(child, wanted));
    let fresh;
    if (isXml(value) && itemsOf(value).every((it) => it.kind === 'element')) fresh = adopt(value, target);
    else {
      const uri = wanted.uri === undefined ? state.ns : wanted.uri;
      const made = old[0] || element({ uri, local: wanted.local, prefix: uri && uri === target.name.uri ? target.name.prefix : '' });
      made.parent = target;
      const text = isXml(value) ? toText(itemsOf(value)) : String(value);
      made.children = text === '' ? [] : adopt(text, made);
      fresh = [made];
    }
    const at = old.length ? target.children.indexOf(old[0]) : target.children.length;
    target.children = target.children.filter((child) => !old.includes(child));
    target.children.splice(at, 0, ...fresh);
    return fresh[0];
  }

  const one = (record) => {
    if (record.items.length !== 1) throw new TypeError('the method is for one element, not for ' + record.items.length);
    return record.items[0];
  };
  const qname = (name) => { const key = readKey(typeof name === 'object' && name !== null && name.local !== undefined ? '{' + name.uri + '}' + name.local : String(name)); return key; };
  const methods = {
    length: (r) => (r.list ? r.items.length : 1),
    toString: (r) => toText(r.items),
    toXMLString: (r) => toXMLString(r.items),
    valueOf: (r, self) => self,
    copy: (r) => make(r.items.map((it) => copyOf(it, null)), r.list),
    name: (r) => { const it = one(r); return it.name ? { uri: it.name.uri, localName: it.name.local, toString() { return it.name.uri ? it.name.uri + '::' + it.name.local : it.name.local; } } : null; },
    localName: (r) => { const it = one(r); return it.name ? it.name.local : null; },
    namespace: (r) => { const it = one(r); return { prefix: it.name.prefix, uri: it.name.uri, toString() { return it.name.uri; } }; },
    setLocalName: (r, _, name) => { one(r).name.local = String(name); },
    setName: (r, _, name) => { const key = qname(name); const it = one(r); it.name = { uri: key.uri === undefined ? '' : key.uri, local: key.local, prefix: it.name.prefix }; },
    setNamespace: (r, _, ns) => { const it = one(r); it.name.uri = String(ns.uri === undefined ? ns : ns.uri); it.name.prefix = ns.prefix || it.name.prefix; },
    addNamespace: (r, self, ns) => { one(r).spaces.push({ prefix: ns.prefix || '', uri: String(ns.uri === undefined ? ns : ns.uri) }); return self; },
    nodeKind: (r) => one(r).kind,
    parent: (r) => { const up = r.items.length ? r.items[0].parent : null; return up ? make([up], false) : undefined; },
    childIndex: (r) => { const it = one(r); return it.parent ? it.parent.children.indexOf(it) : -1; },
    children: (r) => make(r.items.flatMap((it) => it.children), true),
    elements: (r, _, name) => make(select(r.items, qname(name === undefined ? '*' : name)).filter((it) => it.kind === 'element'), true),
    child: (r, _, name) => (/^\d+$/.test(String(name)) ? make(r.items.map((it) => it.children[Number(name)]).filter(Boolean), true) : make(select(r.items, qname(name)), true)),
    descendants: (r, _, name) => make(select(r.items, Object.assign(qname(name === undefined ? '*' : name), { descend: true })), true),
    attribute: (r, _, name) => make(select(r.items, Object.assign(qname(name), { attribute: true })), true),
    attributes: (r) => make(r.items.flatMap((it) => it.attributes), true),
    text: (r) => make(r.items.flatMap((it) => it.children.filter((child) => child.kind === 'text')), true),
    comments: () => make([], true),
    processingInstructions: () => make([], true),
    hasSimpleContent: (r) => r.items.every(simple),
    hasComplexContent: (r) => !r.items.every(simple),
    contains: (r, _, value) => r.items.some((it) => isXml(value) && itemsOf(value).includes(it)),
    appendChild: (r, self, value) => { const it = one(r); it.children.push(...adopt(value, it)); return self; },
    prependChild: (r, self, value) => { const it = one(r); it.children.unshift(...adopt(value, it)); return self; },
    insertChildAfter: (r, self, after, value) => { const it = one(r); const at = isXml(after) ? it.children.indexOf(itemsOf(after)[0]) + 1 : 0; it.children.splice(at, 0, ...adopt(value, it)); return self; },
    insertChildBefore: (r, self, before, value) => { const it = one(r); const at = isXml(before) ? it.children.indexOf(itemsOf(before)[0]) : it.children.length; it.children.splice(at, 0, ...adopt(value, it)); return self; },
    setChildren: (r, self, value) => { const it = one(r); it.children = adopt(value, it); return self; },
    replace: (r, self, name, value) => { assign(r, String(name), value); return self; },
    normalize: (r, self) => self,
    inScopeNamespaces: (r) => { const it = one(r); const all = inherited(it); it.spaces.forEach((s) => { all[s.prefix] = s.uri; }); return Object.keys(all).map((p) => ({ prefix: p, uri: all[p], toString() { return all[p]; } })); },
    hasOwnProperty: (r, _, name) => select(r.items, readKey(String(name))).length > 0,
    filter: (r, _, test) => make(r.items.filter((it) => test(make([it], false))), true),
  };

  // `x.name` is a list of children; called, `x.name()` is the method. So every value is a function with traps.
  function make(items, asList, owner, key) {
    const record = { items, list: asList, owner, key };
    const self = new Proxy(function () {}, {
      apply(_, that, args) {
        const method = methods[key];
        if (!owner || !method) throw new TypeError((key === undefined ? 'XML' : key) + ' is not a function');
        return method(owner, owner.self, ...args);
      },
      get(_, name) {
        if (typeof name === 'symbol') {
          if (name === Symbol.toPrimitive) return () => toText(record.items);
          if (name === Symbol.iterator) return () => record.items.map((it) => make([it], false))[Symbol.iterator]();
          return undefined;
        }
        if (name === '__mi_xml__') return record.items.length === 1 && record.items[0].kind === 'element' ? toXMLString(record.items) : undefined;
        if (name === '__mi_text__') return toText(record.items);
        if (name === 'toJSON') return () => toText(record.items);
        if (/^\d+$/.test(name)) { const it = record.items[Number(name)]; return it ? make([it], false) : undefined; }
        return make(select(record.items, readKey(name)), true, record, name);
      },
      set(_, name, value) {
        if (/^\d+$/.test(name)) {
          const it = record.items[Number(name)];
          if (it && it.parent) { const at = it.parent.children.indexOf(it); it.parent.children.splice(at, 1, ...adopt(value, it.parent)); }
          else if (it) { record.items.splice(Number(name), 1, ...toItems(value)); }
          else if (record.owner) { const up = record.owner.items[0]; up.children.push(...adopt(value, up)); }
          else record.items.push(...toItems(value));
          return true;
        }
        assign(record, name, value);
        return true;
      },
      has(_, name) {
        if (typeof name === 'symbol') return false;
        return select(record.items, readKey(name)).length > 0 || name in methods;
      },
      deleteProperty(_, name) {
        const wanted = readKey(name);
        for (const it of record.items) {
          if (wanted.attribute) it.attributes = it.attributes.filter((a) => !matches(a, wanted));
          else it.children = it.children.filter((child) => !matches(child, wanted));
        }
        return true;
      },
      ownKeys() { return ['prototype'].concat(record.items.map((_, at) => String(at))); },
      getOwnPropertyDescriptor(target, name) {
        if (name === 'prototype') return Reflect.getOwnPropertyDescriptor(target, name);
        return /^\d+$/.test(name) ? { value: self[name], enumerable: true, configurable: true, writable: true } : undefined;
      },
    });
    record.self = self;
    inner.set(self, record);
    return self;
  }

  function xml(value) {
    if (isXml(value)) return make(itemsOf(value).map((it) => copyOf(it, null)), false);
    const source = value && value.__mi_xml__ !== undefined ? value.__mi_xml__ : value === undefined || value === null ? '' : value;
    const items = parseAny(source);
    if (items.length > 1) throw new TypeError('the text of an XML value has more than one root');
    return make(items.length ? items : [textNode('')], false);
  }
  function literal(parts, values) {
    let text = '';
    parts.forEach((part, at) => {
      text += part[0];
      if (at >= values.length) return;
      const value = values[at];
      if (part[1] === 'attribute') text += '"' + escapeAttribute(isXml(value) ? toText(itemsOf(value)) : value) + '"';
      else if (part[1] === 'tag') text += String(value);
      else text += isXml(value) ? toXMLString(itemsOf(value)) : escape(value);
    });
    // <>…</> is a list.
    const asList = text.trimStart().startsWith('<>');
    const items = parseAny(asList ? text.trim().slice(2, -3) : text);
    return make(items, asList || items.length !== 1);
  }
  function name(ns, local, before) {
    const uri = ns === '*' ? '*' : ns && ns.uri !== undefined ? ns.uri : String(ns);
    return (before || '') + '{' + uri + '}' + local;
  }
  class Namespace {
    constructor(a, b) { [this.prefix, this.uri] = b === undefined ? ['', String(a)] : [String(a), String(b)]; }
    toString() { return this.uri; }
  }
  const XML = function (value) { return xml(value); };
  XML.ignoreWhitespace = true;
  XML.prettyIndent = 2;
  XML.prettyPrinting = true;
  XML.ignoreComments = true;
  XML.ignoreProcessingInstructions = true;
  const XMLList = function (value) { return isXml(value) ? make(itemsOf(value), true) : make(parseAny(value === undefined ? '' : value), true); };
  const own = { XML, XMLList, Namespace };
  for (const it of Object.keys(own)) Object.defineProperty(globalThis, it, { value: own[it], writable: true, configurable: true });
  return {
    literal, name, xml,
    add: (a, b) => (isXml(a) && isXml(b) ? make(itemsOf(a).concat(itemsOf(b)), true) : a + b),
    each: (it) => (isXml(it) ? it : it === null || it === undefined ? [] : Object.values(it)),
    filter: (it, test) => (isXml(it) ? methods.filter(inner.get(it), it, test) : it.filter(test)),
    setNamespace: (ns) => { state.ns = ns && ns.uri !== undefined ? ns.uri : String(ns); },
  };
})
