"""CPU time of SaxonC for one transformation: parse, transform, write. Prints nanoseconds.

Usage: saxon.py STYLESHEET DOCUMENT SECONDS
"""
import sys
import time

import saxonche

sheet, document, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
with open(document, encoding="utf-8") as file:
    text = file.read()
with saxonche.PySaxonProcessor(license=False) as processor:
    executable = processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=sheet)
    best = 1e9
    for _ in range(5):
        start, count, used = time.process_time(), 0, 0.0
        while used < seconds / 5:
            node = processor.parse_xml(xml_text=text)
            if executable.transform_to_string(xdm_node=node) is None:
                sys.exit(4)
            count += 1
            used = time.process_time() - start
        best = min(best, used / count)
print(f"{best * 1e9:.0f}")
