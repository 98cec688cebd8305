"""Asks SaxonC what the cases of this folder give, and writes the answers beside them.

Usage: pip install saxonche; python3 saxon.py xpath xslt xquery

A line of NAME.cases is a case; [[a|b]] (with the brackets and the bar of the files, U+27E6, U+27E7, U+00A6) stands for
one case with each of its alternatives. NAME.golden has a line for each: the case, a tab, the answer, with \\n and \\t
for line ends and tabs. `!` is an error; SaxonC does not tell its code. Lines that start with `# ` name the feature.
"""
import itertools
import pathlib
import re
import sys

import saxonche

HERE = pathlib.Path(__file__).parent
NAMESPACES = {
    "m": "urn:m", "n": "urn:n", "xs": "http://www.w3.org/2001/XMLSchema", "fn": "http://www.w3.org/2005/xpath-functions",
    "math": "http://www.w3.org/2005/xpath-functions/math", "map": "http://www.w3.org/2005/xpath-functions/map",
    "array": "http://www.w3.org/2005/xpath-functions/array",
}


def expand(line):
    parts = re.split("⟦([^⟧]*)⟧", line)
    choices = [part.split("¦") if at % 2 else [part] for at, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def escaped(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def shown(value):
    out = []
    for at in range(value.size):
        item = value.item_at(at)
        if item.is_atomic:
            atomic = item.get_atomic_value()
            name = atomic.primitive_type_name.rsplit("}")[-1].rsplit(":")[-1]
            out.append(f"{name} {atomic.string_value}")
        elif item.is_node:
            node = item.get_node_value()
            name = (node.name or "").rsplit("}")[-1]
            out.append(f"node {name} {node.string_value}")
        else:
            out.append("function")
    return " | ".join(out)


class Asker:
    def __init__(self, processor):
        self.processor = processor
        self.source = processor.parse_xml(xml_text=(HERE / "source.xml").read_text())

    def xpath(self, case):
        xpath = self.processor.new_xpath_processor()
        xpath.set_language_version("3.1")
        for prefix, uri in NAMESPACES.items():
            xpath.declare_namespace(prefix, uri)
        xpath.set_context(xdm_item=self.root())
        value = xpath.evaluate(case)
        return "" if value is None else shown(value)

    def root(self):
        return next(child for child in self.source.children if child.node_kind_str == "element")

    def xslt(self, case):
        version, body = case.split(" ", 1)
        sheet = (
            f"<xsl:stylesheet version='{version}' xmlns:xsl='http://www.w3.org/1999/XSL/Transform' xmlns:xs='{NAMESPACES['xs']}' "
            f"xmlns:m='urn:m' xmlns:f='urn:f' exclude-result-prefixes='xs m f'>{body}</xsl:stylesheet>"
        )
        xslt = self.processor.new_xslt30_processor()
        executable = xslt.compile_stylesheet(stylesheet_text=sheet)
        return executable.transform_to_string(xdm_node=self.source) or ""

    def xquery(self, case):
        query = self.processor.new_xquery_processor()
        query.set_query_content(case.replace("\\n", "\n"))
        query.set_context(xdm_item=self.source)
        query.set_property("!omit-xml-declaration", "yes")
        query.set_property("!indent", "no")
        return query.run_query_to_string() or ""


def main(names):
    with saxonche.PySaxonProcessor(license=False) as processor:
        asker = Asker(processor)
        for name in names:
            lines, count = [], 0
            for line in (HERE / f"{name}.cases").read_text().splitlines():
                if line.startswith("# ") or not line:
                    lines.append(line)
                    continue
                for case in expand(line):
                    try:
                        answer = escaped(getattr(asker, name)(case))
                    except saxonche.PySaxonApiError:
                        answer = "!"
                    lines.append(f"{case}\t{answer}")
                    count += 1
            (HERE / f"{name}.golden").write_text("\n".join(lines) + "\n")
            print(name, count)


main(sys.argv[1:])
