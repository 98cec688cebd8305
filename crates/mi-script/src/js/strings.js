// What Java's strings can do and JavaScript's cannot, for the languages in which a text of Java stays one.
(function (Bytes) {
  const methods = {
    getBytes() { return new Bytes(String(this)); },
    equals(it) { return String(this) === String(it); },
    equalsIgnoreCase(it) { return String(this).toLowerCase() === String(it).toLowerCase(); },
    contains(it) { return String(this).includes(String(it)); },
    isEmpty() { return this.length === 0; },
    compareTo(it) { return String(this) < String(it) ? -1 : String(this) > String(it) ? 1 : 0; },
    matches(pattern) { return new RegExp('^(?:' + pattern + ')$').test(String(this)); },
    replaceFirst(pattern, by) { return String(this).replace(new RegExp(pattern), by); },
  };
  for (const name of Object.keys(methods)) {
    Object.defineProperty(String.prototype, name, { value: methods[name], writable: true, configurable: true });
  }
})
