// Elements of a message as Axiom's OMElement shows them, and what goes with them. `N` are the natives of om.rs;
// an element is a number to them.
(function (N) {
  'use strict';
  const wrap = (h) => (h === null || h === undefined ? null : new OMElement(h));
  const unwrap = (it) => {
    if (it instanceof OMElement) return it.h;
    if (it && it.__mi_xml__ !== undefined) return N.parse(it.__mi_xml__);
    throw new TypeError('an element is expected, not ' + it);
  };

  class JavaList extends Array {
    static get [Symbol.species]() { return Array; }
    get(at) {
      if (at < 0 || at >= this.length) throw new RangeError('Index ' + at + ' out of bounds for length ' + this.length);
      return this[at];
    }
    size() { return this.length; }
    isEmpty() { return this.length === 0; }
    contains(it) { return this.some((one) => one === it || String(one) === String(it)); }
    iterator() { return new JavaIterator(this); }
    toArray() { return Array.from(this); }
    add(it) { this.push(it); return true; }
  }
  const list = (items) => { const all = new JavaList(); for (const it of items) all.push(it); return all; };

  class JavaIterator {
    constructor(items) { this.items = items; this.at = 0; }
    hasNext() { return this.at < this.items.length; }
    next() {
      // Java's next gives the item, that of `for … of` a record.
      if (this.at >= this.items.length) throw new RangeError('there is no further element');
      return this.items[this.at++];
    }
    [Symbol.iterator]() { return this.items.slice(this.at)[Symbol.iterator](); }
  }
  const iterator = (items) => new JavaIterator(items);

  class KeySet extends JavaList {
    remove(key) { const at = this.indexOf(key); if (at < 0) return false; this.splice(at, 1); this.drop(key); return true; }
  }

  class QName {
    constructor(a, b, c) { [this.uri, this.local, this.prefix] = b === undefined ? ['', a, ''] : [a || '', b, c || '']; }
    getLocalPart() { return this.local; }
    getNamespaceURI() { return this.uri; }
    getPrefix() { return this.prefix; }
    toString() { return this.uri ? '{' + this.uri + '}' + this.local : this.local; }
  }
  class OMNamespace {
    constructor(uri, prefix) { this.uri = uri; this.prefix = prefix; }
    getNamespaceURI() { return this.uri; }
    getPrefix() { return this.prefix; }
    toString() { return this.uri; }
  }
  class OMAttribute {
    constructor(row) { [this.prefix, this.uri, this.local, this.value] = row; }
    getLocalName() { return this.local; }
    getAttributeValue() { return this.value; }
    getValue() { return this.value; }
    getName() { return this.prefix ? this.prefix + ':' + this.local : this.local; }
    getNamespaceURI() { return this.uri || null; }
    getQName() { return new QName(this.uri, this.local, this.prefix); }
    toString() { return this.value; }
  }
  // A name as it is given to Axiom: a QName, or a local name without a namespace.
  const nameOf = (name) => (name instanceof QName ? name : new QName('', String(name)));
  const hasName = (h, name) => N.local(h) === name.local && N.uri(h) === name.uri;

  class OMElement {
    constructor(h) { Object.defineProperty(this, 'h', { value: h }); }
    get __mi_xml__() { return N.xml(this.h); }
    getText() { return N.text(this.h); }
    setText(text) { N.setText(this.h, text === null || text === undefined ? '' : String(text)); }
    getLocalName() { return N.local(this.h); }
    setLocalName(name) { N.rename(this.h, N.prefix(this.h), String(name), N.uri(this.h)); }
    getNamespace() { const uri = N.uri(this.h); return uri ? new OMNamespace(uri, N.prefix(this.h)) : null; }
    getNamespaceURI() { return N.uri(this.h) || null; }
    setNamespace(ns) { N.rename(this.h, ns ? ns.prefix : '', N.local(this.h), ns ? ns.uri : ''); }
    declareNamespace(uri, prefix) {
      const ns = uri instanceof OMNamespace ? uri : new OMNamespace(uri, prefix);
      N.declare(this.h, ns.prefix || '', ns.uri); return ns;
    }
    getPrefix() { return N.prefix(this.h) || null; }
    getQName() { return new QName(N.uri(this.h), N.local(this.h), N.prefix(this.h)); }
    getParent() { return wrap(N.parent(this.h)); }
    getFirstElement() { return wrap(N.elements(this.h)[0]); }
    getFirstOMChild() { return this.getFirstElement(); }
    getNextOMSibling() { return wrap(N.next(this.h)); }
    getChildElements() { return iterator(N.elements(this.h).map(wrap)); }
    getChildren() { return this.getChildElements(); }
    getChildrenWithName(name) {
      const wanted = nameOf(name);
      return iterator(N.elements(this.h).filter((h) => hasName(h, wanted)).map(wrap));
    }
    getChildrenWithLocalName(name) { return iterator(N.elements(this.h).filter((h) => N.local(h) === name).map(wrap)); }
    getFirstChildWithName(name) { const wanted = nameOf(name); return wrap(N.elements(this.h).find((h) => hasName(h, wanted))); }
    getAttributeValue(name) { const wanted = nameOf(name); return N.attribute(this.h, wanted.uri, wanted.local); }
    getAttribute(name) {
      const wanted = nameOf(name);
      const row = N.attributes(this.h).find((it) => it[1] === wanted.uri && it[2] === wanted.local);
      return row ? new OMAttribute(row) : null;
    }
    getAllAttributes() { return iterator(N.attributes(this.h).map((row) => new OMAttribute(row))); }
    addAttribute(name, value, ns) {
      if (name instanceof OMAttribute) { N.setAttribute(this.h, name.prefix, name.uri, name.local, name.value); return name; }
      N.setAttribute(this.h, ns ? ns.prefix : '', ns ? ns.uri : '', String(name), String(value));
      return this.getAttribute(ns ? new QName(ns.uri, name) : name);
    }
    removeAttribute(attribute) { N.removeAttribute(this.h, attribute.uri, attribute.local); }
    addChild(child) { N.append(this.h, unwrap(child)); }
    insertSiblingAfter(it) { N.insert(this.h, unwrap(it), true); }
    insertSiblingBefore(it) { N.insert(this.h, unwrap(it), false); }
    detach() { N.detach(this.h); return this; }
    discard() { N.detach(this.h); }
    build() {}
    cloneOMElement() { return wrap(N.copy(this.h)); }
    toString() { return N.xml(this.h); }
    toStringWithConsume() { return N.xml(this.h); }
    toJSON() { return N.xml(this.h); }
    // SOAP
    getBody() { return wrap(N.elements(this.h).find((h) => N.local(h) === 'Body')); }
    getHeader() { return wrap(N.elements(this.h).find((h) => N.local(h) === 'Header')); }
    hasFault() { const first = N.elements(this.h)[0]; return first !== undefined && N.local(first) === 'Fault'; }
    // DOM, for what parseXml gives
    getDocumentElement() { return this; }
    getTextContent() { return N.allText(this.h); }
    getNodeName() { const p = N.prefix(this.h); return p ? p + ':' + N.local(this.h) : N.local(this.h); }
    getElementsByTagName(name) { return nodeList(N.descendants(this.h).map(wrap).filter((it) => name === '*' || it.getNodeName() === name)); }
    getElementsByTagNameNS(uri, name) {
      return nodeList(N.descendants(this.h).filter((h) => (name === '*' || N.local(h) === name) && (uri === '*' || N.uri(h) === uri)).map(wrap));
    }
    getChildNodes() { return nodeList(N.elements(this.h).map(wrap)); }
    getFirstChild() { return this.getFirstElement(); }
  }
  const nodeList = (items) => { const all = list(items); all.item = (at) => all[at] || null; all.getLength = () => all.length; return all; };

  class AXIOMXPath {
    constructor(expression) { this.expression = String(expression); this.names = []; N.checkXPath(this.expression, this.names); }
    addNamespace(prefix, uri) { this.names.push([String(prefix), String(uri)]); }
    selectNodes(node) {
      const found = N.select(this.expression, this.names, unwrap(node));
      return list(found.map((it) => (typeof it === 'number' ? wrap(it) : new OMText(it))));
    }
    selectSingleNode(node) { const all = this.selectNodes(node); return all.length ? all[0] : null; }
    evaluate(node) { return this.selectNodes(node); }
    stringValueOf(node) { return N.xpathString(this.expression, this.names, unwrap(node)); }
    numberValueOf(node) { return Number(this.stringValueOf(node)); }
    booleanValueOf(node) { return N.xpathBoolean(this.expression, this.names, unwrap(node)); }
    toString() { return this.expression; }
  }
  class OMText {
    constructor(text) { this.text = text; }
    getText() { return this.text; }
    getAttributeValue() { return this.text; }
    toString() { return this.text; }
  }
  class EndpointReference {
    constructor(address, store) { this.address = address; this.store = store; }
    getAddress() { return this.address; }
    setAddress(address) { this.address = String(address); if (this.store) this.store(this.address); }
    toString() { return 'Address: ' + this.address; }
    toJSON() { return this.address; }
  }
  // What is thrown for Java that is not there.
  const java = (path) => new Proxy(function () {}, {
    get(_, name) {
      if (typeof name === 'symbol') return name === Symbol.toPrimitive ? () => '[JavaPackage ' + path + ']' : undefined;
      const known = classes[path + '.' + name];
      return known || java(path + '.' + name);
    },
    apply() { throw new TypeError(noJava(path)); },
    construct() { throw new TypeError(noJava(path)); },
  });
  const noJava = (path) => 'Java classes cannot be used in scripts of this server: ' + path +
    ' (write it in JavaScript, or use expressions and mediators of the sequence)';

  class ByteArrayInputStream { constructor(bytes) { this.text = bytes.text; } }
  class Bytes { constructor(text) { this.text = text; this.length = N.byteLength(text); } toString() { return this.text; } }
  const JavaString = function (it) { return new String(it instanceof Bytes ? it.text : it === undefined ? '' : it); };
  JavaString.valueOf = (it) => String(it);
  JavaString.format = (pattern, ...args) => { let at = 0; return String(pattern).replace(/%[sd]/g, () => String(args[at++])); };
  const wholeNumber = (it) => {
    if (!/^[+-]?\d+$/.test(String(it))) throw new TypeError('java.lang.NumberFormatException: For input string: "' + it + '"');
    return Number(it);
  };
  const JavaInteger = { parseInt: wholeNumber, valueOf: wholeNumber, MAX_VALUE: 2147483647, MIN_VALUE: -2147483648 };
  const JavaDouble = { parseDouble: Number, valueOf: Number };
  const classes = {
    'java.io.ByteArrayInputStream': ByteArrayInputStream,
    'java.lang.String': JavaString,
    'java.lang.Integer': JavaInteger,
    'java.lang.Long': { parseLong: wholeNumber, valueOf: wholeNumber },
    'java.lang.Double': JavaDouble,
    'java.lang.Boolean': { parseBoolean: (it) => String(it).toLowerCase() === 'true', TRUE: true, FALSE: false },
    'java.lang.Thread': { sleep: (millis) => N.sleep(Number(millis)) },
    'java.lang.System': { currentTimeMillis: () => Date.now() },
    'java.util.UUID': { randomUUID: () => N.uuid() },
    'javax.xml.namespace.QName': QName,
  };
  const Java = {
    type(name) { const known = classes[name]; if (!known) throw new TypeError(noJava(name)); return known; },
    from: (items) => Array.from(items),
    to: (items) => items,
  };
  const own = {
    java: java('java'), javax: java('javax'), org: java('org'), com: java('com'),
    Packages: new Proxy({}, { get: (_, name) => (typeof name === 'symbol' ? undefined : java(name)) }),
    Java,
    importPackage(it) { throw new TypeError(noJava(String(it).replace(/^\[JavaPackage (.*)\]$/, '$1'))); },
    importClass(it) { throw new TypeError(noJava(String(it).replace(/^\[JavaPackage (.*)\]$/, '$1'))); },
    JavaImporter() { throw new TypeError(noJava('JavaImporter')); },
    load(it) { throw new TypeError('scripts cannot load files here: ' + it + ' (use <include key="…"/>)'); },
    QName,
  };
  for (const name of Object.keys(own)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value: own[name], writable: true, configurable: true });
  }
  return {
    wrap, list, Bytes, ByteArrayInputStream,
    keySet(keys, drop) { const all = new KeySet(); for (const key of keys) all.push(key); Object.defineProperty(all, 'drop', { value: drop }); return all; },
    xpath: (expression) => new AXIOMXPath(expression),
    address: (address, store) => new EndpointReference(address, store),
  };
})
